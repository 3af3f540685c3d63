import type { Sheet } from '../../collect/sheet.ts';

/**
 * Says whether slots kept since the last run may still be used: the same sheet, and no run in between was missed. The slot of
 * a series that misses runs may be given to another series.
 */
export class RunChain {
  #sheet: Sheet | undefined;
  #run = 0;

  /** True when the last call was in the run before this one, or in this run. */
  continues(sheet: Sheet): boolean {
    const isKept = this.#sheet === sheet && (this.#run === sheet.run || this.#run === (sheet.run - 1) >>> 0);
    this.#sheet = sheet;
    this.#run = sheet.run;
    return isKept;
  }

  /** True when the last call of `continues` was in this run. */
  isIn(sheet: Sheet): boolean {
    return this.#sheet === sheet && this.#run === sheet.run;
  }

  break(): void {
    this.#sheet = undefined;
  }
}
