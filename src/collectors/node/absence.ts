import type { ReplaySteps } from '../../readers/readers.ts';

/** How long a missing file or folder is believed to be missing, milliseconds. */
export const ABSENCE_MS = 60_000;

/** Remembers that something is missing, so that it does not cost a failed system call in each cycle. */
export class Absence {
  readonly #monotonicMs: () => number;
  #lookAgainMs = Number.NEGATIVE_INFINITY;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  isRecent(): boolean {
    return this.#lookAgainMs !== Number.NEGATIVE_INFINITY && this.#monotonicMs() < this.#lookAgainMs;
  }

  /** Runs may be replayed as long as it is believed to be missing; with its path, as long as it is missing. */
  replay(steps: ReplaySteps, path?: string): void {
    if (path === undefined) steps.until(this.#lookAgainMs);
    else steps.missing(path, this.#lookAgainMs, ABSENCE_MS);
  }

  note(): void {
    this.#lookAgainMs = this.#monotonicMs() + ABSENCE_MS;
  }
}
