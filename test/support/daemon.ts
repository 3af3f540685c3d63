import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The built program's first file. */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export interface RunningDaemon {
  readonly process: ChildProcess;
  /** `http://127.0.0.1:port` of the first listener. */
  readonly url: string;
  /** Log lines so far. */
  readonly log: readonly Record<string, unknown>[];
  /** What it has written to standard output so far. */
  stdout(): string;
  page(path: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  /** SIGTERM; resolves with exit code and how long it took, milliseconds. */
  stop(): Promise<{ code: number | null; ms: number }>;
}

/** The environment of a daemon under test: nothing of the caller's that switches roles on. */
export function cleanEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...more };
}

/** Daemons that still run: none outlives the test that started it, however that test ends. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts the built daemon on a free loopback port and waits until it listens. */
export async function startDaemon(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<RunningDaemon> {
  const child = spawn(process.execPath, [MAIN, ...args, '--web.listen-address=127.0.0.1:0', '--log.format=json'], {
    env: cleanEnvironment(environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const log: Record<string, unknown>[] = [];
  let rest = '';
  let listening: (address: string) => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  const address = new Promise<string>((resolve, reject) => {
    listening = resolve;
    failed = reject;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const entry = line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : { msg: line };
      log.push(entry);
      if (entry['msg'] === 'listening') listening(String(entry['address']));
    }
  });
  child.once('exit', () => running.delete(child));
  // Not `exit`: what it wrote last may still be in the pipe then.
  child.once('close', (code) => failed(new Error(`daemon ended with ${code}: ${JSON.stringify(log)} ${rest}`)));
  const url = `http://${await address}`;
  address.catch(() => undefined);
  return {
    process: child,
    url,
    log,
    stdout: () => stdout,
    async page(path, headers = {}) {
      const response = await fetch(url + path, { headers });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
      return text;
    },
    async stop() {
      if (child.exitCode !== null) return { code: child.exitCode, ms: 0 };
      const started = performance.now();
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const [code] = (await ended) as [number | null];
      clearTimeout(killer);
      return { code, ms: performance.now() - started };
    },
  };
}

/** Runs a command of the daemon to its end. */
export async function runDaemon(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: cleanEnvironment(environment), stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** The value of one series, by its text up to the blank; NaN when the page has none. */
export function sampleValue(page: string, series: string): number {
  const line = page.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}

/** Asks again until the answer is there, at most `ms`, and `everyMs` after each answer that was none. */
export async function until<T>(ms: number, what: string, ask: () => Promise<T | undefined | false>, everyMs = 20): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
