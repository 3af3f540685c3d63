import type { Pool } from '../collect/contract.ts';
import { Channel } from '../collect/channel.ts';
import { type JobSpec, type LaneNews, sessionKey } from '../lanes/work.ts';
import type { Clock } from '../model/clock.ts';
import type { Cell, Cells, Distribution } from '../self/cells.ts';
import * as own from '../self/families.ts';
import { HostLanes } from './host-lanes.ts';
import { STRANGER, TRAINS } from './phase.ts';
import { Shards } from './shards.ts';
import { Timetable, type ViewTimes } from './timetable.ts';

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
  /** A run was due while the one before is still under way. */
  readonly onSkip: (job: number) => void;
  readonly onLane: (pool: Pool, reason: 'crash' | 'stuck', detail: Readonly<Record<string, string | number | readonly string[]>>) => void;
  /** A page changed without a lane's doing (a run was given up). */
  readonly onChange: () => void;
}

/** A view as the scheduler sees it: the page of a regular scraper, and when it was built. */
export interface ScheduledView {
  readonly name: string;
  readonly reader: { readonly builtMs: number; readonly buildSeconds: number };
}

interface Entry {
  readonly job: ScheduledJob;
  readonly channel: Channel;
  /** Sequence of the channel when the timetable was last told of an end. */
  seen: number;
  started: boolean;
}

interface View {
  readonly times: ViewTimes;
  jobs: readonly number[];
  /** The last build the timetable was told of. */
  builtMs: number;
  version: number;
  readonly hit: Cell;
  readonly miss: Cell;
  readonly unlocked: Cell;
  readonly trains: Cell;
}

/** How often the first runs are looked at until all host jobs have ended once. */
const FIRST_LOOK_MS = 5;

