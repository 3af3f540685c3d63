/**
 * A server with one large page, in a process of its own so that its memory can be told from its clients'.
 * Started by fork with the adapter and the page's MiB as arguments; sends its port, then a report for every message.
 */
import { limitSendBuffers } from '../../src/readers/load.ts';
import { openServer } from '../../src/wire/open.ts';

/** What the server tells about itself. */
export interface PageReport {
  readonly port: number;
  readonly rssBytes: number;
  /** Responses for which `waiting` was called. */
  readonly waits: number;
  readonly released: number;
  readonly active: number;
}

const adapter = process.argv[2] === 'http' ? 'http' : 'uws';
const bytes = new Uint8Array(new SharedArrayBuffer(Number(process.argv[3]) * 1024 * 1024)).fill(0x61);
let waits = 0;
let released = 0;

const { server } = await openServer(adapter, { limitSendBuffers });
const { address } = await server.listen('127.0.0.1', 0, {
  answer: () => ({
    status: 200,
    headers: [['Content-Type', 'text/plain']],
    body: { parts: [bytes], length: bytes.length, release: () => void released++, waiting: () => void waits++ },
  }),
});

function report(): void {
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  const answer: PageReport = { port, rssBytes: process.memoryUsage.rss(), waits, released, active: server.active };
  process.send?.(answer);
}

process.on('message', report);
process.on('disconnect', () => process.exit());
report();
