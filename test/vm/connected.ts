import type { Duplex } from 'node:stream';

/** Bytes go both ways from now on; the end of one is the end of the other. */
export function connected(one: Duplex, other: Duplex): void {
  one.pipe(other).pipe(one);
  for (const [side, opposite] of [
    [one, other],
    [other, one],
  ] as const)
    side.once('error', () => opposite.destroy()).once('close', () => opposite.destroy());
}
