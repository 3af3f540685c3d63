import type { KernelActs } from './activity.ts';
import { keyed, pressure } from './cgroup-file.ts';
import { columnsOf } from './columns.ts';
import { OOM, PRESSURE } from './families.ts';
import type { GroupSpec } from './group.ts';
import type { Tree } from './tree.ts';

const MICROSECONDS = 1e6;

/**
 * OOM kills, from the kernel's own count per cgroup: v1 memory.oom_control `oom_kill` (Linux 4.13), v2 memory.events.local
 * `oom_kill` (Linux 5.2). Both count the processes of this very cgroup, as the peer's kernel-log key does.
 * The kernel counts each kill in /proc/vmstat as well: while that stands still, so do all of these.
 */
export function oomGroup(tree: Tree, kernel: KernelActs): GroupSpec {
  const unified = tree.layout.kind === 'unified';
  let askedAt = -1;
  const moved = (): boolean => {
    const has = kernel.killedAt > askedAt;
    askedAt = tree.looks;
    return has;
  };
  const columns = columnsOf(OOM);
  const key = { oom_kill: [columns.to('events')] };
  // oom_kill_disable is in every oom_control: it makes an older kernel's file one that is understood.
  return {
    columns: columns.list,
    files: [
      {
        ...(unified ? keyed('', 'memory.events.local', key) : keyed('memory', 'memory.oom_control', { ...key, oom_kill_disable: [] }, true)),
        steady: true,
        moved,
      },
    ],
  };
}

/** Pressure stalls: v2 cpu.pressure, memory.pressure, io.pressure; on v1 the peer prints zeros. */
export function pressureGroup(unified: boolean): GroupSpec {
  const columns = columnsOf(PRESSURE);
  const totals = (some: keyof typeof PRESSURE, full: keyof typeof PRESSURE) => ({ some: columns.to(some, MICROSECONDS), full: columns.to(full, MICROSECONDS) });
  return {
    columns: columns.list,
    files: unified
      ? [
          pressure('', 'cpu.pressure', totals('cpuWaiting', 'cpuStalled')),
          pressure('', 'memory.pressure', totals('memoryWaiting', 'memoryStalled')),
          pressure('', 'io.pressure', totals('ioWaiting', 'ioStalled')),
        ]
      : [],
  };
}
