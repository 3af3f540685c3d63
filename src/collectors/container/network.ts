import { readFileSync } from 'node:fs';
import type { Family } from '../../model/family.ts';
import type { Token } from '../../readers/readers.ts';
import type { Bindings, Bound } from './cgroup-file.ts';
import { NETWORK } from './families.ts';
import type { Column, GroupSpec } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { Layout } from './layout.ts';
import type { Cgroup } from './tree.ts';

/** Families by column of net/dev behind the interface name, counted from 0. */
const FIELDS: readonly (readonly [number, Family])[] = [
  [0, NETWORK.receiveBytes],
  [1, NETWORK.receivePackets],
  [2, NETWORK.receiveErrors],
  [3, NETWORK.receiveDropped],
  [8, NETWORK.transmitBytes],
  [9, NETWORK.transmitPackets],
  [10, NETWORK.transmitErrors],
  [11, NETWORK.transmitDropped],
];
const WIDTH = 16;

/** Interfaces that are never shown: the peer's list of prefixes, whatever their case. */
const HIDDEN = /^(lo|veth|docker|nerdctl)/i;
/**
 * The machine's ends of the pairs that reach pods, under the names of Calico, Cilium, AWS, GKE, Azure and OVN: a hash that
 * fills the name. One for each pod, and all of them again for each pod on the machine's network.
 */
const POD_END = /^(?=.{15}$)(?:azv|cali|eni|gke|lxc)?[0-9a-f]+$/;

/**
 * Network counters, from /proc/PID/net/dev of a process in the namespace: process 1 for `/`, any process of a pod's
 * sandbox for the sandbox; other cgroups have none. Interfaces are columns, found while files are bound.
 *
 * The file is opened for each scan: a kept descriptor would hold the network namespace of a pod that has ended.
 */
export function networkGroup(layout: Layout, procfs: string): GroupSpec {
  const columns: Column[] = [];
  const places = new Map<string, number>();
  const place = (family: Family, name: string): number => {
    const key = `${family.name} ${name}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, columns.length);
    columns.push({ family, names: ['interface'], values: [name] });
    return columns.length - 1;
  };
  return {
    columns,
    blank: ABSENT,
    files: [
      {
        controller: layout.controllers.has('cpu') ? 'cpu' : 'memory',
        name: 'net/dev',
        format: { keys: 1, delimiters: ':', reopen: true },
        bind: (rows) => bindInterfaces(rows, place),
        path(cgroup) {
          const pid = networkProcess(layout, cgroup);
          return pid === 0 ? undefined : `${procfs}/${pid}/net/dev`;
        },
      },
    ],
  };
}

/** `  eth0: 1 2 3 ...`, sixteen numbers; a line of another width is passed over (the peer gives up the whole file). */
function bindInterfaces(rows: readonly Token[][], place: (family: Family, name: string) => number): Bindings {
  const numbers: Bound[] = [];
  for (const [name, ...values] of rows) {
    if (name === undefined || HIDDEN.test(name.text) || POD_END.test(name.text) || values.length !== WIDTH || values.some(({ at }) => at < 0)) continue;
    for (const [field, family] of FIELDS) numbers.push({ at: (values[field] as Token).at, column: place(family, name.text), over: 1 });
  }
  return { numbers };
}

/** A process in the network namespace that is shown under a cgroup; 0 when it has none. */
export function networkProcess(layout: Layout, cgroup: Cgroup): number {
  if (cgroup.id === '/') return 1;
  return cgroup.identity?.sandbox === true ? firstProcess(layout, cgroup) : 0;
}

/** 0 when the cgroup is empty or going. */
function firstProcess(layout: Layout, { id }: Cgroup): number {
  const root = layout.kind === 'unified' ? layout.unified : (layout.controllers.get('cpu') ?? layout.controllers.get('memory') ?? '');
  try {
    return Number.parseInt(readFileSync(`${root}${id}/cgroup.procs`, 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}
