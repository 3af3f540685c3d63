import type { Layout, Machine } from './machine.ts';

/** What the kernel's files say of one cgroup, under the names of the families that should say the same. */
export interface CgroupNumbers {
  readonly gauges: Readonly<Record<string, number>>;
  /** Seconds where the family is in seconds. */
  readonly counters: Readonly<Record<string, number>>;
  /** By operation, of all devices together. */
  readonly blockBytes: { readonly Read: number; readonly Write: number };
}

/** A file, the word in front of the number where it has several, and how many of it make the family's unit. */
type Place = readonly [file: string, key?: string | undefined, perUnit?: number];

interface Places {
  readonly gauges: Readonly<Record<string, Place>>;
  readonly counters: Readonly<Record<string, Place>>;
  /** Printed where there is a quota, without which there is no such series. */
  readonly throttling: Readonly<Record<string, Place>>;
  /** Of the memory in use, what is not in the working set. */
  readonly inactiveFile: Place;
  /** Microseconds, in front of the period's if there is one; no number or a negative one without a quota. */
  readonly quota: string;
  readonly processes: string;
  readonly blockBytes: readonly [file: string, read: RegExp, write: RegExp];
}

const PLACES: Readonly<Record<Layout, Places>> = {
  unified: {
    gauges: {
      container_memory_usage_bytes: ['memory.current'],
      container_memory_rss: ['memory.stat', 'anon'],
      container_memory_cache: ['memory.stat', 'file'],
      container_spec_memory_limit_bytes: ['memory.max'],
      container_threads: ['pids.current'],
      container_threads_max: ['pids.max'],
    },
    counters: {
      container_cpu_usage_seconds_total: ['cpu.stat', 'usage_usec', 1e6],
      container_oom_events_total: ['memory.events.local', 'oom_kill'],
    },
    throttling: {
      container_cpu_cfs_periods_total: ['cpu.stat', 'nr_periods'],
      container_cpu_cfs_throttled_periods_total: ['cpu.stat', 'nr_throttled'],
      container_cpu_cfs_throttled_seconds_total: ['cpu.stat', 'throttled_usec', 1e6],
    },
    inactiveFile: ['memory.stat', 'inactive_file'],
    quota: 'cpu.max',
    processes: 'cgroup.procs',
    blockBytes: ['io.stat', /rbytes=(\d+)/g, /wbytes=(\d+)/g],
  },
  hybrid: {
    gauges: {
      container_memory_usage_bytes: ['memory/memory.usage_in_bytes'],
      container_memory_rss: ['memory/memory.stat', 'total_rss'],
      container_memory_cache: ['memory/memory.stat', 'total_cache'],
      container_memory_max_usage_bytes: ['memory/memory.max_usage_in_bytes'],
      container_memory_failcnt: ['memory/memory.failcnt'],
      container_spec_memory_limit_bytes: ['memory/memory.limit_in_bytes'],
      container_spec_cpu_shares: ['cpu/cpu.shares'],
      container_threads: ['pids/pids.current'],
      container_threads_max: ['pids/pids.max'],
    },
    counters: {
      container_cpu_usage_seconds_total: ['cpuacct/cpuacct.usage', undefined, 1e9],
      container_oom_events_total: ['memory/memory.oom_control', 'oom_kill'],
    },
    throttling: {
      container_cpu_cfs_periods_total: ['cpu/cpu.stat', 'nr_periods'],
      container_cpu_cfs_throttled_periods_total: ['cpu/cpu.stat', 'nr_throttled'],
      container_cpu_cfs_throttled_seconds_total: ['cpu/cpu.stat', 'throttled_time', 1e9],
    },
    inactiveFile: ['memory/memory.stat', 'total_inactive_file'],
    quota: 'cpu/cpu.cfs_quota_us',
    processes: 'memory/cgroup.procs',
    blockBytes: ['blkio/blkio.throttle.io_service_bytes_recursive', /Read (\d+)/g, /Write (\d+)/g],
  },
};

/** Reads them with one command, so that they are of one moment. */
export async function cgroupNumbers(machine: Machine, layout: Layout, id: string): Promise<CgroupNumbers> {
  const places = PLACES[layout];
  const texts = await textsOf(machine, filesOf(places), (name) => (layout === 'unified' ? `${id}/${name}` : `/${name.replace('/', `${id}/`)}`));
  const all = (group: Readonly<Record<string, Place>>): Record<string, number> =>
    Object.fromEntries(Object.entries(group).map(([family, place]) => [family, numberAt(texts, place)]));
  const sum = (pattern: RegExp): number => [...texts(places.blockBytes[0]).matchAll(pattern)].reduce((total, [, bytes]) => total + Number(bytes), 0);
  const gauges = all(places.gauges);
  const quota = Number(texts(places.quota).split(' ')[0]);
  return {
    gauges: {
      ...gauges,
      container_memory_working_set_bytes: (gauges['container_memory_usage_bytes'] ?? Number.NaN) - numberAt(texts, places.inactiveFile),
      container_processes: texts(places.processes).split('\n').filter(Boolean).length,
      ...(quota > 0 ? { container_spec_cpu_quota: quota } : {}),
    },
    counters: { ...all(places.counters), ...(quota > 0 ? all(places.throttling) : {}) },
    blockBytes: { Read: sum(places.blockBytes[1]), Write: sum(places.blockBytes[2]) },
  };
}

function filesOf({ gauges, counters, throttling, inactiveFile, quota, processes, blockBytes }: Places): string[] {
  const named = [gauges, counters, throttling].flatMap((group) => Object.values(group).map(([file]) => file));
  return [...new Set([...named, inactiveFile[0], quota, processes, blockBytes[0]])];
}

/** What files of /sys/fs/cgroup say, by name. */
async function textsOf(machine: Machine, names: readonly string[], pathOf: (name: string) => string): Promise<(name: string) => string> {
  const paths = names.map((name) => `/sys/fs/cgroup${pathOf(name)}`);
  const printed = await machine.run('sh', '-c', 'for f in "$@"; do echo "== $f"; cat "$f"; done', 'sh', ...paths);
  const texts = printed.split(/^== .*\n/m).slice(1);
  return (name) => (texts[names.indexOf(name)] ?? '').trim();
}

/** NaN where there is none. No limit is 0 in the families: `max`, and in v1 more than there can be. */
function numberAt(texts: (name: string) => string, [file, key, perUnit = 1]: Place): number {
  const text = texts(file);
  const word = key === undefined ? text : new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1];
  const number = word === 'max' ? 0 : Number(word === '' ? undefined : word);
  return key === undefined && number > 2 ** 62 ? 0 : number / perUnit;
}
