import { ReaderError } from '../readers/readers.ts';
import { Channel, type ChannelMemory } from '../collect/channel.ts';
import { CollectError, type CollectorDefinition, type Ending, type FailureCode, type Roots, type Target } from '../collect/contract.ts';
import { Sheet } from '../collect/sheet.ts';
import type { Readers } from '../readers/readers.ts';

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
  readonly maxSeries: number;
  readonly maxBytes: number;
  readonly channel: ChannelMemory;
  /** See `Scope.board`. */
  readonly board?: SharedArrayBuffer;
}

/** What lanes tell the main thread; sent only when something changed. */
export type LaneNews =
  | { readonly kind: 'failed'; readonly job: number; readonly code: FailureCode; readonly text: string }
  | { readonly kind: 'recovered'; readonly job: number }
  | { readonly kind: 'over-budget'; readonly job: number; readonly family: string }
  | { readonly kind: 'warning'; readonly job: number; readonly text: string };

/** Sessions are shared by the parts of a target. */
export function sessionKey(spec: Pick<JobSpec, 'collector' | 'target'>): string {
  return `${spec.collector}/${spec.target.name}`;
}

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
    try {
      this.#report(this.spec.part, ending, seconds, this.sheet);
      this.channel.publish(this.sheet, ending, monotonicMs, cpuSeconds, failure?.code);
    } catch (thrown) {
      failure = failureOf(thrown);
      this.channel.abandon(monotonicMs, cpuSeconds, failure.code);
    }
    this.#say(failure);
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

/** Code and text of whatever was thrown. */
export function failureOf(error: unknown): { code: FailureCode; text: string } {
  if (error instanceof CollectError) return { code: error.code, text: error.message };
  if (error instanceof ReaderError) return { code: 'read', text: error.message };
  return { code: 'bug', text: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
