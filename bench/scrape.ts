import { Agent, get } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { type Page, parsePage } from './page.ts';

/** What Prometheus 3.4 and later send. */
export const PROMETHEUS_HEADERS = {
  Accept:
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
  'User-Agent': 'Prometheus/3.4.0',
} as const;

export type Encoding = 'gzip' | 'identity';

export interface Answer {
  readonly status: number;
  /** In the order and spelling sent. */
  readonly headers: readonly (readonly [string, string])[];
  /** As sent, compressed or not. */
  readonly body: Buffer;
}

/** One GET over a kept connection of `agent`. */
export function fetchRaw(url: string, encoding: Encoding, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(
      url,
      { headers: { ...PROMETHEUS_HEADERS, 'Accept-Encoding': encoding }, ...(agent === undefined ? {} : { agent }), timeout: 15_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const raw = response.rawHeaders;
          const headers = raw.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, raw[i + 1] ?? '']] : []));
          resolve({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks) });
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`${url}: no answer in 15 s`)));
    request.on('error', reject);
  });
}

/** A page in the encoding asked for, checked: status, encoding as asked, content type, text format. */
export async function fetchPage(url: string, encoding: Encoding = 'identity', agent?: Agent): Promise<Page & { readonly text: string }> {
  const { status, headers, body } = await fetchRaw(url, encoding, agent);
  if (status !== 200) throw new Error(`${url}: status ${status}: ${body.toString().slice(0, 200)}`);
  const header = (name: string): string => headers.find(([known]) => known.toLowerCase() === name)?.[1] ?? '';
  if (!header('content-type').startsWith('text/plain; version=0.0.4'))
    throw new Error(`${url}: content type ${header('content-type')} instead of text format 0.0.4`);
  if ((header('content-encoding') === 'gzip') !== (encoding === 'gzip'))
    throw new Error(`${url}: encoding ${header('content-encoding') || 'identity'} instead of ${encoding}`);
  const text = (encoding === 'gzip' ? gunzipSync(body) : body).toString();
  return { ...parsePage(text, url), text };
}

export function keptConnection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

/** Calls `task` once every `periodMs`, `count` times, at times that do not drift: a late call does not move the next. */
export async function everyPeriod(periodMs: number, count: number, task: (round: number) => Promise<void>): Promise<void> {
  const started = performance.now();
  for (let round = 0; round < count; round++) {
    await sleepUntil(started + round * periodMs);
    await task(round);
  }
}

export function sleepUntil(atMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
}
