import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type ServerProcess, startProcess } from './backends/processes.ts';
import { until } from './daemon.ts';

/** What /api/v1/targets says of a target. */
export interface ScrapeTarget {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: 'up' | 'down' | 'unknown';
  readonly lastError: string;
}

/** What /api/v1/targets/metadata says of a family. */
export interface FamilyMetadata {
  readonly metric: string;
  readonly type: string;
  readonly help: string;
}

/** A sample of an instant query. */
export interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
  /** Unix seconds and the number as text. */
  readonly value: readonly [number, string];
}

export interface RunningPrometheus {
  readonly url: string;
  targets(): Promise<readonly ScrapeTarget[]>;
  metadata(job: string): Promise<readonly FamilyMetadata[]>;
  query(expression: string): Promise<readonly QueryResult[]>;
  /** Everything it has logged. */
  log(): string;
  stop(): Promise<void>;
}

/** Starts Debian's `prometheus` on loopback with these jobs (name -> URL), all scraped at the interval, and waits until it is ready. */
export async function startPrometheus(jobs: Readonly<Record<string, string>>, interval = '1s'): Promise<RunningPrometheus> {
  const home = mkdtempSync(join(tmpdir(), 'exporterd-prometheus-'));
  const scrapes = Object.entries(jobs).map(([name, url]) => {
    const { host, pathname } = new URL(url);
    return `  - job_name: ${name}\n    metrics_path: ${pathname}\n    static_configs: [{targets: ['${host}']}]\n`;
  });
  const file = join(home, 'prometheus.yml');
  writeFileSync(file, `global: {scrape_interval: ${interval}, scrape_timeout: ${interval}}\nscrape_configs:\n${scrapes.join('')}`);
  const port = await freePort();
  const flags = [`--config.file=${file}`, `--storage.tsdb.path=${join(home, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
  const server: ServerProcess = startProcess('prometheus', flags, join(home, 'log'));
  process.once('exit', () => {
    if (server.running()) process.kill(server.pid, 'SIGKILL');
  });
  const url = `http://127.0.0.1:${port}`;
  const api = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; data: T; error?: string };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error ?? response.status}`);
    return answer.data;
  };
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await until(20_000, 'prometheus is ready', async () => {
      if (!server.running()) throw new Error(`prometheus ended: ${server.output().slice(-1000)}`);
      return fetch(`${url}/-/ready`).then(
        (response) => response.ok,
        () => false,
      );
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    targets: async () => (await api<{ activeTargets: ScrapeTarget[] }>('targets')).activeTargets,
    metadata: (job) => api<FamilyMetadata[]>(`targets/metadata?match_target=${encodeURIComponent(`{job="${job}"}`)}`),
    query: async (expression) => (await api<{ result: QueryResult[] }>(`query?query=${encodeURIComponent(expression)}`)).result,
    log: () => server.output(),
    stop,
  };
}
