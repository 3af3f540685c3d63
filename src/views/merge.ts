import type { Channel, PageView } from '../collect/channel.ts';
import { compareBytes } from '../model/escape.ts';
import { INDEX_WORDS } from '../readers/readers.ts';

/** One channel's part in a view. */
export interface MergeEntry {
  readonly channel: Channel;
  /** Index of the channel's variant to show. */
  readonly variant: number;
  /** Ordinal of the role, for the age of its data; -1 for pages that have no age. */
  readonly role: number;
}

/** A page buffer that can grow in place. */
export interface GrowingPage {
  readonly bytes: Uint8Array;
  /** False when the page may not become that large. */
  reserve(bytes: number): boolean;
}

export interface Merged {
  bytes: number;
  series: number;
  /** Offset of the fixed-width number of `node_time_seconds`, or -1. */
  timeAt: number;
  /** True when the page had to end early because it may not grow further. */
  cut: boolean;
}

/** `node_time_seconds` is written anew into every response, so its number has a fixed width: `1.763736255123e+09`. */
export const TIME_FAMILY = 'node_time_seconds';
export const TIME_TEXT = '0.000000000000e+09';
const TIME_BYTES = new TextEncoder().encode(`${TIME_TEXT}\n`);

const SPACE = 0x20;
const LINE_FEED = 0x0a;
const HELP_PREFIX = 7; // '# HELP '

interface Family {
  readonly name: string;
  readonly type: string;
  /** Entry ordinal and family ordinal within its page, alternating, in the entries' order. */
  readonly from: number[];
}

/**
 * Merges the pages of several channels into one: every family once (HELP, TYPE, samples of all channels in their order),
 * families in byte order of name. Works on byte ranges only; names are read from headers when the list of families changes.
 */
export class Merger {
  readonly #entries: readonly MergeEntry[];
  readonly #conflict: (family: string, kept: string, dropped: string) => void;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #pages: (PageView | undefined)[];
  readonly #shapes: Float64Array;
  readonly #sequences: Float64Array;
  /** Families in page order as (entry, family ordinal) pairs; a -1 begins a family. */
  #order: Int32Array = new Int32Array(0);
  /** Position in #order of the time family's begin, or -1. */
  #time = -1;
  /** Families that had no samples when the order was made, as (entry, family ordinal): their names are not known yet. */
  #missing: number[] = [];
  #ordered = false;
  readonly oldestMs: Float64Array;

  /** @param only names of the families to show; all when left out */
  constructor(entries: readonly MergeEntry[], roles: number, conflict: (family: string, kept: string, dropped: string) => void, only?: readonly string[]) {
    this.#only = only === undefined ? undefined : new Set(only);
    this.#entries = entries;
    this.#conflict = conflict;
    this.#pages = entries.map(() => undefined);
    this.#shapes = new Float64Array(entries.length).fill(-2);
    this.#sequences = new Float64Array(entries.length);
    this.oldestMs = new Float64Array(roles);
  }

