import { compareBytes, escapeHelp, escapeLabelValue } from '../model/escape.ts';
import type { Family } from '../model/family.ts';
import type { PagePlan } from '../readers/readers.ts';
import type { Label, Variant } from './variant.ts';

/**
 * In which order series are printed and with which text before their numbers. A plan changes only when series come, go or
 * are renamed; it is then made from the one before: what stayed is copied, what came is put in its place.
 */

/** A series as plans know it. */
export interface PlannedSeries {
  readonly family: Family;
  readonly suffix: string;
  readonly slot: number;
  /** Rises when its labels change; -1 once it is forgotten. Plans tell by it what they may keep. */
  version: number;
}

/** What a plan asks the sheet. */
export interface PlanSource<Series extends PlannedSeries> {
  /** Every series known, in any order; holes where one was forgotten. */
  readonly series: Iterable<Series | undefined>;
  readonly count: number;
  /** As the family stands now: its type and HELP may have changed since the series was made. */
  family(name: string): Family;
  /** In wire order; undefined when the series is not printed on this variant. */
  labels(series: Series, variant: Variant): readonly Label[] | undefined;
}

/** A plan and what it was made of. */
interface Planned<Series> {
  readonly plan: PagePlan;
  readonly shape: number;
  readonly families: readonly PlannedFamily<Series>[];
  /** Length of the log when the plan was made. */
  readonly seen: number;
}

interface PlannedFamily<Series> {
  readonly name: string;
  /** Where the header lies in the blob, and how long it is; prefixes follow back to back. */
  readonly at: number;
  readonly header: number;
  readonly series: readonly Series[];
  readonly versions: Int32Array;
  readonly lengths: Uint32Array;
}

interface Row<Series> {
  readonly series: Series;
  readonly order: string;
  readonly prefix: Uint8Array;
}

/** With more newcomers than one in so many, sorting all is cheaper than looking for each one's place. */
const FEW = 8;
/** The log may hold so many entries besides two for each series. */
const SHORT_LOG = 1024;

const SEPARATOR = '\u0000';
const encoder = new TextEncoder();

/** The plans of one sheet, one per variant. */
export class PagePlans<Series extends PlannedSeries> {
  readonly #source: PlanSource<Series>;
  /** By variant name. */
  readonly #plans = new Map<string, Planned<Series>>();
  /** Series that came or changed their labels, in order; plans read on from where they stopped. */
  #log: Series[] = [];

  constructor(source: PlanSource<Series>) {
    this.#source = source;
  }

