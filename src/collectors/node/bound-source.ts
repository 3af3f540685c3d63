import { Binding } from '../../collect/binding.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { ReplaySteps, Token } from '../../readers/readers.ts';
import { parseProblem } from './file-error.ts';
import type { OptionalSource } from './optional-source.ts';
import { RunChain } from './run-chain.ts';

/** Says which number of a file is which series. Called when the text around the numbers has changed, not per cycle. */
export type Layout = (rows: Token[][], series: SeriesLayout) => void;

/** What a Layout writes to. The first sample of a series counts, as in the peer's registry. */
export class SeriesLayout {
  readonly path: string;
  readonly #sheet: Sheet;
  readonly #binding: Binding;
  readonly #constants: { slot: number; value: number }[];
  readonly #taken = new Set<number>();

  constructor(path: string, sheet: Sheet, binding: Binding, constants: { slot: number; value: number }[]) {
    this.path = path;
    this.#sheet = sheet;
    this.#binding = binding;
    this.#constants = constants;
  }

  /**
   * The series follows the number of `token`, `number * times / over` (the peer's arithmetic: one of the two stays 1).
   * Throws CollectError `parse` naming `line` (index of the row) when the token is missing or not a number.
   */
  number(line: number, token: Token | undefined, family: Family, labels: readonly string[] = [], times = 1, over = 1): void {
    if (token === undefined || token.at < 0)
      throw this.problem(line, `a number for ${family.name}, not ${token === undefined ? 'the end of the line' : JSON.stringify(token.text)}`);
    const slot = this.#slot(family, labels);
    if (slot >= 0) this.#binding.add(token.at, slot, times, over);
  }

  /** The series has this value in every cycle until the text changes: info families, labels with value 1. */
  constant(family: Family, labels: readonly string[], value: number): void {
    const slot = this.#slot(family, labels);
    if (slot >= 0) this.#constants.push({ slot, value });
  }

  /** For the layout to throw. @param line index of the row */
  problem(line: number, expected: string): Error {
    return parseProblem(this.path, line + 1, expected);
  }

  #slot(family: Family, labels: readonly string[]): number {
    const slot = this.#sheet.slot(family, labels);
    if (this.#taken.has(slot)) return -1;
    this.#taken.add(slot);
    return slot;
  }
}

/** A file and the series that its numbers go to. */
export class BoundSource {
  readonly path: string;
  readonly #source: OptionalSource;
  readonly #layout: Layout;
  readonly #binding = new Binding();
  readonly #constants: { slot: number; value: number }[] = [];
  readonly #chain = new RunChain();

  constructor(source: OptionalSource, layout: Layout) {
    this.path = source.path;
    this.#source = source;
    this.#layout = layout;
  }

  /** `scan` and `apply` in one. */
  collect(sheet: Sheet): boolean {
    if (!this.scan(sheet)) return false;
    this.apply(sheet);
    return true;
  }

  /** Reads the file and sets nothing yet. False when it is not there. Throws ReaderError, and CollectError from the layout. */
  scan(sheet: Sheet): boolean {
    const scan = this.#source.scan();
    if (scan === 'absent') return false;
    if (!this.#chain.continues(sheet) || scan === 'changed') this.#bind(sheet);
    return true;
  }

  /** Sets the series from what `scan` read in this run. */
  apply(sheet: Sheet): void {
    this.#binding.apply(this.#source.numbers, sheet);
    for (const { slot, value } of this.#constants) sheet.set(slot, value);
  }

  /** What `collect` of the next runs will do. False when the file is missing. */
  replay(steps: ReplaySteps): boolean {
    return this.#source.replay(steps, this.#binding.bounds());
  }

  /** Lays the file out anew in the next run, for layouts that depend on more than its text. */
  forget(): void {
    this.#chain.break();
  }

  close(): void {
    this.#source.close();
  }

  #bind(sheet: Sheet): void {
    this.#binding.clear();
    this.#constants.length = 0;
    try {
      this.#layout(this.#source.rows(), new SeriesLayout(this.path, sheet, this.#binding, this.#constants));
    } catch (error) {
      // The next scan may find the same text and must not take this half of a binding for a whole one.
      this.#chain.break();
      throw error;
    }
  }
}
