import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import { type InfoLine, parsePairs } from './info.ts';

const KEYS = family('redis_db_keys', 'gauge', 'Keys in the database.', ['db']);
const EXPIRING = family('redis_db_keys_expiring', 'gauge', 'Keys with an expiry in the database.', ['db']);
const AVERAGE_TTL = family('redis_db_avg_ttl_seconds', 'gauge', 'Average time to live of the keys with an expiry, in seconds.', ['db']);
const CACHED = family('redis_db_keys_cached', 'gauge', 'Keys of the database held in memory in front of the storage provider (KeyDB).', ['db']);
const WITH_EXPIRING_ITEMS = family(
  'redis_db_keys_with_expiring_items',
  'gauge',
  'Keys of the database some of whose own fields expire (Redis 7.4, Valkey 9).',
  ['db'],
);

export const KEYSPACE_FAMILIES = [KEYS, EXPIRING, AVERAGE_TTL, CACHED, WITH_EXPIRING_ITEMS];

/** One database's line, read by name: newer servers put other fields in the peer's positions. */
export interface KeyspaceLine {
  readonly keys: number;
  readonly expires: number;
  /** Undefined: the server does not say. */
  readonly averageTtlMs: number | undefined;
  readonly cached: number | undefined;
  readonly withExpiringItems: number | undefined;
}

/** `keys=5,expires=2,avg_ttl=1500,subexpiry=0`. Undefined when keys or expires are missing or a known field is no number. */
export function parseKeyspace(value: string): KeyspaceLine | undefined {
  const pairs = parsePairs(value);
  if (pairs === undefined) return undefined;
  let isValid = true;
  const number = (name: string): number | undefined => {
    const text = pairs.get(name);
    if (text === undefined) return undefined;
    const parsed = text === '' ? Number.NaN : Number(text);
    if (Number.isNaN(parsed)) isValid = false;
    return parsed;
  };
  const keys = number('keys');
  const expires = number('expires');
  const line = {
    averageTtlMs: number('avg_ttl'),
    cached: number('cached_keys'),
    withExpiringItems: number('subexpiry') ?? number('keys_with_volatile_items'),
  };
  return isValid && keys !== undefined && expires !== undefined ? { keys, expires, ...line } : undefined;
}

export function isKeyspaceLine({ section, key }: InfoLine): boolean {
  return section === 'Keyspace' && /^db\d+$/.test(key);
}

/** Writes the databases that have a line, and zeros for the first `databases` that have none. */
export function writeKeyspace(lines: readonly InfoLine[], databases: number, sheet: Sheet): void {
  const seen = new Set<string>();
  for (const { key, value } of lines) {
    const line = parseKeyspace(value);
    if (line === undefined) continue;
    seen.add(key);
    sheet.sample(KEYS, [key], line.keys);
    sheet.sample(EXPIRING, [key], line.expires);
    if (line.averageTtlMs !== undefined) sheet.sample(AVERAGE_TTL, [key], line.averageTtlMs / 1000);
    if (line.cached !== undefined) sheet.sample(CACHED, [key], line.cached);
    if (line.withExpiringItems !== undefined) sheet.sample(WITH_EXPIRING_ITEMS, [key], line.withExpiringItems);
  }
  for (let db = 0; db < databases; db++) {
    const key = `db${db}`;
    if (seen.has(key)) continue;
    sheet.sample(KEYS, [key], 0);
    sheet.sample(EXPIRING, [key], 0);
  }
}
