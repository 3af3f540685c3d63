import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import { TASK_STATES } from '../../../readers/format.ts';
import { type BoundNumber, ReaderError } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import type { NodePart } from '../part.ts';

const PIDS = family('node_processes_pids', 'gauge', 'Processes, their threads not counted.');
const STATE = family(
  'node_processes_state',
  'gauge',
  'Processes by state: R runs, S sleeps, D waits, Z has ended, ... States without a process are left out.',
  ['state'],
);
const THREADS = family('node_processes_threads', 'gauge', 'Threads of all processes.');
const THREAD_STATE = family('node_processes_threads_state', 'gauge', 'Threads by state; states without a thread are left out.', ['thread_state']);
const MOST_THREADS = family('node_processes_max_threads', 'gauge', 'Threads that the kernel allows.');
const MOST_PIDS = family('node_processes_max_processes', 'gauge', 'Highest number of a process plus one.');

/** What the kernel calls states (fs/proc/array.c), and those of older ones. Any other is shown as well, but not by a replayed run. */
const KNOWN_STATES = 'RSDTtXxZPIKW';

/** Of numbers by the byte of a state, the first of which is at `from`. */
function boundStates(sheet: Sheet, of: Family, from: number): BoundNumber[] {
  return Array.from({ length: TASK_STATES }, (_, state): BoundNumber => {
    const name = String.fromCharCode(state);
    const at = from + state;
    return KNOWN_STATES.includes(name) ? { at, slot: sheet.slot(of, [name]), mode: 'present' } : { at, slot: 0, mode: 'still', times: 0 };
  });
}

function show(sheet: Sheet, of: Family, counts: Uint32Array): void {
  for (let state = 0; state < counts.length; state++) {
    const count = counts[state] ?? 0;
    if (count > 0) sheet.sample(of, [String.fromCharCode(state)], count);
  }
}

/**
 * /proc/PID/stat of every process and, where one has several threads, /proc/PID/task/TID/stat of each:
 * `1 (systemd) S 0 1 1 0 -1 4194560 ...`. The cost grows with the number of threads.
 */
export const part: NodePart = {
  name: 'processes',
  enabledByDefault: false,
  families: [PIDS, STATE, THREADS, THREAD_STATE, MOST_THREADS, MOST_PIDS],
  open(scope) {
    const tasks = scope.readers.tasks(scope.roots.procfs);
    const mostThreads = scope.source(scope.proc('sys/kernel/threads-max'));
    const mostPids = scope.source(scope.proc('sys/kernel/pid_max'));

    return {
      collect(sheet) {
        try {
          tasks.look();
        } catch (error) {
          if (error instanceof ReaderError && error.code === 'MALFORMED') throw parseProblem(error.path, 1, '"PID (NAME) STATE ..." and 49 numbers');
          throw error;
        }
        sheet.sample(THREADS, [], tasks.threadCount);
        show(sheet, STATE, tasks.processes);
        show(sheet, THREAD_STATE, tasks.threads);
        if (mostThreads.scan() === 'absent') return scope.missing(mostThreads);
        sheet.sample(MOST_THREADS, [], mostThreads.numbers[0] ?? 0);
        if (mostPids.scan() === 'absent') return scope.missing(mostPids);
        sheet.sample(PIDS, [], tasks.pidCount);
        sheet.sample(MOST_PIDS, [], mostPids.numbers[0] ?? 0);
        return OK;
      },
      replay(sheet, steps) {
        steps.tasks(tasks, [
          ...boundStates(sheet, STATE, 0),
          ...boundStates(sheet, THREAD_STATE, TASK_STATES),
          { at: 2 * TASK_STATES, slot: sheet.slot(PIDS) },
          { at: 2 * TASK_STATES + 1, slot: sheet.slot(THREADS) },
        ]);
        mostThreads.replay(steps, [{ at: 0, slot: sheet.slot(MOST_THREADS) }]);
        mostPids.replay(steps, [{ at: 0, slot: sheet.slot(MOST_PIDS) }]);
      },
      close() {
        tasks.close();
        mostThreads.close();
        mostPids.close();
      },
    };
  },
};
