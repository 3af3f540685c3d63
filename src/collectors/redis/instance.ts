import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';

const LABELS = ['master_replid', 'maxmemory_policy', 'os', 'process_id', 'redis_build_id', 'redis_mode', 'redis_version', 'role', 'run_id', 'tcp_port'];
const INSTANCE_INFO = family('redis_instance_info', 'gauge', 'Constant 1; the labels describe the server.', LABELS);
const START_TIME = family('redis_start_time_seconds', 'gauge', 'Unix time in seconds at which the server was started.');

export const INSTANCE_FAMILIES = [INSTANCE_INFO, START_TIME];

/** A label only where the server has the line. */
const VALKEY_LABELS = ['valkey_release_stage', 'valkey_version'];

/** @param values INFO lines by key */
export function writeInstance(values: ReadonlyMap<string, string>, sheet: Sheet): void {
  const extra = VALKEY_LABELS.filter((name) => values.has(name));
  const names = extra.length === 0 ? INSTANCE_INFO.labels : [...INSTANCE_INFO.labels, ...extra];
  sheet.sample(
    INSTANCE_INFO,
    names.map((name) => values.get(name) ?? ''),
    1,
    names,
  );
}

/**
 * The start time is our clock less the uptime, two numbers that tick at different moments: the first answer is kept for as
 * long as the run id stays, unless a clock was set.
 */
export class StartTime {
  #runId = '';
  #seconds = 0;

  write(values: ReadonlyMap<string, string>, wallMs: number, sheet: Sheet): void {
    const uptime = Number(values.get('uptime_in_seconds') || Number.NaN);
    if (Number.isNaN(uptime)) return;
    const runId = values.get('run_id') ?? '';
    const seconds = Math.floor(wallMs / 1000) - uptime;
    if (runId !== this.#runId || Math.abs(seconds - this.#seconds) > 2) this.#seconds = seconds;
    this.#runId = runId;
    sheet.sample(START_TIME, [], this.#seconds);
  }
}
