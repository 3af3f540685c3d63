import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cpuacct } from './cpuacct.ts';

/** A program started by a bench; it does not outlive the bench. */
export interface Program {
  readonly pid: number;
  /** When it was spawned, by performance.now(). */
  readonly spawnedMs: number;
  /** What it has written to stdout and stderr so far. */
  output(): string;
  /** The first match in its output. Rejects when it ends or `timeoutMs` pass before there is one. */
  says(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** SIGTERM, after 5 s SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The group is entered before the program is executed, so that every thread and child counts from its first instruction. */
  readonly group?: Cpuacct;
}

const OUTPUT_MAX = 1 << 20;
const running = new Set<ChildProcess>();

// Whatever a bench makes has an end of its own to see to; of several sizes that is more than the usual ten.
process.setMaxListeners(0);
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

export function start(command: string, args: readonly string[], { env = {}, group }: StartOptions = {}): Program {
  const [file, all] = group === undefined ? [command, args] : ['/bin/sh', ['-c', 'echo $$ > "$0" && exec "$@"', group.procs, command, ...args]];
  const spawnedMs = performance.now();
  const child = spawn(file, all, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  running.add(child);
  let text = '';
  const listeners = new Set<() => void>();
  const heard = (): void => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text = (text + chunk).slice(-OUTPUT_MAX);
      heard();
    });
  }
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      running.delete(child);
      resolve();
      heard();
    };
    child.once('error', (error) => {
      text += String(error);
      end();
    });
    child.once('close', end);
  });
  const failure = (why: string): Error => new Error(`${command} ${why}; its last words: ${text.slice(-800)}`);
  return {
    pid: child.pid ?? -1,
    spawnedMs,
    output: () => text,
    says: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          settle();
        };
        const look = (): void => {
          const match = pattern.exec(text);
          if (match !== null) finish(() => resolve(match));
          else if (!running.has(child)) finish(() => reject(failure(`ended before it said ${pattern}`)));
        };
        const timer = setTimeout(() => finish(() => reject(failure(`did not say ${pattern} in ${timeoutMs} ms`))), timeoutMs);
        listeners.add(look);
        look();
      }),
    async stop() {
      if (!running.has(child)) return;
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(5_000, undefined, { ref: false })]);
      if (running.has(child)) child.kill('SIGKILL');
      await ended;
    },
  };
}
