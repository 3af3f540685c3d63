import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cProgram, memoryFolder } from './c-program.ts';
import { start } from './program.ts';

/**
 * A run during which the host held one of the processors up for more than this part of the time is disturbed. The slowest of a
 * hundred answers are then the host's, whoever gives them: a pause of some milliseconds is met by every connection.
 */
const HELD_UP_MAX = 0.003;

/** Sees what the host of a virtual machine does to it, and makes disturbed runs again. */
export class Host {
  readonly #heldUpMs: () => readonly number[];
  #wanted = 0;
  #made = 0;
  #disturbed = 0;

  private constructor(heldUpMs: () => readonly number[]) {
    this.#heldUpMs = heldUpMs;
  }

  /** Watches until the bench ends. Without the right to real-time threads nothing counts as disturbed. */
  static async watch(): Promise<Host> {
    const folder = memoryFolder();
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'stalls');
    const watcher = start(cProgram('stalls'), [file]);
    try {
      await watcher.says(/^watching$/m);
    } catch {
      return new Host(() => []);
    }
    return new Host(() => {
      const { buffer, byteOffset, byteLength } = readFileSync(file);
      return Array.from(new BigUint64Array(buffer.slice(byteOffset, byteOffset + byteLength)), (ns) => Number(ns) / 1e6);
    });
  }

  /** The first of at most `tries` runs that was not disturbed; when all were, the one that was least. */
  async undisturbed<T>(run: () => Promise<T>, tries: number): Promise<T> {
    let [best, least]: [T | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
    this.#wanted += 1;
    for (let left = tries; left > 0 && least > HELD_UP_MAX; left--) {
      const [before, started] = [this.#heldUpMs(), performance.now()];
      const result = await run();
      const [after, took] = [this.#heldUpMs(), performance.now() - started];
      const heldUp = Math.max(0, ...after.map((ms, i) => ms - (before[i] ?? 0))) / took;
      this.#made += 1;
      if (heldUp < least) [best, least] = [result, heldUp];
    }
    if (least > HELD_UP_MAX) this.#disturbed += 1;
    return best as T; // `tries` is 1 at least.
  }

  get note(): string {
    if (this.#heldUpMs().length === 0) return 'No right to real-time threads: what the host held up is not seen, every run counts.';
    const most = HELD_UP_MAX * 100;
    return `A run of wrk during which the host held a processor up for more than ${most} % of the time was made again (${this.#made} runs for ${this.#wanted}); where all tries were, as of ${this.#disturbed}, the one that was least counts.`;
  }
}
