import { INDEX_WORDS, type ReplayMemory } from '../readers/readers.ts';
import { FAILURE_CODES, type Ending, type FailureCode } from './contract.ts';
import type { Sheet, SheetTarget } from './sheet.ts';
import type { Variant } from './variant.ts';

/**
 * The page of one part and target in shared memory: written by the lane that runs it, read by the view builder, judged by
 * the main thread. Nothing is sent between threads; the buffers grow in place up to the byte budget.
 *
 * One writer: the lane owns everything but the step of STATE from running to timed out, which is the main thread's.
 * Two buffers take turns, so a reader that copies from the active one is disturbed only if a second run starts meanwhile,
 * which it notices by SEQUENCE.
 */

/** What the main thread makes and hands to lanes and builder. Structured-clonable; the memory is shared. */
export interface ChannelMemory {
  readonly head: SharedArrayBuffer;
  /** Names of the variants printed, the plain one first. */
  readonly variants: readonly Variant[];
  /** Per variant two pages and two indexes. */
  readonly pages: readonly (readonly [SharedArrayBuffer, SharedArrayBuffer])[];
  readonly indexes: readonly (readonly [SharedArrayBuffer, SharedArrayBuffer])[];
  /** Per variant: what is shown instead of a run that failed to answer in time. */
  readonly fallbacks: readonly FixedPage[];
}

/** A page that does not change: failure pages and constant families. */
export interface FixedPage {
  readonly page: Uint8Array;
  readonly index: Uint32Array;
  readonly bytes: number;
  readonly families: number;
}

const MAX_VARIANTS = 4;
const MAX_INDEX_BYTES = 1 << 22;

// Int32 words of the head.
const STATE = 0;
const ACTIVE = 1;
const SEQUENCE = 2;
const ENDING = 3;
const SERIES = 4;
const DUPLICATES = 5;
const OVER_BUDGET = 6;
const OKS = 7;
const ABSENTS = 8;
const FAILURES = 9;
const LATE = 10;
const FALLBACK = 11; // 1: the last run gave nothing, show the fallback
const SHAPES = 12; // two buffers
const FAMILIES = 14; // variant * 2 + buffer
const BYTES = FAMILIES + MAX_VARIANTS * 2;
const PRINTED = BYTES + MAX_VARIANTS * 2; // per buffer, a bit per variant
const WANTED = PRINTED + 2; // a bit per variant
const CODES = WANTED + 1; // failures per code
const INT_WORDS = 64;
// Float64 words behind them.
const STARTED = 0; // two buffers: monotonic ms at which the run on that page started
const RUN_STARTED = 2; // the run under way, or the last one
const RUN_ENDED = 3;
const RUN_SECONDS = 4;
const RUN_CPU_SECONDS = 5;
const MAX_AGE = 6; // ms; pages older than this are not shown, 0: no limit
const FLOAT_WORDS = 8;

const ENDINGS: readonly Ending[] = ['ok', 'absent', 'failed', 'timeout', 'down'];

// STATE = run number * 4 + phase.
const IDLE = 0;
const RUNNING = 1;
const TIMED_OUT = 2;
/** The run number wraps here, so that STATE stays a positive Int32. */
const RUN_MODULUS = 1 << 28;

/** The layout as replayed runs are told of it, in the order of native-readers' ReplayLayout. */
export const CHANNEL_LAYOUT: readonly number[] = [
  ...[STATE, ACTIVE, SEQUENCE, ENDING, FALLBACK, SHAPES, FAMILIES, BYTES, PRINTED, WANTED],
  ...[IDLE, RUNNING, RUN_MODULUS],
  ...[STARTED, RUN_STARTED, RUN_ENDED, RUN_SECONDS, RUN_CPU_SECONDS],
];

/** What builds of views are told of it, in the order of native-readers' BuildLayout. */
export const SHOWN_LAYOUT: readonly number[] = [ACTIVE, SEQUENCE, FALLBACK, SHAPES, PRINTED, STARTED, MAX_AGE];

/** What a channel that has nothing to show is taken to have as its shape. */
export const NO_SHAPE = -2;

