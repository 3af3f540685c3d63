import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import type { Command, Reply } from './connection.ts';

const LENGTH = family('redis_slowlog_length', 'gauge', 'Entries in the slow log.');
const LAST_ID = family('redis_slowlog_last_id', 'gauge', 'Id of the newest entry in the slow log; 0 when it is empty.');
const LAST_DURATION = family('redis_last_slow_execution_duration_seconds', 'gauge', 'Seconds the newest command in the slow log took; 0 when it is empty.');

export const SLOWLOG_FAMILIES = [LENGTH, LAST_ID, LAST_DURATION];
export const SLOWLOG_COMMANDS: readonly Command[] = [
  ['SLOWLOG', 'LEN'],
  ['SLOWLOG', 'GET', '1'],
];

/** Answers to SLOWLOG_COMMANDS; an entry begins with id, unix time, microseconds. A command refused leaves its families out. */
export function writeSlowlog([length, entries]: readonly Reply[], sheet: Sheet): void {
  if (typeof length === 'number') sheet.sample(LENGTH, [], length);
  if (!Array.isArray(entries)) return;
  const [id, , microseconds] = Array.isArray(entries[0]) ? (entries[0] as readonly Reply[]) : [];
  sheet.sample(LAST_ID, [], typeof id === 'number' ? id : 0);
  sheet.sample(LAST_DURATION, [], typeof microseconds === 'number' ? microseconds / 1e6 : 0);
}
