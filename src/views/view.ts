import { crcAdvance, crcOfDifference, GZIP_TRAILER_BYTES, writeTime } from './splice.ts';
import { TIME_TEXT } from './merge.ts';

/**
 * A view's pages in shared memory: at most four generations, each in identity and gzip form. The builder fills a generation
 * that nobody reads and makes it the current one; the main thread pins the current one while a response reads it.
 */

export const GENERATIONS = 4;
/** Reserved address space, not memory: pages grow in place. */
const MAX_PAGE_BYTES = 1 << 27;

export interface ViewMemory {
  readonly head: SharedArrayBuffer;
  readonly pages: readonly SharedArrayBuffer[];
  readonly gzips: readonly SharedArrayBuffer[];
  readonly roles: number;
}

// Int32 words.
const CURRENT = 0;
const WANT_GZIP = 1;
const BUILDS = 2;
/** Words of the generations begin here. */
const GENERATION_WORDS = 8;
const PER_GENERATION = 8;
const PINS = 0;
const BYTES = 1;
const TIME_AT = 2;
const GZIP_BYTES = 3;
const GZIP_TIME_AT = 4;
const SERIES = 5;
const CRC = 6;
const INT_WORDS = GENERATION_WORDS + GENERATIONS * PER_GENERATION;
// Float64 words.
const USED_MS = 0;
const BUILD_SECONDS = 1;
const VERSION = 2; // of what the current page shows
const BUILT_MS = 3; // per generation
const OLDEST = BUILT_MS + GENERATIONS; // per generation and role

/** What builds by other threads are told of it, in the order of native-readers' BuildLayout, behind the words of a channel. */
export const VIEW_LAYOUT: readonly number[] = [
  ...[CURRENT, WANT_GZIP, BUILDS, GENERATION_WORDS, PER_GENERATION],
  ...[PINS, BYTES, TIME_AT, GZIP_BYTES, GZIP_TIME_AT, SERIES, CRC],
  ...[USED_MS, BUILD_SECONDS, VERSION, BUILT_MS, OLDEST],
];

export function makeView(roles: number): ViewMemory {
  const growable = (): SharedArrayBuffer => new SharedArrayBuffer(0, { maxByteLength: MAX_PAGE_BYTES });
  const memory = {
    head: new SharedArrayBuffer(INT_WORDS * 4 + (OLDEST + GENERATIONS * roles) * 8),
    pages: Array.from({ length: GENERATIONS }, growable),
    gzips: Array.from({ length: GENERATIONS }, growable),
    roles,
  };
  const head = new Head(memory);
  head.words[CURRENT] = -1;
  head.floats[VERSION] = -1;
  return memory;
}

const ZERO_TIME = new TextEncoder().encode(TIME_TEXT);

