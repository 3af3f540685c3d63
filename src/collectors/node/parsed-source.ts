import type { ReplaySteps } from '../../readers/readers.ts';
import type { OptionalSource } from './optional-source.ts';

/** A text that seldom changes, parsed when it has. `source` is one of format text. */
export class ParsedSource<T> {
  readonly #source: OptionalSource;
  readonly #parse: (text: string, path: string) => T;
  #value: T | undefined;
  /** Whether the last read gave another value than the one before it. */
  hasChanged = false;

  constructor(source: OptionalSource, parse: (text: string, path: string) => T) {
    this.#source = source;
    this.#parse = parse;
  }

  get path(): string {
    return this.#source.path;
  }

  /** Undefined when the file is missing. Throws ReaderError, and what `parse` throws. */
  read(): T | undefined {
    const former = this.#value;
    // A text that could not be parsed is the same at the next scan and must not pass for a good one.
    this.#value = undefined;
    const scan = this.#source.scan();
    if (scan === 'absent') {
      this.hasChanged = former !== undefined;
      return undefined;
    }
    this.hasChanged = scan === 'changed' || former === undefined;
    this.#value = this.hasChanged ? this.#parse(this.#source.text(), this.path) : former;
    return this.#value;
  }

  /** What `read` of the next runs will do. False when the file is missing. */
  replay(steps: ReplaySteps): boolean {
    return this.#source.replay(steps, []);
  }

  /** As `replay`, for a table of mounts. */
  replayMounts(steps: ReplaySteps): void {
    this.#source.replayMounts(steps);
  }

  close(): void {
    this.#source.close();
  }
}

/** Words between blanks, as Go's strings.Fields cuts them. */
export function wordsOf(line: string): string[] {
  return line.split(/\s+/).filter((word) => word !== '');
}
