import { TURN, TURN_LEFT_SHIFT } from '../readers/readers.ts';
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
const PLAN = 5;
/** Only for the memory fence that changing it is. */
const FENCE = 6;
const DUE = 8;
/** A lane serves job ids below this. */
export const MAX_JOBS = 2048;
const DUE_WORDS = MAX_JOBS / 32;
/** Jobs of the plan, a bit each. */
const PLANNED = DUE + DUE_WORDS;
const FLOATS_AT = (PLANNED + DUE_WORDS) * 4;
const CURRENT_MS = 0;
const ENDED_MS = 1;
const CPU_MS = 2;
const START_AT_MS = 3;
const STARTED_MS = 4;
const WAKE_AT_MS = 5;
/** Start of the last plan begun, and when the next is likely to be; the lane's own, monotonic ms, NaN for not known. */
const LAST_PLAN_MS = 6;
const LIKELY_MS = 7;
const SLEEP_MS = 8;
const FLOATS = 9;

// States of a plan.
const NO_PLAN = 0;
const PLANNED_STATE = 1;
const STARTED_STATE = 2;
/** A lane that wakes by itself this much later than planned need not be rung, milliseconds. */
const WAKE_SLACK_MS = 0.2;

/** The layout as replayed runs are told of it, in the order of native-readers' ReplayLayout. */
export const CONTROL_LAYOUT: readonly number[] = [
  ...[STOP, MAIL, CURRENT, BUSY, PLAN, FENCE, DUE, PLANNED, DUE_WORDS, PLANNED_STATE, STARTED_STATE],
  ...[CURRENT_MS, ENDED_MS, CPU_MS, START_AT_MS, STARTED_MS, WAKE_AT_MS, LAST_PLAN_MS, LIKELY_MS, SLEEP_MS],
];

