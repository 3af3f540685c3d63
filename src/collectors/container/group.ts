import { CollectError, OK, type Outcome, absent } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { EntityLabels } from '../../collect/variant.ts';
import type { Family } from '../../model/family.ts';
import type { Readers, ReplaySteps, RowMemory, RowRule, RowTable } from '../../readers/readers.ts';
import { type Activity, SETTLED_MS, TRUST_MS } from './activity.ts';
import { type CgroupFile, type DescriptorBudget, type FileKind, LiveFile, type Reading } from './cgroup-file.ts';
import { KUBELET, RESOURCE } from './labels.ts';
import { ABSENT, applyRules } from './row-rules.ts';
import type { Selection } from './selection.ts';
import { SteadyFile } from './steady-file.ts';
import type { Cgroup, Identity, Tree } from './tree.ts';

/** One series of every cgroup. */
export interface Column {
  readonly family: Family;
  /** Where the family is another for each kind of cgroup, of which `family` is one; undefined for a cgroup without such a series. */
  familyOf?(cgroup: Cgroup): Family | undefined;
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
   * Fills columns from names, the machine and steady files, all of which say when they change: it is not called in every run.
   * Sets a column to ABSENT to leave the series out.
   */
  settle?(row: Float64Array, cgroup: Cgroup): void;
  /**
   * Called in each run with each row after the files were read; columns that no file filled are 0, as the peer prints them.
   * It keeps the group from being read without JavaScript, but for what `derives` leaves out.
   */
  derive?(row: Float64Array, cgroup: Cgroup): void;
  /** Cgroups that `derive` is for, by what their files say; all when left out. */
  derives?(cgroup: Cgroup, row: Float64Array): boolean;
  /** What is done with each row at last. */
  readonly rules?: readonly RowRule[];
  /** Asked in each run after `prepare`: whether what `settle` takes from the machine has changed, which has all rows made anew. */
  moved?(): boolean;
  /** The wall clock in whole seconds, for rules that want what is the same for all cgroups; asked for after `prepare`. */
  brought?(): number;
  /** Once per run, before the rows: reads what does not belong to one cgroup. */
  prepare?(): void;
}

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
  readonly activity: Activity;
  readonly monotonicMs: () => number;
}

/** A replayed run is one call, during which nothing else of its lane has its turn: among more cgroups it would last too long. */
const MOST_REPLAYED = 500;

/** What a RowTable does with the row of a cgroup. */
const NO_ROW = 0;
const READY = 1;
const LEFT = 2;

