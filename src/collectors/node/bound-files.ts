import type { Sheet } from '../../collect/sheet.ts';
import type { ReplaySteps } from '../../readers/readers.ts';
import type { BoundSource } from './bound-source.ts';

/** Files of one kind whose number varies: one per file system, per data set. */
export class BoundFiles {
  readonly #open: (path: string) => BoundSource;
  #sources = new Map<string, BoundSource>();

  constructor(open: (path: string) => BoundSource) {
    this.#open = open;
  }

  /** Says anew which files there are. */
  follow(paths: readonly string[]): void {
    const before = this.#sources;
    this.#sources = new Map(paths.map((path) => [path, before.get(path) ?? this.#open(path)]));
    for (const [path, source] of before) if (!this.#sources.has(path)) source.close();
  }

  /**
   * Reads each and sets its series; one that fails does not keep the others from it. Returns how many were there.
   * Throws the first problem when all are done: ReaderError, and CollectError from the layout.
   */
  collect(sheet: Sheet): number {
    let found = 0;
    let problem: unknown;
    for (const source of this.#sources.values()) {
      try {
        if (source.collect(sheet)) found += 1;
      } catch (error) {
        problem ??= error;
      }
    }
    if (problem !== undefined) throw problem;
    return found;
  }

  /** What `collect` of the next runs will do. */
  replay(steps: ReplaySteps): void {
    for (const source of this.#sources.values()) source.replay(steps);
  }

  close(): void {
    for (const source of this.#sources.values()) source.close();
    this.#sources.clear();
  }
}