  /** Rises by the number of finished runs of all channels: unchanged means that a merge would give the same page. */
  get version(): number {
    let sum = 0;
    for (const { channel } of this.#entries) sum += channel.sequence;
    return sum;
  }

  merge(target: GrowingPage, nowMs: number): Merged {
    for (let attempt = 0; ; attempt++) {
      const merged = this.#once(target, nowMs);
      if (attempt === 2 || !this.#disturbed()) return merged;
    }
  }

  /** A channel that finished a run meanwhile may be filling the buffer that was copied from. */
  #disturbed(): boolean {
    return this.#entries.some(({ channel }, i) => channel.sequence !== this.#sequences[i]);
  }

  #once(target: GrowingPage, nowMs: number): Merged {
    this.oldestMs.fill(Number.NaN);
    let changed = !this.#ordered;
    for (let i = 0; i < this.#entries.length; i++) {
      const { channel, variant, role } = this.#entries[i] as MergeEntry;
      this.#sequences[i] = channel.sequence;
      const page = channel.view(variant, nowMs);
      this.#pages[i] = page;
      const shape = page === undefined ? -2 : page.shape;
      if (shape !== this.#shapes[i]) {
        this.#shapes[i] = shape;
        changed = true;
      }
      if (page !== undefined && role >= 0 && !(page.startedMs >= (this.oldestMs[role] as number))) {
        if (!Number.isNaN(page.startedMs)) this.oldestMs[role] = page.startedMs;
      }
    }
    if (changed || this.#appeared()) this.#arrange();
    return this.#copy(target);
  }

  #appeared(): boolean {
    for (let i = 0; i < this.#missing.length; i += 2) {
      const page = this.#pages[this.#missing[i] as number];
      if (page !== undefined && (page.index[(this.#missing[i + 1] as number) * INDEX_WORDS + 3] as number) > 0) return true;
    }
    return false;
  }

  #arrange(): void {
    this.#missing = [];
    const families = new Map<string, Family>();
    this.#pages.forEach((page, entry) => {
      if (page === undefined) return;
      for (let family = 0; family < page.families; family++) {
        const header = headerOf(page, family);
        if (header === undefined) {
          this.#missing.push(entry, family);
          continue;
        }
        if (this.#only !== undefined && !this.#only.has(header.name)) continue;
        const known = families.get(header.name);
        if (known === undefined) families.set(header.name, { ...header, from: [entry, family] });
        else if (known.type === header.type) known.from.push(entry, family);
        else this.#conflict(header.name, known.type, header.type);
      }
    });
    const order: number[] = [];
    this.#time = -1;
    for (const name of [...families.keys()].sort(compareBytes)) {
      if (name === TIME_FAMILY) this.#time = order.length;
      order.push(-1, 0, ...(families.get(name) as Family).from);
    }
    this.#order = Int32Array.from(order);
    this.#ordered = true;
  }

  #copy(target: GrowingPage): Merged {
    const order = this.#order;
    let at = 0;
    let series = 0;
    let timeAt = -1;
    let first = true;
    let isTime = false;
    // A run of bytes that stand together in one page is copied at once.
    let source: Uint8Array | undefined;
    let from = 0;
    let to = 0;
    const flush = (): boolean => {
      if (source === undefined || to === from) return true;
      if (!target.reserve(at + (to - from))) return false;
      target.bytes.set(source.subarray(from, to), at);
      at += to - from;
      from = to;
      return true;
    };
    for (let i = 0; i < order.length; i += 2) {
      const entry = order[i] as number;
      if (entry < 0) {
        first = true;
        isTime = i === this.#time;
        continue;
      }
      const page = this.#pages[entry] as PageView;
      const base = (order[i + 1] as number) * INDEX_WORDS;
      const samples = page.index[base + 3] as number;
      if (samples === 0) continue;
      const header = page.index[base] as number;
      const begin = first ? header : header + (page.index[base + 1] as number);
      const end = header + (page.index[base + 1] as number) + (page.index[base + 2] as number);
      first = false;
      series += samples;
      if (page.page === source && begin === to) to = end;
      else {
        if (!flush()) return { bytes: at, series, timeAt, cut: true };
        source = page.page;
        from = begin;
        to = end;
      }
      if (isTime && timeAt < 0) {
        // Up to the blank before the number, then a number of fixed width.
        const blank = source.lastIndexOf(SPACE, end - 1);
        to = blank + 1;
        if (!flush() || !target.reserve(at + TIME_BYTES.length)) return { bytes: at, series, timeAt, cut: true };
        timeAt = at;
        target.bytes.set(TIME_BYTES, at);
        at += TIME_BYTES.length;
        source = undefined;
        to = -1;
      }
    }
    const whole = flush();
    return { bytes: at, series, timeAt, cut: !whole };
  }
}

/** Name and type of a family from its header; undefined for a family that was left out of the page. */
function headerOf(page: PageView, family: number): { name: string; type: string } | undefined {
  const base = family * INDEX_WORDS;
  const start = page.index[base] as number;
  const length = page.index[base + 1] as number;
  if (length === 0) return undefined;
  const header = Buffer.from(page.page.buffer, page.page.byteOffset + start, length);
  const nameEnd = header.indexOf(SPACE, HELP_PREFIX);
  const typeStart = header.lastIndexOf(SPACE) + 1;
  return { name: header.toString('latin1', HELP_PREFIX, nameEnd), type: header.toString('latin1', typeStart, header.lastIndexOf(LINE_FEED)) };
}
