import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { PROMETHEUS_HEADERS } from './scrape.ts';

/**
 * Asks for one page again and again over one kept connection, from a thread of its own, and writes down how long each answer
 * took. A plain socket: an HTTP client would cost more than the answer.
 */
export interface ProbeOptions {
  readonly url: string;
  readonly everyMs: number;
}

/** When an answer was asked for (performance.timeOrigin + now, Unix ms) and how long it took, ms. */
export type ProbeTime = readonly [askedMs: number, tookMs: number];

const { url, everyMs } = workerData as ProbeOptions;
const { hostname, port, pathname, host } = new URL(url);
const headers = Object.entries({ Host: host, ...PROMETHEUS_HEADERS, 'Accept-Encoding': 'gzip' }).map(([name, value]) => `${name}: ${value}\r\n`);
const request = Buffer.from(`GET ${pathname} HTTP/1.1\r\n${headers.join('')}\r\n`);
const HEAD_END = Buffer.from('\r\n\r\n');
const times: ProbeTime[] = [];

/** Resolves with the time the whole body took; rejects on anything but 200. */
function ask(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const chunks: Buffer[] = [];
    let wanted = Number.POSITIVE_INFINITY;
    let got = 0;
    const finish = (settle: () => void): void => {
      socket.off('data', onData).off('error', onEnd).off('close', onEnd);
      settle();
    };
    const onEnd = (error?: unknown): void => finish(() => reject(error instanceof Error ? error : new Error(`${url}: the connection was closed`)));
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      got += chunk.length;
      if (wanted === Number.POSITIVE_INFINITY) {
        const all = Buffer.concat(chunks);
        const end = all.indexOf(HEAD_END);
        if (end < 0) return;
        const head = all.toString('latin1', 0, end);
        if (!head.startsWith('HTTP/1.1 200')) {
          finish(() => reject(new Error(`${url}: ${head.split('\r\n', 1)[0]}`)));
          return;
        }
        wanted = end + HEAD_END.length + Number(/^content-length: (\d+)/im.exec(head)?.[1]);
      }
      if (got >= wanted) finish(() => resolve(performance.now() - started));
    };
    socket.on('data', onData).on('error', onEnd).on('close', onEnd);
    socket.write(request);
  });
}

const socket = connect({ host: hostname, port: Number(port), noDelay: true });
let isStopped = false;
parentPort?.on('message', (message: 'take' | 'stop') => {
  if (message === 'stop') isStopped = true;
  parentPort?.postMessage(times.splice(0));
});

for (let next = performance.now(); !isStopped; next = Math.max(next + everyMs, performance.now())) {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  const askedMs = performance.timeOrigin + performance.now();
  times.push([askedMs, await ask(socket)]);
}
socket.destroy();
parentPort?.close();
