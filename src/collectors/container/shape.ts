import type { SourceSet, Token } from '../../readers/readers.ts';
import type { FileKind, Reading } from './cgroup-file.ts';

/** The layout of one file's text; the same for every cgroup of a kernel, save for odd ones. */
export interface Shape {
  /** False for a text in which nothing is known. */
  readonly understood: boolean;
  /** Numbers a scan must have. */
  readonly needs: number;
  readonly at: Int32Array;
  readonly column: Int32Array;
  readonly over: Float64Array;
  readonly words: readonly { readonly column: number; readonly value: number }[];
}

/** The text was gone when it was to be looked at. */
export const UNREAD: Shape = { understood: false, needs: 0, at: new Int32Array(0), column: new Int32Array(0), over: new Float64Array(0), words: [] };

/** Texts remembered per file kind; more come only from files that are not what they should be. */
const MAX_SHAPES = 256;

/** Which shapes the texts of one file kind have; each is bound once. */
export class ShapeBook {
  readonly #kind: FileKind;
  readonly #byText = new Map<string, Shape>();
  /** By the set's own number of a shape: a text that is known is not looked at again. One kind may have two sets. */
  readonly #byNumber = new WeakMap<SourceSet, Map<number, Shape>>();

  constructor(kind: FileKind) {
    this.#kind = kind;
  }

  /** The shape with a set's own number, if texts of it are understood. */
  known(set: SourceSet, number: number): Shape | undefined {
    const shape = this.#byNumber.get(set)?.get(number);
    return shape?.understood === true ? shape : undefined;
  }

  /** Looks at the text of a member that was just scanned. */
  shapeOf(set: SourceSet, member: number): Shape {
    let numbered = this.#byNumber.get(set);
    if (numbered === undefined || numbered.size > MAX_SHAPES) this.#byNumber.set(set, (numbered = new Map()));
    const number = set.shape(member);
    const known = numbered.get(number);
    if (known !== undefined) return known;
    const shape = this.#bind(set, member);
    // The text may have become another one since it was scanned.
    if (shape !== UNREAD && set.rowsShape() === number) numbered.set(number, shape);
    return shape;
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
    const known = this.#byText.get(key);
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
    if (this.#byText.size >= MAX_SHAPES) this.#byText.clear();
    this.#byText.set(key, shape);
    return shape;
  }
}

/** errno values that speak of one file of one cgroup (asm-generic; the same on x86, ARM, RISC-V, s390x, POWER). */
const ENOENT = -2;
const ENODEV = -19;
/** cgroup.procs of a threaded cgroup, pressure files of a kernel booted with psi=0. */
const EOPNOTSUPP = -95;

/** What the errno of a scan (negative) means; `seen`: the file was read before. */
export function faultOf(status: number, seen: boolean): Reading {
  if (status === ENODEV) return 'gone';
  if (status === EOPNOTSUPP) return 'missing';
  if (status === ENOENT) return seen ? 'gone' : 'missing';
  return 'unreadable';
}
