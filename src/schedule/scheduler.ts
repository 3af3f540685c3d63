import type { Piscina } from 'piscina';
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
  /** A thread for the host lane that was started before there was anything to run. */
  readonly hostThread?: Piscina | undefined;
  readonly clock: Clock;
  readonly builderBell: SharedArrayBuffer;
  readonly shards: number;
  readonly phaseLock: boolean;
  /** Lanes may start host jobs by their own clock; false where the clock is a test's. */
  readonly lanesStart: boolean;
  readonly cells: Cells;
  readonly onNews: (news: LaneNews) => void;
  /** @param deadlineMs that the run has passed */
  readonly onTimeout: (job: number, deadlineMs: number) => void;
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
  /** Sequence of the channel at its last start: past it, the run has ended or was given up. */
  startedAt: number;
  /** A run was started that the timetable has not been told the end of. */
  isUnderWay: boolean;
}

/**
 * The jobs of one target that share interval and deadline: they always start together, so the timetable knows them as one.
 * It is asked in every cycle, and a machine has dozens of jobs but two or three groups.
 */
interface Group {
  readonly id: number;
  readonly key: string;
  readonly pool: Pool;
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly entries: Entry[];
  /** Ids of the entries, in their order. */
  ids: readonly number[];
  isUnderWay: boolean;
  startedMs: number;
  maxAgeMs: number;
}

interface View {
  readonly times: ViewTimes;
  jobs: readonly number[];
  groups: readonly Group[];
  /** The last build the timetable was told of. */
  builtMs: number;
  version: number;
  /** Trains that `trains` counts of this view. */
  locked: number;
  readonly hit: Cell;
  readonly miss: Cell;
  readonly unlocked: Cell;
  readonly trains: Cell;
}

const NOTHING: readonly number[] = [];
/** How often the first runs are looked at until all host jobs have ended once. */
const FIRST_LOOK_MS = 5;
/** How long after a start that was left to the lane the main thread looks, if neither a request nor the lane makes it look before. */
const PLAN_LOOK_MS = 5000;
/** A timer that would be set this little later or earlier is only started anew. */
const TIMER_SLACK_MS = 500;

/** From the end of a run to the start of the build: longer means that the build was not for that run. */
const LONGEST_HAND_OVER_MS = 50;

