import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

/** /proc/vmstat: `pgpgin 1234`, one key per line. Units are the kernel's: pages, KiB for pgpgin and pgpgout, events. */
export const part: NodePart = {
  name: 'vmstat',
  enabledByDefault: true,
  families: [],
  options: [{ flag: 'fields', kind: 'regexp', default: '^(oom_kill|pgpg|pswp|pg.*fault).*', help: 'fields: only those that match' }],
  open(scope) {
    const filter = scope.options.filter('', 'fields');
    const table = scope.bound(scope.proc('vmstat'), { keys: 1 }, (rows, series) => {
      for (const [line, [key, value]] of rows.entries()) {
        if (key === undefined || !/^[a-zA-Z0-9_]+$/.test(key.text)) throw series.problem(line, `"NAME NUMBER", not ${JSON.stringify(key?.text)}`);
        if (value === undefined || value.at < 0) throw series.problem(line, `a number behind ${key.text}`);
        if (filter.keeps(key.text)) series.number(line, value, family(`node_vmstat_${key.text}`, 'untyped', `What /proc/vmstat says of ${key.text}.`));
      }
    });
    return {
      collect: (sheet) => (table.collect(sheet) ? OK : scope.missing(table)),
      replay: (_, steps) => table.replay(steps),
      close: () => table.close(),
    };
  },
};
