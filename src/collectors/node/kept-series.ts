import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import { RunChain } from './run-chain.ts';

/** A series that remembers its slot as long as it is set in every run. */
export class KeptSeries {
  readonly #family: Family;
  readonly #labels: readonly string[];
  readonly #chain = new RunChain();
  #slot = -1;

  constructor(family: Family, labels: readonly string[]) {
    this.#family = family;
    this.#labels = labels;
  }

  /** The slot that was set in this run of the sheet; -1 when it was not. */
  slotIn(sheet: Sheet): number {
    return this.#slot >= 0 && this.#chain.isIn(sheet) ? this.#slot : -1;
  }

  set(sheet: Sheet, value: number): void {
    if (!this.#chain.continues(sheet) || this.#slot < 0) this.#slot = sheet.slot(this.#family, this.#labels);
    sheet.set(this.#slot, value);
  }
}