/** Owns the timers: starts jobs when the timetable says so, gives them up when they have passed their deadline. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #timetable: Timetable;
  readonly #host: HostLanes;
  readonly #network: Shards;
  readonly #entries = new Map<number, Entry>();
  readonly #groups = new Map<string, Group>();
  readonly #groupsById = new Map<number, Group>();
  #nextGroup = 0;
  readonly #views = new Map<string, View>();
  readonly #lateness: Distribution;
  readonly #due: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #timerMs = 0;
  /** What the lane starts by itself, and when. */
  #planned: readonly Group[] = [];
  #plannedAtMs = 0;
  readonly #onTimer = (): void => this.#tick();
  #closed = false;
  #isReady = false;
  readonly ready: Promise<void>;
  #resolveReady: () => void = () => undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#timetable = new Timetable(options.clock.monotonicMs());
    const shared = { builderBell: options.builderBell, monotonicMs: options.clock.monotonicMs, onNews: options.onNews };
    const onTimeout = (job: number, deadlineMs: number): void => {
      options.onTimeout(job, deadlineMs);
      options.onChange();
    };
    this.#host = new HostLanes({
      ...shared,
      spare: options.hostThread,
      onTimeout,
      onUnplanned: () => this.#tick(),
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

  /** Once closed: whether a thread hangs in a host job. */
  get isStuck(): boolean {
    return this.#host.isStuck;
  }

  get networkThreads(): number {
    return this.#network.threads;
  }

  add(jobs: readonly ScheduledJob[]): void {
    this.#takePlan();
    const now = this.#options.clock.monotonicMs();
    for (const job of jobs) {
      const entry: Entry = { job, channel: new Channel(job.spec.channel), startedAt: 0, isUnderWay: false };
      this.#entries.set(job.id, entry);
      const group = this.#groupFor(job, now);
      group.entries.push(entry);
      group.ids = [...group.ids, job.id];
    }
    this.#host.add(jobs.filter((job) => job.pool === 'host').map((job) => job.spec));
    this.#network.add(jobs.filter((job) => job.pool === 'network').map((job) => job.spec));
    this.#tick();
  }

  remove(ids: readonly number[]): void {
    this.#takePlan();
    const gone = new Set(ids);
    for (const id of ids) this.#entries.delete(id);
    for (const group of this.#groups.values()) {
      const left = group.entries.filter(({ job }) => !gone.has(job.id));
      group.entries.splice(0, group.entries.length, ...left);
      group.ids = left.map(({ job }) => job.id);
      if (left.length > 0) continue;
      this.#groups.delete(group.key);
      this.#groupsById.delete(group.id);
      this.#timetable.removeJob(group.id);
    }
    this.#host.remove(ids);
    this.#network.remove(ids);
  }

  /** Has the last pages of network jobs printed once more (see `wantVariant`); resolves when that is done. */
  reprint(ids: readonly number[]): Promise<void> {
    return this.#network.reprint(ids);
  }

  /** Says which jobs a view shows; called again when they change. @param label what its numbers are called; may be shared */
  setView(name: string, jobs: readonly number[], label: string): void {
    const known = this.#views.get(name);
    if (known !== undefined) {
      known.jobs = jobs;
      known.groups = this.#groupsOf(jobs);
      this.#timetable.setViewJobs(
        known.times,
        known.groups.map((group) => group.id),
      );
      return;
    }
    const { cells } = this.#options;
    const groups = this.#groupsOf(jobs);
    this.#views.set(name, {
      times: this.#timetable.addView(groups.map((group) => group.id)),
      jobs,
      groups,
      builtMs: Number.NEGATIVE_INFINITY,
      version: 0,
      locked: 0,
      hit: cells.cell(own.scrapePhase, ['hit', label]),
      miss: cells.cell(own.scrapePhase, ['miss', label]),
      unlocked: cells.cell(own.scrapePhase, ['unlocked', label]),
      trains: cells.cell(own.trains, [label]),
    });
  }

  removeView(name: string): void {
    const view = this.#views.get(name);
    if (view !== undefined) {
      view.trains.add(-view.locked);
      this.#timetable.removeView(view.times);
    }
    this.#views.delete(name);
  }

  /** A scrape of a view: learns its rhythm, judges whether the page was made for it. @param wallMs Unix time, see `Timetable.arrived` */
  arrived({ name, reader }: ScheduledView, nowMs: number, wallMs: number): void {
    const view = this.#views.get(name);
    if (view === undefined) return;
    if (!this.#options.phaseLock) {
      view.unlocked.add(1);
      return;
    }
    const train = this.#timetable.arrived(view.times, nowMs, wallMs);
    const isChanged = noteTrains(view);
    if (isChanged || train !== STRANGER) this.#takePlan();
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

  #groupFor({ pool, intervalMs, intervalIsSet, spec }: ScheduledJob, now: number): Group {
    const lane = sessionKey(spec);
    const key = `${pool} ${lane} ${intervalMs} ${intervalIsSet} ${spec.deadlineMs}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      const id = this.#nextGroup++;
      group = { id, key, pool, intervalMs, deadlineMs: spec.deadlineMs, entries: [], ids: [], isUnderWay: false, startedMs: 0, maxAgeMs: 0 };
      this.#groups.set(key, group);
      this.#groupsById.set(id, group);
      const isSet = intervalIsSet || !this.#options.phaseLock;
      this.#timetable.addJob(id, { pool, lane, intervalMs, intervalIsSet: isSet, deadlineMs: spec.deadlineMs }, now);
    }
    return group;
  }

  #groupsOf(jobs: readonly number[]): Group[] {
    const wanted = new Set(jobs);
    return [...this.#groups.values()].filter((group) => group.entries.some(({ job }) => wanted.has(job.id)));
  }

  /** Tells the timetable of groups whose runs have all ended since it was last told. */
  #harvest(): void {
    let host = 0;
    for (const group of this.#groups.values()) {
      if (!group.isUnderWay) continue;
      if (group.pool === 'host') host += 1;
      else this.#harvestGroup(group);
    }
    if (host > 0 && this.#host.isIdle) this.#harvestHost(host > 1);
  }

  /** The host lane has ended all it was told: its own figures are those of the groups, and a job that was left behind does not count. */
  #harvestHost(areSeveral: boolean): void {
    const { endedMs, cpuMs } = this.#host.lastBatch;
    for (const group of this.#groups.values()) {
      if (!group.isUnderWay || group.pool !== 'host') continue;
      // Two batches one behind the other: the end of the second is not that of the first.
      const ownEndMs = areSeveral ? lastRunEnd(group, endedMs) : endedMs;
      group.isUnderWay = false;
      this.#timetable.jobEnded(group.id, Math.max(ownEndMs, group.startedMs), Math.max(0, ownEndMs - group.startedMs), cpuMs, 'ok');
    }
  }

  #harvestGroup(group: Group): void {
    let endedMs = 0;
    let startedMs = Number.POSITIVE_INFINITY;
    let cpuSeconds = 0;
    let failed = 0;
    for (const { channel, isUnderWay, startedAt } of group.entries) {
      if (!isUnderWay) continue;
      if (channel.sequence === startedAt) return;
      endedMs = Math.max(endedMs, channel.runEndedMs);
      startedMs = Math.min(startedMs, channel.runStartedMs);
      cpuSeconds += channel.runCpuSeconds;
      if (channel.hasFailed) failed += 1;
    }
    let ended = 0;
    for (const entry of group.entries) {
      if (entry.isUnderWay) ended += 1;
      entry.isUnderWay = false;
    }
    group.isUnderWay = false;
    // A target is down when nothing of it could be collected; one part that fails is not the target's rhythm.
    const ending = ended > 0 && failed === ended ? 'failed' : 'ok';
    if (ended === 0) endedMs = startedMs = this.#options.clock.monotonicMs();
    this.#timetable.jobEnded(group.id, endedMs, Math.max(0, endedMs - startedMs), cpuSeconds * 1000, ending);
  }

  #noteBuild(view: View, reader: ScheduledView['reader']): void {
    const { builtMs } = reader;
    if (!(builtMs > view.builtMs)) return;
    view.builtMs = builtMs;
    const fromMs = builtMs - reader.buildSeconds * 1000;
    let endedMs = fromMs - LONGEST_HAND_OVER_MS;
    for (const { pool, entries } of view.groups) {
      if (pool === 'host') endedMs = latest(endedMs, this.#host.lastBatch.endedMs, fromMs);
      else for (const { channel } of entries) endedMs = latest(endedMs, channel.runEndedMs, fromMs);
    }
    this.#timetable.viewBuilt(view.times, fromMs, builtMs - endedMs);
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
    this.#takePlan();
    this.#harvest();
    this.#timetable.due(now, this.#due);
    // One that stays away is missed here, not by a request.
    for (const view of this.#views.values()) noteTrains(view);
    let host: readonly number[] = NOTHING;
    let network: readonly number[] = NOTHING;
    for (const id of this.#due) {
      const group = this.#groupsById.get(id);
      if (group === undefined) continue;
      this.#begin(group, now);
      if (group.pool === 'host') host = joined(host, group.ids);
      else network = joined(network, group.ids);
    }
    if (host !== NOTHING) this.#skip(this.#host.start(host));
    if (network !== NOTHING) this.#skip(this.#network.start(network));
    this.#arm(now);
  }

  #begin(group: Group, now: number): void {
    this.#timetable.jobStarted(group.id, now);
    group.isUnderWay = true;
    group.startedMs = now;
    const maxAgeMs = 2 * this.#spacing(group) + group.deadlineMs;
    if (maxAgeMs !== group.maxAgeMs) for (const { channel } of group.entries) channel.expireAfter(maxAgeMs);
    group.maxAgeMs = maxAgeMs;
    if (group.pool === 'host') return;
    for (const entry of group.entries) {
      entry.startedAt = entry.channel.sequence;
      entry.isUnderWay = true;
    }
  }

  /** The longest that may lie between two runs: the interval, the floor, or the rhythm of a slower scraper that replaces it. */
  #spacing(group: Group): number {
    let shortest = Number.POSITIVE_INFINITY;
    for (const { times, groups } of this.#views.values()) {
      if (times.yard.locked === 0 || !groups.includes(group)) continue;
      for (let train = 0; train < TRAINS; train++) if (times.yard.isLocked(train)) shortest = Math.min(shortest, times.yard.period(train));
    }
    return Math.max(group.intervalMs, this.#timetable.floorMs(group.id), shortest === Number.POSITIVE_INFINITY ? 0 : shortest);
  }

  /** The run before is still under way in its lane (it was given up, but its thread is busy with it). */
  #skip(ids: readonly number[]): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      entry.isUnderWay = false;
      this.#options.onSkip(id);
    }
  }

  #arm(now: number): void {
    const due = this.#timetable.next(now);
    let watch = Math.min(this.#host.watch(), this.#network.watch());
    if (!this.#isReady) {
      this.#checkReady();
      if (!this.#isReady) watch = Math.min(watch, now + FIRST_LOOK_MS);
    }
    // A lane that was just told has not begun yet: look again when a deadline could have passed.
    if (!this.#host.isIdle) watch = Math.min(watch, now + this.#host.shortestDeadlineMs);
    const other = due <= watch ? this.#plan(due, now) : Number.NEGATIVE_INFINITY;
    if (other > due) {
      const look = due + PLAN_LOOK_MS;
      // What falls due by itself is to be met; the look after the planned start may be late.
      if (Math.min(other, watch) <= look) this.#setTimer(Math.min(other, watch));
      else this.#lookAt(look, now);
      return;
    }
    const next = Math.min(due, watch);
    if (next < this.#timerAtMs || this.#timer === undefined) this.#setTimer(next);
  }

  #setTimer(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timerMs = Math.max(0, Math.ceil(atMs - this.#options.clock.monotonicMs()));
    this.#timer = atMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(this.#onTimer, this.#timerMs);
  }

  /** As `#setTimer`, but may be late by the slack: a timer of about the right length is started anew, which is cheap. */
  #lookAt(atMs: number, now: number): void {
    const waitMs = atMs - now;
    if (this.#timer === undefined || waitMs > this.#timerMs || waitMs <= this.#timerMs - TIMER_SLACK_MS) {
      this.#setTimer(atMs);
      return;
    }
    this.#timerAtMs = now + this.#timerMs;
    this.#timer.refresh();
  }

  /**
   * Leaves a start of host jobs alone to their lane, which sleeps until then: one thread wakes instead of two. Returns when the
   * next of the other jobs is due, or -Infinity when the start is the main thread's own.
   */
  #plan(atMs: number, now: number): number {
    if (!this.#options.lanesStart || !this.#isReady || atMs === Number.POSITIVE_INFINITY || atMs <= now) return Number.NEGATIVE_INFINITY;
    const other = this.#timetable.batchAt(atMs, this.#due);
    const groups: Group[] = [];
    let ids: readonly number[] = NOTHING;
    for (const id of this.#due) {
      const group = this.#groupsById.get(id);
      if (group === undefined || group.pool !== 'host') return Number.NEGATIVE_INFINITY;
      groups.push(group);
      ids = joined(ids, group.ids);
    }
    if (groups.length === 0 || other <= atMs || !this.#host.plan(ids, atMs)) return Number.NEGATIVE_INFINITY;
    this.#planned = groups;
    this.#plannedAtMs = atMs;
    return other;
  }

  /** Hears of a start by the lane, or takes back one that has not come. */
  #takePlan(): void {
    if (this.#planned.length === 0) return;
    const startedMs = this.#host.unplan();
    if (!Number.isNaN(startedMs)) {
      this.#lateness.observe(Math.max(0, startedMs - this.#plannedAtMs) / 1000);
      for (const group of this.#planned) this.#begin(group, startedMs);
    }
    this.#planned = [];
  }
}

/** Counts the view's trains; false when they are those that were counted last. */
function noteTrains(view: View): boolean {
  const { yard } = view.times;
  if (view.version === yard.version) return false;
  view.version = yard.version;
  view.trains.add(yard.locked - view.locked);
  view.locked = yard.locked;
  return true;
}

/** Ids of one group more; mostly there is but one, and its own array will do. */
function joined(ids: readonly number[], more: readonly number[]): readonly number[] {
  return ids === NOTHING ? more : [...ids, ...more];
}

/** When the last job of a group ended, monotonic ms; runs that end later than `boundMs` are not the batch's. */
function lastRunEnd(group: Group, boundMs: number): number {
  let endMs = group.startedMs;
  for (const { channel } of group.entries) endMs = latest(endMs, channel.runEndedMs, boundMs);
  return endMs;
}

/** The later of two times, unless the other is beyond the bound. */
function latest(time: number, other: number, bound: number): number {
  return other > time && other <= bound ? other : time;
}
