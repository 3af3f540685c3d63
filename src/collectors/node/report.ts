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
  sheet.sample(COLLECTOR_DURATION, [part], seconds);
  sheet.sample(COLLECTOR_SUCCESS, [part], ending === 'ok' ? 1 : 0);
}
