import type { Layout, Machine } from './machine.ts';

/** What the kernel's files say of one cgroup, under the names of the families that should say the same. */
export interface CgroupNumbers {
  readonly gauges: Readonly<Record<string, number>>;
  /** Seconds where the family is in seconds. */
  readonly counters: Readonly<Record<string, number>>;
  /** By operation, of all devices together. */
  readonly blockBytes: { readonly Read: number; readonly Write: number };
}

const FILES: Readonly<Record<Layout, readonly string[]>> = {
  unified: ['memory.current', 'memory.stat', 'memory.max', 'memory.events.local', 'cpu.stat', 'cpu.max', 'pids.current', 'pids.max', 'cgroup.procs', 'io.stat'],
  hybrid: [
    ...['usage_in_bytes', 'stat', 'limit_in_bytes', 'oom_control', 'failcnt', 'max_usage_in_bytes'].map((name) => `memory/memory.${name}`),
    ...['cpu/cpu.stat', 'cpu/cpu.cfs_quota_us', 'cpu/cpu.shares', 'cpuacct/cpuacct.usage', 'pids/pids.current', 'pids/pids.max', 'memory/cgroup.procs'],
    'blkio/blkio.throttle.io_service_bytes_recursive',
  ],
};

/** Reads them with one command, so that they are of one moment. */
export async function cgroupNumbers(machine: Machine, layout: Layout, id: string): Promise<CgroupNumbers> {
  const paths = FILES[layout].map((name) => (layout === 'unified' ? `/sys/fs/cgroup${id}/${name}` : `/sys/fs/cgroup/${name.replace('/', `${id}/`)}`));
  const printed = await machine.run('sh', '-c', 'for f in "$@"; do echo "== $f"; cat "$f"; done', 'sh', ...paths);
  const texts = printed
    .split(/^== .*\n/m)
    .slice(1)
    .map((text) => text.trim());
  const text = (name: string): string => texts[FILES[layout].indexOf(name)] ?? '';
  const number = (name: string): number => (text(name) === 'max' || Number(text(name)) > 2 ** 62 ? 0 : Number(text(name)));
  const key = (name: string, word: string): number => Number(new RegExp(`^${word} (\\d+)$`, 'm').exec(text(name))?.[1] ?? Number.NaN);
  const lines = (name: string): number => text(name).split('\n').filter(Boolean).length;
  const sum = (name: string, pattern: RegExp): number => [...text(name).matchAll(pattern)].reduce((total, [, bytes]) => total + Number(bytes), 0);
  if (layout === 'unified') {
    const usage = number('memory.current');
    return {
      gauges: {
        container_memory_usage_bytes: usage,
        container_memory_working_set_bytes: usage - key('memory.stat', 'inactive_file'),
        container_memory_rss: key('memory.stat', 'anon'),
        container_memory_cache: key('memory.stat', 'file'),
        container_spec_memory_limit_bytes: number('memory.max'),
        container_threads: number('pids.current'),
        container_threads_max: number('pids.max'),
        container_processes: lines('cgroup.procs'),
        ...quota(Number(text('cpu.max').split(' ')[0])),
      },
      counters: {
        container_cpu_usage_seconds_total: key('cpu.stat', 'usage_usec') / 1e6,
        container_oom_events_total: key('memory.events.local', 'oom_kill'),
        ...throttling(
          text('cpu.max').startsWith('max'),
          key('cpu.stat', 'nr_periods'),
          key('cpu.stat', 'nr_throttled'),
          key('cpu.stat', 'throttled_usec') / 1e6,
        ),
      },
      blockBytes: { Read: sum('io.stat', /rbytes=(\d+)/g), Write: sum('io.stat', /wbytes=(\d+)/g) },
    };
  }
  const usage = number('memory/memory.usage_in_bytes');
  const bytes = 'blkio/blkio.throttle.io_service_bytes_recursive';
  return {
    gauges: {
      container_memory_usage_bytes: usage,
      container_memory_working_set_bytes: usage - key('memory/memory.stat', 'total_inactive_file'),
      container_memory_rss: key('memory/memory.stat', 'total_rss'),
      container_memory_cache: key('memory/memory.stat', 'total_cache'),
      container_memory_max_usage_bytes: number('memory/memory.max_usage_in_bytes'),
      container_memory_failcnt: number('memory/memory.failcnt'),
      container_spec_memory_limit_bytes: number('memory/memory.limit_in_bytes'),
      container_spec_cpu_shares: number('cpu/cpu.shares'),
      container_threads: number('pids/pids.current'),
      container_threads_max: number('pids/pids.max'),
      container_processes: lines('memory/cgroup.procs'),
      ...quota(number('cpu/cpu.cfs_quota_us')),
    },
    counters: {
      container_cpu_usage_seconds_total: number('cpuacct/cpuacct.usage') / 1e9,
      container_oom_events_total: key('memory/memory.oom_control', 'oom_kill'),
      ...throttling(
        number('cpu/cpu.cfs_quota_us') <= 0,
        key('cpu/cpu.stat', 'nr_periods'),
        key('cpu/cpu.stat', 'nr_throttled'),
        key('cpu/cpu.stat', 'throttled_time') / 1e9,
      ),
    },
    blockBytes: { Read: sum(bytes, /Read (\d+)/g), Write: sum(bytes, /Write (\d+)/g) },
  };
}

/** Without a quota there is no such series. */
function quota(microseconds: number): Record<string, number> {
  return microseconds > 0 ? { container_spec_cpu_quota: microseconds } : {};
}

function throttling(isUnlimited: boolean, periods: number, throttled: number, seconds: number): Record<string, number> {
  if (isUnlimited) return {};
  return {
    container_cpu_cfs_periods_total: periods,
    container_cpu_cfs_throttled_periods_total: throttled,
    container_cpu_cfs_throttled_seconds_total: seconds,
  };
}
