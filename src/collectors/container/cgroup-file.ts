import type { Cgroup } from './tree.ts';
import type { Readers, RowFile, RowTable, SourceFormat, SourceSet, Token } from '../../readers/readers.ts';
import type { SteadyFile } from './steady-file.ts';
import { faultOf, type Shape, ShapeBook, UNREAD } from './shape.ts';

/** How many descriptors the session may keep. Shared by every file kind of every part. */
export class DescriptorBudget {
  #left: number;

  constructor(limit: number) {
    this.#left = limit;
  }

  get left(): number {
    return this.#left;
  }

  take(): boolean {
    if (this.#left <= 0) return false;
    this.#left -= 1;
    return true;
  }

  give(): void {
    this.#left += 1;
  }
}

/**
 * Descriptors a session may keep: three quarters of the soft RLIMIT_NOFILE, the rest is for sockets and other collectors.
 * @param limits text of /proc/self/limits
 */
export function descriptorLimit(limits: string): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === 'unlimited') return 500_000;
  return Math.max(0, Math.floor((Number(soft ?? 1024) * 3) / 4));
}

const UNUSED = -1000;

const NEVER_MS = Number.NEGATIVE_INFINITY;

/** Shapes of a file that a table is told of; a kernel has one or two. */
const MAX_LEARNED = 64;

export type Reading = 'ok' | 'missing' | 'gone' | 'unreadable';

/** Which number of a scan goes to which column of the row, and its divisor. */
export interface Bound {
  readonly at: number;
  readonly column: number;
  readonly over: number;
}

/** What a text says: numbers by place, and words that stand for numbers. */
export interface Bindings {
  readonly numbers: readonly Bound[];
  readonly words?: readonly { readonly column: number; readonly value: number }[];
}

/** A file that each cgroup has, such as `memory.stat`. */
export interface FileKind {
  /** v1: the controller whose hierarchy holds it. Unified layout: ''. */
  readonly controller: string;
  readonly name: string;
  readonly format: SourceFormat;
  /** Ties the numbers of a text to columns; undefined when nothing in it is known, which makes the file unreadable. */
  bind(rows: readonly Token[][]): Bindings | undefined;
  /** The column that takes how many numbers there are (`cgroup.procs`); such a file is not bound. */
  readonly counts?: number;
  /** Changes only when someone writes to a file of the cgroup's directory: see `steady-file.ts`. */
  readonly steady?: boolean;
  /** Of a steady file that nobody writes to: asked once a scan, whether it may have changed for any cgroup. */
  moved?(): boolean;
  /** Its numbers tell whether a cgroup is at work: CPU time, memory, tasks, of which a cgroup without such a file may have any. See `activity.ts`. */
  readonly witness?: 'cpu' | 'memory' | 'tasks';
  /** Costs much, and changes only of cgroups that are at work, or also when the kernel takes pages back: need not be read otherwise. */
  readonly rests?: 'idle' | 'unreclaimed';
  /** Read only of cgroups where the first number of a steady file of the group is above 0: elsewhere it says nothing. */
  readonly ifAbove0?: string;
  /** Where the file of a cgroup lies when it is not in its directory; undefined for a cgroup without one. Asked again when the file went. */
  path?(cgroup: Cgroup): string | undefined;
}

/** A file of all cgroups as a group uses it. */
export interface CgroupFile {
  add(cgroup: Cgroup): void;
  remove(index: number): void;
  /** Brings all rows up to date, but for those of files that a RowTable reads. */
  scan(): void;
  /**
   * Puts the numbers of the last scan of one cgroup into its row. `missing`: the cgroup has no such file; `gone`: it had,
   * the cgroup is being removed; `unreadable`: not permitted, or nothing in it was understood.
   */
  read(cgroup: Cgroup, row: Float64Array): Reading;
  close(): void;
}

/** Relative to the root of the hierarchy. */
export function pathOf(kind: FileKind, { id }: Cgroup): string {
  return id === '/' ? kind.name : `${id.slice(1)}/${kind.name}`;
}

/**
 * One file of many cgroups, all read by one call. Descriptors are kept within the budget; files beyond it are opened for
 * each scan. Where the numbers of a text go is worked out once per shape of text, not per cgroup.
 */
export class LiveFile implements CgroupFile, RowFile {
  readonly #kind: FileKind;
  readonly #budget: DescriptorBudget;
  /** Those whose descriptors are kept, and those that are opened for each scan. */
  readonly sets: readonly [SourceSet, SourceSet];
  /** By set: members. */
  readonly #sizes = [0, 0];
  /** By cgroup index: twice the member number, plus the place of its set; -1 for none. */
  members = new Int32Array(64).fill(-1);
  /** By cgroup index: the status that says that it has no such file, as it did the last time. */
  missing = new Int32Array(64);
  readonly facts: Int32Array;
  /** By cgroup index, for a file that may rest: when it was read. */
  readMs: Float64Array;
  /** Shapes that a table knows. */
  readonly #learned = new Set<number>();
  /** By cgroup index. */
  readonly #shapes: (Shape | undefined)[] = [];
  /** By cgroup index: 1 once the file was read. */
  #seen = new Uint8Array(64);
  readonly #book: ShapeBook;
  readonly #condition: SteadyFile | undefined;
  /** By cgroup index: those that are read when the condition holds. */
  readonly #candidates: (Cgroup | undefined)[] = [];

