import type { Family } from '../model/family.ts';
import { INDEX_WORDS, type PagePlan, type Readers } from '../readers/readers.ts';
import { boundLabel, PagePlans, type PlannedSeries } from './page-plan.ts';
import { type EntityLabels, type Label, PLAIN, type Variant } from './variant.ts';

export interface SheetLimits {
  readonly maxSeries: number;
  readonly maxBytes: number;
}

export interface SheetCounts {
  /** Samples printed by the first encode of the last run, which is that of the plain variant where there is one. */
  series: number;
  /** Samples refused since the sheet was made: same series twice in one run. */
  duplicates: number;
  /** Series or families refused since the sheet was made because a budget was used up. */
  overBudget: number;
  /** The first family that met a budget, for the one log line. */
  overBudgetFamily: string;
}

/** Where a variant's page goes: `page` may be replaced by a larger one in `grow`. */
export interface SheetTarget {
  page: Uint8Array;
  index: Uint32Array;
  /** Makes room for at least these sizes; false when the budget forbids it. */
  grow(bytes: number, indexWords: number): boolean;
}

export interface Encoded {
  readonly bytes: number;
  /** Families in the index, those without samples included. */
  readonly families: number;
}

interface Series extends PlannedSeries {
  readonly names: readonly string[];
  readonly values: readonly string[];
  readonly entity: number;
  readonly key: string;
  /** Run in which the series was seen last; kept up lazily, by `compact`. */
  lastRun: number;
}

const SEPARATOR = '\u0000';

/**
 * The series of one collector and target. Series are interned once and keep a slot; a run only stores numbers in slots.
 * Prefixes and order are worked out when the set of series changes, not per run.
 *
 * Not a registry: a slot that is not set in a run is absent from that run's page.
 */
export class Sheet {
  values = new Float64Array(64);
  /** `stamps[slot] === run` says that the slot was set in this run. */
  stamps = new Uint32Array(64);
  run = 0;
  readonly counts: SheetCounts = { series: 0, duplicates: 0, overBudget: 0, overBudgetFamily: '' };
  readonly #limits: SheetLimits;
  readonly #encode: Readers['encode'];
  readonly #bySlot: (Series | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #slots = new Map<string, number>();
  /** Series that this run may add beyond the budget. */
  #extra = 0;
  /** The run in which there was no room to be made. */
  #fullRun = -1;
  readonly #families = new Map<string, Family>();
  readonly #entities: (EntityLabels | undefined)[] = [];
  /** By entity. */
  readonly #entitySeries: Set<Series>[] = [];
  readonly #freeEntities: number[] = [];
  readonly #plans: PagePlans<Series>;
  /** Rises when the set of series, and so the order or the family list, has changed. */
  #shape = 0;
  /** The run whose samples were counted. */
  #counted = 0;

