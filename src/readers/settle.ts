import { collectGarbage, trimMemory } from './load.ts';

/** Runs after which a thread is tidied up: its first ones are done, its shapes and code have settled, a while later once more. */
const AFTER_RUNS: readonly number[] = [3, 20, 500];

/**
 * What a thread needs to load its code and for its first runs is garbage soon after. V8 would let it lie for hours: it
 * collects when the heap has grown by a share of itself, and a thread that sleeps in a futex has no idle time in V8's sense.
 * To be called at the end of each run, when nothing waits for the thread. It says whether it has taken its time.
 */
export function settling(): () => boolean {
  let runs = 0;
  return () => {
    runs += 1;
    if (!AFTER_RUNS.includes(runs)) return false;
    collectGarbage();
    trimMemory();
    return true;
  };
}
