import { readFileSync } from 'node:fs';
import { counted, ordered } from './cgroup-file.ts';
import { columnsOf } from './columns.ts';
import { PROCESS } from './families.ts';
import type { GroupSpec } from './group.ts';
import type { Layout } from './layout.ts';
import type { Cgroup } from './tree.ts';

/**
 * Processes and threads. Sources: cgroup.procs (v1: of the cpu hierarchy, as the peer), pids.current, pids.max. The v1 root
 * has no pids files: 0, as the peer; the v2 root none either: there the peer shows the number of processes.
 */
export function processGroup(layout: Layout): GroupSpec {
  const unified = layout.kind === 'unified';
  const columns = columnsOf(PROCESS);
  const [processes, threads] = [columns.at('processes'), columns.at('threads')];
  const hasTasks = unified || layout.controllers.has('pids');
  return {
    columns: columns.list,
    files: [
      { ...ordered(unified ? '' : 'pids', 'pids.current', [columns.to('threads')]), witness: 'tasks' },
      { ...ordered(unified ? '' : 'pids', 'pids.max', [columns.to('threadsMax')]), steady: true },
      // A process that comes or goes takes CPU time, and one that is moved changes how many tasks there are.
      { ...counted(unified ? '' : 'cpu', 'cgroup.procs', processes, !unified), ...(hasTasks ? { rests: 'idle' } : {}) },
    ],
    ...(unified
      ? {
          // pids.current is not there, or says that the cgroup is empty.
          derives: (_: Cgroup, row: Float64Array) => row[threads] === 0,
          derive(row: Float64Array, cgroup: Cgroup): void {
            row[threads] = (row[processes] as number) || threadsOf(layout.unified + cgroup.id);
          },
        }
      : {}),
  };
}

/**
 * Threads of a threaded cgroup, whose processes belong to the cgroup above (cgroup.procs says EOPNOTSUPP); 0 for an empty
 * one. Asked where there is no pids controller, and nothing else is known to be there.
 */
function threadsOf(directory: string): number {
  try {
    if (readFileSync(`${directory}/cgroup.type`, 'latin1').trim() !== 'threaded') return 0;
    return readFileSync(`${directory}/cgroup.threads`, 'latin1').split('\n').filter(Boolean).length;
  } catch {
    return 0; // Going, or the root, which has no type.
  }
}
