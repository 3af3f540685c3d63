import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const TASKS = family('node_kernel_hung_tasks_total', 'counter', 'Tasks that the kernel has found hanging since it was booted.');

/** /proc/sys/kernel/hung_task_detect_count, from Linux 6.13 on. */
export const part: NodePart = {
  name: 'kernel_hung',
  enabledByDefault: true,
  families: [TASKS],
  open(scope) {
    const count = scope.bound(scope.proc('sys/kernel/hung_task_detect_count'), {}, (rows, series) => series.number(0, rows[0]?.[0], TASKS));
    return {
      collect: (sheet) => (count.collect(sheet) ? OK : scope.missing(count)),
      replay: (_, steps) => count.replay(steps),
      close: () => count.close(),
    };
  },
};
