import { readFileSync } from 'node:fs';
import { MAIN } from './place.ts';
import { type Program, start, type StartOptions } from './program.ts';

export interface Listener extends Program {
  /** `http://127.0.0.1:43211` */
  readonly url: string;
}

/** `msg="listening" address="127.0.0.1:43211"`, as JSON or logfmt. */
const LISTENING = /"?msg"?[=:]"listening" address="([^"]+)"|"address":"([^"]+)","msg":"listening"/;
const READY = /"?msg"?[=:]"ready"/;

/** Starts exporterd on a free port of the loopback interface; resolves when it is ready. */
export async function startDaemon(args: readonly string[], options: StartOptions = {}): Promise<Listener> {
  const daemon = await spawnDaemon(args, options);
  await daemon.says(READY);
  return daemon;
}

/** What the program's first line gives to node, as a start by its name would. */
export const NODE_FLAGS: readonly string[] = (/^#!.*\bnode +(.*)\n/.exec(readFileSync(MAIN, 'utf8'))?.[1] ?? '').split(' ').filter((flag) => flag !== '');

/** As `startDaemon`, but resolves as soon as it listens. */
export async function spawnDaemon(args: readonly string[], options: StartOptions = {}): Promise<Listener> {
  const program = start(process.execPath, [...NODE_FLAGS, MAIN, ...args, '--web.listen-address=127.0.0.1:0'], options);
  const match = await program.says(LISTENING);
  return { ...program, url: `http://${match[1] ?? match[2]}` };
}
