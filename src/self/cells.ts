import type { Family } from '../model/family.ts';

/**
 * The daemon's own numbers in shared memory: the main thread adds to a Float64Array, to a few cells of it a collecting
 * thread does, and the view builder reads it when it prints. One writer for each; a double is written whole.
 */

/** Reserved, and only touched as far as it is used: an array that grows in place is slower to index. */
const MAX_CELLS = 1 << 16;

/** A series as the builder is told of it, once: the sum of the cells `from` to `at`, which mostly is one cell. */
export interface CellSpec {
  readonly from: number;
  readonly at: number;
  readonly family: Family;
  readonly values: readonly string[];
  readonly names: readonly string[];
  readonly suffix: string;
}

/** A number that only the main thread changes. */
export interface Cell {
  add(amount: number): void;
  set(value: number): void;
}

export interface Distribution {
  observe(value: number): void;
}

export class Cells {
  readonly memory = new SharedArrayBuffer(8 * MAX_CELLS);
  readonly #values = new Float64Array(this.memory);
  readonly #known = new Map<string, Cell>();
  readonly #distributions = new Map<string, Distribution>();
  #used = 0;
  #unsent: CellSpec[] = [];

  /** The cell of a series; made at the first call. */
  cell(family: Family, values: readonly string[] = []): Cell {
    const key = `${family.name}\u0000${values.join('\u0000')}`;
    let cell = this.#known.get(key);
    if (cell === undefined) {
      cell = this.#make(family, values);
      this.#known.set(key, cell);
    }
    return cell;
  }

  /**
   * A histogram with these upper bounds (ascending, without +Inf). Its cells count each bucket by itself, since every scrape
   * observes one; the builder adds them up when it prints.
   */
  distribution(family: Family, bounds: readonly number[], values: readonly string[] = []): Distribution {
    const key = `${family.name}\u0000${values.join('\u0000')}`;
    const known = this.#distributions.get(key);
    if (known !== undefined) return known;
    const names = [...family.labels, 'le'];
    const first = this.#used;
    for (const bound of bounds) this.#take(family, [...values, String(bound)], names, '_bucket', first);
    const last = this.#take(family, [...values, '+Inf'], names, '_bucket', first);
    const sum = this.#take(family, values, family.labels, '_sum');
    this.#unsent.push({ from: first, at: last, family, values, names: family.labels, suffix: '_count' });
    const numbers = this.#values;
    const distribution: Distribution = {
      observe(value) {
        let at = first;
        while (at < last && value > (bounds[at - first] as number)) at++;
        numbers[at] = (numbers[at] as number) + 1;
        numbers[sum] = (numbers[sum] as number) + value;
      },
    };
    this.#distributions.set(key, distribution);
    return distribution;
  }

  /** Cells of series of one family, in their order, for another thread to count in: it is their one writer from now on. */
  lend(family: Family, series: readonly (readonly string[])[]): Float64Array {
    const first = this.#used;
    for (const values of series) this.#take(family, values, family.labels, '');
    return this.#values.subarray(first, this.#used);
  }

  /** Cells made since the last call: what the builder has not been told yet. */
  takeNew(): CellSpec[] {
    const specs = this.#unsent;
    this.#unsent = [];
    return specs;
  }

  get hasNew(): boolean {
    return this.#unsent.length > 0;
  }

  #make(family: Family, values: readonly string[]): Cell {
    const at = this.#take(family, values, family.labels, '');
    const numbers = this.#values;
    return {
      add: (amount) => {
        numbers[at] = (numbers[at] as number) + amount;
      },
      set: (value) => {
        numbers[at] = value;
      },
    };
  }

  /** A fresh cell, for a series that is the sum from another one on, or of this one alone. */
  #take(family: Family, values: readonly string[], names: readonly string[], suffix: string, from = this.#used): number {
    const at = this.#used++;
    if (at >= MAX_CELLS) throw new RangeError(`more than ${MAX_CELLS} series about the daemon itself`);
    this.#unsent.push({ from, at, family, values, names, suffix });
    return at;
  }
}
