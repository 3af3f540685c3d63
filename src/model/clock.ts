/** The two clocks of the daemon. Injected wherever time is used, so that tests own it. */
export interface Clock {
  /** CLOCK_MONOTONIC in milliseconds, the same in every thread of the process. */
  readonly monotonicMs: () => number;
  /** Unix time in milliseconds. */
  readonly wallMs: () => number;
}

export const systemClock: Clock = {
  monotonicMs: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
  wallMs: () => Date.now(),
};
