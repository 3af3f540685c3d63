import type { Ending } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { type Family, family } from '../../model/family.ts';
import { LAST_SCRAPE_DURATION, LAST_SCRAPE_ERROR, SCRAPES, UP } from './views/up.ts';

export const COLLECTOR_SUCCESS = family('pg_scrape_collector_success', 'gauge', 'Whether the last run of the collector went without an error: 1 yes, 0 no.', [
  'collector',
]);
export const COLLECTOR_DURATION = family('pg_scrape_collector_duration_seconds', 'gauge', 'Seconds the last run of the collector took.', ['collector']);

/** What the peer says about a run. Nothing of a collector while the server is down, as the peer runs none then. */
export function reportPostgres(part: string, ending: Ending, seconds: number, sheet: Sheet): void {
  if (part === 'up') {
    reportUp(ending, seconds, sheet);
    return;
  }
  if (ending === 'down') return;
  sheet.sample(COLLECTOR_SUCCESS, [part], ending === 'ok' || ending === 'absent' ? 1 : 0);
  sheet.sample(COLLECTOR_DURATION, [part], seconds);
}

function reportUp(ending: Ending, seconds: number, sheet: Sheet): void {
  const reached = ending === 'ok' || ending === 'absent' || ending === 'failed';
  sheet.sample(UP, [], reached ? 1 : 0);
  sheet.sample(LAST_SCRAPE_ERROR, [], ending === 'ok' || ending === 'absent' ? 0 : 1);
  sheet.sample(LAST_SCRAPE_DURATION, [], seconds);
  sheet.set(sheet.slot(SCRAPES), previous(SCRAPES, sheet) + 1);
}

/** A slot keeps its number between runs: that is where the count of runs lives. */
function previous(one: Family, sheet: Sheet): number {
  const slot = sheet.slot(one);
  return slot >= 0 && sheet.stamps[slot] !== 0 ? (sheet.values[slot] ?? 0) : 0;
}
