import { type Stats, readFileSync, readdirSync, statSync } from 'node:fs';
import { CollectError } from '../../collect/contract.ts';
import type { Label } from '../../collect/sheet.ts';
import { type ContainerLabel, KUBELET, kubeletLabels, RESOURCE, resourceLabels, standaloneLabels } from './labels.ts';
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
  /** Has a network namespace of its own, which it may share with others: the sandbox of a pod, a container of Docker. */
  readonly sandbox: boolean;
  /** Those of the runtime's labels that are printed, by key. */
  readonly labels: Readonly<Record<string, string>>;
  /** When the runtime made it, unix seconds; 0 when unknown. */
  readonly created: number;
  /** `logs`: guessed from the names of log files, until a runtime says more. */
  readonly source: 'logs' | 'runtime';
}

/** What a name of unknown origin starts from. */
export const NAMELESS: Identity = { name: '', image: '', namespace: '', pod: '', container: '', sandbox: false, labels: {}, created: 0, source: 'logs' };

interface Directory {
  /** Path below the hierarchy. */
  readonly id: string;
  readonly inode: number;
  readonly links: number;
  readonly mtimeMs: number;
  /** Names of child cgroups. */
  readonly children: ReadonlySet<string>;
}

/** Where a cgroup was found first: place of the hierarchy, and inode there. */
interface Home {
  readonly rank: number;
  readonly inode: number;
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
  /** Ids whose directories went in the walk under way. */
  readonly gone: string[];
}

/** How long a secondary hierarchy is trusted while the kernel's count of its cgroups stands still. */
const SECONDARY_WALK_MS = 60_000;

/** A cgroup without children is looked at in one of so many refreshes while the kernel's counts stand still. */
const LEAF_TURNS = 8;

/** A part that asks again begins a new cycle; one that asks for the first time shares a refresh this young. */
const SHARED_MS = 500;

/** v1 hierarchies whose cgroups are shown, the one that is watched closely first. */
const TRACKED = ['memory', 'cpuacct', 'cpu', 'pids', 'blkio', 'cpuset', 'hugetlb', 'devices'];

