import { OK, type Outcome, type Roots, absent } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { BoundNumber, MountStats, ReplaySteps } from '../../readers/readers.ts';
import { DISK } from './families.ts';
import { type Column, Group, type GroupSpec, type Shared } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { FileSystem, MountTable } from './mount-table.ts';
import type { DiskUse } from './names-table.ts';
import type { Cgroup } from './tree.ts';

/** How long the mounts that answer are waited for; one that does not is left out until it does. */
const WAIT_MS = 200;
/** Numbers per path in `MountStats.numbers`, and the places of those that are used. */
const WIDTH = 7;
const [BLOCK_SIZE, BLOCKS, FREE, INODES, INODES_FREE] = [0, 1, 2, 4, 5] as const;
const NAMES = ['device'];

/** What runtimes have said of their containers' files. */
export interface DiskUseSource {
  /** Of a container; undefined for other cgroups, and while its runtime has not said. */
  diskUse(cgroup: Cgroup): DiskUse | undefined;
  /** Paths that writable layers lie at; the same set for as long as nothing changes. */
  readonly diskPaths: ReadonlySet<string>;
}

interface Space {
  readonly limit: number;
  readonly used: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

/**
 * Space and inodes: of the machine's file systems under `/`, and under containers what they have written, with the size of
 * the file system it lies on. Sources: statfs(2); the runtimes.
 */
export class FileSystems {
  readonly #shared: Shared;
  readonly #stats: MountStats;
  readonly #mounts: MountTable;
  readonly #roots: Roots;
  readonly #uses: DiskUseSource | undefined;
  #shown: readonly FileSystem[] = [];
  #paths: ReadonlySet<string> = new Set();
  /** By path of writable layers. */
  #layers = new Map<string, FileSystem>();
  /** Asked about, in the order of `MountStats`. */
  #asked: readonly FileSystem[] = [];
  #spaces = new Map<string, Space>();
  #containers: Group | undefined;
  #sheet: Sheet | undefined;
  #entity = -1;
  #labelled = false;

  constructor(shared: Shared, stats: MountStats, mounts: MountTable, roots: Roots, uses: DiskUseSource | undefined) {
    this.#shared = shared;
    this.#stats = stats;
    this.#mounts = mounts;
    this.#roots = roots;
    this.#uses = uses;
  }

  collect(part: string, sheet: Sheet): Outcome {
    const { tree } = this.#shared;
    if (tree.layout.kind === 'none') return absent('no cgroup hierarchy is mounted');
    tree.refresh(part);
    this.#follow();
    this.#ask();
    const isRootShown = this.#showRoot(sheet);
    if (this.#uses !== undefined && this.#paths.size > 0) {
      this.#containers ??= new Group(this.#shared, this.#containerSpec(this.#uses));
      // A name of its own: asked for under the same twice, the tree would be looked at twice.
      return this.#containers.collect(`${part} of containers`, sheet);
    }
    return isRootShown ? OK : absent('the root cgroup is left out by the configuration');
  }

  close(): void {
    this.#containers?.close();
  }

