import type { Label } from '../../collect/variant.ts';
import { type ContainerLabel, KUBELET, kubeletLabels, RESOURCE, resourceLabels, standaloneLabels } from './labels.ts';
import type { Layout } from './layout.ts';
import type { DirectoryWatch, Readers, ReplaySteps } from '../../readers/readers.ts';
import { Census } from './census.ts';
import { Hierarchy, NO_WATCH } from './hierarchy.ts';
import type { RescanReason } from './rescans.ts';

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
  /** 1 healthy, 0 starting or unhealthy; left out for what has no health check. */
  readonly health?: number;
  /** `logs`: guessed from the names of log files, until a runtime says more. */
  readonly source: 'logs' | 'runtime';
}

/** What a name of unknown origin starts from. */
export const NAMELESS: Identity = { name: '', image: '', namespace: '', pod: '', container: '', sandbox: false, labels: {}, created: 0, source: 'logs' };

/** Where a cgroup was found first: place of the hierarchy, and inode there. */
interface Home {
  readonly rank: number;
  readonly inode: number;
}

interface Kept {
  readonly hierarchy: Hierarchy;
  /** To be watched: the first, and those with files that change only by writes. */
  readonly wantsWatch: boolean;
  retryMs: number;
  /** Why there is no watch, as it was told last. */
  obstacle: string;
  /** What the kernel counts more than we know: cgroups that are being removed, mount units. NaN before the first look. */
  offset: number;
  /** Refreshes since that difference was another one. */
  strikes: number;
}

export interface TreeOptions {
  readonly procfs: string;
  readonly monotonicMs: () => number;
  readonly readers: Pick<Readers, 'source'>;
  /** Adds what replayed runs rely on so that names are as `onRefresh` would have them. */
  readonly onReplay?: (steps: ReplaySteps) => void;
  /** Called after each refresh, to name what has come. */
  readonly onRefresh?: (tree: Tree) => void;
  /** Labels of containers that the standalone pages carry. */
  readonly labels?: readonly ContainerLabel[];
  /** Opens a watch; left out, directories are listed. */
  readonly watch?: () => DirectoryWatch | undefined;
  readonly warn?: (message: string) => void;
  /** Called for each hierarchy that is looked through in place of hearing what has changed. */
  readonly onRescan?: (reason: RescanReason) => void;
}

/** Every directory is looked at once in this time, whatever the kernel reports. */
const SWEEP_MS = 300_000;

/** How long it takes until a watch that was given up is tried again. */
const RETRY_MS = 600_000;

/** Unwatched, a cgroup without children is looked at in one of so many refreshes while the kernel's counts stand still. */
const LEAF_TURNS = 8;

/**
 * Refreshes in which the kernel's count of a hierarchy's cgroups may differ from ours while cgroups come and go: it takes
 * them off some time after they went.
 */
const PATIENCE = 4;

/**
 * Parts of one cycle run within this time, and share what one of them has read: refreshes of the tree, the mount table, whether
 * cgroups stand still. A part that asks again begins a new cycle. Also in native-readers/src/readers/replay.cpp.
 */
export const SAME_CYCLE_MS = 500;

/** A refresh is made at least this often, though nothing be reported: the sweeps go on. */
const REPLAY_MS = 20_000;

/** v1 hierarchies whose cgroups are shown, the one that is watched closely first. */
const TRACKED = ['memory', 'cpuacct', 'cpu', 'pids', 'blkio', 'cpuset', 'hugetlb', 'devices'];

/** v1 hierarchies besides the first that hold files which change only by writes. */
const WRITTEN = ['cpu', 'pids'];

/**
 * The cgroups of the machine, shared by the parts of a session.
 *
 * The first hierarchy is watched by inotify, a watch for each directory, and so are those of v1 that hold limits, for the
 * writes to them; the others are looked at under the names that came or went, and wholly when the kernel counts more or fewer cgroups in them than we know. All are swept
 * slowly besides. Listing instead, with a look at every directory that has children and at an eighth of those without, costs
 * 0.6 ms a refresh among 1,000 cgroups and 6 ms among 10,000 while nothing happens, and 19 and 160 ms when one comes; the
 * watch costs microseconds in either case, and 1 KiB of the kernel's memory for each cgroup. Where there is no watch to be
 * had, listing it is.
 */
