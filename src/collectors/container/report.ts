import type { Ending } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { BASE, MACHINE_FAMILIES, RESOURCES } from './families.ts';

/** `container_scrape_error` and `machine_scrape_error`: all that cAdvisor says of a run; and the kubelet's `resource_scrape_error`. */
export function report(part: string, ending: Ending, _seconds: number, sheet: Sheet): void {
  const error = ending === 'ok' || ending === 'absent' ? 0 : 1;
  if (part === 'base') sheet.sample(BASE.scrapeError, [], error);
  if (part === 'machine') sheet.sample(MACHINE_FAMILIES.scrapeError, [], error);
  if (part === 'resource') sheet.sample(RESOURCES.scrapeError, [], error);
}