/**
 * The cgroups of one part: which series they have, and their files.
 * Rows are assembled in one scratch array: all zero, then what the files say, then `settle`, `derive` and the rules; only then
 * are slots set. Where the readers have a RowTable it keeps the rows and does this for as long as nothing but numbers changes; rows
 * that it leaves are made here, all of them where there is none.
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
  readonly #rules: readonly RowRule[];
  readonly #table: RowTable | undefined;
  /** By cgroup index: rows as the table continues them, and what it does with them. */
  #rows = new Float64Array(0);
  #states = new Uint8Array(0);
  #left = new Int32Array(0);
  /** Files that the table reads, in its order. */
  readonly #live: LiveFile[] = [];
  /** Some file tells of CPU time; some may rest; some of those only while no pages are taken back; some changes only when something was killed. */
  readonly #isWitness: boolean;
  readonly #hasResting: boolean;
  readonly #isOfReclaim: boolean;
  readonly #isOfKills: boolean;
  /** The look of the tree at which the group asked last whether idle cgroups can be relied on. */
  #askedAt = -1;
  /** What was brought to this run. */
  #brought = 0;
  /** The first file that could not be read in the last run; '' when all could. */
  #fault = '';

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
      const file = this.#open(kind, root);
      this.#kinds.push(kind);
      this.#files.push(file);
      if (file instanceof LiveFile) this.#live.push(file);
    }
    this.#isWitness = this.#kinds.some(({ witness }) => witness === 'cpu');
    this.#hasResting = this.#kinds.some(({ rests }) => rests !== undefined);
    this.#isOfReclaim = this.#kinds.some(({ rests }) => rests === 'unreclaimed');
    this.#isOfKills = this.#kinds.some(({ moved }) => moved !== undefined);
    this.#rules = spec.rules ?? [];
    this.#table = spec.derive === undefined || spec.derives !== undefined ? shared.readers.rowTable(this.#rules) : undefined;
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

  /** See `HostSession.replay`: runs need no JavaScript for as long as nothing comes, goes, is renamed or written to. */
  replay(sheet: Sheet, steps: ReplaySteps): boolean {
    const { tree, activity, monotonicMs } = this.#shared;
    const table = this.#table;
    if (table === undefined || sheet !== this.#sheet || tree.size > MOST_REPLAYED || !this.#isAtRest()) return false;
    if (!tree.replay(steps)) return false;
    if (this.#isOfReclaim && !activity.kernel.replay(steps, 'reclaim')) return false;
    if (this.#isOfKills && !activity.kernel.replay(steps, 'kills')) return false;
    const use = this.#isWitness ? 'notes' : this.#hasResting ? 'needs' : 'none';
    const memory = this.#memory(sheet, monotonicMs(), this.#hasResting);
    steps.rows(table, this.#live, memory, { ms: activity.watchedMs, use }, this.#spec.brought !== undefined);
    return true;
  }

  /** Whether the table makes all rows, and steady files need not be read. */
  #isAtRest(): boolean {
    return !this.#states.subarray(0, this.#cgroups.length).includes(LEFT) && this.#files.every((file) => !(file instanceof SteadyFile) || file.rests);
  }

  /** Reads and sets every row; true when a cgroup turned out to be gone. */
  #run(part: string, sheet: Sheet): boolean {
    const { tree, warn, activity, monotonicMs } = this.#shared;
    this.#follow(sheet);
    this.#spec.prepare?.();
    if (this.#spec.moved?.() === true) this.#makeAllAnew();
    this.#brought = this.#spec.brought?.() ?? 0;
    const left = this.#read(sheet);
    let unreadable = 0;
    let vanished = false;
    let example = '';
    for (let i = 0; i < left.length; i++) {
      const cgroup = this.#cgroups[left[i] as number];
      if (cgroup === undefined) continue;
      const { reading, file } = this.#make(cgroup, sheet);
      if (reading === 'gone') vanished = true;
      if (reading !== 'unreadable') continue;
      unreadable += 1;
      example ||= `${cgroup.id}: ${file}`;
    }
    if (this.#isWitness) activity.watched(monotonicMs());
    const isTold = example === this.#fault;
    this.#fault = example;
    if (unreadable > 0) {
      if (unreadable === tree.size) throw new CollectError('read', example, 'cannot be read or is not understood, nor those of any other cgroup');
      if (!isTold) warn(`${example}: cannot be read or is not understood; ${unreadable} cgroups left out of ${part}`);
    }
    return vanished;
  }

  /** Brings the files up to date; returns the indices of rows that remain to be made. */
  #read(sheet: Sheet): ArrayLike<number> {
    const table = this.#table;
    if (table === undefined) {
      for (const file of this.#files) file.scan();
      return [...this.#cgroups.keys()];
    }
    for (const file of this.#files) {
      if (file instanceof LiveFile) file.sift();
      else this.#readSteady(file);
    }
    const now = this.#shared.monotonicMs();
    const count = table.fill(this.#live, this.#memory(sheet, now, this.#hasResting && (this.#isWitness || this.#isSure(now))));
    return this.#left.subarray(0, count);
  }

  /** Whether files of idle cgroups need not be read. */
  #isSure(nowMs: number): boolean {
    const { activity, tree } = this.#shared;
    const since = this.#askedAt;
    this.#askedAt = tree.looks;
    return activity.isWatched(nowMs) && !(this.#isOfReclaim && activity.kernel.reclaimedAt > since);
  }

  #makeAllAnew(): void {
    for (const index of this.#states.keys()) this.#makeAnew(index);
  }

  /** The row of a cgroup that has one: it is written in full in the next run. */
  #makeAnew(index: number): void {
    if (this.#states[index] === READY) this.#states[index] = LEFT;
  }

  #readSteady(file: CgroupFile): void {
    file.scan();
    if (file instanceof SteadyFile) for (const index of file.changed) this.#makeAnew(index);
  }

  /** @param isSure idle cgroups are known, and what is known of them can be relied on */
  #memory(sheet: Sheet, nowMs: number, isSure: boolean): RowMemory {
    const { activity } = this.#shared;
    return {
      rows: this.#rows,
      rowStride: this.#row.length,
      slots: this.#slots,
      slotStride: this.#stride,
      columns: this.#spec.columns.length,
      states: this.#states.subarray(0, this.#cgroups.length),
      movedMs: activity.movedMs,
      values: sheet.values,
      stamps: sheet.stamps,
      run: sheet.run,
      left: this.#left,
      brought: this.#brought,
      nowMs,
      afterMs: isSure ? SETTLED_MS : Number.POSITIVE_INFINITY,
      trustMs: TRUST_MS,
    };
  }

  /** Makes and sets the row of one cgroup; the name of the file that is at fault. */
  #make(cgroup: Cgroup, sheet: Sheet): { readonly reading: Reading; readonly file: string } {
    const spec = this.#spec;
    const { index } = cgroup;
    for (;;) {
      const row = this.#row;
      row.fill(spec.blank ?? 0);
      const found = this.#readFiles(cgroup, row);
      if (spec.columns.length > this.#stride) {
        this.#widen();
        continue; // Again, with room for what was found.
      }
      if (found.reading !== 'ok') {
        this.#hide(index, sheet);
        return found;
      }
      spec.settle?.(row, cgroup);
      const isDerived = spec.derive !== undefined && (spec.derives?.(cgroup, row) ?? true);
      if (isDerived) spec.derive?.(row, cgroup);
      applyRules(row, this.#rules, this.#brought);
      this.#set(index, sheet);
      if (this.#table !== undefined) this.#handOver(index, isDerived || this.#live.some((file) => file.waitsFor(cgroup)));
      return found;
    }
  }

  #readFiles(cgroup: Cgroup, row: Float64Array): { readonly reading: Reading; readonly file: string } {
    let live = 0;
    let file = '';
    let isGone = false;
    for (let f = 0; f < this.#files.length; f++) {
      const one = this.#files[f] as CgroupFile;
      const reading = this.#table !== undefined && one instanceof LiveFile ? one.reread(cgroup, row, this.#table, live++) : one.read(cgroup, row);
      if (reading === 'gone') isGone = true;
      else if (reading === 'unreadable') file ||= this.#kinds[f]?.name ?? '';
    }
    return { reading: isGone ? 'gone' : file === '' ? 'ok' : 'unreadable', file };
  }

  /** Shows nothing of a cgroup. */
  #hide(index: number, sheet: Sheet): void {
    const base = index * this.#stride;
    // A table may have set some before it met what is at fault.
    for (const slot of this.#slots.subarray(base, base + this.#stride)) if (slot >= 0) sheet.stamps[slot] = 0;
    this.#slots.fill(UNKNOWN, base, base + this.#spec.columns.length);
    if (this.#table !== undefined) this.#states[index] = LEFT;
  }

  #set(index: number, sheet: Sheet): void {
    const { run } = sheet;
    const slots = this.#slots;
    const row = this.#row;
    const base = index * this.#stride;
    for (let c = 0; c < this.#spec.columns.length; c++) {
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

  /** From now on the table makes the row, unless it has to be made here each time. */
  #handOver(index: number, isOurs: boolean): void {
    this.#rows.set(this.#row, index * this.#row.length);
    this.#states[index] = isOurs ? LEFT : READY;
    const { activity, monotonicMs } = this.#shared;
    if (this.#kinds.some(({ witness }) => witness !== undefined)) activity.movedMs[index] = monotonicMs();
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
      this.#makeAnew(index);
      this.#slots.fill(UNKNOWN, index * this.#stride, (index + 1) * this.#stride);
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
    this.#shared.activity.hold(index);
    if (this.#table !== undefined) this.#hold(index);
    for (const file of this.#files) file.add(cgroup);
  }

  /** Makes room for the row of a cgroup, which is to be made here first. */
  #hold(index: number): void {
    if (index >= this.#states.length) {
      const size = Math.max(64, index + 1, this.#states.length * 2);
      const states = new Uint8Array(size);
      states.set(this.#states);
      this.#states = states;
      this.#left = new Int32Array(size);
      const rows = new Float64Array(size * this.#row.length);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    this.#states[index] = LEFT;
  }

  /** Makes room for at least twice the columns; slots are asked for anew. */
  #widen(): void {
    this.#stride = this.#spec.columns.length * 2;
    this.#row = new Float64Array(this.#stride + (this.#spec.extra ?? 0));
    this.#slots = new Int32Array(this.#cgroups.length * this.#stride).fill(UNKNOWN);
    this.#rows = new Float64Array(this.#states.length * this.#row.length);
    this.#makeAllAnew();
  }

  #intern(sheet: Sheet, index: number, column: number): number {
    const spec = this.#spec.columns[column] as Column;
    const cgroup = this.#cgroups[index] as Cgroup;
    const { family, names, values, variant = '' } = spec.familyOf === undefined ? spec : { ...spec, family: spec.familyOf(cgroup) };
    if (family === undefined || !this.#shared.selection.keeps({ ...spec, family })) return UNWANTED;
    const entities = this.#entities[index] as Map<string, number>;
    let entity = entities.get(variant);
    if (entity === undefined) entities.set(variant, (entity = sheet.entity(this.#labels(cgroup, variant))));
    const slot = sheet.slot(family, values, names, entity);
    return slot < 0 ? REFUSED : slot;
  }

  #leave(index: number): void {
    this.#cgroups[index] = undefined;
    this.#states[index] = NO_ROW;
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

  /** See `Group.replay`. */
  replay(sheet: Sheet, steps: ReplaySteps): boolean {
    return this.#group.replay(sheet, steps);
  }

  close(): void {
    this.#group.close();
  }
}
