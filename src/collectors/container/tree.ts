import { type Stats, readFileSync, readdirSync, statSync } from 'node:fs';
import { CollectError } from '../../collect/contract.ts';
import type { Label } from '../../collect/sheet.ts';
import type { Layout } from './layout.ts';

/** A control group that exists. A removed and remade one is another object, even under the same id. */
export interface Cgroup {
  /** Path below the hierarchy's mount point: `/`, `/system.slice/ssh.service`. */
  readonly id: string;
  /** Place in `Tree.cgroups`; used again after removal. */
  readonly index: number;
  /** What a runtime said of it; undefined for a plain cgroup. */
  identity: Identity | undefined;
}

/** What a container is called, as far as it is known. */
export interface Identity {
  readonly name: string;
  readonly image: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

interface Directory {
  /** Path below the hierarchy. */
  readonly id: string;
  readonly inode: number;
  readonly links: number;
  readonly mtimeMs: number;
  /** Names of child cgroups. */
  readonly children: ReadonlySet<string>;
}

/** One hierarchy as last walked. */
interface Hierarchy {
  readonly root: string;
  readonly directories: Map<string, Directory>;
  /** Walked at this time; -Infinity before. */
  walkedMs: number;
  /** `num_cgroups` of its controller at that time, or -1. */
  population: number;
  readonly controller: string;
}

/** How long a secondary hierarchy is trusted while the kernel's count of its cgroups stands still. */
const SECONDARY_WALK_MS = 60_000;

/** A part that asks again begins a new cycle; one that asks for the first time shares a refresh this young. */
const SHARED_MS = 500;

/** v1 hierarchies whose cgroups are shown, the one that is watched closely first. */
const TRACKED = ['memory', 'cpuacct', 'cpu', 'pids', 'blkio', 'cpuset', 'hugetlb', 'devices'];

/**
 * The cgroups of the machine, shared by the parts of a session.
 *
 * A refresh looks at every known directory of the first hierarchy: kernfs counts children in the link count (and stamps
 * mtime on newer kernels), so only a directory that changed is read. The others of a v1 layout are walked when
 * /proc/cgroups shows another number of cgroups, and each minute.
 */
export class Tree {
  readonly layout: Layout;
  /** By index; undefined where a cgroup was removed. */
  readonly cgroups: (Cgroup | undefined)[] = [];
  /** Rises when a cgroup appears or goes. */
  version = 0;
  /** Rises when what cgroups are called has changed. */
  names = 0;
  readonly #procfs: string;
  readonly #monotonicMs: () => number;
  readonly #hierarchies: Hierarchy[];
  readonly #byId = new Map<string, Cgroup>();
  readonly #free: number[] = [];
  readonly #served = new Set<string>();
  /** Inode by index: tells a remade cgroup from the one before. */
  readonly #inodes: number[] = [];
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #named = 0;

