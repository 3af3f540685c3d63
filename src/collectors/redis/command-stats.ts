import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import { type InfoLine, parsePairs } from './info.ts';

const CMD = ['cmd'];
const CALLS = family('redis_commands_total', 'counter', 'Calls of the command that were executed.', CMD);
const DURATION = family('redis_commands_duration_seconds_total', 'counter', 'Seconds spent executing the command.', CMD);
const REJECTED = family('redis_commands_rejected_calls_total', 'counter', 'Calls of the command refused before execution (Redis 6.2).', CMD);
const FAILED = family('redis_commands_failed_calls_total', 'counter', 'Calls of the command that failed while being executed (Redis 6.2).', CMD);
const ERRORS = family('redis_errors_total', 'counter', 'Error answers by the word they begin with (Redis 6.2).', ['err']);
const PERCENTILES = family(
  'redis_latency_percentiles_usec',
  'summary',
  'Microseconds a call of the command takes; the quantile is a percentage (Redis 7).',
  CMD,
);

export const COMMAND_FAMILIES = [CALLS, DURATION, REJECTED, FAILED, ERRORS, PERCENTILES];

const QUANTILE = ['cmd', 'quantile'];

/** `calls=2,usec=5,usec_per_call=2.50,rejected_calls=0,failed_calls=0`; the last two since Redis 6.2. */
export interface CommandStat {
  readonly calls: number;
  readonly usec: number;
  readonly rejected: number | undefined;
  readonly failed: number | undefined;
}

export function parseCommandStat(value: string): CommandStat | undefined {
  const pairs = parsePairs(value);
  if (pairs === undefined) return undefined;
  const number = (name: string): number => Number(pairs.get(name) || Number.NaN);
  const optional = (name: string): number | undefined => (pairs.has(name) ? number(name) : undefined);
  const stat = { calls: number('calls'), usec: number('usec'), rejected: optional('rejected_calls'), failed: optional('failed_calls') };
  return Object.values(stat).some((one) => Number.isNaN(one)) ? undefined : stat;
}

/** Sections Commandstats, Errorstats and Latencystats; `lines` are theirs alone, in any order. */
export function writeCommandStats(lines: readonly InfoLine[], sheet: Sheet): void {
  const stats = new Map<string, CommandStat>();
  for (const { section, key, value } of lines) {
    if (section === 'Commandstats' && key.startsWith('cmdstat_')) writeCommand(key.slice('cmdstat_'.length), value, stats, sheet);
    else if (section === 'Errorstats' && key.startsWith('errorstat_')) writeError(key.slice('errorstat_'.length), value, sheet);
  }
  for (const { section, key, value } of lines) {
    if (section === 'Latencystats' && key.startsWith(LATENCY)) writePercentiles(key.slice(LATENCY.length), value, stats, sheet);
  }
}

const LATENCY = 'latency_percentiles_usec_';

function writeCommand(name: string, value: string, stats: Map<string, CommandStat>, sheet: Sheet): void {
  const stat = parseCommandStat(value);
  if (stat === undefined) return;
  stats.set(name, stat);
  const labels = [name];
  sheet.sample(CALLS, labels, stat.calls);
  sheet.sample(DURATION, labels, stat.usec / 1e6);
  if (stat.rejected !== undefined) sheet.sample(REJECTED, labels, stat.rejected);
  if (stat.failed !== undefined) sheet.sample(FAILED, labels, stat.failed);
}

/** `count=3`. */
function writeError(name: string, value: string, sheet: Sheet): void {
  const count = /^count=(\d+)$/.exec(value)?.[1];
  if (count !== undefined) sheet.sample(ERRORS, [name], Number(count));
}

/** `p50=1.003,p99=2.007,p99.9=5.023`; sum and count are those of the command. */
function writePercentiles(name: string, value: string, stats: ReadonlyMap<string, CommandStat>, sheet: Sheet): void {
  const stat = stats.get(name);
  const pairs = parsePairs(value);
  if (stat === undefined || pairs === undefined) return;
  for (const [percentile, text] of pairs) {
    if (percentile.startsWith('p') && text !== '') sheet.sample(PERCENTILES, [name, percentile.slice(1)], Number(text), QUANTILE);
  }
  sheet.set(sheet.slot(PERCENTILES, [name], CMD, -1, '_sum'), stat.usec);
  sheet.set(sheet.slot(PERCENTILES, [name], CMD, -1, '_count'), stat.calls);
}