  /** See `HostSession.replay`: for as long as the same is mounted, and no runtime tells what containers have written. */
  replay(sheet: Sheet, steps: ReplaySteps): boolean {
    const { tree } = this.#shared;
    if (this.#containers !== undefined || sheet !== this.#sheet || !tree.replay(steps) || !this.#mounts.replay(steps)) return false;
    steps.mounts(
      this.#stats,
      WAIT_MS,
      this.#asked.flatMap(({ device }, i) => (this.#stats.status[i] === 0 ? this.#bounds(sheet, device, i * WIDTH) : [])),
    );
    return true;
  }

  /** What `#showRoot` does with the numbers of one path. */
  #bounds(sheet: Sheet, device: string, from: number): BoundNumber[] {
    const slot = (family: Family): number => sheet.slot(family, [device], NAMES, this.#entity);
    const size = from + BLOCK_SIZE;
    const bounds: BoundNumber[] = [
      { at: from + BLOCKS, slot: slot(DISK.limit), mode: 'product', by: size },
      { at: from + BLOCKS, slot: slot(DISK.usage), mode: 'difference', by: size, times: from + FREE },
      { at: from + INODES, slot: slot(DISK.inodesTotal) },
      { at: from + INODES_FREE, slot: slot(DISK.inodesFree) },
    ];
    // Refused by the series budget.
    return bounds.filter(({ slot: taken }) => taken >= 0);
  }

  /** Works out what to ask about, when mounts or containers' places have changed. */
  #follow(): void {
    const shown = this.#mounts.shown();
    const paths = this.#uses?.diskPaths ?? this.#paths;
    if (shown === this.#shown && paths === this.#paths) return;
    this.#shown = shown;
    this.#paths = paths;
    this.#layers = new Map();
    const asked = new Map(shown.map((system) => [system.device, system]));
    for (const path of paths) {
      const system = this.#mounts.holding(path);
      if (system === undefined) continue;
      this.#layers.set(path, system);
      if (!asked.has(system.device)) asked.set(system.device, system);
    }
    this.#asked = [...asked.values()];
    this.#stats.paths(this.#asked.map(({ point }) => this.#roots.rootfs + point));
  }

  #ask(): void {
    this.#stats.run(WAIT_MS);
    const { status, numbers } = this.#stats;
    this.#spaces.clear();
    for (const [i, { device }] of this.#asked.entries()) {
      if (status[i] !== 0) continue; // Stuck, or unmounted since: no numbers is better than none of the others.
      const at = (place: number): number => numbers[i * WIDTH + place] as number;
      const [size, blocks, free, inodes, inodesFree] = [at(BLOCK_SIZE), at(BLOCKS), at(FREE), at(INODES), at(INODES_FREE)];
      this.#spaces.set(device, { limit: blocks * size, used: (blocks - free) * size, inodes, inodesFree });
    }
  }

  /** False when the configuration leaves it out. */
  #showRoot(sheet: Sheet): boolean {
    const { tree, selection } = this.#shared;
    const root = tree.get('/');
    if (root === undefined || !selection.shows(root)) return false;
    if (sheet !== this.#sheet) {
      this.#sheet = sheet;
      this.#entity = sheet.entity((variant) => tree.labels(root, variant));
    } else if (tree.labelled !== this.#labelled) sheet.rename(this.#entity, (variant) => tree.labels(root, variant));
    this.#labelled = tree.labelled;
    for (const { device } of this.#shown) {
      const space = this.#spaces.get(device);
      if (space === undefined) continue;
      const set = (family: Family, value: number) => sheet.set(sheet.slot(family, [device], NAMES, this.#entity), value);
      set(DISK.limit, space.limit);
      set(DISK.usage, space.used);
      set(DISK.inodesTotal, space.inodes);
      set(DISK.inodesFree, space.inodesFree);
    }
    return true;
  }

  #containerSpec(uses: DiskUseSource): GroupSpec {
    const columns: Column[] = [];
    /** First of the four columns, by device. */
    const places = new Map<string, number>();
    return {
      columns,
      files: [],
      blank: ABSENT,
      prepare: () => {
        for (const { device } of this.#layers.values()) {
          if (places.has(device)) continue;
          places.set(device, columns.length);
          for (const family of [DISK.limit, DISK.usage, DISK.inodesTotal, DISK.inodesFree]) columns.push({ family, names: NAMES, values: [device] });
        }
      },
      derive: (row, cgroup) => {
        const use = uses.diskUse(cgroup);
        const device = use === undefined ? undefined : this.#layers.get(use.path)?.device;
        const first = device === undefined ? undefined : places.get(device);
        if (use === undefined || device === undefined || first === undefined) return;
        row[first + 1] = use.bytes;
        const space = this.#spaces.get(device);
        if (space === undefined) return;
        row[first] = space.limit;
        row[first + 2] = space.inodes;
        row[first + 3] = space.inodesFree;
      },
    };
  }
}
