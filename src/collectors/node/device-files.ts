import { closeSync, openSync, readSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type { Sheet } from '../../collect/sheet.ts';
import type { BoundNumber, ExpectedMember, Readers, ReplaySteps, SourceSet } from '../../readers/readers.ts';
import { Absence } from './absence.ts';
import { CollectError } from '../../collect/contract.ts';
import { parseProblem } from './file-error.ts';
import { integerOf } from './go-integer.ts';
import type { KeptSeries } from './kept-series.ts';

/** Bytes of an attribute that are read, as the peer does. */
const ATTRIBUTE_BYTES = 128;
const ENOENT = 2;
const EIO = 5;
const ENODEV = 19;
const ENOTDIR = 20;

/** A sysfs attribute as the last scan found it. */
export class DeviceFile {
  readonly path: string;
  /** 0, or why it could not be read. */
  errno = ENOENT;
  /** The whole number it holds; NaN when it holds something else, for files followed as texts, and when it cannot be read. */
  value = Number.NaN;
  /** Without blanks around it. For files followed as numbers only where it is not a decimal number. '' when it cannot be read. */
  text = '';

  constructor(path: string) {
    this.path = path;
  }

  isMissing(): boolean {
    return this.errno === ENOENT || this.errno === ENOTDIR;
  }

  /** What to throw for a file that cannot be read or is not a number. */
  problem(): CollectError {
    return this.errno > 0
      ? new CollectError('read', this.path, getSystemErrorName(-this.errno))
      : parseProblem(this.path, 1, `a whole number, not ${JSON.stringify(this.text)}`);
  }
}

interface Member {
  readonly file: DeviceFile;
  readonly set: SourceSet;
  readonly isText: boolean;
  /** Number in the set, or -1 while the file is missing. */
  number: number;
  /** Whether the text around the number is nothing, so that scans alone tell the value. */
  isPlain: boolean;
  readonly absence: Absence;
}

/** A file of a number and the series that `number * times / over` is. */
export type FollowedFile = readonly [file: DeviceFile, series: KeptSeries | undefined, over?: number | undefined, times?: number | undefined];

function stillAt(value: number): BoundNumber {
  return { at: 0, slot: 0, mode: 'still', times: value };
}

/** Bytes that are not UTF-8 become one mark per run of them, as in Go. */
function decoded(bytes: Buffer): string {
  return bytes
    .toString('utf8')
    .replace(/\uFFFD+/g, '\uFFFD')
    .trim();
}

/**
 * The attributes of a class of devices, read by two calls however many there are: one for those that hold a number, one for
 * those that hold a text, which is looked at again only when its bytes have changed. A missing file is looked for once a minute.
 */
export class DeviceFiles {
  readonly #numbers: SourceSet;
  readonly #texts: SourceSet;
  readonly #monotonicMs: () => number;
  #members = new Map<string, Member>();
  #wanted = new Map<string, Member>();

  constructor(readers: Readers, monotonicMs: () => number) {
    this.#numbers = readers.set({ attribute: true });
    this.#texts = readers.set({ attribute: true, text: true });
    this.#monotonicMs = monotonicMs;
  }

  /** Calls `make`, which asks for the files of every device by `number` and `text`; others are forgotten. */
  rebuild<T>(make: () => T): T {
    this.#wanted = new Map();
    const made = make();
    for (const [path, member] of this.#members) if (!this.#wanted.has(path) && member.number >= 0) member.set.remove(member.number);
    this.#members = this.#wanted;
    return made;
  }

  /** A file that holds a whole number: decimal, or in another base (then it should seldom change). */
  number(path: string): DeviceFile {
    return this.#member(path, false);
  }

  text(path: string): DeviceFile {
    return this.#member(path, true);
  }

  /** Reads them all. True when a text, or whether a file can be read, has changed. */
  scan(): boolean {
    for (const member of this.#members.values()) if (member.number < 0 && !member.absence.isRecent()) member.number = member.set.add(member.file.path);
    this.#numbers.scan();
    this.#texts.scan();
    // A device that came back under its old name answers ENODEV once, through the descriptor of its predecessor.
    for (const set of [this.#numbers, this.#texts]) if (this.#hasLost(set)) set.scan();
    let hasChanged = false;
    for (const member of this.#members.values()) if (member.number >= 0 && this.#take(member)) hasChanged = true;
    return hasChanged;
  }

  /**
   * What `scan` of the next runs will do, and which numbers go to series as they are. Any other number that changes is left to
   * JavaScript.
   * @param figures files of numbers and the series that `number * times / over` is, as set in this run of the sheet
   */
  replay(sheet: Sheet, steps: ReplaySteps, figures: Iterable<FollowedFile> = []): void {
    const bounds = new Map<DeviceFile, BoundNumber>();
    for (const [file, series, over = 1, times = 1] of figures) {
      const slot = series?.slotIn(sheet) ?? -1;
      // Of a file with two series neither is followed.
      if (slot >= 0) bounds.set(file, bounds.has(file) ? stillAt(file.value) : { at: 0, slot, times, over });
    }
    const expected = new Map<SourceSet, ExpectedMember[]>([
      [this.#numbers, []],
      [this.#texts, []],
    ]);
    for (const { file, set, number, isText, isPlain, absence } of this.#members.values()) {
      if (number < 0) {
        absence.replay(steps, file.path);
        continue;
      }
      const status = Math.min(0, set.status[number] ?? 0);
      const count = set.counts[number] ?? 0;
      // A number in another spelling is looked at in each run.
      if (!isText && !isPlain && status === 0 && count > 0) steps.until(Number.NEGATIVE_INFINITY);
      // One in another base is a text to the scanner.
      const bound = isPlain && !isText && count === 1 ? (bounds.get(file) ?? stillAt(file.value)) : undefined;
      expected.get(set)?.push({ member: number, status, count, ...(bound !== undefined && { bound }) });
    }
    for (const [set, members] of expected) if (members.length > 0) steps.set(set, members);
  }

  close(): void {
    this.#numbers.close();
    this.#texts.close();
  }

  #member(path: string, isText: boolean): DeviceFile {
    let member = this.#wanted.get(path) ?? this.#members.get(path);
    if (member === undefined) {
      const set = isText ? this.#texts : this.#numbers;
      member = { file: new DeviceFile(path), set, isText, number: set.add(path), isPlain: false, absence: new Absence(this.#monotonicMs) };
    }
    this.#wanted.set(path, member);
    return member.file;
  }

  #hasLost(set: SourceSet): boolean {
    for (const member of this.#members.values())
      if (member.set === set && member.number >= 0 && set.status[member.number] === -ENODEV && member.file.errno === 0) return true;
    return false;
  }

  #take(member: Member): boolean {
    const { file, set, number } = member;
    const status = set.status[number] ?? -ENOENT;
    if (status < 0) return this.#fail(member, -status);
    const wasFailed = file.errno !== 0;
    file.errno = 0;
    // 010 is octal for the peer: what the scanner takes for a number and we do not must be looked at each time.
    const isOdd = !member.isText && !member.isPlain && set.counts[number] === 1;
    if (status === 1 || wasFailed || isOdd) this.#read(member);
    if (member.isPlain && !member.isText) {
      const value = set.counts[number] === 1 ? (set.numbers[set.start[number] ?? 0] ?? Number.NaN) : Number.NaN;
      file.value = Number.isInteger(value) ? value : Number.NaN;
    }
    return wasFailed || (status === 1 && !member.isPlain);
  }

  /** Looks at the text itself, which the scan has found to be another one. */
  #read(member: Member): void {
    const { file } = member;
    const bytes = Buffer.alloc(ATTRIBUTE_BYTES);
    let descriptor = -1;
    try {
      descriptor = openSync(file.path, 'r');
      const text = decoded(bytes.subarray(0, readSync(descriptor, bytes, 0, ATTRIBUTE_BYTES, 0)));
      member.isPlain = !member.isText && /^(-?[1-9][0-9]*|0)$/.test(text);
      file.text = member.isPlain ? '' : text;
      file.value = member.isText ? Number.NaN : (integerOf(text) ?? Number.NaN);
    } catch (error) {
      this.#fail(member, error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? -error.errno : EIO);
    } finally {
      if (descriptor >= 0) closeSync(descriptor);
    }
  }

  #fail(member: Member, errno: number): boolean {
    const { file } = member;
    const hasChanged = file.errno !== errno;
    file.errno = errno;
    file.value = Number.NaN;
    file.text = '';
    if (file.isMissing()) {
      member.set.remove(member.number);
      member.number = -1;
      member.absence.note();
    }
    return hasChanged;
  }
}
