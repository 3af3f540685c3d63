import type { Sheet } from '../../collect/sheet.ts';
import { type Family, family } from '../../model/family.ts';
import type { Reply } from './connection.ts';

const NUMBERS: readonly (readonly [setting: string, family: Family])[] = [
  ['io-threads', family('redis_config_io_threads', 'gauge', 'Setting io-threads: threads for reading and writing, the main one counted.')],
  ['maxclients', family('redis_config_maxclients', 'gauge', 'Setting maxclients: most clients allowed at a time.')],
  ['maxmemory', family('redis_config_maxmemory', 'gauge', 'Setting maxmemory in bytes; 0 is no limit.')],
  ['repl-backlog-size', family('redis_config_repl_backlog_size', 'gauge', 'Setting repl-backlog-size in bytes.')],
];
const LIMIT = 'client-output-buffer-limit';
const LIMIT_BYTES = family(
  'redis_config_client_output_buffer_limit_bytes',
  'gauge',
  'Bytes of pending answers at which a client of the class is disconnected; 0 is no limit.',
  ['class', 'limit'],
);
const LIMIT_SECONDS = family(
  'redis_config_client_output_buffer_limit_overcome_seconds',
  'gauge',
  'Seconds a client of the class may stay above the soft limit.',
  ['class', 'limit'],
);
const DATABASES = 'databases';

export const CONFIG_FAMILIES = [...NUMBERS.map(([, one]) => one), LIMIT_BYTES, LIMIT_SECONDS];

/** The settings that are read, for a CONFIG GET that takes several names (Redis 7). */
export const CONFIG_NAMES = [...NUMBERS.map(([name]) => name), LIMIT, DATABASES];

/** The flat list of names and values that CONFIG GET answers with; undefined for an error or another shape. */
export function parseConfig(reply: Reply | undefined): ReadonlyMap<string, string> | undefined {
  if (!Array.isArray(reply)) return undefined;
  const settings = new Map<string, string>();
  for (let i = 0; i + 1 < reply.length; i += 2) settings.set(String(reply[i]), String(reply[i + 1]));
  return settings;
}

/** How many databases the server has; undefined when it does not say. */
export function databasesOf(settings: ReadonlyMap<string, string> | undefined): number | undefined {
  const text = settings?.get(DATABASES);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

export interface OutputBufferLimit {
  readonly name: string;
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

/** `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`; words behind the last whole group are left out. */
export function parseOutputBufferLimits(text: string): OutputBufferLimit[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const limits: OutputBufferLimit[] = [];
  for (let i = 0; i + 3 < words.length; i += 4) {
    const [hardBytes = Number.NaN, softBytes = Number.NaN, softSeconds = Number.NaN] = words.slice(i + 1, i + 4).map(Number);
    if (![hardBytes, softBytes, softSeconds].some(Number.isNaN)) limits.push({ name: words[i] ?? '', hardBytes, softBytes, softSeconds });
  }
  return limits;
}

export function writeConfig(settings: ReadonlyMap<string, string>, sheet: Sheet): void {
  for (const [name, one] of NUMBERS) {
    const text = settings.get(name);
    if (text !== undefined && text !== '' && !Number.isNaN(Number(text))) sheet.sample(one, [], Number(text));
  }
  for (const { name, hardBytes, softBytes, softSeconds } of parseOutputBufferLimits(settings.get(LIMIT) ?? '')) {
    sheet.sample(LIMIT_BYTES, [name, 'hard'], hardBytes);
    sheet.sample(LIMIT_BYTES, [name, 'soft'], softBytes);
    sheet.sample(LIMIT_SECONDS, [name, 'soft'], softSeconds);
  }
}
