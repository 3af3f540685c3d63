import { CollectError, OK, type Outcome, absent } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { EntityLabels } from '../../collect/variant.ts';
import type { Family } from '../../model/family.ts';
import type { Readers } from '../../readers/readers.ts';
import { type CgroupFile, type DescriptorBudget, type FileKind, LiveFile } from './cgroup-file.ts';
import { KUBELET, RESOURCE } from './labels.ts';
import type { Selection } from './selection.ts';
import { SteadyFile } from './steady-file.ts';
import type { Cgroup, Identity, Tree } from './tree.ts';

/** One series of every cgroup. */
export interface Column {
  readonly family: Family;
  /** Labels besides the cgroup's own, in wire order. */
  readonly names: readonly string[];
  readonly values: readonly string[];
  /** Printed on the page of this variant only (KUBELET, RESOURCE, PLAIN_ONLY). */
  readonly variant?: string;
}

/** What a part shows of each cgroup: columns, the files that fill them, and what remains to be worked out. */
export interface GroupSpec {
  /** May grow while files are bound (a new disk), never shrink. */
  readonly columns: readonly Column[];
  readonly files: readonly FileKind[];
  /** Places of the row behind the columns, for numbers that only `derive` needs. */
  readonly extra?: number;
  /** What a row holds before its files are read: 0 when left out, as the peer has it, or ABSENT. */
  readonly blank?: number;
  /**
   * Called with each row after the files were read; columns that no file filled are 0, as the peer prints them. Sets a
   * column to ABSENT to leave the series out.
   */
  derive?(row: Float64Array, cgroup: Cgroup): void;
  /** Once per run, before the rows: reads what does not belong to one cgroup. */
  prepare?(): void;
}

/** In a row: this cgroup has no such series. No kernel file holds it. */
export const ABSENT = Number.NEGATIVE_INFINITY;

/** `Column.variant` of what is not on the kubelet's pages. */
export const PLAIN_ONLY = 'standalone';

/** Slots not asked for, and slots the series budget refused. */
const UNKNOWN = -1;
const REFUSED = -2;
/** Left out by the selection. */
const UNWANTED = -3;

/** What the groups of a session have in common. */
export interface Shared {
  readonly tree: Tree;
  readonly readers: Readers;
  readonly budget: DescriptorBudget;
  readonly warn: (message: string) => void;
  readonly selection: Selection;
}

/**
 * The cgroups of one part: which series they have, and their files.
 * Rows are assembled in one scratch array: all zero, then what the files say, then `derive`; only then are slots set.
 */
export class Group {
  readonly #shared: Shared;
  readonly #spec: GroupSpec;
  readonly #files: CgroupFile[];
  readonly #kinds: FileKind[];
  #row: Float64Array;
  /** Columns there is room for. */
  #stride: number;
  /** By cgroup index times the stride; UNKNOWN until the series is needed, and again while it is absent. */
  #slots = new Int32Array(0);
  readonly #cgroups: (Cgroup | undefined)[] = [];
  /** By cgroup index: entities by the variant they are printed on, '' for all. */
  readonly #entities: Map<string, number>[] = [];
  #version = -1;
  #names = 0;
  #labelled = false;
  /** By cgroup index: what its series were labelled with. */
  readonly #identities: (Identity | undefined)[] = [];
  #sheet: Sheet | undefined;

  constructor(shared: Shared, spec: GroupSpec) {
    this.#shared = shared;
    this.#spec = spec;
    this.#stride = Math.max(1, spec.columns.length);
    this.#row = new Float64Array(this.#stride + (spec.extra ?? 0));
    this.#kinds = [];
    this.#files = [];
    const { layout } = shared.tree;
    for (const kind of spec.files) {
      const root = layout.kind === 'unified' ? layout.unified : layout.controllers.get(kind.controller);
      if (root === undefined) continue; // Controller not mounted: its columns stay 0, as the peer has them.
      this.#kinds.push(kind);
      this.#files.push(this.#open(kind, root));
    }
  }

