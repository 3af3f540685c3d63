import { readFileSync, readdirSync } from 'node:fs';
import { OK, type Outcome } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { CPU_TOPOLOGY } from './families.ts';
import type { MachineInfo } from './machine.ts';

/** How long a description is used, as that of the machine. */
const FRESH_MS = 300_000;
/** Caches up to here belong to a core, those above to more than one. */
const CORE_LEVELS = 2;

export interface Cache {
  readonly level: number;
  /** Data, Instruction, Unified. */
  readonly type: string;
  readonly bytes: number;
}

export interface Core {
  readonly id: string;
  readonly threads: readonly string[];
  readonly caches: readonly Cache[];
}

export interface Node {
  readonly id: string;
  readonly cores: readonly Core[];
  /** Shared by all threads of the node. */
  readonly caches: readonly Cache[];
  /** Undefined where the kernel does not tell. */
  readonly memoryBytes: number | undefined;
  /** By size of a page in KiB. */
  readonly hugePages: ReadonlyMap<string, number>;
  /** To each node, in order of their numbers. */
  readonly distances: readonly number[];
}

/** Nodes, cores, threads and caches. Read every five minutes. */
export class Topology {
  readonly #machine: MachineInfo;
  readonly #sysfs: string;
  readonly #monotonicMs: () => number;
  #nodes: readonly Node[] = [];
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(machine: MachineInfo, sysfs: string, monotonicMs: () => number) {
    this.#machine = machine;
    this.#sysfs = sysfs;
    this.#monotonicMs = monotonicMs;
  }

  collect(sheet: Sheet): Outcome {
    const now = this.#monotonicMs();
    if (now - this.#readMs >= FRESH_MS) {
      this.#nodes = readTopology(this.#sysfs);
      this.#readMs = now;
    }
    const [boot, machine, uuid] = this.#machine.read().identity;
    for (const { id, cores, caches, memoryBytes, hugePages, distances } of this.#nodes) {
      const show = (core: string, { level, type, bytes }: Cache) =>
        sheet.sample(CPU_TOPOLOGY.cache, [boot, core, String(level), machine, id, uuid, type], bytes);
      for (const cache of caches) show('', cache);
      for (const core of cores) {
        for (const cache of core.caches) show(core.id, cache);
        for (const thread of core.threads) sheet.sample(CPU_TOPOLOGY.siblings, [boot, core.id, machine, id, uuid, thread], core.threads.length);
      }
      if (memoryBytes !== undefined) sheet.sample(CPU_TOPOLOGY.memory, [boot, machine, id, uuid], memoryBytes);
      for (const [size, count] of hugePages) sheet.sample(CPU_TOPOLOGY.hugePages, [boot, machine, id, size, uuid], count);
      for (const [to, distance] of distances.entries()) sheet.sample(CPU_TOPOLOGY.distance, [boot, machine, id, uuid, String(to)], distance);
    }
    return OK;
  }
}

/**
 * From /sys/devices/system/node/node*, and cpu/cpu* /{topology,cache}; without nodes (a kernel without NUMA) one node for
 * each socket.
 */
export function readTopology(sysfs: string): Node[] {
  const base = `${sysfs}/devices/system`;
  const nodes = names(`${base}/node`, 'node').map((id) => {
    const folder = `${base}/node/node${id}`;
    const total = /MemTotal:\s+(\d+) kB/.exec(text(`${folder}/meminfo`))?.[1];
    return {
      ...withCaches(id, coresOf(folder, base)),
      memoryBytes: total === undefined ? undefined : Number(total) * 1024,
      hugePages: hugePagesOf(`${folder}/hugepages`),
      distances: text(`${folder}/distance`).split(/\s+/).filter(Boolean).map(Number),
    };
  });
  if (nodes.length > 0) return nodes;
  const sockets = new Map<string, BareCore[]>();
  for (const core of coresOf(`${base}/cpu`, base)) sockets.set(core.socket, [...(sockets.get(core.socket) ?? []), core]);
  return [...sockets].map(([socket, cores]) => ({ ...withCaches(socket, cores), memoryBytes: undefined, hugePages: new Map(), distances: [] }));
}

interface BareCore {
  readonly id: string;
  readonly socket: string;
  readonly threads: readonly string[];
  /** Of its first thread. */
  readonly caches: readonly (Cache & { readonly sharers: number })[];
}

/** Online threads of a folder by socket and core. */
function coresOf(folder: string, base: string): BareCore[] {
  const cores = new Map<string, { readonly id: string; readonly socket: string; readonly threads: string[] }>();
  for (const thread of names(folder, 'cpu')) {
    const cpu = `${folder}/cpu${thread}`;
    const id = text(`${cpu}/topology/core_id`).trim();
    if (id === '' || text(`${cpu}/online`).trim() === '0') continue;
    const socket = text(`${cpu}/topology/physical_package_id`).trim();
    const key = `${socket} ${id}`;
    const core = cores.get(key);
    if (core === undefined) cores.set(key, { id, socket, threads: [thread] });
    else core.threads.push(thread);
  }
  return [...cores.values()].map((core) => ({ ...core, caches: cachesOf(`${base}/cpu/cpu${core.threads[0]}/cache`) }));
}

function cachesOf(folder: string): (Cache & { readonly sharers: number })[] {
  return names(folder, 'index').flatMap((index) => {
    const read = (name: string): string => text(`${folder}/index${index}/${name}`).trim();
    const kib = /^(\d+)K$/.exec(read('size'))?.[1];
    if (kib === undefined) return [];
    return [{ level: Number(read('level')), type: read('type'), bytes: Number(kib) * 1024, sharers: bits(read('shared_cpu_map')) }];
  });
}

/** Those that all threads of a node share are the node's; those below the third level that a core shares with others are nobody's. */
function withCaches(id: string, bare: readonly BareCore[]): Pick<Node, 'id' | 'cores' | 'caches'> {
  const shared = new Map<string, Cache>();
  const threadsOfNode = bare.reduce((sum, { threads }) => sum + threads.length, 0);
  const cores = bare.map(({ id: core, threads, caches }) => {
    const own: Cache[] = [];
    for (const { sharers, ...cache } of caches) {
      if (cache.level <= CORE_LEVELS) {
        if (sharers === threads.length) own.push(cache);
      } else if (sharers === threadsOfNode) shared.set(`${cache.level} ${cache.type}`, cache);
      else own.push(cache);
    }
    return { id: core, threads, caches: own };
  });
  return { id, cores, caches: [...shared.values()] };
}

function hugePagesOf(folder: string): Map<string, number> {
  const pages = new Map<string, number>();
  for (const name of list(folder)) {
    const size = /^hugepages-(\d+)kB$/.exec(name)?.[1];
    const count = Number.parseInt(text(`${folder}/${name}/nr_hugepages`), 10);
    if (size !== undefined && Number.isFinite(count)) pages.set(size, count);
  }
  return pages;
}

/** Bits that are set in `ffff,00000001`. */
function bits(map: string): number {
  let count = 0;
  for (const digit of map.replaceAll(',', '')) for (let rest = Number.parseInt(digit, 16) || 0; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

/** Numbers behind a prefix, in their order, as text. */
function names(folder: string, prefix: string): string[] {
  return list(folder)
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => name.slice(prefix.length))
    .sort((a, b) => Number(a) - Number(b));
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // A kernel without it.
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // A kernel without it, or a thread that goes offline.
  }
}
