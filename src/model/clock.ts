/** The two clocks of the daemon. Injected wherever time is used, so that tests own it. */
export interface Clock {
  /** CLOCK_MONOTONIC in milliseconds, the same in every thread of the process. */
  readonly monotonicMs: () => number;
  /** Unix time in milliseconds. */
  readonly wallMs: () => number;
}

// Taken once: `process` is looked up through a getter each time.
const { hrtime } = process;

export const systemClock: Clock = {
  monotonicMs: () => {
    const [seconds, nanoseconds] = hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
  wallMs: () => Date.now(),
};

/**
 * The wall clock for who has just read the other one, in milliseconds: asked once in each millisecond of that one. A flood
 * of scrapes would else read two clocks for each.
 */
export function wallByMillisecond(wallMs: Clock['wallMs']): (monotonicMs: number) => number {
  let [at, wall] = [Number.NaN, Number.NaN];
  return (monotonicMs) => {
    const millisecond = Math.floor(monotonicMs);
    if (millisecond !== at) [at, wall] = [millisecond, wallMs()];
    return wall;
  };
}