export function makeChannel(variants: readonly Variant[], maxBytes: number, fallbacks: readonly FixedPage[]): ChannelMemory {
  if (variants.length > MAX_VARIANTS) throw new RangeError(`a channel has at most ${MAX_VARIANTS} variants`);
  const pair = (bytes: number, max: number): [SharedArrayBuffer, SharedArrayBuffer] => [
    new SharedArrayBuffer(bytes, { maxByteLength: Math.max(bytes, max) }),
    new SharedArrayBuffer(bytes, { maxByteLength: Math.max(bytes, max) }),
  ];
  const head = new SharedArrayBuffer(INT_WORDS * 4 + FLOAT_WORDS * 8);
  new Int32Array(head)[WANTED] = -1;
  return {
    head,
    variants,
    pages: variants.map(() => pair(4096, maxBytes)),
    indexes: variants.map(() => pair(INDEX_WORDS * 4 * 16, MAX_INDEX_BYTES)),
    fallbacks,
  };
}

/** Says whether runs print a variant from now on, which all do at first. It is not shown before one has. */
export function wantVariant({ head, variants }: ChannelMemory, name: string, isWanted: boolean): void {
  const words = new Int32Array(head, 0, INT_WORDS);
  const bit = 1 << variants.findIndex((variant) => variant.name === name);
  if (isWanted) Atomics.or(words, WANTED, bit);
  else Atomics.and(words, WANTED, ~bit);
}

/** What the last finished run left for the self metrics. */
export interface RunFigures {
  readonly oks: number;
  readonly absents: number;
  readonly failures: number;
  readonly late: number;
  readonly series: number;
  readonly duplicates: number;
  readonly overBudget: number;
  readonly ending: Ending;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** One buffer of a variant as the builder copies it. */
export interface PageView {
  page: Uint8Array;
  index: Uint32Array;
  families: number;
  /** Changes when the list of families may have. -1 for the fallback. */
  shape: number;
  /** Monotonic ms at which the run on this page started; NaN for the fallback. */
  startedMs: number;
}

export class Channel {
  readonly memory: ChannelMemory;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  /** The run this side started last. */
  #run = -1;
  readonly #targets: (readonly [SheetTarget, SheetTarget])[];
  readonly #views: (readonly [PageView, PageView, PageView])[];

  constructor(memory: ChannelMemory) {
    this.memory = memory;
    this.#words = new Int32Array(memory.head, 0, INT_WORDS);
    this.#floats = new Float64Array(memory.head, INT_WORDS * 4, FLOAT_WORDS);
    this.#targets = memory.variants.map((_, v) => [this.#target(v, 0), this.#target(v, 1)]);
    this.#views = memory.variants.map((_, v) => {
      const fixed = memory.fallbacks[v] ?? EMPTY_PAGE;
      const view = (buffer: 0 | 1): PageView => ({ page: this.#page(v, buffer), index: this.#index(v, buffer), families: 0, shape: 0, startedMs: 0 });
      return [view(0), view(1), { page: fixed.page, index: fixed.index, families: fixed.families, shape: -1, startedMs: Number.NaN }];
    });
  }

  #page(variant: number, buffer: 0 | 1): Uint8Array {
    return whole(Uint8Array, this.memory.pages[variant]?.[buffer] as SharedArrayBuffer);
  }