export class Tree {
  readonly layout: Layout;
  /** By index; undefined where a cgroup was removed. */
  readonly cgroups: (Cgroup | undefined)[] = [];
  /** Rises when a cgroup appears or goes. */
  version = 0;
  /** Rises when what cgroups are called has changed. */
  names = 0;
  /** Number of the last look at the hierarchies. */
  looks = 0;
  /** Look at which a write was reported last. */
  lastWrite = 0;
  /** Look at which the reports of writes began anew: nothing that was read before is to be trusted. */
  #blindUntil = 0;
  /** Of one number, which rises with whatever parts have to follow: cgroups, names, writes. */
  readonly #changes = new Int32Array(1);
  /** Part of a slow sweep that falls to the last look. */
  share = 0;
  readonly #monotonicMs: () => number;
  readonly #watch: () => DirectoryWatch | undefined;
  readonly #warn: (message: string) => void;
  readonly #onRefresh: (tree: Tree) => void;
  readonly #onReplay: (steps: ReplaySteps) => void;
  readonly #onRescan: (reason: RescanReason) => void;
  readonly #containerLabels: readonly ContainerLabel[];
  readonly #hierarchies: readonly Kept[];
  readonly #byId = new Map<string, Cgroup>();
  readonly #free: number[] = [];
  readonly #served = new Set<string>();
  /** By index. */
  readonly #homes: Home[] = [];
  /** Seen in another hierarchy than where they were: shown if they are still there at the next refresh. */
  #unsettled = new Set<string>();
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #named = 0;
  readonly #census: Census;
  #suspicious = false;
  /** Cgroups that ever came. */
  #arrived = 0;
  #turn = 0;
  #sweptMs: number;
  /** By index: the look at which a write to a file of the cgroup was reported last. */
  readonly #written: number[] = [];
  /** What came or went in the first hierarchy at the last refresh: other hierarchies may follow later. */
  #recent: readonly string[] = [];

