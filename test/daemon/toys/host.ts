/** The worker side of a host collector for tests of lanes. */
import { readFileSync } from 'node:fs';
import { type HostSession, OK, type Scope } from '../../../src/collect/contract.ts';
import type { ToyHostOptions } from './definitions.ts';
import { RUNS } from './families.ts';

export { report } from './families.ts';

export function open(scope: Scope): HostSession {
  const options = scope.options as ToyHostOptions;
  const runs = new Map<string, number>();
  return {
    collect(part, sheet) {
      if (part === 'crashes' && readFileSync(options.crash_file, 'latin1') !== '') process.exit(1);
      if (part === 'misprints') {
        const labels = (): never => {
          throw new Error('cannot say what it is');
        };
        sheet.set(sheet.slot(RUNS, [part], RUNS.labels, sheet.entity(labels)), 1);
      }
      if (part === 'warns') scope.warn('something is odd');
      const count = (runs.get(part) ?? 0) + 1;
      runs.set(part, count);
      sheet.sample(RUNS, [part], count);
      return OK;
    },
    close() {},
  };
}