/** Owns the timers: starts jobs when the timetable says so, gives them up when they have passed their deadline. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #timetable: Timetable;
  readonly #host: HostLanes;
  readonly #network: Shards;
  readonly #entries = new Map<number, Entry>();
  readonly #views = new Map<string, View>();
  readonly #lateness: Distribution;
  readonly #due: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #closed = false;
  #isReady = false;
  readonly ready: Promise<void>;
  #resolveReady: () => void = () => undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#timetable = new Timetable(options.clock.monotonicMs());
    const shared = { builderBell: options.builderBell, monotonicMs: options.clock.monotonicMs, onNews: options.onNews };
    const onTimeout = (job: number): void => {
      options.onTimeout(job);
      options.onChange();
    };
    this.#host = new HostLanes({
      ...shared,
      onTimeout,
      onCrash: (error, delayMs) => options.onLane('host', 'crash', { error: String(error), delay_ms: delayMs }),
    });
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

  /** Every host job has ended or was given up once. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get hostThreads(): number {
    return this.#host.lanes;
  }

  get networkThreads(): number {
    return this.#network.threads;
  }

  add(jobs: readonly ScheduledJob[]): void {
    const now = this.#options.clock.monotonicMs();
    for (const job of jobs) {
      const channel = new Channel(job.spec.channel);
      this.#entries.set(job.id, { job, channel, seen: 0, started: false });
      const { pool, intervalMs, intervalIsSet, spec } = job;
      this.#timetable.addJob(job.id, { pool, lane: sessionKey(spec), intervalMs, intervalIsSet: intervalIsSet || !this.#options.phaseLock, deadlineMs: spec.deadlineMs }, now);
    }
    this.#host.add(jobs.filter((job) => job.pool === 'host').map((job) => job.spec));
    this.#network.add(jobs.filter((job) => job.pool === 'network').map((job) => job.spec));
    this.#tick();
  }

  remove(ids: readonly number[]): void {
    for (const id of ids) {
      this.#entries.delete(id);
      this.#timetable.removeJob(id);
    }
    this.#host.remove(ids);
    this.#network.remove(ids);
  }

  /** Says which jobs a view shows; called again when they change. */
  setView(name: string, jobs: readonly number[]): void {
    const known = this.#views.get(name);
    if (known !== undefined) {
      known.jobs = jobs;
      this.#timetable.setViewJobs(known.times, jobs);
      return;
    }
    const { cells } = this.#options;
    this.#views.set(name, {
      times: this.#timetable.addView(jobs),
      jobs,
      builtMs: Number.NEGATIVE_INFINITY,
      version: 0,
      hit: cells.cell(own.scrapePhase, ['hit', name]),
      miss: cells.cell(own.scrapePhase, ['miss', name]),
      unlocked: cells.cell(own.scrapePhase, ['unlocked', name]),
      trains: cells.cell(own.trains, [name]),
    });
  }

  removeView(name: string): void {
    const view = this.#views.get(name);
    if (view !== undefined) this.#timetable.removeView(view.times);
    this.#views.delete(name);
  }

  /** A scrape of a view: learns its rhythm, judges whether the page was made for it. */
  arrived({ name, reader }: ScheduledView, nowMs: number): void {
    const view = this.#views.get(name);
    if (view === undefined) return;
    if (!this.#options.phaseLock) {
      view.unlocked.add(1);
      return;
    }
    const train = this.#timetable.arrived(view.times, nowMs, this.#options.clock.wallMs());
    const isChanged = view.version !== view.times.yard.version;
    if (isChanged) {
      view.version = view.times.yard.version;
      view.trains.set(view.times.yard.locked);
    }
    if (train === STRANGER) view.unlocked.add(1);
    else {
      this.#harvest();
      this.#noteBuild(view, reader);
      (this.#timetable.verdict(view.times, train) === 'hit' ? view.hit : view.miss).add(1);
    }
    if (isChanged || train !== STRANGER) this.#arm(nowMs);
  }

  /** Resolves when every job has ended or was given up once. */
  get allOnce(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if ([...this.#entries.values()].every(({ channel }) => channel.sequence > 0)) resolve();
        else setTimeout(look, FIRST_LOOK_MS);
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

  /** Tells the timetable of runs that ended since it was last told. */
  #harvest(): void {
    for (const entry of this.#entries.values()) {
      if (!entry.started) continue;
      const sequence = entry.channel.sequence;
      if (sequence === entry.seen || entry.channel.running) continue;
      entry.seen = sequence;
      entry.started = false;
      const { endedMs, seconds, cpuSeconds, ending } = entry.channel.figures();
      this.#timetable.jobEnded(entry.job.id, ending === 'timeout' ? this.#options.clock.monotonicMs() : endedMs, seconds * 1000, cpuSeconds * 1000, ending);
    }
  }

  #noteBuild(view: View, reader: ScheduledView['reader']): void {
    const { builtMs } = reader;
    if (!(builtMs > view.builtMs)) return;
    view.builtMs = builtMs;
    const fromMs = builtMs - reader.buildSeconds * 1000;
    let endedMs = Number.NEGATIVE_INFINITY;
    for (const id of view.jobs) {
      const ended = this.#entries.get(id)?.channel.figures().endedMs ?? endedMs;
      if (ended > endedMs && ended <= fromMs) endedMs = ended;
    }
    this.#timetable.viewBuilt(view.times, fromMs, builtMs - Math.max(endedMs, fromMs - 50));
  }

  #checkReady(): void {
    for (const { job, channel } of this.#entries.values()) if (job.pool === 'host' && channel.sequence === 0) return;
    this.#isReady = true;
    this.#resolveReady();
  }

  #tick(): void {
    if (this.#closed) return;
    const now = this.#options.clock.monotonicMs();
    if (this.#timer !== undefined) this.#lateness.observe(Math.max(0, now - this.#timerAtMs) / 1000);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#harvest();
    this.#timetable.due(now, this.#due);
    const host: number[] = [];
    const network: number[] = [];
    for (const id of this.#due) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      (entry.job.pool === 'host' ? host : network).push(id);
      this.#timetable.jobStarted(id, now);
      entry.started = true;
      entry.channel.expireAfter(2 * this.#spacing(entry) + entry.job.spec.deadlineMs);
    }
    for (const id of [...this.#host.start(host), ...this.#network.start(network)]) this.#skip(id, now);
    this.#arm(now);
  }

  /** The longest that may lie between two runs of a job: its interval, or the rhythm of a slower scraper that replaces it. */
  #spacing({ job }: Entry): number {
    let shortest = Number.POSITIVE_INFINITY;
    for (const { times, jobs } of this.#views.values()) {
      if (times.yard.locked === 0 || !jobs.includes(job.id)) continue;
      for (let train = 0; train < TRAINS; train++) if (times.yard.isLocked(train)) shortest = Math.min(shortest, times.yard.period(train));
    }
    return shortest === Number.POSITIVE_INFINITY ? job.intervalMs : Math.max(job.intervalMs, shortest);
  }

  /** The run before is still under way in its lane (it was given up, but its thread is busy with it). */
  #skip(id: number, now: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.started = false;
    entry.seen = entry.channel.sequence;
    this.#timetable.jobEnded(id, now, 0, 0, 'failed');
    this.#options.onSkip(id);
  }

  #arm(now: number): void {
    let next = Math.min(this.#timetable.next(now), this.#host.watch(), this.#network.watch());
    if (!this.#isReady) {
      this.#checkReady();
      if (!this.#isReady) next = Math.min(next, now + FIRST_LOOK_MS);
    }
    // A lane that was just told has not begun yet: look again when a deadline could have passed.
    if (!this.#host.settle()) next = Math.min(next, now + this.#host.shortestDeadlineMs);
    if (next >= this.#timerAtMs && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = next;
    this.#timer = next === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => this.#tick(), Math.max(0, next - this.#options.clock.monotonicMs()));
  }
}
