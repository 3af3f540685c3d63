import type { Readers, SourceSet } from '../../readers/readers.ts';
import { type CgroupFile, type FileKind, pathOf, type Reading } from './cgroup-file.ts';
import { faultOf, type Shape, ShapeBook, UNREAD } from './shape.ts';
import type { Cgroup, Tree } from './tree.ts';

/** Where writes are not reported all are read in each scan, but of more than so many only an eighth. */
const MANY = 1000;
const TURNS = 8;

const NEVER = -1;

/**
 * A file that changes only when someone writes to a file of the cgroup's directory: limits and weights. Its numbers are kept,
 * no descriptor is. It is read when the cgroup is new, when a write was reported, and in turn, each once in five minutes,
 * lest a report was missed. A third of the files of a cgroup are of this kind: 8 of 19 on v1, and 5 KiB of the kernel's
 * memory each if they were kept open. Kinds with a witness (`moved`) are read when that says so.
 */
export class SteadyFile implements CgroupFile {
  readonly #kind: FileKind;
  readonly #root: string;
  readonly #tree: Tree;
  readonly #set: SourceSet;
  readonly #book: ShapeBook;
  /** By cgroup index. */
  readonly #cgroups: (Cgroup | undefined)[] = [];
  /** By cgroup index: the tree's look at which it was read; NEVER to have it read next. */
  readonly #readAt: number[] = [];
  readonly #readings: Reading[] = [];
  readonly #shapes: (Shape | undefined)[] = [];
  /** By cgroup index: numbers in the order of the shape, already divided. */
  readonly #numbers: (readonly number[])[] = [];
  /** All are read in this and in the next scan: a report may come before what it tells of is to be read. */
  #restless = false;
  /** New ones and such as could not be read. */
  readonly #wanting = new Set<number>();
  /** Indices of cgroups of whose file the last scan has said something else than the one before. */
  changed: readonly number[] = [];
  #scannedAt = NEVER;
  #turn = 0;
  #swept = 0;

  /** @param root directory of the hierarchy that holds the file */
  constructor(readers: Readers, kind: FileKind, root: string, tree: Tree) {
    this.#kind = kind;
    this.#root = root;
    this.#tree = tree;
    this.#set = readers.set({ ...kind.format, reopen: true }, root);
    this.#book = new ShapeBook(kind);
  }

  add(cgroup: Cgroup): void {
    const { index } = cgroup;
    this.#cgroups[index] = cgroup;
    this.#readAt[index] = NEVER;
    this.#readings[index] = 'missing';
    this.#shapes[index] = undefined;
    this.#wanting.add(index);
  }

  remove(index: number): void {
    this.#cgroups[index] = undefined;
    this.#shapes[index] = undefined;
    this.#numbers[index] = [];
    this.#wanting.delete(index);
  }

  scan(): void {
    const members: number[] = [];
    const indices = this.#due();
    for (const index of indices) members.push(this.#set.add(pathOf(this.#kind, this.#cgroups[index] as Cgroup)));
    if (members.length > 0) this.#set.scan();
    this.changed = indices.filter((index, i) => this.#keep(index, members[i] as number));
    for (const member of members) this.#set.remove(member);
    this.#scannedAt = this.#tree.looks;
  }

  /** Whether it need not be read before something is reported, or the slow sweep comes by. */
  get rests(): boolean {
    return this.#wanting.size === 0 && !this.#restless && (this.#kind.moved !== undefined || this.#tree.reportsWrites(this.#root));
  }

  read(cgroup: Cgroup, row: Float64Array): Reading {
    const { index } = cgroup;
    const reading = this.#readings[index] ?? 'missing';
    const shape = this.#shapes[index];
    if (reading !== 'ok' || shape === undefined) return reading;
    const { column } = shape;
    const numbers = this.#numbers[index] as readonly number[];
    for (let i = 0; i < column.length; i++) row[column[i] as number] = numbers[i] as number;
    for (const { column: word, value } of shape.words) row[word] = value;
    return 'ok';
  }

  /** Whether the first number of a cgroup's file is above 0. */
  isAbove0(index: number): boolean {
    return this.#readings[index] === 'ok' && (this.#numbers[index]?.[0] ?? 0) > 0;
  }

  close(): void {
    this.#set.close();
  }

  /** Indices of cgroups whose file is to be read now. */
  #due(): number[] {
    const tree = this.#tree;
    const due = new Set(this.#wanting);
    const size = this.#cgroups.length;
    const { moved } = this.#kind;
    const all = (of: (index: number) => boolean): void => {
      for (let index = 0; index < size; index++) if (this.#cgroups[index] !== undefined && of(index)) due.add(index);
    };
    if (moved !== undefined) {
      const [before, now] = [this.#restless, moved()];
      this.#restless = now;
      if (before || now) all(() => true);
    } else if (!tree.reportsWrites(this.#root)) {
      this.#turn = (this.#turn + 1) % TURNS;
      all((index) => size <= MANY || index % TURNS === this.#turn);
      return [...due];
    } else if (tree.lastWrite > this.#scannedAt) all((index) => tree.writtenAt(index) > (this.#readAt[index] as number));
    for (let left = Math.ceil(size * tree.share); left > 0; left--) {
      this.#swept = (this.#swept + 1) % size;
      if (this.#cgroups[this.#swept] !== undefined) due.add(this.#swept);
    }
    return [...due];
  }

  /** Keeps what a scan says of a cgroup; true when that is news. */
  #keep(index: number, member: number): boolean {
    const set = this.#set;
    const [formerReading, formerShape, former] = [this.#readings[index], this.#shapes[index], this.#numbers[index]];
    const status = set.status[member] as number;
    const shape = status < 0 ? undefined : this.#book.shapeOf(set, member);
    const reading =
      shape === undefined
        ? faultOf(status, formerReading === 'ok')
        : shape === UNREAD
          ? 'gone'
          : !shape.understood || (set.counts[member] as number) < shape.needs
            ? 'unreadable'
            : 'ok';
    this.#readings[index] = reading;
    this.#shapes[index] = shape;
    if (reading === 'ok' && shape !== undefined) {
      const start = set.start[member] as number;
      this.#numbers[index] = Array.from(shape.at, (at, i) => (set.numbers[start + at] as number) / (shape.over[i] as number));
    }
    this.#readAt[index] = this.#tree.looks;
    if (reading === 'gone' || reading === 'unreadable') this.#wanting.add(index);
    else this.#wanting.delete(index);
    const now = this.#numbers[index];
    return reading !== formerReading || shape !== formerShape || (reading === 'ok' && now?.some((number, i) => number !== former?.[i]) === true);
  }
}
