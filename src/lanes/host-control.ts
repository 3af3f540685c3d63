import { ring } from './bell.ts';

/** Control words of a host lane, shared by the lane and the main thread. */
export interface HostControlMemory {
  readonly words: SharedArrayBuffer;
}

const BELL = 0;
const STOP = 1;
const MAIL = 2;
const CURRENT = 3;
const BUSY = 4;
const DUE = 8;
/** A lane serves job ids below this. */
export const MAX_JOBS = 2048;
const DUE_WORDS = MAX_JOBS / 32;
const FLOATS_AT = (DUE + DUE_WORDS) * 4;
const CURRENT_MS = 0;
const ENDED_MS = 1;
const CPU_MS = 2;

/** The layout as replayed runs are told of it, in the order of native-readers' ReplayLayout. */
export const CONTROL_LAYOUT: readonly number[] = [CURRENT, BUSY, DUE, DUE_WORDS, CURRENT_MS, ENDED_MS, CPU_MS];

export function makeHostControl(): HostControlMemory {
  return { words: new SharedArrayBuffer(FLOATS_AT + 3 * 8) };
}

/** Both sides of the control words. */
export class HostControl {
  readonly words: Int32Array;
  readonly floats: Float64Array;

  constructor(memory: HostControlMemory) {
    this.words = new Int32Array(memory.words, 0, FLOATS_AT / 4);
    this.floats = new Float64Array(memory.words, FLOATS_AT);
  }

  // --- the main thread ---

  /** Marks a job as due; `go` makes the lane look. */
  due(job: number): void {
    Atomics.or(this.words, DUE + (job >> 5), 1 << (job & 31));
  }

  go(): void {
    ring(this.words, BELL);
  }

  mail(): void {
    Atomics.store(this.words, MAIL, 1);
    ring(this.words, BELL);
  }

  stop(): void {
    Atomics.store(this.words, STOP, 1);
    ring(this.words, BELL);
  }

  /** True when nothing is due or under way. @param jobs ids below this are looked at */
  isIdle(jobs: number): boolean {
    // The lane says that it is busy before it takes what is due, so looking the other way round misses nothing.
    for (let word = 0; word * 32 < jobs; word++) if (Atomics.load(this.words, DUE + word) !== 0) return false;
    return Atomics.load(this.words, BUSY) === 0;
  }

  /** When the last batch ended, monotonic ms, and the CPU it took. */
  get batchEndedMs(): number {
    return this.floats[ENDED_MS] as number;
  }

  get batchCpuMs(): number {
    return this.floats[CPU_MS] as number;
  }

  /** The job that runs now, or -1. */
  get current(): number {
    return Atomics.load(this.words, CURRENT) - 1;
  }

  get currentStartedMs(): number {
    return this.floats[CURRENT_MS] as number;
  }

  // --- the lane ---

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) === 1;
  }

  takeMail(): boolean {
    return Atomics.exchange(this.words, MAIL, 0) === 1;
  }

  /** Takes the due jobs, in order of their ids, into `out`; returns how many. To be followed by `batchEnded`. */
  takeDue(out: Int32Array): number {
    Atomics.store(this.words, BUSY, 1);
    let count = 0;
    for (let word = 0; word < DUE_WORDS; word++) {
      if (Atomics.load(this.words, DUE + word) === 0) continue;
      let bits = Atomics.exchange(this.words, DUE + word, 0);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        out[count++] = word * 32 + bit;
        bits &= bits - 1;
      }
    }
    return count;
  }

  enter(job: number, monotonicMs: number): void {
    this.floats[CURRENT_MS] = monotonicMs;
    Atomics.store(this.words, CURRENT, job + 1);
  }

  batchEnded(monotonicMs: number, cpuMs: number): void {
    this.floats[ENDED_MS] = monotonicMs;
    this.floats[CPU_MS] = cpuMs;
    this.idle();
  }

  idle(): void {
    Atomics.store(this.words, BUSY, 0);
  }

  leave(): void {
    Atomics.store(this.words, CURRENT, 0);
  }
}
