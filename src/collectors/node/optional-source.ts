import { type BoundNumber, ReaderError, type ReplaySteps, type Source, type Token } from '../../readers/readers.ts';
import { Absence } from './absence.ts';

/** `changed`: the text around the numbers is another one than at the last scan. */
export type Scan = 'absent' | 'same' | 'changed';

/** A source that may not be there (feature off, module not loaded). Throws ReaderError for every other failure. */
export class OptionalSource {
  readonly path: string;
  readonly #source: Source;
  readonly #absence: Absence;

  constructor(source: Source, monotonicMs: () => number) {
    this.path = source.path;
    this.#source = source;
    this.#absence = new Absence(monotonicMs);
  }

  scan(): Scan {
    if (this.#absence.isRecent()) return 'absent';
    try {
      const changed = this.#source.scan();
      return changed ? 'changed' : 'same';
    } catch (error) {
      if (!(error instanceof ReaderError) || (error.code !== 'ENOENT' && error.code !== 'ENOTDIR')) throw error;
      this.#absence.note();
      return 'absent';
    }
  }

  /** What `scan` of the next runs will do. False when the source is missing. */
  replay(steps: ReplaySteps, bounds: readonly BoundNumber[]): boolean {
    return this.#replay(steps, (source) => steps.scan(source, bounds));
  }

  /** As `replay`, for a source whose text is of no matter. */
  replayTable(steps: ReplaySteps, bounds: readonly BoundNumber[]): void {
    this.#replay(steps, (source) => steps.table(source, bounds));
  }

  /** As `replay`, for a table of mounts. */
  replayMounts(steps: ReplaySteps): void {
    this.#replay(steps, (source) => steps.mountTable(source));
  }

  /** False when the source is missing, which is then all that the next runs find. */
  #replay(steps: ReplaySteps, read: (source: Source) => void): boolean {
    const isThere = !this.#absence.isRecent();
    if (isThere) read(this.#source);
    else this.#absence.replay(steps, this.path);
    return isThere;
  }

  get numbers(): Float64Array {
    return this.#source.numbers;
  }

  get count(): number {
    return this.#source.count;
  }

  text(): string {
    return this.#source.text();
  }

  rows(): Token[][] {
    return this.#source.rows();
  }

  close(): void {
    this.#source.close();
  }
}
