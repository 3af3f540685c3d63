import type { Ending } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';

export const COLLECTOR_DURATION = family('node_scrape_collector_duration_seconds', 'gauge', 'How long the last run of a collector took, in seconds.', [
  'collector',
]);
export const COLLECTOR_SUCCESS = family(
  'node_scrape_collector_success',
  'gauge',
  'Whether the last run of a collector found its source and could read it (1) or not (0).',
  ['collector'],
);

/** As in the peer, a source that is not there counts as no success. */
export function reportNode(part: string, ending: Ending, seconds: number, sheet: Sheet): void {
  // Set in every run of a sheet that lives, so its slots are never given to another series.
  let slots = SLOTS.get(sheet);
  if (slots === undefined) {
    slots = [sheet.slot(COLLECTOR_DURATION, [part]), sheet.slot(COLLECTOR_SUCCESS, [part])];
    SLOTS.set(sheet, slots);
  }
  sheet.set(slots[0], seconds);
  sheet.set(slots[1], ending === 'ok' ? 1 : 0);
}

/** Where `reportNode` puts the duration, once it has reported a run. */
export function durationSlot(part: string, sheet: Sheet): number {
  return sheet.slot(COLLECTOR_DURATION, [part]);
}

const SLOTS = new WeakMap<Sheet, readonly [duration: number, success: number]>();
