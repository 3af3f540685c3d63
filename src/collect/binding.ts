import type { BoundNumber } from '../readers/readers.ts';
import type { Sheet } from './sheet.ts';

/**
 * Ties numbers of a scan to series. Built when the text around the numbers has changed; applied in every cycle.
 * A value is `number * times / over`, the peer's own arithmetic: one of the two is always 1, so nothing is rounded twice.
 */
export class Binding {
  #at = new Int32Array(64);
  #slot = new Int32Array(64);
  #times = new Float64Array(64);
  #over = new Float64Array(64);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** @param at ordinal of the number in the scan; a negative one (text) is not bound and gives false */
  add(at: number, slot: number, times = 1, over = 1): boolean {
    if (at < 0 || slot < 0) return false;
    if (this.#length === this.#at.length) this.#grow();
    this.#at[this.#length] = at;
    this.#slot[this.#length] = slot;
    this.#times[this.#length] = times;
    this.#over[this.#length] = over;
    this.#length += 1;
    return true;
  }

  /** Sets every bound slot of the sheet for this run. @param base first number of the source in `numbers` (members of a set) */
  apply(numbers: Float64Array, sheet: Sheet, base = 0): void {
    const { values, stamps, run } = sheet;
    const at = this.#at;
    const slot = this.#slot;
    const times = this.#times;
    const over = this.#over;
    for (let i = 0; i < this.#length; i++) {
      const s = slot[i] as number;
      values[s] = ((numbers[base + (at[i] as number)] as number) * (times[i] as number)) / (over[i] as number);
      stamps[s] = run;
    }
  }

  /** What `apply` does, for replayed runs. */
  bounds(): BoundNumber[] {
    const found: BoundNumber[] = [];
    for (let i = 0; i < this.#length; i++) {
      found.push({ at: this.#at[i] as number, slot: this.#slot[i] as number, times: this.#times[i] as number, over: this.#over[i] as number });
    }
    return found;
  }

  #grow(): void {
    const size = this.#at.length * 2;
    const at = new Int32Array(size);
    const slot = new Int32Array(size);
    const times = new Float64Array(size);
    const over = new Float64Array(size);
    at.set(this.#at);
    slot.set(this.#slot);
    times.set(this.#times);
    over.set(this.#over);
    this.#at = at;
    this.#slot = slot;
    this.#times = times;
    this.#over = over;
  }
}
