import { ReaderError } from '../readers/readers.ts';
import { Channel, type ChannelMemory } from '../collect/channel.ts';
import {
  CollectError,
  type CollectorDefinition,
  type Ending,
  type FailureCode,
  type HostModule,
  type HostSession,
  type NetworkModule,
  type Outcome,
  type Roots,
  type Target,
} from '../collect/contract.ts';
import { loadModule } from '../collect/load-module.ts';
import { Sheet } from '../collect/sheet.ts';
import type { Readers, Replays } from '../readers/readers.ts';

/** One part of one target, as a lane is told of it. Structured-clonable. */
export interface JobSpec {
  /** Position in the daemon's job table; kept for the life of the job. */
  readonly id: number;
  readonly collector: string;
  readonly part: string;
  readonly target: Target;
  /** URL of the collector's `collect.js`. */
  readonly worker: string;
  readonly options: unknown;
  readonly roots: Roots;
  /** All parts of the target that are switched on. */
  readonly parts: readonly string[];
  readonly deadlineMs: number;
  /** Of a host job's first run in its lane; as the others when left out. */
  readonly firstDeadlineMs?: number;
  readonly maxSeries: number;
  readonly maxBytes: number;
  readonly channel: ChannelMemory;
  /** See `Scope.board`. */
  readonly board?: SharedArrayBuffer;
  /** See `Scope.counters`. */
  readonly counters?: Float64Array;
  /** See `Part.elsewhere`. */
  readonly isElsewhere?: boolean;
}

/** What lanes tell the main thread; sent only when something changed. */
export type LaneNews =
  | { readonly kind: 'failed'; readonly job: number; readonly code: FailureCode; readonly text: string }
  | { readonly kind: 'recovered'; readonly job: number }
  | { readonly kind: 'over-budget'; readonly job: number; readonly family: string }
  | { readonly kind: 'warning'; readonly job: number; readonly text: string };

/** A lane that starts by itself came to when the next start was likely, and nothing was planned. */
export interface LaneUnplanned {
  readonly kind: 'unplanned';
}

/** Stands in for a module that does not load. */
interface FailingModule {
  open(): never;
  report(): never;
}

/** Sessions are shared by the parts of a target; a part that runs elsewhere has one of its own, so that it holds up no other. */
export function sessionKey(spec: Pick<JobSpec, 'collector' | 'target' | 'part' | 'isElsewhere'>): string {
  const target = `${spec.collector}/${spec.target.name}`;
  return spec.isElsewhere === true ? `${target}/${spec.part}` : target;
}

/** More than any peer prints about a run. */
const REPORT_SERIES = 64;

/** A job in its lane: its sheet, its channel and what was last said about it. */
export class Job {
  readonly spec: JobSpec;
  readonly channel: Channel;
  readonly sheet: Sheet;
  #said = '';
  #overBudgetSaid = false;
  readonly #tell: (news: LaneNews) => void;
  readonly #report: CollectorDefinition['report'];

  constructor(spec: JobSpec, readers: Readers, report: CollectorDefinition['report'], tell: (news: LaneNews) => void) {
    this.spec = spec;
    this.channel = new Channel(spec.channel);
    this.sheet = new Sheet(readers, { maxSeries: spec.maxSeries, maxBytes: spec.maxBytes });
    this.#report = report;
    this.#tell = tell;
  }

  start(monotonicMs: number): void {
    this.channel.start(monotonicMs);
    this.sheet.begin();
  }

  /**
   * Adds what the peer prints about the run, publishes the page and tells what changed. Throws nothing: a part that cannot
   * say or print what it found fails alone.
   */
  end(ending: Ending, error: unknown, monotonicMs: number, cpuSeconds: number): void {
    const seconds = (monotonicMs - this.channel.runStartedMs) / 1000;
    let failure = error === undefined ? undefined : failureOf(error);
    this.sheet.allow(REPORT_SERIES);
    try {
      this.#report(this.spec.part, ending, seconds, this.sheet);
      this.channel.publish(this.sheet, ending, monotonicMs, cpuSeconds, failure?.code);
    } catch (thrown) {
      failure = failureOf(thrown);
      this.channel.abandon(monotonicMs, cpuSeconds, failure.code);
    }
    this.#say(failure);
  }

