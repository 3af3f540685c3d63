import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import { RunChain } from './run-chain.ts';

interface Constant {
  readonly family: Family;
  readonly labels: readonly string[];
  readonly value: number;
  slot: number;
}

/** Series whose labels and values seldom change: info families, states read when something has changed. */
export class ConstantSeries {
  readonly #chain = new RunChain();
  #constants: Constant[] = [];

  clear(): void {
    this.#constants = [];
  }

  add(family: Family, labels: readonly string[], value: number): void {
    this.#constants.push({ family, labels, value, slot: -1 });
  }

  /** Sets them all for this run; of equal series the first counts. */
  collect(sheet: Sheet): void {
    const isKept = this.#chain.continues(sheet);
    for (const constant of this.#constants) {
      if (!isKept || constant.slot < 0) constant.slot = sheet.slot(constant.family, constant.labels);
      if (sheet.stamps[constant.slot] !== sheet.run) sheet.set(constant.slot, constant.value);
    }
  }
}
