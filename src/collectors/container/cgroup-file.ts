import type { Cgroup } from './tree.ts';
import type { Readers, SourceFormat, SourceSet, Token } from '../../readers/readers.ts';

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

/** errno values that speak of one file of one cgroup (asm-generic; the same on x86, ARM, RISC-V, s390x, POWER). */
const ENOENT = -2;
const ENODEV = -19;
/** cgroup.procs of a threaded cgroup, pressure files of a kernel booted with psi=0. */
const EOPNOTSUPP = -95;
const UNUSED = -1000;

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

/** The layout of one file's text; the same for every cgroup of a kernel, save for odd ones. */
interface Shape {
  /** False for a text in which nothing is known. */
  readonly understood: boolean;
  /** Numbers a scan must have. */
  readonly needs: number;
  readonly at: Int32Array;
  readonly column: Int32Array;
  readonly over: Float64Array;
  readonly words: readonly { readonly column: number; readonly value: number }[];
}

const UNREAD: Shape = { understood: false, needs: 0, at: new Int32Array(0), column: new Int32Array(0), over: new Float64Array(0), words: [] };

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
  /** Changes only when someone configures the cgroup: may be read a few runs late when there are too many to keep open. */
  readonly steady?: boolean;
  /** Where the file of a cgroup lies when it is not in its directory; undefined for a cgroup without one. Asked again when the file went. */
  path?(cgroup: Cgroup): string | undefined;
}

/** Descriptors beyond the budget are opened for each scan; those of steady files in one scan of so many. */
const STEADY_TURNS = 8;

/** Sets of a file: the kept ones, and the turns. */
const SETS = STEADY_TURNS + 1;

/** Texts remembered per file kind; more come only from files that are not what they should be. */
const MAX_SHAPES = 256;

/**
 * One file of many cgroups, all read by one call. Descriptors are kept within the budget; files beyond it are opened for
 * each scan. Where the numbers of a text go is worked out once per shape of text, not per cgroup.
 */
export class CgroupFile {
  readonly #kind: FileKind;
  readonly #root: string;
  readonly #budget: DescriptorBudget;
  /** The kept descriptors first, then sets of files that are opened for each scan, scanned in turn. */
  readonly #sets: readonly SourceSet[];
  /** By set: members. */
  readonly #sizes: number[];
  /** By set: scanned in this run. */
  readonly #scanned: boolean[];
  /** By set: has members that were never scanned. */
  readonly #fresh: boolean[];
  #turn = 0;
  /** By cgroup index: member number times SETS, plus the place of its set; -1 for none. */
  #member = new Int32Array(64).fill(-1);
  /** By cgroup index. */
  readonly #shapes: (Shape | undefined)[] = [];
  /** By cgroup index: 1 once the file was read. */
  #seen = new Uint8Array(64);
  readonly #shapeByText = new Map<string, Shape>();

  /** @param root directory of the hierarchy that holds the file */
  constructor(readers: Readers, kind: FileKind, root: string, budget: DescriptorBudget) {
    this.#kind = kind;
    this.#root = root === '/' ? '' : root;
    this.#budget = budget;
    const turns = kind.steady === true ? STEADY_TURNS : 1;
    this.#sets = [readers.set(kind.format), ...Array.from({ length: turns }, () => readers.set({ ...kind.format, reopen: true }))];
    this.#sizes = this.#sets.map(() => 0);
    this.#scanned = this.#sets.map(() => false);
    this.#fresh = this.#sets.map(() => false);
  }