  #index(variant: number, buffer: 0 | 1): Uint32Array {
    return whole(Uint32Array, this.memory.indexes[variant]?.[buffer] as SharedArrayBuffer);
  }

  #target(variant: number, buffer: 0 | 1): SheetTarget {
    const pages = this.memory.pages[variant]?.[buffer] as SharedArrayBuffer;
    const indexes = this.memory.indexes[variant]?.[buffer] as SharedArrayBuffer;
    const target: SheetTarget = {
      page: this.#page(variant, buffer),
      index: this.#index(variant, buffer),
      grow: (bytes, words) => {
        if (bytes <= target.page.length && words <= target.index.length) return true;
        if (!growTo(pages, bytes) || !growTo(indexes, words * 4)) return false;
        target.page = this.#page(variant, buffer);
        target.index = this.#index(variant, buffer);
        return true;
      },
    };
    return target;
  }

  // --- the lane ---

  /** A run starts. */
  start(monotonicMs: number): void {
    const run = ((Atomics.load(this.#words, STATE) >> 2) + 1) % RUN_MODULUS;
    this.#run = run;
    this.#floats[RUN_STARTED] = monotonicMs;
    Atomics.store(this.#words, STATE, run * 4 + RUNNING);
  }

  /**
   * The run ended: prints the sheet into the inactive buffers and makes them the active ones, unless the main thread has
   * given the run up meanwhile. Returns whether it was published.
   */
  publish(sheet: Sheet, ending: Ending, monotonicMs: number, cpuSeconds: number, code?: FailureCode): boolean {
    const words = this.#words;
    const running = this.#run * 4 + RUNNING;
    if (Atomics.load(words, STATE) !== running) {
      Atomics.add(words, LATE, 1);
      return false;
    }
    const buffer = Atomics.load(words, ACTIVE) === 0 ? 1 : 0;
    const started = this.#floats[RUN_STARTED] as number;
    this.#print(sheet, buffer, started);
    this.#floats[RUN_ENDED] = monotonicMs;
    this.#floats[RUN_SECONDS] = (monotonicMs - started) / 1000;
    this.#floats[RUN_CPU_SECONDS] = cpuSeconds;
    words[SERIES] = sheet.counts.series;
    words[DUPLICATES] = sheet.counts.duplicates;
    words[OVER_BUDGET] = sheet.counts.overBudget;
    const published = Atomics.compareExchange(words, STATE, running, running - RUNNING + IDLE) === running;
    if (published) {
      words[ENDING] = ENDINGS.indexOf(ending);
      if (code !== undefined) this.#count(code);
      Atomics.add(words, ending === 'ok' ? OKS : ending === 'absent' ? ABSENTS : FAILURES, 1);
      Atomics.store(words, ACTIVE, buffer);
      Atomics.store(words, FALLBACK, 0);
    } else {
      Atomics.add(words, LATE, 1);
    }
    Atomics.add(words, SEQUENCE, 1);
    return published;
  }

  #print(sheet: Sheet, buffer: 0 | 1, startedMs: number): void {
    const words = this.#words;
    const wanted = Atomics.load(words, WANTED);
    this.memory.variants.forEach((variant, v) => {
      if ((wanted & (1 << v)) === 0) return;
      const { bytes, families } = sheet.encode(variant, (this.#targets[v] as readonly [SheetTarget, SheetTarget])[buffer]);
      words[BYTES + v * 2 + buffer] = bytes;
      words[FAMILIES + v * 2 + buffer] = families;
    });
    words[PRINTED + buffer] = wanted;
    words[SHAPES + buffer] = sheet.shape;
    this.#floats[STARTED + buffer] = startedMs;
  }

  /**
   * Prints the last run once more, since another variant is wanted now. To be called between runs, with the sheet as that run
   * left it. Does nothing where there is nothing to show: before the first run, and after one that gave nothing.
   */
  reprint(sheet: Sheet): void {
    const words = this.#words;
    const active = Atomics.load(words, ACTIVE) as 0 | 1;
    const started = this.#floats[STARTED + active] as number;
    if ((Atomics.load(words, STATE) & 3) !== IDLE || Atomics.load(words, FALLBACK) === 1 || started === 0) return;
    const buffer = active === 0 ? 1 : 0;
    this.#print(sheet, buffer, started);
    Atomics.store(words, ACTIVE, buffer);
  }

  /** The run ended with nothing that could be printed: counted as failed, and the fallback is shown until a later run ends. */
  abandon(monotonicMs: number, cpuSeconds: number, code: FailureCode): void {
    const words = this.#words;
    const running = this.#run * 4 + RUNNING;
    this.#floats[RUN_ENDED] = monotonicMs;
    this.#floats[RUN_SECONDS] = (monotonicMs - this.runStartedMs) / 1000;
    this.#floats[RUN_CPU_SECONDS] = cpuSeconds;
    if (Atomics.compareExchange(words, STATE, running, running - RUNNING + IDLE) === running) {
      Atomics.store(words, ENDING, ENDINGS.indexOf('failed'));
      this.#count(code);
      Atomics.add(words, FAILURES, 1);
      Atomics.store(words, FALLBACK, 1);
    } else {
      Atomics.add(words, LATE, 1);
    }
    Atomics.add(words, SEQUENCE, 1);
  }

  /** What replayed runs of this sheet write to. @param ending how they end */
  replayMemory(sheet: Sheet, ending: 'ok' | 'absent'): ReplayMemory {
    const wanted = Atomics.load(this.#words, WANTED);
    const variants = this.memory.variants.flatMap((variant, v) => {
      if ((wanted & (1 << v)) === 0) return [];
      const [first, second] = this.#targets[v] as readonly [SheetTarget, SheetTarget];
      return { number: v, plan: sheet.plan(variant), pages: [first.page, second.page] as const, indexes: [first.index, second.index] as const };
    });
    const { values, stamps, run, shape } = sheet;
    const counted = ending === 'ok' ? OKS : ABSENTS;
    return { values, stamps, run, shape, wanted, ending: ENDINGS.indexOf(ending), counted, words: this.#words, floats: this.#floats, variants };
  }

  /** Runs that ended as they should: ok, or absent. */
  get goods(): number {
    return (this.#words[OKS] as number) + (this.#words[ABSENTS] as number);
  }

  #count(code: FailureCode): void {
    Atomics.add(this.#words, CODES + FAILURE_CODES.indexOf(code), 1);
  }

  // --- the main thread ---

  /** True while a run is under way and has not been given up. */
  get running(): boolean {
    return (Atomics.load(this.#words, STATE) & 3) === RUNNING;
  }

  /** Rises with every run that ended or was given up. */
  get sequence(): number {
    return Atomics.load(this.#words, SEQUENCE);
  }

  get runStartedMs(): number {
    return this.#floats[RUN_STARTED] as number;
  }

  /** Monotonic ms, of the last run that ended by itself. */
  get runEndedMs(): number {
    return this.#floats[RUN_ENDED] as number;
  }

  get runCpuSeconds(): number {
    return this.#floats[RUN_CPU_SECONDS] as number;
  }

  /** Whether the last run gave nothing: failed, target down, given up. */
  get hasFailed(): boolean {
    return Atomics.load(this.#words, ENDING) >= ENDINGS.indexOf('failed');
  }

  /** No page older than this is shown, whatever happens to its lane. Milliseconds. */
  expireAfter(maxAgeMs: number): void {
    this.#floats[MAX_AGE] = maxAgeMs;
  }

  /** Gives up the run under way: the fallback is shown from now on until a later run ends. False when none was. */
  giveUp(): boolean {
    const state = Atomics.load(this.#words, STATE);
    if ((state & 3) !== RUNNING) return false;
    if (Atomics.compareExchange(this.#words, STATE, state, state - RUNNING + TIMED_OUT) !== state) return false;
    Atomics.store(this.#words, ENDING, ENDINGS.indexOf('timeout'));
    Atomics.add(this.#words, FAILURES, 1);
    this.#count('timeout');
    Atomics.add(this.#words, SEQUENCE, 1);
    Atomics.store(this.#words, FALLBACK, 1);
    return true;
  }

  /** Shows the fallback although no run is under way (its lane died). */
  fail(code: FailureCode): void {
    Atomics.add(this.#words, FAILURES, 1);
    this.#count(code);
    const run = ((Atomics.load(this.#words, STATE) >> 2) + 1) % RUN_MODULUS;
    Atomics.store(this.#words, STATE, run * 4 + TIMED_OUT);
    Atomics.store(this.#words, ENDING, ENDINGS.indexOf('failed'));
    Atomics.store(this.#words, FALLBACK, 1);
    Atomics.add(this.#words, SEQUENCE, 1);
  }

  /** Failures so far with this code. */
  failures(code: FailureCode): number {
    return Atomics.load(this.#words, CODES + FAILURE_CODES.indexOf(code));
  }

  /** Figures of the last finished run. */
  figures(): RunFigures {
    const words = this.#words;
    return {
      oks: words[OKS] as number,
      absents: words[ABSENTS] as number,
      failures: words[FAILURES] as number,
      late: words[LATE] as number,
      series: words[SERIES] as number,
      duplicates: words[DUPLICATES] as number,
      overBudget: words[OVER_BUDGET] as number,
      ending: ENDINGS[Atomics.load(words, ENDING)] ?? 'ok',
      startedMs: this.#floats[STARTED + Atomics.load(words, ACTIVE)] as number,
      endedMs: this.#floats[RUN_ENDED] as number,
      seconds: this.#floats[RUN_SECONDS] as number,
      cpuSeconds: this.#floats[RUN_CPU_SECONDS] as number,
    };
  }

  // --- the view builder ---

  /**
   * What to show now: the active page, or the fallback when the last run gave nothing or the page has become too old.
   * Undefined while nothing has been collected yet. The object is reused by the next call.
   */
  view(variant: number, nowMs: number): PageView | undefined {
    const words = this.#words;
    const views = this.#views[variant] as readonly [PageView, PageView, PageView];
    if (Atomics.load(words, FALLBACK) === 1) return views[2];
    if (Atomics.load(words, SEQUENCE) === 0) return undefined;
    const buffer = Atomics.load(words, ACTIVE) as 0 | 1;
    const started = this.#floats[STARTED + buffer] as number;
    if (started === 0 || ((words[PRINTED + buffer] as number) & (1 << variant)) === 0) return undefined;
    const maxAge = this.#floats[MAX_AGE] as number;
    if (maxAge > 0 && nowMs - started > maxAge) return views[2];
    const view = views[buffer];
    view.families = words[FAMILIES + variant * 2 + buffer] as number;
    // The lane may have grown the buffers since they were looked at last.
    if (view.index.length < view.families * INDEX_WORDS) view.index = this.#index(variant, buffer);
    if (view.page.length < (words[BYTES + variant * 2 + buffer] as number)) view.page = this.#page(variant, buffer);
    view.shape = words[SHAPES + buffer] as number;
    view.startedMs = started;
    return view;
  }

  /** All that `view` may answer with, as far as it has been looked at. */
  shown(variant: number): { words: Int32Array; floats: Float64Array; pages: readonly PageView[] } {
    return { words: this.#words, floats: this.#floats, pages: this.#views[variant] as readonly PageView[] };
  }

  /** The variant of this name, or the plain one. */
  variant(name: string): number {
    const found = this.memory.variants.findIndex((variant) => variant.name === name);
    return Math.max(0, found);
  }
}

export const EMPTY_PAGE: FixedPage = { page: new Uint8Array(0), index: new Uint32Array(0), bytes: 0, families: 0 };

/** Prints a sheet once, into memory of its own that can be shared. */
export function fixedPage(sheet: Sheet, variant: Variant): FixedPage {
  const page = new SharedArrayBuffer(1 << 14, { maxByteLength: 1 << 24 });
  const index = new SharedArrayBuffer(1 << 12, { maxByteLength: MAX_INDEX_BYTES });
  const target: SheetTarget = {
    page: new Uint8Array(page),
    index: new Uint32Array(index),
    grow: (bytes, words) => growTo(page, bytes) && growTo(index, words * 4),
  };
  const { bytes, families } = sheet.encode(variant, target);
  return { page: target.page.slice(0, bytes), index: target.index.slice(0, families * INDEX_WORDS), bytes, families };
}

/** All of a buffer as it is now. Arrays that follow a growing buffer are slower to index, many times over in cold code. */
function whole<T>(type: new (buffer: SharedArrayBuffer, offset: number, length: number) => T, buffer: SharedArrayBuffer): T {
  return new type(buffer, 0, buffer.byteLength / (type as unknown as { readonly BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT);
}

function growTo(buffer: SharedArrayBuffer, bytes: number): boolean {
  if (bytes <= buffer.byteLength) return true;
  if (bytes > buffer.maxByteLength) return false;
  // Grown by half more than asked, so that a page that creeps up does not grow in every run.
  buffer.grow(Math.min(buffer.maxByteLength, Math.ceil((bytes * 1.5) / 4096) * 4096));
  return true;
}