  #open(kind: FileKind, root: string): CgroupFile {
    const { readers, tree, budget } = this.#shared;
    if (kind.steady === true) return new SteadyFile(readers, kind, root, tree);
    const condition = kind.ifAbove0 === undefined ? undefined : this.#files[this.#kinds.findIndex(({ name }) => name === kind.ifAbove0)];
    return new LiveFile(readers, kind, root, budget, condition instanceof SteadyFile ? condition : undefined);
  }

  collect(part: string, sheet: Sheet): Outcome {
    const { tree } = this.#shared;
    if (tree.layout.kind === 'none') return absent('no cgroup hierarchy is mounted');
    tree.refresh(part);
    // Twice at most: what goes meanwhile in the second run is left out quietly.
    if (this.#run(part, sheet) && tree.recheck()) this.#run(part, sheet);
    return OK;
  }

  /** Reads and sets every row; true when a cgroup turned out to be gone. */
  #run(part: string, sheet: Sheet): boolean {
    const { tree, warn } = this.#shared;
    this.#follow(sheet);
    const spec = this.#spec;
    const blank = spec.blank ?? 0;
    spec.prepare?.();
    for (const file of this.#files) file.scan();
    const { run } = sheet;
    let unreadable = 0;
    let vanished = false;
    let example = '';
    for (let index = 0; index < this.#cgroups.length; index++) {
      const cgroup = this.#cgroups[index];
      if (cgroup === undefined) continue;
      const row = this.#row;
      row.fill(blank);
      let gone = false;
      let bad = 0;
      for (let f = 0; f < this.#files.length; f++) {
        const reading = (this.#files[f] as CgroupFile).read(cgroup, row);
        if (reading === 'ok' || reading === 'missing') continue;
        if (reading === 'gone') gone = true;
        else {
          bad += 1;
          example ||= `${cgroup.id}: ${this.#kinds[f]?.name ?? ''}`;
        }
      }
      const width = spec.columns.length;
      if (width > this.#stride) {
        this.#widen();
        index -= 1; // Again, with room for what was found.
        continue;
      }
      const base = index * this.#stride;
      if (gone || bad > 0) {
        if (gone) vanished = true;
        else unreadable += 1;
        this.#slots.fill(UNKNOWN, base, base + width);
        continue;
      }
      spec.derive?.(row, cgroup);
      const slots = this.#slots;
      for (let c = 0; c < width; c++) {
        const value = row[c] as number;
        if (value === ABSENT) {
          // A sheet forgets series that stay away: this slot may belong to another when the value comes back.
          slots[base + c] = UNKNOWN;
          continue;
        }
        let slot = slots[base + c] as number;
        if (slot === UNKNOWN) slots[base + c] = slot = this.#intern(sheet, index, c);
        if (slot < 0) continue;
        sheet.values[slot] = value;
        sheet.stamps[slot] = run;
      }
    }
    if (unreadable > 0) {
      if (unreadable === tree.size) throw new CollectError('read', example, 'cannot be read or is not understood, nor those of any other cgroup');
      warn(`${example}: cannot be read or is not understood; ${unreadable} cgroups left out of ${part}`);
    }
    return vanished;
  }

  /** Takes every series of the group back from its sheet: another group is about to use it. */
  retire(): void {
    for (const [index, cgroup] of this.#cgroups.entries()) {
      if (cgroup === undefined) continue;
      this.#leave(index);
      this.#drop(index, this.#sheet);
    }
    this.close();
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  /** Brings series and files in line with the tree. */
  #follow(sheet: Sheet): void {
    const { tree, selection } = this.#shared;
    if (sheet !== this.#sheet) {
      this.#sheet = sheet;
      for (const [index, cgroup] of this.#cgroups.entries()) if (cgroup !== undefined) this.#leave(index);
      this.#entities.length = 0;
      this.#version = -1;
    }
    const renamed = tree.names !== this.#names;
    // A name may also decide whether a cgroup is shown.
    if (tree.version !== this.#version || renamed) {
      this.#version = tree.version;
      for (const [at, slot] of this.#slots.entries()) if (slot === REFUSED) this.#slots[at] = UNKNOWN; // There may be room now.
      for (let index = 0; index < Math.max(tree.cgroups.length, this.#cgroups.length); index++) {
        const there = tree.cgroups[index];
        const now = there !== undefined && selection.shows(there) ? there : undefined;
        if (now === this.#cgroups[index]) continue;
        if (this.#cgroups[index] !== undefined) {
          this.#leave(index);
          this.#drop(index, sheet);
        }
        if (now !== undefined) this.#join(now);
      }
    }
    const all = tree.labelled !== this.#labelled;
    if (!all && !renamed) return;
    this.#labelled = tree.labelled;
    this.#names = tree.names;
    for (const [index, cgroup] of this.#cgroups.entries()) {
      if (cgroup === undefined || (!all && this.#identities[index] === cgroup.identity)) continue;
      this.#identities[index] = cgroup.identity;
      for (const [variant, entity] of this.#entities[index] ?? []) sheet.rename(entity, this.#labels(cgroup, variant));
    }
  }

  #join(cgroup: Cgroup): void {
    const { index } = cgroup;
    this.#cgroups[index] = cgroup;
    this.#identities[index] = cgroup.identity;
    this.#entities[index] = new Map();
    const base = index * this.#stride;
    if (base + this.#stride > this.#slots.length) {
      const slots = new Int32Array(Math.max(base + this.#stride, this.#slots.length * 2)).fill(UNKNOWN);
      slots.set(this.#slots);
      this.#slots = slots;
    }
    this.#slots.fill(UNKNOWN, base, base + this.#stride);
    for (const file of this.#files) file.add(cgroup);
  }

  /** Makes room for at least twice the columns; slots are asked for anew. */
  #widen(): void {
    this.#stride = this.#spec.columns.length * 2;
    this.#row = new Float64Array(this.#stride + (this.#spec.extra ?? 0));
    this.#slots = new Int32Array(this.#cgroups.length * this.#stride).fill(UNKNOWN);
  }

  #intern(sheet: Sheet, index: number, column: number): number {
    const spec = this.#spec.columns[column] as Column;
    if (!this.#shared.selection.keeps(spec)) return UNWANTED;
    const { family, names, values, variant = '' } = spec;
    const entities = this.#entities[index] as Map<string, number>;
    let entity = entities.get(variant);
    if (entity === undefined) entities.set(variant, (entity = sheet.entity(this.#labels(this.#cgroups[index] as Cgroup, variant))));
    const slot = sheet.slot(family, values, names, entity);
    return slot < 0 ? REFUSED : slot;
  }

  #leave(index: number): void {
    this.#cgroups[index] = undefined;
    for (const file of this.#files) file.remove(index);
  }

  #drop(index: number, sheet: Sheet | undefined): void {
    for (const entity of this.#entities[index]?.values() ?? []) sheet?.drop(entity);
  }

  /** @param only the one variant on which the series are printed, '' for all */
  #labels(cgroup: Cgroup, only: string): EntityLabels {
    const { tree } = this.#shared;
    // The plain page is '', so a column that is printed there alone names it by PLAIN_ONLY.
    if (only === PLAIN_ONLY) return (variant) => (variant === KUBELET || variant === RESOURCE ? undefined : tree.labels(cgroup, variant));
    return (variant) => (only === '' || variant === only ? tree.labels(cgroup, variant) : undefined);
  }
}

/** Columns beyond which a growing group is made anew, at first. */
const MANY_COLUMNS = 256;

/**
 * A group whose columns come from data (network interfaces). Columns never shrink, so when there are many the group is
 * made anew with those still there; the next time at twice as many.
 */
export class GrowingGroup {
  readonly #shared: Shared;
  readonly #spec: () => GroupSpec;
  #current: GroupSpec;
  #group: Group;
  #limit = MANY_COLUMNS;

  constructor(shared: Shared, spec: () => GroupSpec) {
    this.#shared = shared;
    this.#spec = spec;
    this.#current = spec();
    this.#group = new Group(shared, this.#current);
  }

  collect(part: string, sheet: Sheet): Outcome {
    const outcome = this.#group.collect(part, sheet);
    if (this.#current.columns.length <= this.#limit) return outcome;
    this.#group.retire();
    this.#current = this.#spec();
    this.#group = new Group(this.#shared, this.#current);
    const again = this.#group.collect(part, sheet);
    this.#limit = Math.max(MANY_COLUMNS, this.#current.columns.length * 2);
    return again;
  }

  close(): void {
    this.#group.close();
  }
}