/**
 * The cgroups of the machine, shared by the parts of a session.
 *
 * A refresh looks at the known directories of the first hierarchy: kernfs counts children in the link count (and stamps
 * mtime where it keeps one), so only a directory that changed is read. Directories with children are looked at each time;
 * those without, four microseconds each, when the kernel's number of cgroups moved, when a cgroup was seen to go, and in
 * turn. The other hierarchies of a v1 layout are looked at when their number of cgroups moved, and wholly each minute.
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
  readonly #onRefresh: (tree: Tree) => void;
  readonly #containerLabels: readonly ContainerLabel[];
  readonly #hierarchies: Hierarchy[];
  readonly #byId = new Map<string, Cgroup>();
  readonly #free: number[] = [];
  readonly #served = new Set<string>();
  /** By index. */
  readonly #homes: Home[] = [];
  #unsettled = false;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #named = 0;
  /** What the kernel said of its number of cgroups: /proc/cgroups, or cgroup.stat of the v2 root. */
  #census = '';
  #suspicious = false;
  /** Cgroups that ever came. */
  #arrived = 0;
  #turn = 0;

  /**
   * @param onRefresh called after each refresh, to name what has come
   * @param labels labels of containers that the standalone pages carry
   */
  constructor(layout: Layout, procfs: string, monotonicMs: () => number, onRefresh: (tree: Tree) => void = () => {}, labels: readonly ContainerLabel[] = []) {
    this.#onRefresh = onRefresh;
    this.#containerLabels = labels;
    this.layout = layout;
    this.#procfs = procfs;
    this.#monotonicMs = monotonicMs;
    this.#hierarchies = hierarchiesOf(layout);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Whether some cgroup has a name, so that the plain variant prints `image` and `name` on all. */
  get labelled(): boolean {
    return this.#named > 0;
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
    this.#look(now);
  }

  /**
   * For a part that met a cgroup which is gone: looks again at every directory. True when others have come: one for one,
   * neither a link count nor the kernel's number of cgroups has moved.
   */
  recheck(): boolean {
    const arrived = this.#arrived;
    this.#suspicious = true;
    this.#look(this.#monotonicMs());
    return this.#arrived !== arrived;
  }

  #look(now: number): void {
    const census = readText(this.layout.kind === 'unified' ? `${this.layout.unified}/cgroup.stat` : `${this.#procfs}/cgroups`);
    const moved = census === '' || census !== this.#census || this.#suspicious;
    this.#census = census;
    this.#suspicious = false;
    this.#turn = (this.#turn + 1) % LEAF_TURNS;
    const populations = populationsOf(census);
    let changed = this.#unsettled;
    for (const [place, hierarchy] of this.#hierarchies.entries()) {
      const population = populations.get(hierarchy.controller) ?? -1;
      const stale = now - hierarchy.walkedMs >= SECONDARY_WALK_MS;
      if (place > 0 && !stale && population >= 0 && population === hierarchy.population) continue;
      hierarchy.population = population;
      const whole = population < 0 || (place === 0 ? moved : stale);
      if (whole) hierarchy.walkedMs = now;
      changed = walk(hierarchy, whole ? undefined : this.#turn) || changed;
      if (place === 0) this.#clean(hierarchy.gone);
    }
    if (changed) this.#unite();
    this.#onRefresh(this);
  }

  /** Tells what a cgroup is called; sheets print the new labels from the next encoding on. */
  identify(cgroup: Cgroup, identity: Identity | undefined): void {
    if (cgroup.identity === identity) return;
    this.#named += isNamed(identity) - isNamed(cgroup.identity);
    cgroup.identity = identity;
    this.names += 1;
  }

  /** Labels of a cgroup on a page; undefined where that page does not show it. */
  labels(cgroup: Cgroup, variant: string): readonly Label[] | undefined {
    if (variant === KUBELET) return kubeletLabels(cgroup);
    if (variant === RESOURCE) return resourceLabels(cgroup);
    return standaloneLabels(cgroup, this.labelled, this.#containerLabels);
  }

  /** Looks in the other hierarchies for what the first has lost: the kernel takes a cgroup off its count some time later. */
  #clean(gone: readonly string[]): void {
    for (const id of gone) {
      for (const hierarchy of this.#hierarchies.slice(1)) {
        const left = hierarchy.directories.get(id);
        if (left !== undefined && look(hierarchy.root, id)?.ino !== left.inode) forget(hierarchy, left);
      }
    }
  }

  /**
   * Makes `cgroups` the union of what the hierarchies hold. A cgroup is known by its directory in the first hierarchy that
   * has it: another inode there is another cgroup. One that has lost that directory is being removed and not shown by what
   * is left of it, unless that is still there at the next refresh.
   */
  #unite(): void {
    const homes = new Map<string, Home>();
    for (const [rank, { directories }] of this.#hierarchies.entries()) {
      for (const { id, inode } of directories.values()) if (!homes.has(id)) homes.set(id, { rank, inode });
    }
    this.#unsettled = false;
    const leaving = new Set<string>();
    for (const [id, cgroup] of this.#byId) {
      const before = this.#homes[cgroup.index] as Home;
      const now = homes.get(id);
      if (now !== undefined && (now.rank < before.rank || (now.rank === before.rank && now.inode === before.inode))) {
        this.#homes[cgroup.index] = now;
        continue;
      }
      if (now !== undefined && now.rank > before.rank) {
        leaving.add(id);
        this.#unsettled = true;
      }
      this.#byId.delete(id);
      this.cgroups[cgroup.index] = undefined;
      this.#free.push(cgroup.index);
      this.#named -= isNamed(cgroup.identity);
      this.version += 1;
    }
    for (const [id, home] of homes) {
      if (this.#byId.has(id) || leaving.has(id)) continue;
      const index = this.#free.pop() ?? this.cgroups.length;
      const cgroup: Cgroup = { id, index, identity: undefined };
      this.cgroups[index] = cgroup;
      this.#homes[index] = home;
      this.#byId.set(id, cgroup);
      this.version += 1;
      this.#arrived += 1;
    }
  }
}