  constructor(layout: Layout, options: TreeOptions) {
    this.#onRefresh = options.onRefresh ?? (() => {});
    this.#onRescan = options.onRescan ?? (() => {});
    this.#containerLabels = options.labels ?? [];
    this.layout = layout;
    this.#onReplay = options.onReplay ?? (() => {});
    const census = layout.kind === 'unified' ? `${layout.unified}/cgroup.stat` : `${options.procfs}/cgroups`;
    this.#census = new Census(options.readers.source(census, { keys: 1 }));
    this.#monotonicMs = options.monotonicMs;
    this.#watch = options.watch ?? (() => undefined);
    this.#warn = options.warn ?? (() => {});
    this.#hierarchies = hierarchiesOf(layout).map((hierarchy, place) => ({
      hierarchy,
      wantsWatch: place === 0 || WRITTEN.some((controller) => layout.controllers.get(controller) === hierarchy.root),
      retryMs: Number.NEGATIVE_INFINITY,
      obstacle: '',
      offset: Number.NaN,
      strikes: 0,
    }));
    this.#sweptMs = options.monotonicMs();
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
    if (!this.#served.has(part) && now - this.#refreshedMs < SAME_CYCLE_MS) {
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
    const moved = this.#census.look() || this.#suspicious;
    this.#suspicious = false;
    this.#turn = (this.#turn + 1) % LEAF_TURNS;
    this.share = Math.min(now - this.#sweptMs, SWEEP_MS) / SWEEP_MS;
    this.#sweptMs = now;
    this.looks += 1;
    const [first, ...others] = this.#hierarchies as [Kept, ...Kept[]];
    const heard = this.#hear(first, now);
    if (heard === undefined) {
      this.#onRescan('unwatched');
      this.#list(first.hierarchy, moved);
    }
    const recent = heard ?? [...first.hierarchy.changed];
    const touched = new Set([...this.#recent, ...recent]);
    this.#recent = recent;
    for (const kept of others) {
      if (this.#hear(kept, now) === undefined) this.#follow(kept, this.#census.population(kept.hierarchy.controller), touched);
    }
    for (const { hierarchy } of this.#hierarchies) hierarchy.sweep(Math.ceil(hierarchy.directories.size * this.share));
    this.#unite();
    this.#onRefresh(this);
  }

  /** Ids of directories that came or went as the watch of a hierarchy reports them; undefined when it has none. */
  #hear(kept: Kept, now: number): readonly string[] | undefined {
    const { hierarchy } = kept;
    const begins = kept.wantsWatch && !hierarchy.isWatched && now >= kept.retryMs;
    if (begins) {
      kept.retryMs = now + RETRY_MS;
      this.#tell(kept, hierarchy.watch(this.#watch));
      this.#distrust();
    }
    hierarchy.begin();
    if (!hierarchy.isWatched) return undefined;
    const { ids, written, lost, obstacle } = hierarchy.hear();
    this.#tell(kept, obstacle);
    if (obstacle !== '') this.#onRescan('unwatched');
    else if (begins) this.#onRescan('watched');
    // The root's own going is reported to nobody.
    hierarchy.check(lost ? hierarchy.directories.values() : [hierarchy.directories.get('/')].filter((root) => root !== undefined));
    if (lost) {
      this.#onRescan('lost');
      this.#distrust();
    }
    for (const id of written) {
      const cgroup = this.#byId.get(id);
      if (cgroup === undefined) continue; // New: it is read anyway.
      this.#written[cgroup.index] = this.looks;
      this.lastWrite = this.looks;
      this.#change();
    }
    return ids;
  }

  #distrust(): void {
    this.#blindUntil = this.looks;
    this.lastWrite = this.looks;
    this.#change();
  }

  #change(): void {
    this.#changes[0] = ((this.#changes[0] as number) + 1) | 0;
  }

  /** Whether writes to the files of a hierarchy are known of; `root` is its directory. */
  reportsWrites(root: string): boolean {
    return this.#hierarchies.some(({ hierarchy }) => hierarchy.root === root && hierarchy.isWatched);
  }

  /** The look at which a write to a file of a cgroup was reported last. */
  writtenAt(index: number): number {
    return Math.max(this.#blindUntil, this.#written[index] ?? 0);
  }

  #tell(kept: Kept, obstacle: string): void {
    if (obstacle === kept.obstacle) return;
    kept.obstacle = obstacle;
    if (obstacle !== '' && obstacle !== NO_WATCH) this.#warn(`${kept.hierarchy.root}: cgroups cannot be watched (${obstacle}), they are listed instead`);
  }

  #list(hierarchy: Hierarchy, whole: boolean): void {
    const { directories } = hierarchy;
    if (whole) hierarchy.check(directories.values());
    else hierarchy.check([...directories.values()].filter(({ children }, ordinal) => children.size > 0 || ordinal % LEAF_TURNS === this.#turn));
  }

  /** Brings a hierarchy that is not watched in line with the first, and with the kernel's count of its cgroups. */
  #follow(kept: Kept, population: number, touched: ReadonlySet<string>): void {
    const { hierarchy } = kept;
    hierarchy.begin();
    for (const id of touched) hierarchy.settle(id);
    const has = (): number => population - hierarchy.directories.size;
    if (population >= 0 && has() === kept.offset) {
      kept.strikes = 0;
      return;
    }
    kept.strikes += 1;
    if (population >= 0 && touched.size > 0 && kept.strikes < PATIENCE) return;
    this.#onRescan('count');
    // Removed ones are found among those without children, in turn or by a part that reads them.
    this.#list(hierarchy, population < 0);
    kept.offset = has();
    kept.strikes = 0;
  }

  /**
   * Adds what replayed runs rely on: nothing was reported, and the kernel counts the same. False where directories are listed,
   * and while something that came or went is to be looked at again. Slow sweeps need a run now and then.
   */
  replay(steps: ReplaySteps): boolean {
    const isSettled = this.#recent.length === 0 && this.#unsettled.size === 0 && !this.#suspicious;
    if (!isSettled || this.#hierarchies.some(({ strikes }) => strikes > 0)) return false;
    for (const { hierarchy, wantsWatch } of this.#hierarchies) if (wantsWatch && !hierarchy.replay(steps)) return false;
    if (!this.#census.replay(steps)) return false;
    steps.word(this.#changes, 0, this.#changes[0] as number);
    steps.until(this.#refreshedMs + REPLAY_MS);
    this.#onReplay(steps);
    return true;
  }

  close(): void {
    this.#census.close();
    for (const { hierarchy } of this.#hierarchies) hierarchy.close();
  }

  /** Tells what a cgroup is called; sheets print the new labels from the next encoding on. */
  identify(cgroup: Cgroup, identity: Identity | undefined): void {
    if (cgroup.identity === identity) return;
    this.#named += isNamed(identity) - isNamed(cgroup.identity);
    cgroup.identity = identity;
    this.names += 1;
    this.#change();
  }

  /** Labels of a cgroup on a page; undefined where that page does not show it. */
  labels(cgroup: Cgroup, variant: string): readonly Label[] | undefined {
    if (variant === KUBELET) return kubeletLabels(cgroup);
    if (variant === RESOURCE) return resourceLabels(cgroup);
    return standaloneLabels(cgroup, this.labelled, this.#containerLabels);
  }

  /**
   * Makes `cgroups` the union of what the hierarchies hold. A cgroup is known by its directory in the first hierarchy that
   * has it: another inode there is another cgroup. One that has lost that directory is being removed and not shown by what
   * is left of it, unless that is still there at the next refresh.
   */
  #unite(): void {
    const ids = this.#unsettled;
    this.#unsettled = new Set();
    for (const { hierarchy } of this.#hierarchies) {
      for (const id of hierarchy.changed) ids.add(id);
      hierarchy.changed.clear();
    }
    for (const id of ids) {
      const now = this.#homeOf(id);
      const known = this.#byId.get(id);
      if (known !== undefined) {
        const before = this.#homes[known.index] as Home;
        if (now !== undefined && (now.rank < before.rank || (now.rank === before.rank && now.inode === before.inode))) {
          this.#homes[known.index] = now;
          continue;
        }
        this.#remove(known);
        if (now !== undefined && now.rank > before.rank) {
          this.#unsettled.add(id);
          continue;
        }
      }
      if (now !== undefined) this.#add(id, now);
    }
  }

  #homeOf(id: string): Home | undefined {
    for (const [rank, { hierarchy }] of this.#hierarchies.entries()) {
      const directory = hierarchy.directories.get(id);
      if (directory !== undefined) return { rank, inode: directory.inode };
    }
    return undefined;
  }

  #add(id: string, home: Home): void {
    const index = this.#free.pop() ?? this.cgroups.length;
    const cgroup: Cgroup = { id, index, identity: undefined };
    this.cgroups[index] = cgroup;
    this.#homes[index] = home;
    this.#byId.set(id, cgroup);
    this.version += 1;
    this.#change();
    this.#arrived += 1;
  }

  #remove(cgroup: Cgroup): void {
    this.#byId.delete(cgroup.id);
    this.cgroups[cgroup.index] = undefined;
    this.#free.push(cgroup.index);
    this.#named -= isNamed(cgroup.identity);
    this.version += 1;
    this.#change();
  }
}

/** 1 for what makes the standalone page carry `image` and `name`, which a pod's own cgroup does not. */
function isNamed(identity: Identity | undefined): number {
  return identity !== undefined && (identity.name !== '' || identity.image !== '') ? 1 : 0;
}

function hierarchiesOf(layout: Layout): Hierarchy[] {
  if (layout.kind === 'unified') return [new Hierarchy(layout.unified, '')];
  const roots = new Map<string, string>();
  for (const controller of TRACKED) {
    const root = layout.controllers.get(controller);
    if (root !== undefined && ![...roots.values()].includes(root)) roots.set(controller, root);
  }
  return [...roots].map(([controller, root]) => new Hierarchy(root, controller));
}
