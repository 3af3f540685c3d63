import type { Ending } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { BASE, MACHINE_FAMILIES } from './families.ts';

/** `container_scrape_error` and `machine_scrape_error`: all that cAdvisor says of a run. */
export function report(part: string, ending: Ending, _seconds: number, sheet: Sheet): void {
  const error = ending === 'ok' || ending === 'absent' ? 0 : 1;
  if (part === 'base') sheet.sample(BASE.scrapeError, [], error);
  if (part === 'machine') sheet.sample(MACHINE_FAMILIES.scrapeError, [], error);
}
