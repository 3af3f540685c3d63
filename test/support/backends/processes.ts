import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server process started for a test, in a session of its own, so that stopping and freezing it reaches nobody else. */
export interface ServerProcess {
  readonly pid: number;
  /** What it has written to stdout and stderr so far. */
  output(): string;
  /** True until it has exited. */
  running(): boolean;
  /** Freezes it and every descendant (SIGSTOP): the port still accepts, nothing answers. */
  freeze(): void;
  /** Undoes `freeze`. */
  thaw(): void;
  /** The stop signal, then SIGCONT and SIGKILL for whatever is left. Resolves when all are gone. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * A port nobody listens on, below 32768: in the ephemeral range a refused connection may reach a client socket of the
 * machine's own.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** Starts a program detached; its output goes to `logFile` so that no pipe ties it to the test. */
export function startProcess(
  command: string,
  args: readonly string[],
  logFile: string,
  options: SpawnOptions = {},
  stopSignal: NodeJS.Signals = 'SIGTERM',
): ServerProcess {
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.once('error', () => {}); // a missing program shows as a process that is not running
  child.unref();
  const pid = child.pid ?? -1;
  const running = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const signalAll = (signal: NodeJS.Signals): void => {
    for (const one of [pid, ...descendants(pid)]) sendSignal(one, signal);
  };
  return {
    pid,
    running,
    output: () => readFileSync(logFile, 'utf8'),
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    async stop() {
      if (!running()) return;
      const family = [pid, ...descendants(pid)];
      sendSignal(pid, stopSignal);
      await until(() => !running(), 2_000);
      for (const one of family) sendSignal(one, 'SIGCONT');
      if (running()) await until(() => !running(), 1_000);
      for (const one of family) if (one === pid ? running() : isAlive(one)) sendSignal(one, 'SIGKILL');
      await until(() => !running(), 2_000);
    },
  };
}

/** Whether somebody listens there. */
export function accepts(where: { readonly port: number; readonly host: string } | { readonly path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(where);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Waits until `condition` holds; false when `timeoutMs` passed first. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() > end) return false;
    await sleep(20);
  }
}

/** Every descendant of a process, from /proc; PostgreSQL's children are in sessions of their own, so a group is not enough. */
export function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent === undefined) continue;
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [Number(name)]);
    else list.push(Number(name));
  }
  const found: number[] = [];
  const queue = [root];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    const list = children.get(pid) ?? [];
    found.push(...list);
    queue.push(...list);
  }
  return found;
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
  } catch {
    return undefined; // gone meanwhile
  }
}

function isAlive(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    if (pid > 1) process.kill(pid, signal);
  } catch {
    // gone meanwhile
  }
}
