import type { Family } from '../../model/family.ts';
import { creationTime } from './base.ts';
import { type FileKind, keyed, ordered, type Target } from './cgroup-file.ts';
import { RESOURCES } from './families.ts';
import type { Column, GroupSpec } from './group.ts';
import { RESOURCE, resourceOf } from './labels.ts';
import type { Layout } from './layout.ts';
import { ABSENT } from './row-rules.ts';
import { EVERYTHING, type Selection } from './selection.ts';
import type { Cgroup, Tree } from './tree.ts';

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;
/** Limits above this mean none. */
const UNLIMITED = 2 ** 62;

/** What is shown, by what a cgroup is of. */
const SHOWN = {
  cpu: { node: RESOURCES.nodeCpu, pod: RESOURCES.podCpu, container: RESOURCES.containerCpu },
  memory: { node: RESOURCES.nodeMemory, pod: RESOURCES.podMemory, container: RESOURCES.containerMemory },
  swap: { node: RESOURCES.nodeSwap, pod: RESOURCES.podSwap, container: RESOURCES.containerSwap },
  swapLimit: { container: RESOURCES.containerSwapLimit },
  start: { container: RESOURCES.containerStart },
} as const satisfies Record<string, { readonly node?: Family; readonly pod?: Family; readonly container: Family }>;

/** Numbers that only others are made of ride in the row behind the columns. */
const PLACES = [...(Object.keys(SHOWN) as (keyof typeof SHOWN)[]), 'usage', 'inactive', 'anon', 'file'] as const;
type Place = (typeof PLACES)[number];

/**
 * The node, its pods and their containers, whatever else is shown; of a container that was started again, which may have two
 * cgroups for a moment, the first.
 */
export function resourceSelection(tree: Tree): Selection {
  const owners = new Map<string, Cgroup>();
  const nameOf = ({ identity }: Cgroup): string => `${identity?.namespace} ${identity?.pod} ${identity?.container}`;
  return {
    ...EVERYTHING,
    shows(cgroup) {
      if (resourceOf(cgroup) === 'none') return false;
      const name = nameOf(cgroup);
      const owner = owners.get(name);
      if (owner !== undefined && owner !== cgroup && tree.cgroups[owner.index] === owner && nameOf(owner) === name) return false;
      owners.set(name, cgroup);
      if (owners.size > 2 * tree.size + 1) for (const [of, one] of owners) if (tree.cgroups[one.index] !== one) owners.delete(of);
      return true;
    },
  };
}

/**
 * CPU, memory and swap of node, pods and containers, as the kubelet's /metrics/resource has them. Sources: v1 cpuacct.usage,
 * memory.usage_in_bytes, memory.stat, memory.memsw.limit_in_bytes; v2 cpu.stat, memory.current, memory.stat,
 * memory.swap.current, memory.swap.max.
 * @param swapUsed bytes of swap the machine uses, which stand for the v2 root's
 */
export function resourceGroup(layout: Layout, procfs: string, wallMs: () => number, swapUsed: () => number): GroupSpec {
  const unified = layout.kind === 'unified';
  const at = (place: Place): number => PLACES.indexOf(place);
  const madeAt = new WeakMap<Cgroup, number>();
  const startOf = (cgroup: Cgroup): number => {
    const made = cgroup.identity?.created || (madeAt.get(cgroup) ?? creationTime(layout, cgroup.id, procfs, wallMs()));
    madeAt.set(cgroup, made);
    return made;
  };
  return {
    columns: Object.values(SHOWN).map(columnOf),
    extra: PLACES.length - Object.keys(SHOWN).length,
    blank: ABSENT,
    files: unified ? v2(at) : v1(at),
    settle(row, cgroup) {
      if ((row[at('swapLimit')] as number) > UNLIMITED) row[at('swapLimit')] = ABSENT;
      if (resourceOf(cgroup) === 'container') row[at('start')] = startOf(cgroup);
    },
    ...(unified
      ? {
          // Which has neither memory.current nor memory.swap.current.
          derives: ({ id }: Cgroup) => id === '/',
          derive(row: Float64Array): void {
            if (row[at('anon')] === ABSENT) return;
            row[at('usage')] = (row[at('anon')] as number) + (row[at('file')] as number);
            row[at('swap')] = swapUsed();
          },
        }
      : {}),
    rules: [{ kind: 'difference', to: at('memory'), of: at('usage'), less: at('inactive') }],
  };
}

function columnOf(shown: { readonly node?: Family; readonly pod?: Family; readonly container: Family }): Column {
  const familyOf = (cgroup: Cgroup): Family | undefined => {
    const of = resourceOf(cgroup);
    return of === 'none' ? undefined : shown[of];
  };
  return { family: shown.container, familyOf, names: [], values: [], variant: RESOURCE };
}

function v1(at: (place: Place) => number): FileKind[] {
  const to = (place: Place, over = 1): Target => ({ column: at(place), over });
  return [
    ordered('cpuacct', 'cpuacct.usage', [to('cpu', NANOSECONDS)]),
    ordered('memory', 'memory.usage_in_bytes', [to('usage')]),
    { ...keyed('memory', 'memory.stat', { total_inactive_file: [to('inactive')], total_swap: [to('swap')] }), rests: 'unreclaimed' },
    { ...ordered('memory', 'memory.memsw.limit_in_bytes', [to('swapLimit')]), steady: true },
  ];
}

function v2(at: (place: Place) => number): FileKind[] {
  const to = (place: Place, over = 1): Target => ({ column: at(place), over });
  return [
    keyed('', 'cpu.stat', { usage_usec: [to('cpu', MICROSECONDS)] }),
    ordered('', 'memory.current', [to('usage')]),
    { ...keyed('', 'memory.stat', { inactive_file: [to('inactive')], anon: [to('anon')], file: [to('file')] }), rests: 'unreclaimed' },
    { ...ordered('', 'memory.swap.current', [to('swap')]), rests: 'unreclaimed' },
    { ...ordered('', 'memory.swap.max', [{ ...to('swapLimit'), max: Number.POSITIVE_INFINITY }]), steady: true },
  ];
}