export function makeHostControl(): HostControlMemory {
  const memory = { words: new SharedArrayBuffer(FLOATS_AT + FLOATS * 8) };
  new Float64Array(memory.words, FLOATS_AT).fill(Number.NaN, LAST_PLAN_MS, SLEEP_MS);
  return memory;
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

  /** Marks a job as due; `go` makes the lane look. The lane does it as well, with jobs that it postpones. */
  due(job: number): void {
    Atomics.or(this.words, DUE + (job >> 5), 1 << (job & 31));
  }

  go(): void {
    ring(this.words, BELL);
  }

  /** Lets the lane start these jobs by itself at a time, monotonic ms. There must be no plan. */
  plan(ids: readonly number[], atMs: number): void {
    for (let word = 0; word < DUE_WORDS; word++) this.words[PLANNED + word] = 0;
    for (const job of ids) this.words[PLANNED + (job >> 5)] = (this.words[PLANNED + (job >> 5)] as number) | (1 << (job & 31));
    this.floats[START_AT_MS] = atMs;
    Atomics.store(this.words, PLAN, PLANNED_STATE);
    if ((this.floats[WAKE_AT_MS] as number) > atMs + WAKE_SLACK_MS) this.go();
  }

  /** Takes the plan back, if there is one. When the lane began it, monotonic ms; NaN when it had not. */
  unplan(): number {
    if (Atomics.compareExchange(this.words, PLAN, PLANNED_STATE, NO_PLAN) !== STARTED_STATE) return Number.NaN;
    const startedMs = this.floats[STARTED_MS] as number;
    Atomics.store(this.words, PLAN, NO_PLAN);
    return startedMs;
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

  /**
   * What `Replays.turns` does in a thread that can replay runs: begins the plan whose time has come, and takes what is due into
   * `left`. When that is nothing, the lane may `sleep`.
   */
  turn(nowMs: number, left: Int32Array): number {
    if (Atomics.load(this.words, MAIL) === 1 || this.stopped) return TURN.told;
    const said = this.#beginPlan(nowMs) ? 0 : TURN.unplanned;
    const count = this.#takeDue(left);
    if (count > 0) return said | TURN.ran | (count << TURN_LEFT_SHIFT);
    this.#idle();
    this.rest(nowMs);
    return said;
  }

  /** False when a plan was likely, and none is there. */
  #beginPlan(nowMs: number): boolean {
    const planMs = this.floats[START_AT_MS] as number;
    if (this.#takePlan(nowMs)) {
      this.floats[LIKELY_MS] = planMs + (planMs - (this.floats[LAST_PLAN_MS] as number));
      this.floats[LAST_PLAN_MS] = planMs;
      return true;
    }
    if (!(nowMs >= (this.floats[LIKELY_MS] as number))) return true;
    this.floats[LIKELY_MS] = Number.NaN;
    return Atomics.load(this.words, PLAN) !== NO_PLAN;
  }

  /** Makes the planned jobs due when their time has come. Whether it has. */
  #takePlan(nowMs: number): boolean {
    if (Atomics.load(this.words, PLAN) !== PLANNED_STATE || nowMs < (this.floats[START_AT_MS] as number)) return false;
    // Before the plan is taken: the main thread must not see a lane without a plan and idle.
    Atomics.store(this.words, BUSY, 1);
    this.floats[STARTED_MS] = nowMs;
    if (Atomics.compareExchange(this.words, PLAN, PLANNED_STATE, STARTED_STATE) !== PLANNED_STATE) {
      this.#idle();
      return false;
    }
    for (let word = 0; word < DUE_WORDS; word++) {
      const bits = this.words[PLANNED + word] as number;
      if (bits !== 0) Atomics.or(this.words, DUE + word, bits);
    }
    return true;
  }

  /**
   * The lane has nothing to do: says until when it sleeps, which is the start of the plan, and without one when the next is likely
   * to begin, since the main thread then need not ring. A lane that finds none sleeps on.
   */
  rest(nowMs: number): void {
    const likelyMs = this.floats[LIKELY_MS] as number;
    const wakeAt = likelyMs > nowMs ? likelyMs : Number.POSITIVE_INFINITY;
    this.floats[WAKE_AT_MS] = wakeAt;
    this.floats[SLEEP_MS] = wakeAt - nowMs;
    Atomics.add(this.words, FENCE, 1);
    if (Atomics.load(this.words, PLAN) !== PLANNED_STATE) return;
    const startAt = this.floats[START_AT_MS] as number;
    this.floats[WAKE_AT_MS] = startAt;
    this.floats[SLEEP_MS] = Math.max(0, startAt - nowMs);
  }

  /** How long the lane may sleep, milliseconds, from when it said so on. */
  get sleepMs(): number {
    return this.floats[SLEEP_MS] as number;
  }

  takeMail(): boolean {
    return Atomics.exchange(this.words, MAIL, 0) === 1;
  }

  /** Takes the due jobs, in order of their ids, into `out`; returns how many. To be followed by `batchEnded`. */
  #takeDue(out: Int32Array): number {
    this.floats[CPU_MS] = 0;
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

  /** Whether something waits for the next turn: a job that is due, or a plan whose time has come. */
  hasMore(nowMs: number): boolean {
    for (let word = 0; word < DUE_WORDS; word++) if (Atomics.load(this.words, DUE + word) !== 0) return true;
    return Atomics.load(this.words, PLAN) === PLANNED_STATE && nowMs >= (this.floats[START_AT_MS] as number);
  }

  enter(job: number, monotonicMs: number): void {
    this.floats[CURRENT_MS] = monotonicMs;
    Atomics.store(this.words, CURRENT, job + 1);
  }

  /** @param cpuMs of the jobs that a turn had left, which comes to that of the turn */
  batchEnded(monotonicMs: number, cpuMs: number): void {
    this.floats[ENDED_MS] = monotonicMs;
    this.floats[CPU_MS] = this.batchCpuMs + cpuMs;
    this.#idle();
  }

  #idle(): void {
    Atomics.store(this.words, BUSY, 0);
  }

  leave(): void {
    Atomics.store(this.words, CURRENT, 0);
  }
}
