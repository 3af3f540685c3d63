import { keyed, ordered, type FileKind, pathOf } from './cgroup-file.ts';
import { creationTime } from './base.ts';
import { columnsOf } from './columns.ts';
import { RESOURCES } from './families.ts';
import type { GroupSpec } from './group.ts';
import { ABSENT } from './row-rules.ts';
import { RESOURCE, resourceOf } from './labels.ts';
import type { Layout } from './layout.ts';
import type { Cgroup } from './tree.ts';

type Name = keyof typeof RESOURCES;

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;
/** Limits above this mean none. */
const UNLIMITED = 2 ** 62;

/** Numbers that several families are made of: they ride in the row behind the columns. */
const RAW = ['cpu', 'usage', 'inactive', 'anon', 'file', 'swap', 'swapLimit'] as const;

/**
 * CPU, memory and swap of node, pods and containers, as the kubelet's /metrics/resource has them. Sources: v1 cpuacct.usage,
 * memory.usage_in_bytes, memory.stat, memory.memsw.limit_in_bytes; v2 cpu.stat, memory.current, memory.stat,
 * memory.swap.current, memory.swap.max. Files of cgroups that are none of these are not opened.
 * @param swapUsed bytes of swap the machine uses, which stand for the v2 root's
 */
export function resourceGroup(layout: Layout, procfs: string, wallMs: () => number, swapUsed: () => number): GroupSpec {
  const unified = layout.kind === 'unified';
  const columns = columnsOf(RESOURCES, ['scrapeError']);
  const list = columns.list.map((column) => ({ ...column, variant: RESOURCE }));
  const raw = (name: (typeof RAW)[number]): number => list.length + RAW.indexOf(name);
  const files = unified ? v2(raw) : v1(raw);
  const madeAt = new WeakMap<Cgroup, number>();
  /** Of this run: a container that was started again may have two cgroups for a moment. */
  const shown = new Set<string>();
  return {
    columns: list,
    extra: RAW.length,
    blank: ABSENT,
    files: files.map((kind) => ({ ...kind, path: (cgroup) => placeOf(layout, kind, cgroup) })),
    prepare: () => shown.clear(),
    derives: (cgroup) => resourceOf(cgroup) !== 'none',
    derive(row, cgroup) {
      const of = resourceOf(cgroup);
      const { identity } = cgroup;
      if (of === 'none') return;
      const key = `${identity?.namespace} ${identity?.pod} ${identity?.container}`;
      if (shown.has(key)) return;
      shown.add(key);
      const isRoot = unified && cgroup.id === '/';
      if (isRoot && row[raw('anon')] !== ABSENT) {
        row[raw('usage')] = (row[raw('anon')] as number) + (row[raw('file')] as number);
        row[raw('swap')] = swapUsed();
      }
      const set = (name: Name, value: number): void => {
        row[columns.at(name)] = value;
      };
      const usage = row[raw('usage')] as number;
      set(`${of}Cpu`, row[raw('cpu')] as number);
      set(`${of}Memory`, usage === ABSENT ? ABSENT : Math.max(0, usage - Math.max(0, row[raw('inactive')] as number)));
      set(`${of}Swap`, row[raw('swap')] as number);
      if (of !== 'container') return;
      const limit = row[raw('swapLimit')] as number;
      set('containerSwapLimit', limit > UNLIMITED ? ABSENT : limit);
      let made = identity?.created ?? 0;
      if (made === 0) made = madeAt.get(cgroup) ?? creationTime(layout, cgroup.id, procfs, wallMs());
      madeAt.set(cgroup, made);
      set('containerStart', made);
    },
  };
}

function placeOf(layout: Layout, kind: FileKind, cgroup: Cgroup): string | undefined {
  if (resourceOf(cgroup) === 'none') return undefined;
  const root = layout.kind === 'unified' ? layout.unified : layout.controllers.get(kind.controller);
  return root === undefined ? undefined : `${root}/${pathOf(kind, cgroup)}`;
}

type Raw = (name: (typeof RAW)[number]) => number;

function v1(raw: Raw): FileKind[] {
  const to = (name: (typeof RAW)[number], over = 1) => ({ column: raw(name), over });
  return [
    ordered('cpuacct', 'cpuacct.usage', [to('cpu', NANOSECONDS)]),
    ordered('memory', 'memory.usage_in_bytes', [to('usage')]),
    keyed('memory', 'memory.stat', { total_inactive_file: [to('inactive')], total_swap: [to('swap')] }),
    ordered('memory', 'memory.memsw.limit_in_bytes', [to('swapLimit')]),
  ];
}

function v2(raw: Raw): FileKind[] {
  const to = (name: (typeof RAW)[number], over = 1) => ({ column: raw(name), over });
  return [
    keyed('', 'cpu.stat', { usage_usec: [to('cpu', MICROSECONDS)] }),
    ordered('', 'memory.current', [to('usage')]),
    keyed('', 'memory.stat', { inactive_file: [to('inactive')], anon: [to('anon')], file: [to('file')] }),
    ordered('', 'memory.swap.current', [to('swap')]),
    ordered('', 'memory.swap.max', [{ ...to('swapLimit'), max: Number.POSITIVE_INFINITY }]),
  ];
}
