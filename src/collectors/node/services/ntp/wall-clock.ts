/** Longest wait for the clock to move, ms; it moves once a millisecond. */
const LONGEST_MS = 2;

export interface Clocks {
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
}

/**
 * Unix time to the microsecond from a clock that counts whole milliseconds. CLOCK_MONOTONIC is slewed together with
 * the wall clock, so the difference of the two is constant until the wall clock is set, which shows.
 */
export class FineWallClock {
  readonly #clocks: Clocks;
  /** Wall time less monotonic time. */
  #differenceMs = Number.NaN;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  nowMs(): number {
    const { monotonicMs, wallMs } = this.#clocks;
    const fine = monotonicMs() + this.#differenceMs;
    const coarse = wallMs();
    // The whole milliseconds of the moment before or of this one.
    if (fine >= coarse - 0.1 && fine < coarse + 1) return fine;
    this.#measure();
    return monotonicMs() + this.#differenceMs;
  }

  /** The moment when the coarse clock moves is known exactly. */
  #measure(): void {
    const { monotonicMs, wallMs } = this.#clocks;
    const startMs = monotonicMs();
    const first = wallMs();
    let [wall, monotonic] = [first, startMs];
    while (wall === first && monotonic - startMs < LONGEST_MS) {
      wall = wallMs();
      monotonic = monotonicMs();
    }
    this.#differenceMs = wall - monotonic;
  }
}
