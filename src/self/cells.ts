import type { Family } from '../model/family.ts';

/**
 * The main thread's own numbers in shared memory: it adds to a Float64Array, the view builder reads it when it prints.
 * One writer; a double is written whole.
 */

/** Reserved, and only touched as far as it is used: an array that grows in place is slower to index. */
const MAX_CELLS = 1 << 16;

/** A cell as the builder is told of it, once. */
export interface CellSpec {
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
      cell = this.#make(family, values, family.labels, '');
      this.#known.set(key, cell);
    }
    return cell;
  }

  /** A histogram with these upper bounds (ascending, without +Inf). */
  distribution(family: Family, bounds: readonly number[], values: readonly string[] = []): Distribution {
    const key = `${family.name}\u0000${values.join('\u0000')}`;
    const known = this.#distributions.get(key);
    if (known !== undefined) return known;
    const names = [...family.labels, 'le'];
    const buckets = [...bounds.map(String), '+Inf'].map((le) => this.#make(family, [...values, le], names, '_bucket'));
    const sum = this.#make(family, values, family.labels, '_sum');
    const count = this.#make(family, values, family.labels, '_count');
    const distribution: Distribution = {
      observe(value) {
        for (let i = bounds.length; i >= 0 && (i === bounds.length || value <= (bounds[i] as number)); i--) buckets[i]?.add(1);
        sum.add(value);
        count.add(1);
      },
    };
    this.#distributions.set(key, distribution);
    return distribution;
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

  #make(family: Family, values: readonly string[], names: readonly string[], suffix: string): Cell {
    const at = this.#used++;
    if (at >= MAX_CELLS) throw new RangeError(`more than ${MAX_CELLS} series about the daemon itself`);
    this.#unsent.push({ at, family, values, names, suffix });
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
}