  /**
   * @param root directory of the hierarchy that holds the file
   * @param condition the file that `ifAbove0` names; scanned before this one
   */
  constructor(readers: Readers, kind: FileKind, root: string, budget: DescriptorBudget, condition?: SteadyFile) {
    this.#kind = kind;
    this.#condition = condition;
    this.#budget = budget;
    this.#book = new ShapeBook(kind);
    this.readMs = new Float64Array(kind.rests !== undefined ? this.members.length : 0).fill(NEVER_MS);
    this.facts = Int32Array.of(kind.counts ?? -1, kind.witness === undefined ? 0 : kind.witness === 'tasks' ? 2 : 1);
    this.sets = [readers.set(kind.format, root), readers.set({ ...kind.format, reopen: true }, root)];
  }

  add(cgroup: Cgroup): void {
    if (cgroup.index >= this.members.length) this.#grow(cgroup.index + 1);
    if (this.#condition === undefined) this.#join(cgroup);
    else this.#candidates[cgroup.index] = cgroup;
  }

  remove(index: number): void {
    if (this.#condition !== undefined) this.#candidates[index] = undefined;
    this.#leave(index);
  }

  #join(cgroup: Cgroup): void {
    const { index } = cgroup;
    const path = this.#kind.path === undefined ? pathOf(this.#kind, cgroup) : this.#kind.path(cgroup);
    if (path === undefined) return;
    const place = this.#kind.format.reopen !== true && this.#budget.take() ? 0 : 1;
    this.#sizes[place] = (this.#sizes[place] as number) + 1;
    this.members[index] = this.sets[place].add(path) * 2 + place;
    this.#shapes[index] = undefined;
    this.#seen[index] = 0;
    this.missing[index] = 0;
  }

  #leave(index: number): void {
    const member = this.members[index] ?? -1;
    if (member < 0) return;
    const place = (member & 1) as 0 | 1;
    this.sets[place].remove(member >> 1);
    this.#sizes[place] = (this.#sizes[place] as number) - 1;
    if (place === 0) this.#budget.give();
    this.members[index] = -1;
  }

  /** Whether the file of a cgroup may lie somewhere from now on: its name may have come, or a process. */
  waitsFor({ index, identity }: Cgroup): boolean {
    return this.#kind.path !== undefined && identity !== undefined && (this.members[index] ?? -1) < 0;
  }

