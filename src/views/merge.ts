import { type Channel, NO_SHAPE, type PageView } from '../collect/channel.ts';
import { compareBytes } from '../model/escape.ts';
import { INDEX_WORDS, type Merge, type ViewBuildPlan } from '../readers/readers.ts';

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

const NOTHING = new Uint8Array(0);
const NO_INDEX = new Uint32Array(0);
/** Families of one channel alone, header and samples. */
const WHOLE = 0;
/** The first channel of a shared family: with its header. */
const FIRST = 1;
/** A further channel of a shared family: its samples only, unless nobody before had any. */
const NEXT = 2;
/** The family whose number is written anew into every response. */
const TIME = 3;

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
  /**
   * Stretches of pages in page order, three words each: entry, first and last family. Families that follow each other in a
   * page and in the merged order make one stretch, so a page of hundreds of families is copied in a few dozen pieces.
   */
  #order: Int32Array = new Int32Array(0);
  /** Per stretch: what is to be done about its header. */
  #kinds: Uint8Array = new Uint8Array(0);
  /** Families that had no samples when the order was made, as (entry, family ordinal): their names are not known yet. */
  #missing: number[] = [];
  #ordered = false;
  #isSettled = false;
  readonly oldestMs: Float64Array;
  readonly #native: Merge | undefined;
  readonly #bytes: Uint8Array[] = [];
  readonly #indexes: Uint32Array[] = [];
  readonly #results = new Float64Array(3);

  /**
   * @param only names of the families to show; all when left out
   * @param native `Readers.merge`; without it everything is done here
   */
  constructor(
    entries: readonly MergeEntry[],
    roles: number,
    conflict: (family: string, kept: string, dropped: string) => void,
    only?: readonly string[],
    native?: Merge | undefined,
  ) {
    this.#native = native;
    this.#only = only === undefined ? undefined : new Set(only);
    this.#entries = entries;
    this.#conflict = conflict;
    this.#pages = entries.map(() => undefined);
    this.#shapes = new Float64Array(entries.length).fill(NO_SHAPE);
    this.#sequences = new Float64Array(entries.length);
    this.oldestMs = new Float64Array(roles);
  }

  /** Rises by the number of finished runs of all channels: unchanged means that a merge would give the same page. */
  get version(): number {
    let sum = 0;
    for (const { channel } of this.#entries) sum += channel.sequence;
    return sum;
  }

  /** Whether the last merge found all families where they were before. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** How it was made, for others to make the next ones alike. */
  get plan(): Pick<ViewBuildPlan, 'entries' | 'order' | 'kinds' | 'missing'> {
    const entries = this.#entries.map(({ channel, variant, role }, i) => ({ ...channel.shown(variant), variant, role, shape: this.#shapes[i] as number }));
    return { entries, order: this.#order, kinds: this.#kinds, missing: Int32Array.from(this.#missing) };
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
      const shape = page === undefined ? NO_SHAPE : page.shape;
      if (shape !== this.#shapes[i]) {
        this.#shapes[i] = shape;
        changed = true;
      }
      if (page !== undefined && role >= 0 && !(page.startedMs >= (this.oldestMs[role] as number))) {
        if (!Number.isNaN(page.startedMs)) this.oldestMs[role] = page.startedMs;
      }
    }
    this.#isSettled = !changed && !this.#appeared();
    if (!this.#isSettled) this.#arrange();
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
    const kinds: number[] = [];
    for (const name of [...families.keys()].sort(compareBytes)) {
      const { from } = families.get(name) as Family;
      const isShared = from.length > 2;
      const kind = name === TIME_FAMILY ? TIME : isShared ? FIRST : WHOLE;
      for (let i = 0; i < from.length; i += 2) {
        const entry = from[i] as number;
        const family = from[i + 1] as number;
        const end = order.length;
        if (kind === WHOLE && kinds.at(-1) === WHOLE && order[end - 3] === entry && order[end - 1] === family - 1) {
          order[end - 1] = family;
          continue;
        }
        order.push(entry, family, family);
        kinds.push(i === 0 || kind === TIME ? kind : NEXT);
      }
    }
    this.#order = Int32Array.from(order);
    this.#kinds = Uint8Array.from(kinds);
    this.#ordered = true;
  }

  /** By the addon where there is one and the page needs no more room; else, and as the addon's oracle, by `#copySlowly`. */
  #copy(target: GrowingPage): Merged {
    if (this.#native === undefined) return this.#copySlowly(target);
    for (const [i, page] of this.#pages.entries()) {
      this.#bytes[i] = page?.page ?? NOTHING;
      this.#indexes[i] = page?.index ?? NO_INDEX;
    }
    if (!this.#native(this.#order, this.#kinds, this.#bytes, this.#indexes, target.bytes, this.#results)) return this.#copySlowly(target);
    const [bytes = 0, series = 0, timeAt = -1] = this.#results;
    return { bytes, series, timeAt, cut: false };
  }

  #copySlowly(target: GrowingPage): Merged {
    const order = this.#order;
    const merged: Merged = { bytes: 0, series: 0, timeAt: -1, cut: false };
    /** A shared family's header was copied already. */
    let isBegun = false;
    for (let i = 0; i < this.#kinds.length && !merged.cut; i++) {
      const kind = this.#kinds[i] as number;
      const page = this.#pages[order[i * 3] as number] as PageView;
      if (kind !== NEXT) isBegun = false;
      // Families without samples take no room in their page, so a stretch ends where the last one with samples ends.
      const { index } = page;
      let begin = -1;
      let end = -1;
      for (let family = order[i * 3 + 1] as number; family <= (order[i * 3 + 2] as number); family++) {
        const base = family * INDEX_WORDS;
        const samples = index[base + 3] as number;
        if (samples === 0) continue;
        const header = index[base] as number;
        if (begin < 0) begin = isBegun ? header + (index[base + 1] as number) : header;
        end = header + (index[base + 1] as number) + (index[base + 2] as number);
        merged.series += samples;
      }
      if (begin < 0) continue;
      isBegun = true;
      if (kind === TIME) this.#copyTime(target, page.page, begin, end, merged);
      else append(target, page.page.subarray(begin, end), merged);
    }
    return merged;
  }

  /** The time family up to the blank before its number, then a number of fixed width. */
  #copyTime(target: GrowingPage, page: Uint8Array, begin: number, end: number, merged: Merged): void {
    append(target, page.subarray(begin, page.lastIndexOf(SPACE, end - 1) + 1), merged);
    const at = merged.bytes;
    append(target, TIME_BYTES, merged);
    if (!merged.cut) merged.timeAt = at;
  }
}

function append(target: GrowingPage, bytes: Uint8Array, merged: Merged): void {
  if (merged.cut || !target.reserve(merged.bytes + bytes.length)) {
    merged.cut = true;
    return;
  }
  target.bytes.set(bytes, merged.bytes);
  merged.bytes += bytes.length;
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