  add(cgroup: Cgroup): void {
    const { index, id } = cgroup;
    if (index >= this.#member.length) this.#grow(index + 1);
    const path = this.#kind.path === undefined ? `${this.#root}${id === '/' ? '' : id}/${this.#kind.name}` : this.#kind.path(cgroup);
    if (path === undefined) return;
    const place = this.#kind.format.reopen !== true && this.#budget.take() ? 0 : this.#turnFor();
    this.#sizes[place] = (this.#sizes[place] as number) + 1;
    this.#fresh[place] = true;
    this.#member[index] = (this.#sets[place] as SourceSet).add(path) * SETS + place;
    this.#shapes[index] = undefined;
    this.#seen[index] = 0;
  }

  remove(index: number): void {
    const member = this.#member[index] ?? -1;
    if (member < 0) return;
    const place = member % SETS;
    (this.#sets[place] as SourceSet).remove((member - place) / SETS);
    this.#sizes[place] = (this.#sizes[place] as number) - 1;
    if (place === 0) this.#budget.give();
    this.#member[index] = -1;
  }

  scan(): void {
    this.#turn = (this.#turn % (this.#sets.length - 1)) + 1;
    for (const [place, set] of this.#sets.entries()) {
      const due = (this.#sizes[place] as number) > 0 && (place === 0 || place === this.#turn || this.#fresh[place] === true);
      this.#scanned[place] = due;
      if (!due) continue;
      this.#fresh[place] = false;
      set.scan();
    }
  }

  /**
   * Puts the numbers of the last scan of one cgroup into its row. `missing`: the cgroup has no such file; `gone`: it had,
   * the cgroup is being removed; `unreadable`: not permitted, or nothing in it was understood.
   */
  read(cgroup: Cgroup, row: Float64Array): Reading {
    const { index } = cgroup;
    const member = this.#member[index] ?? -1;
    if (member < 0) {
      if (this.#kind.path !== undefined && cgroup.identity !== undefined) this.add(cgroup); // Its name may have come; read from the next scan on.
      return 'missing';
    }
    const place = member % SETS;
    const set = this.#sets[place] as SourceSet;
    const at = (member - place) / SETS;
    const status = set.status[at] ?? UNUSED;
    if (status < 0) {
      if (this.#kind.path === undefined) return this.#fault(index, status);
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
    if (shape === undefined || (status === 1 && this.#scanned[place] === true)) this.#shapes[index] = shape = this.#bind(set, at);
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
    for (const set of this.#sets) set.close();
  }

  /** The set that is scanned next anyway, so that a newcomer has no set scanned for its sake; the emptiest when that is full. */
  #turnFor(): number {
    const turns = this.#sets.length - 1;
    const next = (this.#turn % turns) + 1;
    let [total, emptiest] = [0, next];
    for (let place = 1; place <= turns; place++) {
      total += this.#sizes[place] as number;
      if ((this.#sizes[place] as number) < (this.#sizes[emptiest] as number)) emptiest = place;
    }
    return (this.#sizes[next] as number) <= total / turns + 16 ? next : emptiest;
  }

  #fault(index: number, status: number): Reading {
    this.#shapes[index] = undefined;
    if (status === ENODEV) return 'gone';
    if (status === EOPNOTSUPP) return 'missing';
    if (status === ENOENT) return this.#seen[index] === 1 ? 'gone' : 'missing';
    return 'unreadable';
  }

  #bind(set: SourceSet, member: number): Shape {
    let rows: Token[][];
    try {
      rows = set.rows(member);
    } catch {
      return UNREAD; // Gone since the scan; the next scan says so.
    }
    // Names and places decide the shape; a number that became text (`max`) has no place.
    const key = rows.map((row) => row.map((token) => (token.at < 0 ? token.text : '#')).join(' ')).join('\n');
    const known = this.#shapeByText.get(key);
    if (known !== undefined) return known;
    const bindings = this.#kind.bind(rows);
    const numbers = bindings?.numbers ?? [];
    const shape: Shape = {
      understood: bindings !== undefined,
      needs: numbers.reduce((most, { at }) => Math.max(most, at + 1), 0),
      at: Int32Array.from(numbers, ({ at }) => at),
      column: Int32Array.from(numbers, ({ column }) => column),
      over: Float64Array.from(numbers, ({ over }) => over),
      words: bindings?.words ?? [],
    };
    if (this.#shapeByText.size >= MAX_SHAPES) this.#shapeByText.clear();
    this.#shapeByText.set(key, shape);
    return shape;
  }

  #grow(wanted: number): void {
    const size = Math.max(wanted, this.#member.length * 2);
    const member = new Int32Array(size).fill(-1);
    member.set(this.#member);
    this.#member = member;
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
    format: { keys: 1, attribute: short },
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
    format: { attribute: columns.length <= 4 },
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
    format: { keys: 1, delimiters: '=' },
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

/** A file with one number a line of which only how many there are matters (`cgroup.procs`). */
export function counted(controller: string, name: string, column: number): FileKind {
  return { controller, name, format: {}, counts: column, bind: () => undefined };
}

export interface Target {
  readonly column: number;
  /** The peer divides by this when it prints: 1e9 for nanoseconds. */
  readonly over: number;
  /** What the word `max` in its place means; 0 when left out. */
  readonly max?: number;
}
