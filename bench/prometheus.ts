import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../test/support/backends/processes.ts';
import { needProgram } from './place.ts';
import { type Program, start } from './program.ts';
import { fetchRaw } from './scrape.ts';

export interface ScrapeJob {
  readonly name: string;
  /** `http://127.0.0.1:43211/metrics/node` */
  readonly url: string;
  readonly intervalSeconds: number;
}

/** Timestamp in milliseconds, value. */
export type Sample = readonly [timestampMs: number, value: number];

export interface Prometheus extends Program {
  /** Raw samples of one series of a job between two times, as stored. */
  samples(selector: string, fromMs: number, toMs: number): Promise<Sample[]>;
  /** An expression at each step; the one series that it yields. */
  range(expression: string, fromMs: number, toMs: number, stepSeconds: number): Promise<Sample[]>;
}

/** Starts Debian's Prometheus on a free port with its data in `folder`. */
export async function startPrometheus(folder: string, jobs: readonly ScrapeJob[]): Promise<Prometheus> {
  const program = needProgram('prometheus', 'Debian package prometheus');
  mkdirSync(folder, { recursive: true });
  const configuration = join(folder, 'prometheus.json');
  // JSON is YAML.
  const scrapes = jobs.map(({ name, url, intervalSeconds }) => {
    const { host, pathname } = new URL(url);
    return {
      job_name: name,
      scrape_interval: `${intervalSeconds}s`,
      scrape_timeout: `${intervalSeconds}s`,
      metrics_path: pathname,
      static_configs: [{ targets: [host] }],
    };
  });
  writeFileSync(configuration, JSON.stringify({ scrape_configs: scrapes }));
  const address = `127.0.0.1:${await freePort()}`;
  const flags = [`--config.file=${configuration}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`, '--log.level=info'];
  const running = start(program, flags);
  await running.says(/Server is ready to receive web requests/, 30_000);
  const query = async (path: string, parameters: Readonly<Record<string, string>>): Promise<Sample[]> => {
    const { status, body } = await fetchRaw(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, 'identity');
    const text = body.toString();
    if (status !== 200) throw new Error(`Prometheus ${path} ${JSON.stringify(parameters)}: ${status} ${text.slice(0, 300)}`);
    // Border: the shape of https://prometheus.io/docs/prometheus/latest/querying/api/#range-vectors
    const { data } = JSON.parse(text) as { data: { result: { values: [number, string][] }[] } };
    if (data.result.length > 1) throw new Error(`Prometheus ${JSON.stringify(parameters)}: ${data.result.length} series instead of one`);
    return (data.result[0]?.values ?? []).map(([seconds, value]) => [Math.round(seconds * 1000), Number(value)]);
  };
  return {
    ...running,
    samples: (selector, fromMs, toMs) => query('query', { query: `${selector}[${Math.ceil(toMs - fromMs)}ms]`, time: String(toMs / 1000) }),
    range: (expression, fromMs, toMs, stepSeconds) =>
      query('query_range', { query: expression, start: String(fromMs / 1000), end: String(toMs / 1000), step: String(stepSeconds) }),
  };
}