  constructor(layout: Layout, procfs: string, monotonicMs: () => number) {
    this.layout = layout;
    this.#procfs = procfs;
    this.#monotonicMs = monotonicMs;
    this.#hierarchies = hierarchiesOf(layout);
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Cgroup | undefined {
    return this.#byId.get(id);
  }

  /** Brings the tree up to date for a part; once per cycle at most. Throws CollectError when the hierarchy cannot be read. */
  refresh(part: string): void {
    const now = this.#monotonicMs();
    if (!this.#served.has(part) && now - this.#refreshedMs < SHARED_MS) {
      this.#served.add(part);
      return;
    }
    this.#served.clear();
    this.#served.add(part);
    this.#refreshedMs = now;
    let changed = false;
    const populations = this.#hierarchies.length > 1 ? readPopulations(this.#procfs) : new Map<string, number>();
    for (const [place, hierarchy] of this.#hierarchies.entries()) {
      const population = populations.get(hierarchy.controller) ?? -1;
      const due = place === 0 || population < 0 || population !== hierarchy.population || now - hierarchy.walkedMs >= SECONDARY_WALK_MS;
      if (!due) continue;
      hierarchy.walkedMs = now;
      hierarchy.population = population;
      changed = walk(hierarchy) || changed;
    }
    if (changed) this.#unite();
  }

  /** Tells what a cgroup is called; sheets print the new labels from the next encoding on. */
  identify(cgroup: Cgroup, identity: Identity | undefined): void {
    if (cgroup.identity === identity) return;
    this.#named += (identity === undefined ? 0 : 1) - (cgroup.identity === undefined ? 0 : 1);
    cgroup.identity = identity;
    this.names += 1;
  }

  /**
   * Labels of a cgroup. The plain variant is standalone cAdvisor's: `id` alone while no cgroup of the machine has a
   * name, then `image` and `name` on all of them, empty where unknown. `kubelet` is the kubelet's fixed set.
   */
  labels(cgroup: Cgroup, variant: string): readonly Label[] {
    const { id, identity } = cgroup;
    if (variant === 'kubelet') {
      return [
        ['container', identity?.container ?? ''],
        ['id', id],
        ['image', identity?.image ?? ''],
        ['name', identity?.name ?? ''],
        ['namespace', identity?.namespace ?? ''],
        ['pod', identity?.pod ?? ''],
      ];
    }
    if (this.#named === 0) return [['id', id]];
    return [
      ['id', id],
      ['image', identity?.image ?? ''],
      ['name', identity?.name ?? ''],
    ];
  }

  /** Makes `cgroups` the union of what the hierarchies hold; same id and same inode is the same cgroup. */
  #unite(): void {
    const inodes = new Map<string, number>();
    for (const { directories } of this.#hierarchies) {
      for (const { id, inode } of directories.values()) if (!inodes.has(id)) inodes.set(id, inode);
    }
    for (const [id, cgroup] of this.#byId) {
      if (inodes.get(id) === this.#inodes[cgroup.index]) continue;
      this.#byId.delete(id);
      this.cgroups[cgroup.index] = undefined;
      this.#free.push(cgroup.index);
      if (cgroup.identity !== undefined) this.#named -= 1;
      this.version += 1;
    }
    for (const [id, inode] of inodes) {
      if (this.#byId.has(id)) continue;
      const index = this.#free.pop() ?? this.cgroups.length;
      const cgroup: Cgroup = { id, index, identity: undefined };
      this.cgroups[index] = cgroup;
      this.#inodes[index] = inode;
      this.#byId.set(id, cgroup);
      this.version += 1;
    }
  }
}

function hierarchiesOf(layout: Layout): Hierarchy[] {
  const make = (root: string, controller: string): Hierarchy => ({ root, controller, directories: new Map(), walkedMs: Number.NEGATIVE_INFINITY, population: -1 });
  if (layout.kind === 'unified') return [make(layout.unified, '')];
  const roots = new Map<string, string>();
  for (const controller of TRACKED) {
    const root = layout.controllers.get(controller);
    if (root !== undefined && ![...roots.values()].includes(root)) roots.set(controller, root);
  }
  return [...roots].map(([controller, root]) => make(root, controller));
}

/** `num_cgroups` per controller from /proc/cgroups (`#subsys_name hierarchy num_cgroups enabled`); empty when unreadable. */
function readPopulations(procfs: string): Map<string, number> {
  const populations = new Map<string, number>();
  let text = '';
  try {
    text = readFileSync(`${procfs}/cgroups`, 'utf8');
  } catch {
    return populations; // Gone in kernels without v1: every hierarchy is walked then.
  }
  for (const line of text.split('\n')) {
    const [name, , count] = line.split('\t');
    if (name !== undefined && count !== undefined && !name.startsWith('#')) populations.set(name, Number(count));
  }
  return populations;
}

/** Brings one hierarchy up to date; true when directories may have appeared, gone or been replaced. */
function walk(hierarchy: Hierarchy): boolean {
  const { directories, root } = hierarchy;
  if (!directories.has('/')) {
    descend(hierarchy, '/', look(root, '/'));
    if (!directories.has('/')) throw new CollectError('read', root, 'the root of the cgroup hierarchy cannot be read');
    return true;
  }
  const suspects: Directory[] = [];
  for (const directory of directories.values()) {
    const now = look(root, directory.id);
    if (now === undefined || now.ino !== directory.inode || now.nlink !== directory.links || now.mtimeMs !== directory.mtimeMs) suspects.push(directory);
  }
  for (const directory of suspects) {
    if (directories.get(directory.id) !== directory) continue; // Settled with its parent.
    const now = look(root, directory.id);
    if (now === undefined || now.ino !== directory.inode) forget(hierarchy, directory);
    descend(hierarchy, directory.id, now);
  }
  if (!directories.has('/')) throw new CollectError('read', root, 'the root of the cgroup hierarchy is gone');
  return suspects.length > 0;
}

/** Records a directory and whatever is unknown below it; forgets children that are gone. Nothing when it cannot be seen. */
function descend(hierarchy: Hierarchy, id: string, stats: Stats | undefined): void {
  if (stats === undefined) return;
  const names = childNames(hierarchy.root + id);
  if (names === undefined) return;
  const { directories } = hierarchy;
  const prefix = id === '/' ? '/' : `${id}/`;
  const children = new Set(names);
  for (const gone of directories.get(id)?.children ?? []) {
    const child = directories.get(prefix + gone);
    if (!children.has(gone) && child !== undefined) forget(hierarchy, child);
  }
  directories.set(id, { id, inode: stats.ino, links: stats.nlink, mtimeMs: stats.mtimeMs, children });
  for (const name of children) if (!directories.has(prefix + name)) descend(hierarchy, prefix + name, look(hierarchy.root, prefix + name));
}

function forget(hierarchy: Hierarchy, directory: Directory): void {
  hierarchy.directories.delete(directory.id);
  const prefix = directory.id === '/' ? '/' : `${directory.id}/`;
  for (const name of directory.children) {
    const child = hierarchy.directories.get(prefix + name);
    if (child !== undefined) forget(hierarchy, child);
  }
}

/** Names of child cgroups; undefined when the directory went meanwhile, empty when it may not be listed. */
function childNames(path: string): string[] | undefined {
  try {
    return readdirSync(path, { withFileTypes: true })
      // systemd makes a cgroup per mount unit: no container, and many of them (the peer leaves them out as well).
      .filter((entry) => entry.isDirectory() && !entry.name.endsWith('.mount'))
      .map((entry) => entry.name);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT' || code === 'ENODEV' ? undefined : [];
  }
}

function look(root: string, id: string): Stats | undefined {
  try {
    return statSync(root + id, { throwIfNoEntry: false });
  } catch {
    return undefined; // ENODEV, EACCES: a cgroup that cannot be seen is not there for us.
  }
}
