import { type FileKind, type Target, keyed, ordered } from './cgroup-file.ts';
import { type Columns, columnsOf } from './columns.ts';
import { MEMORY } from './families.ts';
import type { GroupSpec } from './group.ts';

type Name = keyof typeof MEMORY | 'pgfault' | 'pgfaultBelow' | 'pgmajfault' | 'pgmajfaultBelow';

/** What /proc/meminfo says of swap, in bytes; the v2 root has no memory.swap.current. */
export interface Swap {
  readonly used: number;
}

/**
 * Memory. Sources: v1 memory.stat, memory.usage_in_bytes, memory.max_usage_in_bytes, memory.failcnt,
 * memory.kmem.usage_in_bytes; v2 memory.stat, memory.current, memory.peak, memory.swap.current, memory.events.
 */
export function memoryGroup(unified: boolean, swapUsed: () => number): GroupSpec {
  const columns = columnsOf(MEMORY, ['failures']) as Columns<Name>;
  columns
    .add('pgfault', MEMORY.failures, { failure_type: 'pgfault', scope: 'container' })
    .add('pgfaultBelow', MEMORY.failures, { failure_type: 'pgfault', scope: 'hierarchy' })
    .add('pgmajfault', MEMORY.failures, { failure_type: 'pgmajfault', scope: 'container' })
    .add('pgmajfaultBelow', MEMORY.failures, { failure_type: 'pgmajfault', scope: 'hierarchy' });
  const [usage, inactive, working, rss, cache, swap] = (['usage', 'totalInactiveFile', 'workingSet', 'rss', 'cache', 'swap'] as const).map((name) =>
    columns.at(name),
  ) as [number, number, number, number, number, number];
  return {
    columns: columns.list,
    files: unified ? v2(columns) : v1(columns),
    derives: ({ id }) => unified && id === '/',
    derive(row) {
      // The v2 root has no memory.current and no memory.swap.current.
      row[usage] = (row[rss] as number) + (row[cache] as number);
      row[swap] = swapUsed();
    },
    rules: [{ kind: 'difference', to: working, of: usage, less: inactive }],
  };
}

/** Counters the peer takes from the keys without `total_`, on both versions. */
function ownCounters(columns: Columns<Name>): Record<string, Target[]> {
  return {
    pgfault: [columns.to('pgfault'), columns.to('pgfaultBelow')],
    pgmajfault: [columns.to('pgmajfault'), columns.to('pgmajfaultBelow')],
    workingset_refault_anon: [columns.to('refaultAnon')],
    workingset_refault_file: [columns.to('refaultFile')],
  };
}

/**
 * The `total_` keys count children in; where memory.use_hierarchy is 0 (kernels before 5.11 only) they equal the plain
 * ones, except on the root, so the peer's case distinction is left out.
 */
function v1(columns: Columns<Name>): FileKind[] {
  return [
    { ...ordered('memory', 'memory.usage_in_bytes', [columns.to('usage')]), witness: 'memory' },
    rests(
      keyed('memory', 'memory.stat', {
        total_cache: [columns.to('cache')],
        total_rss: [columns.to('rss')],
        total_swap: [columns.to('swap')],
        total_mapped_file: [columns.to('mappedFile')],
        total_active_file: [columns.to('totalActiveFile')],
        total_inactive_file: [columns.to('totalInactiveFile')],
        ...ownCounters(columns),
      }),
    ),
    rests(ordered('memory', 'memory.max_usage_in_bytes', [columns.to('maxUsage')])),
    rests(ordered('memory', 'memory.failcnt', [columns.to('failcnt')])),
    rests(ordered('memory', 'memory.kmem.usage_in_bytes', [columns.to('kernelUsage')])),
  ];
}

function v2(columns: Columns<Name>): FileKind[] {
  return [
    { ...ordered('', 'memory.current', [columns.to('usage')]), witness: 'memory' },
    rests(
      keyed('', 'memory.stat', {
        file: [columns.to('cache')],
        anon: [columns.to('rss')],
        file_mapped: [columns.to('mappedFile')],
        file_dirty: [columns.to('fileDirty')],
        file_writeback: [columns.to('fileWriteback')],
        active_file: [columns.to('totalActiveFile')],
        inactive_file: [columns.to('totalInactiveFile')],
        pgscan: [columns.to('pgscan')],
        pgsteal: [columns.to('pgsteal')],
        ...ownCounters(columns),
      }),
    ),
    rests(ordered('', 'memory.peak', [columns.to('maxUsage')])),
    rests(ordered('', 'memory.swap.current', [columns.to('swap')])),
    rests(keyed('', 'memory.events', { high: [columns.to('eventsHigh')], max: [columns.to('eventsMax')] })),
  ];
}

function rests(kind: FileKind): FileKind {
  return { ...kind, rests: 'unreclaimed' };
}