  /** Says something about the job that is no failure of a run. */
  warn(text: string): void {
    this.#tell({ kind: 'warning', job: this.spec.id, text });
  }

  /** Prints the last run once more, for a variant that was not wanted then. */
  reprint(): void {
    try {
      this.channel.reprint(this.sheet);
    } catch {
      // What cannot be printed now cannot be printed by the next run either, which counts it.
    }
  }

  #say(failure: { code: FailureCode; text: string } | undefined): void {
    if (failure !== undefined) {
      const said = `${failure.code} ${failure.text}`;
      if (said !== this.#said) this.#tell({ kind: 'failed', job: this.spec.id, ...failure });
      this.#said = said;
    } else if (this.#said !== '') {
      this.#said = '';
      this.#tell({ kind: 'recovered', job: this.spec.id });
    }
    if (!this.#overBudgetSaid && this.sheet.counts.overBudget > 0) {
      this.#overBudgetSaid = true;
      this.#tell({ kind: 'over-budget', job: this.spec.id, family: this.sheet.counts.overBudgetFamily });
    }
  }
}

/** After a replay that did not last, so many runs at most are made before the next is tried. */
const LONGEST_PAUSE_RUNS = 64;

/** The replayed runs of a job: armed after a good run, left when one meets a change. */
export class Replay {
  readonly #job: Job;
  readonly #replays: Replays;
  #isArmed = false;
  /** A part that could not say what its runs do is run by `collect` from then on. */
  #isGivenUp = false;
  #goodsAtArm = 0;
  /** Runs to make before the next try, and how many after a failed one. */
  #waitRuns = 0;
  #pauseRuns = 0;

  constructor(job: Job, replays: Replays) {
    this.#job = job;
    this.#replays = replays;
  }

  /** A run by `collect` begins: what was armed no longer holds. */
  leave(): void {
    if (!this.#isArmed) return;
    this.#isArmed = false;
    this.#replays.drop(this.#job.spec.id);
    const hasLasted = this.#job.channel.goods > this.#goodsAtArm;
    this.#pauseRuns = hasLasted ? 0 : Math.min(LONGEST_PAUSE_RUNS, Math.max(1, this.#pauseRuns * 2));
    this.#waitRuns = this.#pauseRuns;
  }

  /** A run by `collect` ended so. Throws nothing: the runs of a part that cannot be replayed are made as before. */
  arm(session: HostSession, ending: Outcome['kind']): void {
    if (session.replay === undefined || this.#isGivenUp) return;
    if (this.#waitRuns > 0) {
      this.#waitRuns -= 1;
      return;
    }
    const { spec, channel, sheet } = this.#job;
    try {
      const steps = this.#replays.steps();
      if (!session.replay(spec.part, sheet, steps)) return;
      this.#replays.arm(spec.id, steps, channel.replayMemory(sheet, ending));
    } catch (error) {
      this.#isGivenUp = true;
      this.#job.warn(`its runs cannot be replayed: ${failureOf(error).text}`);
      return;
    }
    this.#isArmed = true;
    this.#goodsAtArm = channel.goods;
  }
}

/**
 * The module of a job, with what its parts need loaded. One that does not load stands in for itself by failing at each run, so
 * that the others go on.
 * @param M what the module is; `loadModule` does not check it
 */
export async function loadWorker<M extends HostModule | NetworkModule>(spec: JobSpec): Promise<M | FailingModule> {
  try {
    const module = (await loadModule(spec.worker)) as M;
    await module.prepare?.(spec.parts);
    return module;
  } catch (error) {
    const fail = (): never => {
      throw error;
    };
    return { open: fail, report: fail };
  }
}

/** Code and text of whatever was thrown. */
export function failureOf(error: unknown): { code: FailureCode; text: string } {
  if (error instanceof CollectError) return { code: error.code, text: error.message };
  if (error instanceof ReaderError) return { code: 'read', text: error.message };
  return { code: 'bug', text: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** What a pool gave its thread: Piscina wraps it, [its own, ours]. */
export function ownData(data: unknown): unknown {
  return Array.isArray(data) ? (data.at(-1) as unknown) : data;
}
