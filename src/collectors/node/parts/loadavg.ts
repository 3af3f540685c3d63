import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const LOAD1 = family('node_load1', 'gauge', 'Load average over one minute: tasks that run or wait for a processor or a disk.');
const LOAD5 = family('node_load5', 'gauge', 'Load average over five minutes.');
const LOAD15 = family('node_load15', 'gauge', 'Load average over fifteen minutes.');

/** /proc/loadavg: `0.31 0.44 0.50 2/512 12345`. */
export const part: NodePart = {
  name: 'loadavg',
  enabledByDefault: true,
  families: [LOAD1, LOAD5, LOAD15],
  open(scope) {
    const load = scope.bound(scope.proc('loadavg'), { delimiters: '/' }, (rows, series) => {
      const words = rows[0] ?? [];
      for (const [i, family] of [LOAD1, LOAD5, LOAD15].entries()) series.number(0, words[i], family);
    });
    return {
      collect: (sheet) => (load.collect(sheet) ? OK : scope.missing(load)),
      replay: (_, steps) => load.replay(steps),
      close: () => load.close(),
    };
  },
};
