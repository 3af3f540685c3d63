import type { Ending } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { type Family, family } from '../../model/family.ts';

const UP = family('redis_up', 'gauge', 'Whether the server could be read: 1 yes, 0 no.');
const LAST_SCRAPE_ERROR = family('redis_exporter_last_scrape_error', 'gauge', 'Whether the last run failed: 1 yes, 0 no; the label says how.', ['err']);
const LAST_SCRAPE_DURATION = family('redis_exporter_last_scrape_duration_seconds', 'gauge', 'Seconds the last run took.');
const SCRAPES = family('redis_exporter_scrapes_total', 'counter', 'Runs since the start.');
const DURATIONS = family('redis_exporter_scrape_duration_seconds', 'summary', 'Seconds the runs since the start took.');

export const REPORT_FAMILIES = [UP, LAST_SCRAPE_ERROR, LAST_SCRAPE_DURATION, SCRAPES, DURATIONS];

/** Few and stable texts: the full error is in the log and would make a new series each time its wording changes. */
const ERRORS: Readonly<Record<Ending, string>> = {
  ok: '',
  absent: '',
  failed: 'the answer of the server could not be read',
  timeout: 'no answer within the deadline',
  down: 'cannot connect or log in',
};

/** What the peer says about a run. */
export function reportRedis(_part: string, ending: Ending, seconds: number, sheet: Sheet): void {
  const isGood = ending === 'ok' || ending === 'absent';
  sheet.sample(UP, [], isGood ? 1 : 0);
  sheet.sample(LAST_SCRAPE_ERROR, [ERRORS[ending]], isGood ? 0 : 1);
  sheet.sample(LAST_SCRAPE_DURATION, [], seconds);
  add(SCRAPES, '', 1, sheet);
  add(DURATIONS, '_sum', seconds, sheet);
  add(DURATIONS, '_count', 1, sheet);
}

/** A slot keeps its number between runs: that is where the totals live. */
function add(one: Family, suffix: string, increment: number, sheet: Sheet): void {
  const slot = sheet.slot(one, [], [], -1, suffix);
  const before = slot >= 0 && sheet.stamps[slot] !== 0 ? (sheet.values[slot] ?? 0) : 0;
  sheet.set(slot, before + increment);
}
