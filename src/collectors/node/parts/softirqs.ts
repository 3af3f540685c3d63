import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const FUNCTIONS = family('node_softirqs_functions_total', 'counter', 'Soft interrupts served since boot, by processor and kind.', ['cpu', 'type']);
const TYPES: ReadonlySet<string> = new Set(['HI', 'TIMER', 'NET_TX', 'NET_RX', 'BLOCK', 'IRQ_POLL', 'TASKLET', 'SCHED', 'HRTIMER', 'RCU']);

/**
 * /proc/softirqs: a line of headings and a line per kind, `NET_RX: 1 5 2`, one number per processor.
 * The label cpu is the position of the column, as in the peer.
 */
export const part: NodePart = {
  name: 'softirqs',
  enabledByDefault: false,
  families: [FUNCTIONS],
  open(scope) {
    const table = scope.bound(scope.proc('softirqs'), { keys: 1 }, (rows, series) => {
      if (rows.length === 0) throw series.problem(0, 'a line of headings');
      for (const [line, [key, ...counts]] of rows.entries()) {
        const type = key?.text.replace(/:$/, '') ?? '';
        if (line === 0 || key?.text !== `${type}:` || !TYPES.has(type)) continue;
        for (const [cpu, count] of counts.entries()) series.number(line, count, FUNCTIONS, [String(cpu), type]);
      }
    });
    return {
      collect: (sheet) => (table.collect(sheet) ? OK : scope.missing(table)),
      replay: (_, steps) => table.replay(steps),
      close: () => table.close(),
    };
  },
};
