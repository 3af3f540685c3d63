import type { Ending } from '../../../src/collect/contract.ts';
import type { Sheet } from '../../../src/collect/sheet.ts';
import { family } from '../../../src/model/family.ts';

export const RUNS = family('toy_runs', 'gauge', 'Runs of this session.', ['part']);
export const UP = family('toy_up', 'gauge', 'Whether the last run went well.', ['part']);

export function report(part: string, ending: Ending, _seconds: number, sheet: Sheet): void {
  // A defect of the collector, but one that lets the daemon plan.
  if (part === 'misreports' && ending === 'ok') throw new Error('cannot say how it went');
  sheet.sample(UP, [part], ending === 'ok' ? 1 : 0);
}