  /** Works out which cgroups the file is read of. */
  sift(): void {
    if (this.#condition !== undefined) this.#sift(this.#condition);
  }

  scan(): void {
    this.sift();
    for (const [place, set] of this.sets.entries()) if ((this.#sizes[place] as number) > 0) set.scan();
  }

  /**
   * Reads the file of one cgroup into its row, for a table that has left it, and tells the table what it has learnt.
   * @param place of the file in the table
   */
  reread(cgroup: Cgroup, row: Float64Array, table: RowTable, place: number): Reading {
    const { index } = cgroup;
    const member = this.members[index] ?? -1;
    if (member < 0) return this.read(cgroup, row);
    const set = this.sets[(member & 1) as 0 | 1];
    const at = member >> 1;
    set.scanMember(at);
    this.#shapes[index] = undefined;
    const reading = this.read(cgroup, row);
    this.missing[index] = reading === 'missing' ? (set.status[at] ?? 0) : 0;
    if (index < this.readMs.length) this.readMs[index] = NEVER_MS;
    if (reading === 'ok' && this.#kind.counts === undefined) this.#teach(table, place, set, set.shape(at));
    return reading;
  }

  #teach(table: RowTable, place: number, set: SourceSet, number: number): void {
    if (this.#learned.has(number) || this.#learned.size >= MAX_LEARNED) return;
    const shape = this.#book.known(set, number);
    if (shape === undefined) return;
    this.#learned.add(number);
    table.learn(place, number, shape);
  }

  read(cgroup: Cgroup, row: Float64Array): Reading {
    const { index } = cgroup;
    const member = this.members[index] ?? -1;
    if (member < 0) {
      if (this.waitsFor(cgroup)) this.add(cgroup); // Read from the next scan on.
      return 'missing';
    }
    const set = this.sets[(member & 1) as 0 | 1];
    const at = member >> 1;
    const status = set.status[at] ?? UNUSED;
    if (status < 0) {
      this.#shapes[index] = undefined;
      if (this.#kind.path === undefined) return faultOf(status, this.#seen[index] === 1);
      this.remove(index); // The process ended: another one of the cgroup is looked for.
      this.add(cgroup);
      return 'missing';
    }
    this.#seen[index] = 1;
    const count = set.counts[at] as number;
    if (this.#kind.counts !== undefined) {
      row[this.#kind.counts] = count;
      return 'ok';
    }
    let shape = this.#shapes[index];
    if (shape === undefined || status === 1) this.#shapes[index] = shape = this.#book.shapeOf(set, at);
    if (shape === UNREAD) {
      this.#shapes[index] = undefined;
      return 'gone';
    }
    if (!shape.understood) return 'unreadable';
    if (count < shape.needs) {
      this.#shapes[index] = undefined; // The text moved between the scan and the look at it: bind anew next time.
      return 'unreadable';
    }
    const { at: ordinals, column, over } = shape;
    const numbers = set.numbers;
    const start = set.start[at] as number;
    for (let i = 0; i < ordinals.length; i++) row[column[i] as number] = (numbers[start + (ordinals[i] as number)] as number) / (over[i] as number);
    for (const { column: word, value } of shape.words) row[word] = value;
    return 'ok';
  }

  close(): void {
    for (const set of this.sets) set.close();
  }

  #sift(condition: SteadyFile): void {
    for (let index = 0; index < this.#candidates.length; index++) {
      const cgroup = this.#candidates[index];
      if (cgroup === undefined) continue;
      const isRead = (this.members[index] ?? -1) >= 0;
      if (condition.isAbove0(index) !== isRead) {
        if (isRead) this.#leave(index);
        else this.#join(cgroup);
      }
    }
  }

  #grow(wanted: number): void {
    const size = Math.max(wanted, this.members.length * 2);
    const members = new Int32Array(size).fill(-1);
    members.set(this.members);
    this.members = members;
    const missing = new Int32Array(size);
    missing.set(this.missing);
    this.missing = missing;
    if (this.#kind.rests !== undefined) {
      const readMs = new Float64Array(size).fill(NEVER_MS);
      readMs.set(this.readMs);
      this.readMs = readMs;
    }
    const seen = new Uint8Array(size);
    seen.set(this.#seen);
    this.#seen = seen;
  }
}

/**
 * A file of lines `key number`; unknown keys are passed over. Several columns may take one key.
 * @param short never longer than 128 bytes: read by one call instead of until the end is seen, a third of the cost saved
 */
export function keyed(controller: string, name: string, columns: Readonly<Record<string, readonly Target[]>>, short = false): FileKind {
  const byKey = new Map(Object.entries(columns));
  return {
    controller,
    name,
    format: short ? { keys: 1, attribute: true } : { keys: 1, record: true },
    bind(rows) {
      const numbers: Bound[] = [];
      let understood = false;
      for (const [key, value] of rows) {
        const targets = byKey.get(key?.text ?? '');
        if (targets === undefined || value === undefined || value.at < 0) continue;
        understood = true;
        for (const { column, over } of targets) numbers.push({ at: value.at, column, over });
      }
      return understood ? { numbers } : undefined;
    },
  };
}

/** A file of numbers in reading order, each to its own column; the word `max` may stand in a number's place. */
export function ordered(controller: string, name: string, columns: readonly Target[]): FileKind {
  return {
    controller,
    name,
    // Up to four numbers fit 128 bytes: one call reads them, without another to see the end.
    format: columns.length <= 4 ? { attribute: true } : { record: true },
    bind(rows) {
      const numbers: Bound[] = [];
      const words: { column: number; value: number }[] = [];
      const tokens = rows.flat();
      for (const [i, { column, over, max = 0 }] of columns.entries()) {
        const token = tokens[i];
        if (token === undefined || (token.at < 0 && token.text !== 'max')) return i > 0 ? { numbers, words } : undefined;
        if (token.at < 0) words.push({ column, value: max });
        else numbers.push({ at: token.at, column, over });
      }
      return { numbers, words };
    },
  };
}

/** A pressure file (`some avg10=0.00 avg60=0.00 avg300=0.00 total=0`), of which the totals are taken; microseconds. */
export function pressure(controller: string, name: string, totals: { readonly some: Target; readonly full: Target }): FileKind {
  return {
    controller,
    name,
    format: { keys: 1, delimiters: '=', record: true },
    bind(rows) {
      const numbers: Bound[] = [];
      for (const row of rows) {
        const target = row[0]?.text === 'some' ? totals.some : row[0]?.text === 'full' ? totals.full : undefined;
        const total = row[row.findIndex(({ text }) => text === 'total') + 1];
        if (target !== undefined && total !== undefined && total.at >= 0) numbers.push({ at: total.at, column: target.column, over: target.over });
      }
      return numbers.length > 0 ? { numbers } : undefined;
    },
  };
}

/**
 * A file with one number a line of which only how many there are matters (`cgroup.procs`).
 * @param lingers see `SourceFormat`
 */
export function counted(controller: string, name: string, column: number, lingers: boolean): FileKind {
  return { controller, name, format: { lingers }, counts: column, bind: () => undefined };
}

export interface Target {
  readonly column: number;
  /** The peer divides by this when it prints: 1e9 for nanoseconds. */
  readonly over: number;
  /** What the word `max` in its place means; 0 when left out. */
  readonly max?: number;
}
