import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { needProgram, SOURCES } from './place.ts';
import { type Encoding, PROMETHEUS_HEADERS } from './scrape.ts';

/** One round of wrk, times in microseconds. */
export interface WrkRound {
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
  readonly perSecond: number;
  /** Bytes of an answer, headers included. */
  readonly bytes: number;
}

const run = promisify(execFile);

/** Throws when a request failed or was not answered with 2xx. */
export async function wrk(url: string, connections: number, seconds: number, encoding: Encoding): Promise<WrkRound> {
  const program = needProgram('wrk', 'Debian package wrk');
  const headers = Object.entries({ ...PROMETHEUS_HEADERS, 'Accept-Encoding': encoding }).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  // wrk takes whole seconds only.
  const { stdout } = await run(program, [
    '-t1',
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '-s',
    join(SOURCES, 'figures.lua'),
    ...headers,
    url,
  ]);
  const line = /^FIGURES (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk ${url}: no figures in ${stdout}`);
  const figures = JSON.parse(line) as Record<'requests' | 'micros' | 'bytes' | 'p50' | 'p99' | 'mean' | 'failed', number>; // figures.lua
  if (figures.failed > 0 || figures.requests === 0) throw new Error(`wrk ${url}: ${figures.failed} of ${figures.requests} requests failed`);
  const { p50, p99, mean } = figures;
  return { p50, p99, mean, perSecond: figures.requests / (figures.micros / 1e6), bytes: figures.bytes / figures.requests };
}
