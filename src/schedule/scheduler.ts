import type { Pool } from '../collect/contract.ts';
import { Channel } from '../collect/channel.ts';
import type { JobSpec, LaneNews } from '../lanes/work.ts';
import type { Clock } from '../model/clock.ts';
import type { Cells } from '../self/cells.ts';
import * as own from '../self/families.ts';
import { HostLanes } from './host-lanes.ts';
import { Shards } from './shards.ts';

export interface ScheduledJob {
  readonly id: number;
  readonly pool: Pool;
  readonly spec: JobSpec;
  readonly intervalMs: number;
  readonly intervalIsSet: boolean;
}

export interface SchedulerOptions {
  readonly clock: Clock;
  readonly builderBell: SharedArrayBuffer;
  readonly shards: number;
  readonly phaseLock: boolean;
  readonly cells: Cells;
  readonly onNews: (news: LaneNews) => void;
  readonly onTimeout: (job: number) => void;
  readonly onLane: (pool: Pool, reason: 'crash' | 'stuck', detail: Readonly<Record<string, string | number | readonly string[]>>) => void;
  /** A page changed without a lane's doing (a run was given up). */
  readonly onChange: () => void;
}

interface Entry {
  readonly job: ScheduledJob;
  readonly channel: Channel;
  nextMs: number;
}

/** Timers fire a little early or late; jobs due within this are started together. */
const TOGETHER_MS = 5;

/** Owns the timers: starts jobs when they are due, gives them up when they have passed their deadline. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #host: HostLanes;
  readonly #network: Shards;
  readonly #entries = new Map<number, Entry>();
  readonly #lateness;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #closed = false;
  #readyNow = false;
  readonly ready: Promise<void>;
  #resolveReady: () => void = () => undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const shared = { builderBell: options.builderBell, monotonicMs: options.clock.monotonicMs, onNews: options.onNews };
    const onTimeout = (job: number): void => {
      options.onTimeout(job);
      options.onChange();
    };
    this.#host = new HostLanes({ ...shared, onTimeout, onCrash: (error, delayMs) => options.onLane('host', 'crash', { error: String(error), delay_ms: delayMs }) });
    this.#network = new Shards({
      ...shared,
      shards: options.shards,
      onTimeout,
      onCrash: (error, delayMs) => options.onLane('network', 'crash', { error: String(error), delay_ms: delayMs }),
      onStuck: (targets) => options.onLane('network', 'stuck', { targets }),
    });
    this.#lateness = options.cells.distribution(own.timerLateness, own.LATENESS_BOUNDS);
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve;
    });
  }

  get isReady(): boolean {
    return this.#readyNow || this.#checkReady();
  }

  add(jobs: readonly ScheduledJob[]): void {
    const now = this.#options.clock.monotonicMs();
    for (const job of jobs) {
      const channel = new Channel(job.spec.channel);
      channel.expireAfter(2 * job.intervalMs + job.spec.deadlineMs);
      this.#entries.set(job.id, { job, channel, nextMs: now });
    }
    this.#host.add(jobs.filter((job) => job.pool === 'host').map((job) => job.spec));
    this.#network.add(jobs.filter((job) => job.pool === 'network').map((job) => job.spec));
    this.#arm(now);
  }

  remove(ids: readonly number[]): void {
    for (const id of ids) this.#entries.delete(id);
    this.#host.remove(ids);
    this.#network.remove(ids);
  }

  viewAdded(_view: string, _jobs: readonly number[]): void {}

  arrived(_view: { readonly name: string }, _nowMs: number): void {}

  /** Resolves when every job has ended or was given up once. */
  get allOnce(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if ([...this.#entries.values()].every(({ channel }) => channel.sequence > 0)) resolve();
        else setTimeout(look, 5);
      };
      look();
    });
  }

  anyFailed(): boolean {
    return [...this.#entries.values()].some(({ channel }) => !['ok', 'absent'].includes(channel.figures().ending));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all([this.#host.close(), this.#network.close()]);
  }

  #checkReady(): boolean {
    for (const { job, channel } of this.#entries.values()) if (job.pool === 'host' && channel.sequence === 0) return false;
    this.#readyNow = true;
    this.#resolveReady();
    return true;
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    const now = this.#options.clock.monotonicMs();
    this.#lateness.observe(Math.max(0, now - this.#timerAtMs) / 1000);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const host: number[] = [];
    const network: number[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.nextMs > now + TOGETHER_MS) continue;
      (entry.job.pool === 'host' ? host : network).push(entry.job.id);
      // A late start does not move the rhythm, and a long sleep is made up by one run.
      entry.nextMs += Math.max(1, Math.ceil((now + TOGETHER_MS - entry.nextMs) / entry.job.intervalMs)) * entry.job.intervalMs;
    }
    const skipped = [...this.#host.start(host), ...this.#network.start(network)];
    for (const id of skipped) this.#skip(id);
    this.#arm(now);
  }

  #skip(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { collector, part, target } = entry.job.spec;
    this.#options.cells.cell(own.skips, [part, collector, target.name]).add(1);
  }

  #arm(now: number): void {
    let next = Math.min(this.#host.watch(), this.#network.watch());
    if (!this.#readyNow) next = this.#checkReady() ? next : Math.min(next, now + 10);
    // A lane that was just told may not have started yet: look again when its deadline could pass.
    if (!this.#host.settle() || !this.#network.settle()) next = Math.min(next, now + 1000);
    for (const entry of this.#entries.values()) next = Math.min(next, entry.nextMs);
    if (next >= this.#timerAtMs && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = next;
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, next - this.#options.clock.monotonicMs()));
  }
}
