import { counted, ordered } from './cgroup-file.ts';
import { columnsOf } from './columns.ts';
import { PROCESS } from './families.ts';
import type { GroupSpec } from './group.ts';

/**
 * Processes and threads. Sources: cgroup.procs (v1: of the cpu hierarchy, as the peer), pids.current, pids.max. The v1 root
 * has no pids files: 0, as the peer; the v2 root none either: there the peer shows the number of processes.
 */
export function processGroup(unified: boolean): GroupSpec {
  const columns = columnsOf(PROCESS);
  const [processes, threads] = [columns.at('processes'), columns.at('threads')];
  return {
    columns: columns.list,
    files: [
      counted(unified ? '' : 'cpu', 'cgroup.procs', processes),
      ordered(unified ? '' : 'pids', 'pids.current', [columns.to('threads')]),
      ordered(unified ? '' : 'pids', 'pids.max', [columns.to('threadsMax')]),
    ],
    derive(row) {
      if (unified && row[threads] === 0) row[threads] = row[processes] as number;
    },
  };
}
