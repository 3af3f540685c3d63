import { setFlagsFromString } from 'node:v8';

/**
 * How V8 is to run a program that does a millisecond of work a second; holds for every thread, those that run included. To be
 * called when the start is over: V8 takes code that was made before, node's own modules' too, under the very same flags only.
 * Measured, each thread that starts behind this takes 17 ms of CPU more.
 * - Functions that run once a second must not be compiled by the optimiser one after the other in the first minutes. V8's own
 *   budget costs the first eighty cycles 3 % more CPU than this one; eight times this one has a scrape cost a third more until
 *   some hundred thousand of them have come, where this one is through within a second of a flood. V8 has counted calls instead
 *   since version 12 and does not know the flag any more.
 * - Code that runs once a second counts as old; without its bytecode every cycle would compile it again.
 *
 * Flags of the garbage collector cannot be changed in a running process (V8 aborts); those are on the first line of main.ts
 * and in package.json, and only cost CPU where they are missing.
 */
export function tuneEngine(): void {
  setFlagsFromString('--no-flush-bytecode');
  if (Number.parseInt(process.versions.v8, 10) < 12) setFlagsFromString('--interrupt-budget=600000');
}
