import { setFlagsFromString } from 'node:v8';

/**
 * How V8 is to run a program that does a millisecond of work a second. Imported first, so that it holds for every thread.
 * - Functions that run once a second must not be compiled by the optimiser one after the other for a quarter of an hour:
 *   measured, that is a fifth of the CPU of the first hundred cycles, and more on a busy machine. A flood of scrapes still reaches the budget.
 * - Code that runs once a second counts as old; without its bytecode every cycle would compile it again.
 *
 * Flags of the garbage collector cannot be changed in a running process (V8 aborts); those are on the first line of main.ts
 * and in package.json, and only cost CPU where they are missing.
 */
for (const flag of ['--interrupt-budget=5000000', '--no-flush-bytecode']) setFlagsFromString(flag);