/** A page buffer as the builder fills it. */
class PageBuffer {
  bytes: Uint8Array;
  readonly #memory: SharedArrayBuffer;
  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
    this.bytes = new Uint8Array(memory, 0, memory.byteLength);
  }

  reserve(bytes: number): boolean {
    if (bytes <= this.bytes.length) return true;
    if (bytes > this.#memory.maxByteLength) return false;
    this.#memory.grow(Math.min(this.#memory.maxByteLength, Math.ceil((bytes * 1.25) / 4096) * 4096));
    // Made anew rather than following the buffer: such arrays are slower to index.
    this.bytes = new Uint8Array(this.#memory, 0, this.#memory.byteLength);
    return true;
  }
}

export interface Built {
  readonly bytes: number;
  readonly timeAt: number;
  readonly series: number;
  readonly gzipBytes: number;
  readonly gzipTimeAt: number;
  readonly crc: number;
  readonly oldestMs: Float64Array;
  /** Of the channels it shows, see `Merger.version`. */
  readonly version: number;
}

class Head {
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly roles: number;
  constructor(memory: ViewMemory) {
    this.words = new Int32Array(memory.head, 0, INT_WORDS);
    this.floats = new Float64Array(memory.head, INT_WORDS * 4);
    this.roles = memory.roles;
  }

  of(generation: number, word: number): number {
    return GENERATION_WORDS + generation * PER_GENERATION + word;
  }
}

/** The builder's side. */
export class ViewTarget {
  readonly #head: Head;
  readonly #pages: readonly PageBuffer[];
  readonly #gzips: readonly PageBuffer[];

  constructor(memory: ViewMemory) {
    this.#head = new Head(memory);
    this.#pages = memory.pages.map((page) => new PageBuffer(page));
    this.#gzips = memory.gzips.map((page) => new PageBuffer(page));
  }

  get usedMs(): number {
    return this.#head.floats[USED_MS] as number;
  }

  get wantsGzip(): boolean {
    return Atomics.load(this.#head.words, WANT_GZIP) === 1;
  }

  get built(): boolean {
    return Atomics.load(this.#head.words, CURRENT) >= 0;
  }

  /** Figures of the current page; undefined before the first. */
  figures(): { bytes: number; gzipBytes: number; series: number; builds: number; buildSeconds: number } | undefined {
    const { words, floats } = this.#head;
    const current = Atomics.load(words, CURRENT);
    if (current < 0) return undefined;
    const get = (word: number): number => words[this.#head.of(current, word)] as number;
    return {
      bytes: get(BYTES),
      gzipBytes: get(GZIP_BYTES),
      series: get(SERIES),
      builds: words[BUILDS] as number,
      buildSeconds: floats[BUILD_SECONDS] as number,
    };
  }

  /** A generation that is neither current nor pinned, or -1: the readers of the oldest one must go. */
  free(): number {
    const current = Atomics.load(this.#head.words, CURRENT);
    for (let generation = 0; generation < GENERATIONS; generation++) {
      if (generation !== current && Atomics.load(this.#head.words, this.#head.of(generation, PINS)) === 0) return generation;
    }
    return -1;
  }

  /** Of what the current page shows; -1 before the first, and when that has been forgotten. */
  get version(): number {
    return this.#head.floats[VERSION] as number;
  }

  /** What the view shows is another from now on. */
  forgetVersion(): void {
    this.#head.floats[VERSION] = -1;
  }

  get head(): { readonly words: Int32Array; readonly floats: Float64Array; readonly roles: number } {
    return this.#head;
  }

  /** The buffers as they are now, per generation. */
  get buffers(): { readonly pages: readonly Uint8Array[]; readonly gzips: readonly Uint8Array[] } {
    return { pages: this.#pages.map(({ bytes }) => bytes), gzips: this.#gzips.map(({ bytes }) => bytes) };
  }

  page(generation: number): PageBuffer {
    return this.#pages[generation] as PageBuffer;
  }

  gzip(generation: number): PageBuffer {
    return this.#gzips[generation] as PageBuffer;
  }

  publish(generation: number, built: Built, monotonicMs: number, seconds: number): void {
    const { words, floats, roles } = this.#head;
    const set = (word: number, value: number): void => {
      words[this.#head.of(generation, word)] = value;
    };
    set(BYTES, built.bytes);
    set(TIME_AT, built.timeAt);
    set(GZIP_BYTES, built.gzipBytes);
    set(GZIP_TIME_AT, built.gzipTimeAt);
    set(SERIES, built.series);
    set(CRC, built.crc | 0);
    for (let role = 0; role < roles; role++) floats[OLDEST + generation * roles + role] = built.oldestMs[role] as number;
    floats[BUILT_MS + generation] = monotonicMs;
    floats[BUILD_SECONDS] = seconds;
    floats[VERSION] = built.version;
    Atomics.add(words, BUILDS, 1);
    Atomics.store(words, CURRENT, generation);
  }
}

/** A reader that could not take its page at once. */
interface Waiting {
  readonly generation: number;
  readonly sinceMs: number;
  readonly cut: () => void;
}

/** A pinned generation as a response sends it. */
export interface PageResponse {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
  release(): void;
  waiting(cut: () => void): void;
}

/** The main thread's side: pins, writes the time, cuts readers that hold old generations. */
export class ViewReader {
  readonly memory: ViewMemory;
  readonly #head: Head;
  readonly #pages: readonly Uint8Array[];
  readonly #gzips: readonly Uint8Array[];
  readonly #slices: (Uint8Array[] | undefined)[] = [];
  /** Per generation and form the last response of one part: a scrape that is answered at once leaves it for the next one. */
  readonly #responses: (GenerationResponse | undefined)[] = [];
  readonly #waiting = new Set<Waiting>();
  /** Per generation and form: the build whose page carries the time of `#writtenMs`. */
  readonly #writtenBuild = new Float64Array(GENERATIONS * 2).fill(-1);
  readonly #writtenMs = new Float64Array(GENERATIONS * 2);
  readonly #time = new Uint8Array(ZERO_TIME.length);
  readonly #monotonicMs: () => number;
  readonly #onWait: () => void;

  /** @param onWait called when a reader could not take its page at once */
  constructor(memory: ViewMemory, monotonicMs: () => number, onWait: () => void = () => undefined) {
    this.memory = memory;
    this.#monotonicMs = monotonicMs;
    this.#onWait = onWait;
    this.#head = new Head(memory);
    this.#pages = memory.pages.map((page) => new Uint8Array(page));
    this.#gzips = memory.gzips.map((page) => new Uint8Array(page));
  }

  /** Says that the view is in use, so that the builder keeps it fresh. */
  use(nowMs: number): void {
    this.#head.floats[USED_MS] = nowMs;
  }

  get usedMs(): number {
    return this.#head.floats[USED_MS] as number;
  }

  wantGzip(): void {
    Atomics.store(this.#head.words, WANT_GZIP, 1);
  }

  get buildSeconds(): number {
    return this.#head.floats[BUILD_SECONDS] as number;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  // What follows reads CURRENT as it is, not by Atomics, which costs a call each time: a generation that was the current one a
  // moment ago will do for it.

  /** Whether a page of that form is there. */
  has(gzip: boolean): boolean {
    const current = this.#head.words[CURRENT] as number;
    return current >= 0 && (!gzip || (this.#head.words[this.#head.of(current, GZIP_BYTES)] as number) > 0);
  }

  /** Monotonic ms at which the current page was made current; NaN before the first. */
  get builtMs(): number {
    const current = this.#head.words[CURRENT] as number;
    return current < 0 ? Number.NaN : (this.#head.floats[BUILT_MS + current] as number);
  }

  /** Monotonic ms at which the oldest run of a role on the current page started; NaN when it shows none. */
  oldestMs(role: number): number {
    const current = this.#head.words[CURRENT] as number;
    return current < 0 ? Number.NaN : (this.#head.floats[OLDEST + current * this.#head.roles + role] as number);
  }

  /**
   * The current page with the time of now. The caller must `release` it exactly once.
   * The time is written in place when nobody else reads that generation, else it travels as a part of its own.
   */
  open(gzip: boolean, wallMs: number): PageResponse {
    const { words } = this.#head;
    let generation = words[CURRENT] as number;
    let pins: number;
    for (;;) {
      pins = Atomics.add(words, this.#head.of(generation, PINS), 1);
      const now = Atomics.load(words, CURRENT);
      if (now === generation) break;
      // The builder may have taken it for empty meanwhile.
      Atomics.sub(words, this.#head.of(generation, PINS), 1);
      generation = now;
    }
    const bytes = words[this.#head.of(generation, gzip ? GZIP_BYTES : BYTES)] as number;
    const timeAt = words[this.#head.of(generation, gzip ? GZIP_TIME_AT : TIME_AT)] as number;
    const page = this.#slice(generation, gzip, bytes);
    const form = generation * 2 + (gzip ? 1 : 0);
    if (timeAt < 0) return this.#whole(generation, form, page);
    // No build ends in this generation while it is pinned, and pins are this thread's alone.
    const build = words[BUILDS] as number;
    // Within one millisecond the page says already what it would be made to say.
    if (this.#writtenBuild[form] === build && this.#writtenMs[form] === wallMs) return this.#whole(generation, form, page);
    const alone = pins === 0;
    if (alone) {
      this.#writtenBuild[form] = build;
      this.#writtenMs[form] = wallMs;
    }
    const out = alone ? page : new Uint8Array(ZERO_TIME.length);
    const at = alone ? timeAt : 0;
    writeTime(wallMs, out, at);
    if (!gzip) {
      if (alone) return this.#whole(generation, form, page);
      return new GenerationResponse(this, generation, [page.subarray(0, timeAt), out, page.subarray(timeAt + out.length)], bytes);
    }
    const time = this.#time;
    for (let i = 0; i < time.length; i++) time[i] = out[at + i] as number;
    const base = words[this.#head.of(generation, CRC)] as number;
    const behind = (words[this.#head.of(generation, BYTES)] as number) - (words[this.#head.of(generation, TIME_AT)] as number) - time.length;
    const crc = base ^ crcAdvance(crcOfDifference(time, ZERO_TIME), behind);
    const trailerAt = bytes - GZIP_TRAILER_BYTES;
    const trailer = alone ? page : page.slice(trailerAt);
    const crcAt = alone ? trailerAt : 0;
    for (let i = 0; i < 4; i++) trailer[crcAt + i] = (crc >>> (8 * i)) & 0xff;
    if (alone) return this.#whole(generation, form, page);
    return new GenerationResponse(this, generation, [page.subarray(0, timeAt), out, page.subarray(timeAt + out.length, trailerAt), trailer], bytes);
  }

  #whole(generation: number, form: number, page: Uint8Array): PageResponse {
    const last = this.#responses[form];
    if (last?.reuse(page) === true) return last;
    const fresh = new GenerationResponse(this, generation, [page], page.length);
    this.#responses[form] = fresh;
    return fresh;
  }

  /** The subarray object of a generation is kept: making one costs more than the rest of an answer. */
  #slice(generation: number, gzip: boolean, bytes: number): Uint8Array {
    const kept = (this.#slices[generation] ??= [EMPTY, EMPTY]);
    const which = gzip ? 1 : 0;
    const slice = kept[which] as Uint8Array;
    if (slice.length === bytes) return slice;
    const fresh = ((gzip ? this.#gzips : this.#pages)[generation] as Uint8Array).subarray(0, bytes);
    kept[which] = fresh;
    return fresh;
  }

  unpin(generation: number): void {
    Atomics.sub(this.#head.words, this.#head.of(generation, PINS), 1);
  }

  wait(generation: number, cut: () => void): Waiting {
    const waiting: Waiting = { generation, sinceMs: this.#monotonicMs(), cut };
    this.#waiting.add(waiting);
    this.#onWait();
    return waiting;
  }

  done(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  /**
   * Cuts readers slower than `slowMs`, and, when the builder found no free generation, the readers of the one that was
   * built first. Returns how many were cut.
   */
  cutSlow(nowMs: number, slowMs: number, crowded: boolean): number {
    let oldest = -1;
    if (crowded) {
      const current = Atomics.load(this.#head.words, CURRENT);
      for (let generation = 0; generation < GENERATIONS; generation++) {
        if (generation === current) continue;
        if (oldest < 0 || (this.#head.floats[BUILT_MS + generation] as number) < (this.#head.floats[BUILT_MS + oldest] as number)) oldest = generation;
      }
    }
    const doomed = [...this.#waiting].filter(({ generation, sinceMs }) => generation === oldest || nowMs - sinceMs > slowMs);
    for (const waiting of doomed) {
      this.#waiting.delete(waiting);
      waiting.cut();
    }
    return doomed.length;
  }
}

const EMPTY = new Uint8Array(0);

class GenerationResponse implements PageResponse {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
  readonly #view: ViewReader;
  readonly #generation: number;
  #waiting: Waiting | undefined;
  #released = false;

  constructor(view: ViewReader, generation: number, parts: readonly Uint8Array[], length: number) {
    this.#view = view;
    this.#generation = generation;
    this.parts = parts;
    this.length = length;
  }

  /** Takes a response that was released for another one of the same bytes. */
  reuse(page: Uint8Array): boolean {
    if (!this.#released || this.parts[0] !== page) return false;
    this.#released = false;
    this.#waiting = undefined;
    return true;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#waiting !== undefined) this.#view.done(this.#waiting);
    this.#view.unpin(this.#generation);
  }

  waiting(cut: () => void): void {
    this.#waiting = this.#view.wait(this.#generation, cut);
  }
}