  constructor(readers: Pick<Readers, 'encode'>, limits: SheetLimits) {
    this.#encode = (...args) => readers.encode(...args);
    this.#limits = limits;
    const slots = this.#slots;
    this.#plans = new PagePlans({
      series: this.#bySlot,
      get count() {
        return slots.size;
      },
      family: (name) => this.#families.get(name) as Family,
      labels: (series, variant) => this.#labelsOf(series, variant),
    });
  }

  get shape(): number {
    return this.#shape;
  }

  /** Series known, set in this run or not. */
  get known(): number {
    return this.#slots.size;
  }

  /** Starts a run: every slot is absent until set. */
  begin(): void {
    this.#extra = 0;
    this.run = (this.run + 1) >>> 0;
    if (this.run === 0) {
      this.stamps.fill(0);
      this.run = 1;
    }
    if (this.run % 64 === 0) this.#compact();
  }

  /** Until the next run so many series may be added beyond the budget: what is said about a run must not be lost by what it found. */
  allow(series: number): void {
    this.#extra = series;
  }

  /**
   * The slot of a series; the same arguments give the same slot for as long as the series is in use.
   * -1 when the series budget is used up (counted; setting slot -1 does nothing).
   * @param values label values in the order of `names`
   * @param names label names, wire order; the family's own unless the label set varies within the family
   * @param entity handle from `entity()`, or -1
   * @param suffix `_bucket`, `_sum`, `_count` for histograms and summaries
   */
  slot(family: Family, values: readonly string[] = [], names: readonly string[] = family.labels, entity = -1, suffix = ''): number {
    const key = `${family.name}${suffix}${SEPARATOR}${entity}${SEPARATOR}${names === family.labels ? '' : names.join()}${SEPARATOR}${values.join(SEPARATOR)}`;
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const first = this.#families.get(family.name);
    if (first === undefined) this.#families.set(family.name, family);
    if (this.#slots.size >= this.#limits.maxSeries + this.#extra && !this.#makeRoom()) {
      this.#refuse(family.name);
      return -1;
    }
    const slot = this.#free.pop() ?? this.#bySlot.length;
    if (slot >= this.values.length) this.#growSlots(slot + 1);
    const series: Series = { family: first ?? family, suffix, names, values: [...values], entity, slot, key, lastRun: this.run, version: 0 };
    this.#bySlot[slot] = series;
    if (entity >= 0) this.#entitySeries[entity]?.add(series);
    this.stamps[slot] = 0;
    this.#slots.set(key, slot);
    this.#plans.note(series);
    this.#changed();
    return slot;
  }

  /** Stores a number for this run. False, and counted, when the slot was already set in this run: the first sample stays. */
  set(slot: number, value: number): boolean {
    if (slot < 0) return false;
    if (this.stamps[slot] === this.run) {
      this.counts.duplicates += 1;
      return false;
    }
    this.values[slot] = value;
    this.stamps[slot] = this.run;
    return true;
  }

  /** `slot` and `set` in one: the plain way for sources whose series change from run to run. */
  sample(family: Family, values: readonly string[], value: number, names?: readonly string[]): boolean {
    return this.set(this.slot(family, values, names ?? family.labels), value);
  }

  /**
   * Says anew what a family is, for those whose type or HELP come from data. When it differs from what was known, the family's
   * series are forgotten: slots must be asked for again.
   */
  redefine(family: Family): void {
    const known = this.#families.get(family.name);
    if (known === undefined || (known.type === family.type && known.help === family.help)) return;
    for (const series of this.#bySlot) if (series?.family.name === family.name) this.#forget(series);
    this.#families.set(family.name, family);
    this.#changed();
  }

  /** Registers an entity whose labels are added to its series; returns its handle. */
  entity(labels: EntityLabels): number {
    const handle = this.#freeEntities.pop() ?? this.#entities.length;
    this.#entities[handle] = labels;
    this.#entitySeries[handle] = new Set();
    return handle;
  }

  /** Replaces an entity's labels (a name that arrived late): its series keep their slots and are printed anew. */
  rename(handle: number, labels: EntityLabels): void {
    this.#entities[handle] = labels;
    for (const series of this.#entitySeries[handle] ?? []) {
      series.version += 1;
      this.#plans.note(series);
    }
    this.#changed();
  }

  /** Forgets an entity and every series of it. */
  drop(handle: number): void {
    if (this.#entities[handle] === undefined) return;
    for (const series of this.#entitySeries[handle] ?? []) this.#forget(series);
    this.#entities[handle] = undefined;
    this.#freeEntities.push(handle);
    this.#changed();
  }

  /** How the series known are printed on a variant; the same object until the set of series changes. */
  plan(variant: Variant): PagePlan {
    return this.#plans.plan(variant, this.#shape);
  }

  /**
   * Prints this run's samples of one variant into `target`: families in byte order of name, series in label-value order.
   * Whole families that do not fit the byte budget are left out and counted.
   */
  encode(variant: Variant, target: SheetTarget): Encoded {
    const plan = this.plan(variant);
    target.grow(0, plan.families * INDEX_WORDS);
    let bytes = this.#encode(plan, this.values, this.stamps, this.run, target.page, target.index);
    if (bytes < 0 && target.grow(Math.min(Math.ceil((-bytes - 1) * 1.25), this.#limits.maxBytes), 0)) {
      bytes = this.#encode(plan, this.values, this.stamps, this.run, target.page, target.index);
    }
    if (bytes < 0) bytes = this.#leaveOut(plan, target);
    if (this.#counted !== this.run) {
      this.#counted = this.run;
      let series = 0;
      for (let i = 0; i < plan.families; i++) series += target.index[i * INDEX_WORDS + 3] ?? 0;
      this.counts.series = series;
    }
    return { bytes, families: plan.families };
  }

  /** The page of this run as text, for tests and failure pages. */
  text(variant: Variant = PLAIN): string {
    const target: SheetTarget = {
      page: new Uint8Array(1 << 16),
      index: new Uint32Array(4096),
      grow(bytes, words) {
        if (bytes > this.page.length) this.page = new Uint8Array(bytes);
        if (words > this.index.length) this.index = new Uint32Array(words);
        return true;
      },
    };
    const { bytes } = this.encode(variant, target);
    return new TextDecoder().decode(target.page.subarray(0, bytes));
  }

  /** The encoder reports what did not fit by zero sample counts of families that have samples: count those. */
  #leaveOut(plan: PagePlan, target: SheetTarget): number {
    let end = 0;
    let op = 0;
    for (let i = 0; i < plan.families; i++) {
      const at = i * INDEX_WORDS;
      const header = target.index[at + 1] ?? 0;
      const seriesCount = plan.ops[op + 1] ?? 0;
      if ((target.index[at + 3] ?? 0) > 0) end = Math.max(end, (target.index[at] ?? 0) + header + (target.index[at + 2] ?? 0));
      else {
        let present = false;
        for (let s = 0; s < seriesCount && !present; s++) present = this.stamps[plan.ops[op + 3 + s * 2] ?? 0] === this.run;
        if (present) this.#refuse(this.#bySlot[plan.ops[op + 3] ?? 0]?.family.name ?? '');
      }
      op += 2 + seriesCount * 2;
    }
    return end;
  }

  #refuse(family: string): void {
    this.counts.overBudget += 1;
    this.counts.overBudgetFamily ||= family;
  }

  #changed(): void {
    this.#shape += 1;
  }

  #growSlots(wanted: number): void {
    const size = Math.max(wanted, this.values.length * 2);
    const values = new Float64Array(size);
    values.set(this.values);
    this.values = values;
    const stamps = new Uint32Array(size);
    stamps.set(this.stamps);
    this.stamps = stamps;
  }

  #forget(series: Series): void {
    series.version = -1;
    if (series.entity >= 0) this.#entitySeries[series.entity]?.delete(series);
    this.#slots.delete(series.key);
    this.#bySlot[series.slot] = undefined;
    this.#free.push(series.slot);
    this.stamps[series.slot] = 0;
  }

  /** Looks for series that are gone; once in a run, since a full sheet may refuse as many as it holds. */
  #makeRoom(): boolean {
    if (this.#fullRun === this.run) return false;
    if (this.#compact() > 0) return true;
    this.#fullRun = this.run;
    return false;
  }

  /** Forgets series that have been absent for 64 runs, so that vanished label values free what they held. Returns how many. */
  #compact(): number {
    let forgotten = 0;
    for (const series of this.#bySlot) {
      if (series === undefined) continue;
      const stamp = this.stamps[series.slot] ?? 0;
      if (stamp > series.lastRun) series.lastRun = stamp;
      if (this.run - series.lastRun > 64) {
        this.#forget(series);
        forgotten += 1;
      }
    }
    if (forgotten > 0) this.#changed();
    return forgotten;
  }

  #labelsOf(series: Series, variant: Variant): Label[] | undefined {
    const labels: Label[] = series.names.map((name, i) => [name, series.values[i] ?? '']);
    const entity = series.entity < 0 ? undefined : this.#entities[series.entity];
    if (entity !== undefined) {
      const own = entity(variant.name);
      if (own === undefined) return undefined;
      labels.push(...own);
    }
    labels.push(...variant.labels);
    // Bounds stay last, as every peer's library prints them.
    const bounded = boundLabel(series.family.type);
    const last = (name: string): boolean => name === bounded;
    if (entity !== undefined || variant.labels.length > 0) {
      labels.sort((a, b) => (last(a[0]) === last(b[0]) ? (a[0] < b[0] ? -1 : 1) : last(a[0]) ? 1 : -1));
    }
    return labels;
  }
}
