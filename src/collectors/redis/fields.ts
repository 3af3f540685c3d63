import type { Sheet } from '../../collect/sheet.ts';
import { type Family, family } from '../../model/family.ts';
import { fieldByPrefix, INFO_FIELDS, type InfoField } from './info-fields.ts';
import { type InfoLine, infoNumber } from './info.ts';

const THREAD_TIME = family('redis_active_time_io_thread_seconds_total', 'counter', 'Seconds the I/O thread was busy (Valkey).', ['thread']);
const THREAD_KEY = /^used_active_time_io_thread_(\d+)$/;

export const FIELD_FAMILIES: readonly Family[] = [
  ...[...INFO_FIELDS.values()].map((field) => field.family),
  THREAD_TIME,
  family('redis_cluster_*', 'gauge', 'Any other number of CLUSTER INFO and INFO whose key begins with cluster_.'),
  family('redis_db*', 'gauge', 'Any other number of INFO whose key begins with db.'),
];

interface Bound {
  readonly field: InfoField;
  slot: number;
  /** Run in which the slot was set last: only one of the run before is still surely ours. */
  run: number;
}

/** Writes the lines that are one number without labels. */
export class FieldWriter {
  readonly #includeSystem: boolean;
  readonly #bound = new Map<string, Bound | undefined>();

  constructor(includeSystem: boolean) {
    this.#includeSystem = includeSystem;
  }

  write(lines: readonly InfoLine[], sheet: Sheet): void {
    for (const { key, value } of lines) {
      const bound = this.#find(key);
      if (bound === undefined) {
        const thread = THREAD_KEY.exec(key)?.[1];
        if (thread !== undefined) sheet.sample(THREAD_TIME, [thread], infoNumber(value));
        continue;
      }
      const number = infoNumber(value);
      if (Number.isNaN(number)) continue;
      if (bound.run !== sheet.run - 1) bound.slot = sheet.slot(bound.field.family);
      bound.run = bound.slot < 0 ? -1 : sheet.run;
      sheet.set(bound.slot, number / bound.field.over);
    }
  }

  #find(key: string): Bound | undefined {
    if (this.#bound.has(key)) return this.#bound.get(key);
    const field = INFO_FIELDS.get(key) ?? fieldByPrefix(key);
    const bound = field === undefined || (field.isSystem && !this.#includeSystem) ? undefined : { field, slot: -1, run: -1 };
    // Keys of a server are few and fixed, but for a hostile one.
    if (this.#bound.size < 2000) this.#bound.set(key, bound);
    return bound;
  }
}
