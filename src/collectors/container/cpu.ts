import type { Scope } from '../../collect/contract.ts';
import { type FileKind, keyed, ordered } from './cgroup-file.ts';
import { Columns } from './columns.ts';
import { CPU } from './families.ts';
import { type GroupSpec, PLAIN_ONLY } from './group.ts';
import { KUBELET } from './labels.ts';
import type { Layout } from './layout.ts';

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;
/** USER_HZ: what /proc and cpuacct.stat count in, fixed at 100 in the kernel's user interface. */
const TICKS = 100;

const QUOTA = 'cpu.cfs_quota_us';

const CFS = ['burstPeriods', 'burstSeconds', 'periods', 'throttledPeriods', 'throttledSeconds'] as const;

/**
 * CPU time and throttling. Sources: v1 cpuacct.usage_percpu or cpuacct.usage (nanoseconds), cpuacct.stat (ticks), cpu.stat
 * (throttled_time in nanoseconds), cpu.cfs_quota_us; v2 cpu.stat (microseconds), cpu.max.
 * @param cpus CPUs shown one by one; 0 shows `cpu="total"`
 */
export function cpuGroup(unified: boolean, cpus: number): GroupSpec {
  const columns = new Columns<string>();
  if (cpus === 0) columns.add('usage0', CPU.usage, { cpu: 'total' });
  for (let cpu = 0; cpu < cpus; cpu++) columns.add(`usage${cpu}`, CPU.usage, { cpu: `cpu${String(cpu).padStart(2, '0')}` }, PLAIN_ONLY);
  // The kubelet prints the total whatever the standalone page shows.
  const total = cpus > 0 ? columns.add('usageTotal', CPU.usage, { cpu: 'total' }, KUBELET).at('usageTotal') : -1;
  for (const name of ['system', 'user', ...CFS] as const) columns.add(name, CPU[name]);
  const usages = Math.max(1, cpus);
  const cfs = CFS.map((name) => columns.at(name));
  // The quota only decides whether the throttling series exist: it rides in the row behind the columns.
  const quota = columns.list.length;
  return {
    columns: columns.list,
    extra: 1,
    files: unified ? v2(columns, quota) : v1(columns, quota, cpus),
    rules: [
      ...(total >= 0 ? [{ kind: 'sum', to: total, from: columns.at('usage0'), count: usages } as const] : []),
      // The peer's rule: a cgroup that never ran on a CPU has no series for it.
      ...Array.from({ length: usages }, (_, c) => ({ kind: 'absentAtZero', to: columns.at(`usage${c}`) }) as const),
      // -1 when unlimited on v1; `max` (bound to -1) on v2; 0 without the file.
      ...cfs.map((to) => ({ kind: 'absentUnless', to, positive: quota }) as const),
    ],
  };
}

function v1(columns: Columns<string>, quota: number, cpus: number): FileKind[] {
  const usages = Array.from({ length: Math.max(1, cpus) }, (_, cpu) => columns.to(`usage${cpu}`, NANOSECONDS));
  return [
    { ...ordered('cpu', QUOTA, [{ column: quota, over: 1 }]), steady: true },
    { ...ordered('cpuacct', cpus === 0 ? 'cpuacct.usage' : 'cpuacct.usage_percpu', usages), witness: 'cpu' },
    // The same time, divided into two: it stands still while the file above does, which is read first.
    { ...keyed('cpuacct', 'cpuacct.stat', { user: [columns.to('user', TICKS)], system: [columns.to('system', TICKS)] }, true), rests: 'idle' },
    {
      ...keyed('cpu', 'cpu.stat', {
        nr_periods: [columns.to('periods')],
        nr_throttled: [columns.to('throttledPeriods')],
        throttled_time: [columns.to('throttledSeconds', NANOSECONDS)],
      }),
      ifAbove0: QUOTA,
    },
  ];
}

function v2(columns: Columns<string>, quota: number): FileKind[] {
  const usage = {
    ...keyed('', 'cpu.stat', {
      usage_usec: [columns.to('usage0', MICROSECONDS)],
      user_usec: [columns.to('user', MICROSECONDS)],
      system_usec: [columns.to('system', MICROSECONDS)],
      nr_periods: [columns.to('periods')],
      nr_throttled: [columns.to('throttledPeriods')],
      throttled_usec: [columns.to('throttledSeconds', MICROSECONDS)],
      nr_bursts: [columns.to('burstPeriods')],
      burst_usec: [columns.to('burstSeconds', MICROSECONDS)],
    }),
    witness: 'cpu',
  } as const;
  return [usage, { ...ordered('', 'cpu.max', [{ column: quota, over: 1, max: -1 }]), steady: true }];
}

/** How many CPUs cpuacct.usage_percpu lists: those that may ever be there, fixed from boot on. 0 when it cannot be read. */
export function percpuCount(layout: Layout, readers: Scope['readers']): number {
  const root = layout.controllers.get('cpuacct');
  if (root === undefined) return 0;
  const source = readers.source(`${root}/cpuacct.usage_percpu`, { reopen: true });
  try {
    source.scan();
    return source.count;
  } catch {
    return 0; // The total is shown instead; a file that cannot be read is reported when it is due.
  } finally {
    source.close();
  }
}