  /** To be told of every series that came or got other labels. Plans that fell far behind are given up, which bounds the log. */
  note(series: Series): void {
    this.#log.push(series);
    if (this.#log.length <= SHORT_LOG + 2 * this.#source.count) return;
    this.#log = [];
    this.#plans.clear();
  }

  /** The plan of a variant. `shape` is a number that changes whenever series came, went or were renamed. */
  plan(variant: Variant, shape: number): PagePlan {
    const last = this.#plans.get(variant.name);
    if (last !== undefined && last.shape === shape) return last.plan;
    const before = last !== undefined && (this.#log.length - last.seen) * FEW <= this.#source.count ? last : undefined;
    const came = new Set<Series>();
    if (before === undefined) for (const series of this.#source.series) series !== undefined && came.add(series);
    else for (const series of this.#log.slice(before.seen)) if (series.version >= 0) came.add(series);
    const rows = this.#rows(came, variant);
    const planned: Planned<Series> = { ...this.#merge(variant, before, rows), shape, seen: this.#log.length };
    this.#plans.set(variant.name, planned);
    this.#trimLog();
    return planned.plan;
  }

  /** What is printed of these series on a variant, by family, in order. */
  #rows(came: ReadonlySet<Series>, variant: Variant): Map<string, Row<Series>[]> {
    const byFamily = new Map<string, Row<Series>[]>();
    for (const series of came) {
      const labels = this.#source.labels(series, variant);
      if (labels === undefined) continue;
      const row = { series, order: orderKey(series, labels), prefix: encoder.encode(seriesPrefix(series.family.name + series.suffix, labels)) };
      const rows = byFamily.get(series.family.name);
      if (rows === undefined) byFamily.set(series.family.name, [row]);
      else rows.push(row);
    }
    for (const rows of byFamily.values()) rows.sort((a, b) => compareBytes(a.order, b.order));
    return byFamily;
  }

  /** A plan from the series of the last one that are as they were, and the rows that came. */
  #merge(variant: Variant, last: Planned<Series> | undefined, came: ReadonlyMap<string, readonly Row<Series>[]>): Pick<Planned<Series>, 'plan' | 'families'> {
    const before = new Map(last?.families.map((family) => [family.name, family]));
    const names = [...new Set([...before.keys(), ...came.keys()])].sort(compareBytes);
    const headers = names.map((name) => encoder.encode(familyHeader(this.#source.family(name))));
    let room = last?.plan.blob.length ?? 0;
    for (const header of headers) room += header.length;
    for (const rows of came.values()) for (const { prefix } of rows) room += prefix.length;
    const writer = new PlanWriter<Series>(room);
    for (const [i, name] of names.entries()) {
      const old = before.get(name);
      const rows = came.get(name) ?? [];
      writer.begin(name, headers[i] as Uint8Array, (old?.series.length ?? 0) + rows.length);
      if (old === undefined || last === undefined) for (const { series, prefix } of rows) writer.put(series, prefix);
      else this.#interleave(writer, last.plan.blob, old, rows, variant);
      writer.end();
    }
    return writer.finish();
  }

  /** Copies what is as it was and puts each newcomer before the first series that belongs behind it. */
  #interleave(writer: PlanWriter<Series>, blob: Uint8Array, old: PlannedFamily<Series>, rows: readonly Row<Series>[], variant: Variant): void {
    const places = rows.map((row) => this.#placeOf(row.order, old, variant));
    let from = old.at + old.header;
    let next = 0;
    for (let k = 0; k <= old.series.length; k++) {
      for (; next < rows.length && (places[next] as number) <= k; next++) {
        const { series, prefix } = rows[next] as Row<Series>;
        writer.put(series, prefix);
      }
      const kept = old.series[k];
      if (kept === undefined) break;
      const length = old.lengths[k] as number;
      if (kept.version === old.versions[k]) writer.put(kept, blob.subarray(from, from + length));
      from += length;
    }
  }

  /** Index in the old order before which a newcomer belongs. Series that went or changed stand where they stood. */
  #placeOf(order: string, old: PlannedFamily<Series>, variant: Variant): number {
    let low = 0;
    let high = old.series.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      // Only series that are as they were can be compared: look to the right for one.
      let probe = middle;
      while (probe < high && (old.series[probe] as Series).version !== old.versions[probe]) probe += 1;
      if (probe === high) {
        high = middle;
        continue;
      }
      const series = old.series[probe] as Series;
      if (compareBytes(orderKey(series, this.#source.labels(series, variant) ?? []), order) < 0) low = probe + 1;
      else high = middle;
    }
    return low;
  }

  /** Forgets what every plan has read. */
  #trimLog(): void {
    for (const { seen } of this.#plans.values()) if (seen < this.#log.length) return;
    this.#log = [];
    for (const [name, planned] of this.#plans) this.#plans.set(name, { ...planned, seen: 0 });
  }
}

/** Lays families out one after the other; a family that got no series leaves nothing. */
class PlanWriter<Series extends PlannedSeries> {
  readonly #blob: Uint8Array;
  readonly #ops: number[] = [];
  readonly #families: PlannedFamily<Series>[] = [];
  #end = 0;
  #name = '';
  #header = 0;
  #at = 0;
  #opsAt = 0;
  #series: Series[] = [];
  #lengths = new Uint32Array(0);

  constructor(room: number) {
    this.#blob = new Uint8Array(room);
  }

  /** @param most series the family will get at most */
  begin(name: string, header: Uint8Array, most: number): void {
    this.#name = name;
    this.#header = header.length;
    this.#at = this.#end;
    this.#opsAt = this.#ops.length;
    this.#series = [];
    this.#lengths = new Uint32Array(most);
    this.#blob.set(header, this.#end);
    this.#end += header.length;
    this.#ops.push(header.length, 0);
  }

  put(series: Series, prefix: Uint8Array): void {
    this.#blob.set(prefix, this.#end);
    this.#end += prefix.length;
    this.#lengths[this.#series.length] = prefix.length;
    this.#series.push(series);
    this.#ops.push(prefix.length, series.slot);
  }

  end(): void {
    const series = this.#series;
    if (series.length === 0) {
      this.#end = this.#at;
      this.#ops.length = this.#opsAt;
      return;
    }
    this.#ops[this.#opsAt + 1] = series.length;
    const versions = Int32Array.from(series, ({ version }) => version);
    this.#families.push({ name: this.#name, at: this.#at, header: this.#header, series, versions, lengths: this.#lengths });
  }

  finish(): { plan: PagePlan; families: readonly PlannedFamily<Series>[] } {
    const families = this.#families;
    return { plan: { blob: this.#blob.subarray(0, this.#end), ops: Uint32Array.from(this.#ops), families: families.length }, families };
  }
}

/** The label that holds the bound of a part of a distribution, '' for other families: there `le` is a label like any other. */
export function boundLabel(type: Family['type']): string {
  return type === 'histogram' ? 'le' : type === 'summary' ? 'quantile' : '';
}

/** Fewer labels first, then values in wire order: how the Go client library sorts the series of a family. */
export function orderKey(series: Pick<PlannedSeries, 'family' | 'suffix'>, labels: readonly Label[]): string {
  const bounded = boundLabel(series.family.type);
  const rest = bounded === '' ? '' : SEPARATOR + SUFFIX_ORDER.indexOf(series.suffix);
  const values = labels.filter(([name]) => name !== bounded).map(([, value]) => value);
  const bound = labels.length > values.length ? SEPARATOR + boundKey(labels.at(-1)?.[1] ?? '') : '';
  return String.fromCharCode(32 + values.length) + values.join(SEPARATOR) + rest + bound;
}

/** A distribution's own order: buckets or quantiles, then sum, then count. */
const SUFFIX_ORDER = ['', '_bucket', '_sum', '_count'];

/** Bounds sort by number; +Inf is last. Sixteen hex digits of the double's order-preserving bits. */
function boundKey(text: string): string {
  const value = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const ordered = bits >> 63n === 1n ? ~bits & 0xffffffffffffffffn : bits | 0x8000000000000000n;
  return ordered.toString(16).padStart(16, '0');
}

export function familyHeader(family: Family): string {
  return `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.type}\n`;
}

export function seriesPrefix(name: string, labels: readonly Label[]): string {
  if (labels.length === 0) return `${name} `;
  return `${name}{${labels.map(([label, value]) => `${label}="${escapeLabelValue(value)}"`).join(',')}} `;
}