/** 1 for what makes the standalone page carry `image` and `name`, which a pod's own cgroup does not. */
function isNamed(identity: Identity | undefined): number {
  return identity !== undefined && (identity.name !== '' || identity.image !== '') ? 1 : 0;
}

function hierarchiesOf(layout: Layout): Hierarchy[] {
  const make = (root: string, controller: string): Hierarchy => ({
    root,
    controller,
    directories: new Map(),
    walkedMs: Number.NEGATIVE_INFINITY,
    population: -1,
    gone: [],
  });
  if (layout.kind === 'unified') return [make(layout.unified, '')];
  const roots = new Map<string, string>();
  for (const controller of TRACKED) {
    const root = layout.controllers.get(controller);
    if (root !== undefined && ![...roots.values()].includes(root)) roots.set(controller, root);
  }
  return [...roots].map(([controller, root]) => make(root, controller));
}

/** `num_cgroups` per controller from the text of /proc/cgroups (`#subsys_name hierarchy num_cgroups enabled`). */
function populationsOf(census: string): Map<string, number> {
  const populations = new Map<string, number>();
  for (const line of census.split('\n')) {
    const [name, , count] = line.split('\t');
    if (name !== undefined && count !== undefined && !name.startsWith('#')) populations.set(name, Number(count));
  }
  return populations;
}

/** '' when it cannot be read (cgroup.stat before Linux 4.14, a copied tree): every directory is looked at then. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Brings one hierarchy up to date; true when directories may have appeared, gone or been replaced.
 * @param turn which childless directories are looked at; undefined for all of them
 */
function walk(hierarchy: Hierarchy, turn: number | undefined): boolean {
  const { directories, root } = hierarchy;
  hierarchy.gone.length = 0;
  if (!directories.has('/')) {
    descend(hierarchy, '/', look(root, '/'));
    if (!directories.has('/')) throw new CollectError('read', root, 'the root of the cgroup hierarchy cannot be read');
    return true;
  }
  const suspects: Directory[] = [];
  let ordinal = 0;
  for (const directory of directories.values()) {
    ordinal += 1;
    if (turn !== undefined && directory.children.size === 0 && ordinal % LEAF_TURNS !== turn) continue;
    const now = look(root, directory.id);
    if (now === undefined || now.ino !== directory.inode || now.nlink !== directory.links || now.mtimeMs !== directory.mtimeMs) suspects.push(directory);
  }
  for (const directory of suspects) {
    if (directories.get(directory.id) !== directory) continue; // Settled with its parent.
    const now = look(root, directory.id);
    if (now === undefined || now.ino !== directory.inode) {
      forget(hierarchy, directory);
      // Another may have come in its place: the parent's link count stands still then.
      const parent = directory.id.slice(0, Math.max(1, directory.id.lastIndexOf('/')));
      if (directory.id !== '/') descend(hierarchy, parent, look(root, parent));
    } else descend(hierarchy, directory.id, now);
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
  hierarchy.gone.push(directory.id);
  const prefix = directory.id === '/' ? '/' : `${directory.id}/`;
  for (const name of directory.children) {
    const child = hierarchy.directories.get(prefix + name);
    if (child !== undefined) forget(hierarchy, child);
  }
}

/** Names of child cgroups; undefined when the directory went meanwhile, empty when it may not be listed. */
function childNames(path: string): string[] | undefined {
  try {
    return (
      readdirSync(path, { withFileTypes: true })
        // systemd makes a cgroup per mount unit: no container, and many of them (the peer leaves them out as well).
        .filter((entry) => entry.isDirectory() && !entry.name.endsWith('.mount'))
        .map((entry) => entry.name)
    );
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
