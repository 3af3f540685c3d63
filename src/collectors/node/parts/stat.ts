import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const BOOT_TIME = family('node_boot_time_seconds', 'gauge', 'When the machine was booted, in seconds since 1970.');
const CONTEXT_SWITCHES = family('node_context_switches_total', 'counter', 'Context switches of all processors since boot.');
const FORKS = family('node_forks_total', 'counter', 'Processes and threads made since boot.');
const INTERRUPTS = family('node_intr_total', 'counter', 'Interrupts served since boot, of every kind.');
const RUNNING = family('node_procs_running', 'gauge', 'Threads that run or could run.');
const BLOCKED = family('node_procs_blocked', 'gauge', 'Threads that wait for a disk.');
const SOFT_INTERRUPTS = family('node_softirqs_total', 'counter', 'Soft interrupts served since boot, by vector.', ['vector']);

const BY_KEY = new Map([
  ['btime', BOOT_TIME],
  ['ctxt', CONTEXT_SWITCHES],
  ['processes', FORKS],
  ['intr', INTERRUPTS],
  ['procs_running', RUNNING],
  ['procs_blocked', BLOCKED],
]);

/** Order of the numbers behind the total of the line `softirq` (kernel/softirq.c, softirq_to_name). */
const VECTORS = ['hi', 'timer', 'net_tx', 'net_rx', 'block', 'block_iopoll', 'tasklet', 'sched', 'hrtimer', 'rcu'];

/** /proc/stat but for its cpu lines: `ctxt 600094`, `softirq 12345 1 2 3 4 5 6 7 8 9 10`. */
export const part: NodePart = {
  name: 'stat',
  enabledByDefault: true,
  families: [BOOT_TIME, CONTEXT_SWITCHES, FORKS, INTERRUPTS, RUNNING, BLOCKED, SOFT_INTERRUPTS],
  options: [{ flag: 'softirq', kind: 'boolean', default: false, help: 'print soft interrupts by vector' }],
  open(scope) {
    const withVectors = scope.options.isOn('softirq');
    const stat = scope.bound(scope.proc('stat'), {}, (rows, series) => {
      const missing = new Set(BY_KEY.values());
      for (const [line, words] of rows.entries()) {
        const key = words[0]?.text ?? '';
        const family = BY_KEY.get(key);
        if (family !== undefined && words.length > 1) {
          series.number(line, words[1], family);
          missing.delete(family);
        }
        if (key !== 'softirq') continue;
        if (words.length < VECTORS.length + 2) throw series.problem(line, `${VECTORS.length + 1} numbers behind softirq, not ${words.length - 1}`);
        if (withVectors) for (const [i, vector] of VECTORS.entries()) series.number(line, words[i + 2], SOFT_INTERRUPTS, [vector]);
      }
      if (missing.size === BY_KEY.size) throw series.problem(0, 'a line such as "ctxt 12345"');
      // The peer prints 0 for a line that the kernel does not have.
      for (const family of missing) series.constant(family, [], 0);
    });
    return {
      collect: (sheet) => (stat.collect(sheet) ? OK : scope.missing(stat)),
      replay: (_, steps) => stat.replay(steps),
      close: () => stat.close(),
    };
  },
};
