import { readFileSync } from 'node:fs';

/** CPU time that the host has given to others while this virtual machine wanted it, of all processors, in ticks of 10 ms; /proc/stat, `steal`. */
function stolenTicks(): number {
  return Number(/^cpu(?: +\d+){7} +(\d+)/.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? 0);
}

/** How often runs were made that one was wanted of, and of how many every one was disturbed. */
export interface Disturbance {
  wanted: number;
  made: number;
  disturbed: number;
}

/**
 * Runs something until the host took no CPU time away meanwhile, `tries` times at most; what the least was taken from counts.
 * A host that does so now and then adds milliseconds to the slowest of a hundred answers, whoever gives them.
 */
export async function undisturbed<T>(run: () => Promise<T>, tries: number, noted: Disturbance): Promise<T> {
  let [best, least]: [T | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
  noted.wanted += 1;
  for (let left = tries; left > 0 && least > 0; left--) {
    const before = stolenTicks();
    const result = await run();
    const stolen = stolenTicks() - before;
    noted.made += 1;
    if (stolen < least) [best, least] = [result, stolen];
  }
  if (least > 0) noted.disturbed += 1;
  return best as T; // `tries` is 1 at least.
}
