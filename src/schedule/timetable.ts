import type { Ending, Pool } from '../collect/contract.ts';
import { TRAINS, TrainYard } from './phase.ts';

/**
 * Decides when each job starts next; owns no timer and reads no clock. All times are CLOCK_MONOTONIC milliseconds but for
 * `wallMs` in `arrived`, so that a step of the wall clock neither skips nor bursts runs.
 */

export interface JobTerms {
  readonly pool: Pool;
  /**
   * Jobs of one lane run one after the other: all host jobs share one, the parts of a network target another. Network lanes
   * are spread over the interval by this name.
   */
  readonly lane: string;
  readonly intervalMs: number;
  /** The configuration named the interval: trains do not replace it. */
  readonly intervalIsSet: boolean;
  readonly deadlineMs: number;
  /** Least time from start to start; when left out 50 ms or 20 times the CPU time (host), 1 s (network). */
  readonly floorMs?: number;
}

/** hit: the page was made for this arrival. miss: a run for it was under way, or had not begun. */
export type Verdict = 'hit' | 'miss';

export const FIRST_MARGIN_MS = 5;
const LAST_MARGIN_MS = 200;
/**
 * Doubling at each miss and losing this share at each hit balance at 0.7 % misses; 2 % would balance at 2.8 %, which is
 * more than the 1 % that is allowed.
 */
const MARGIN_DECAY = 0.995;

/** One run serves every arrival that is predicted within this time after the one it was started for. */
const SHARED_MS = 50;
/** Jobs of one lane that fall due within this time start as one batch. */
const TOGETHER_MS = 20;
const HOST_FLOOR_MS = 50;
const HOST_CPU_SHARE = 20;
const NETWORK_FLOOR_MS = 1000;
/** After a failure a target is left alone for longer, up to this share of the interval. */
const LONGEST_BACK_OFF = 0.9;
const FIRST_SPREAD_MS = 500;
/** How soon a job that should start, but still runs, is looked at again. */
const STILL_RUNNING_MS = 25;
/** A plain host run keeps out of the way of a batch that a scraper waits for, but not for longer than this. */
const LONGEST_GIVE_WAY_MS = 1000;
/** A start later than this was delayed by more than load: it says nothing about the next one. */
const PAUSE_MS = 1000;

const RUNS = 128;
const FEW_RUNS = 16;

/**
 * The p99 of recent durations, milliseconds: the second largest of the last 128, the largest while there are fewer than 16.
 * The very first is forgotten at the second: it opened files and compiled code. Adding is O(1) but for one time in 64.
 */
export class RunTimes {
  readonly #ring = new Float64Array(RUNS);
  #count = 0;
  #head = 0;
  #first = Number.NaN;
  #second = Number.NaN;
  #isWarm = false;
  #mean = Number.NaN;

  /** Over about the last sixteen, milliseconds; NaN before the first. */
  get mean(): number {
    return this.#mean;
  }

  get count(): number {
    return this.#count;
  }

  add(durationMs: number): void {
    if (this.#count === 1 && !this.#isWarm) {
      this.#isWarm = true;
      this.#count = 0;
      this.#head = 0;
      this.#first = Number.NaN;
      this.#second = Number.NaN;
      this.#mean = Number.NaN;
    }
    this.#mean = this.#count === 0 ? durationMs : this.#mean + (durationMs - this.#mean) / 16;
    const gone = this.#count === RUNS ? (this.#ring[this.#head] as number) : Number.NEGATIVE_INFINITY;
    this.#ring[this.#head] = durationMs;
    this.#head = (this.#head + 1) % RUNS;
    this.#count = Math.min(RUNS, this.#count + 1);
    if (gone >= this.#second) this.#rank();
    else this.#place(durationMs);
  }

  /** NaN before the first. */
  get p99(): number {
    return this.#count < FEW_RUNS ? this.#first : this.#second;
  }

  #rank(): void {
    this.#first = Number.NaN;
    this.#second = Number.NaN;
    for (let i = 0; i < this.#count; i++) this.#place(this.#ring[i] as number);
  }

  #place(durationMs: number): void {
    if (!(durationMs <= this.#first)) {
      this.#second = this.#first;
      this.#first = durationMs;
    } else if (!(durationMs <= this.#second)) this.#second = durationMs;
  }
}

/** What one lane does for one view: the jobs of both, started together, and how long it takes until the last has ended. */
interface Feed {
  readonly view: ViewTimes;
  readonly lane: Lane;
  readonly times: RunTimes;
  /** Planned start of the batch under way, NaN when there is none. */
  from: number;
  left: number;
  lastEnd: number;
  isWhole: boolean;
  /** Besides the train's; grows when this network lane alone was late. */
  marginMs: number;
}

interface Lane {
  readonly name: string;
  readonly isHost: boolean;
  readonly offset: number;
  jobs: number;
  /** Planned start of the batch that falls due, +Infinity when none does. */
  startAt: number;
  /** The next batch that a train waits for, and that train's arrival. */
  trainStart: number;
  trainGoal: number;
}

interface Job {
  readonly id: number;
  readonly terms: JobTerms;
  readonly lane: Lane;
  readonly times: RunTimes;
  feeds: Feed[];
  dueMs: number;
  isDirty: boolean;
  /** The arrival for which the next run is planned, NaN when it is the plain interval's. */
  goalMs: number;
  isRunning: boolean;
  startMs: number;
  endMs: number;
  plannedMs: number;
  /** Arrivals predicted up to here are served by the last run, or the one under way. */
  servedMs: number;
  servedBeforeMs: number;
  cpuMs: number;
  failures: number;
  /** Since when a due run gives way to a batch that a scraper waits for; NaN when it does not. */
  waitsSinceMs: number;
}

/** What the timetable knows of a view. The yard is public for what is to be shown of it and kept of it over a reload. */
export class ViewTimes {
  readonly yard = new TrainYard();
  /** From the end of a run to the page that shows it. */
  readonly builds = new RunTimes();
  readonly margins = new Float64Array(TRAINS).fill(FIRST_MARGIN_MS);
  readonly serials = new Float64Array(TRAINS);
  readonly feeds: Feed[] = [];
  jobs: Job[] = [];
  builtFromMs = Number.NEGATIVE_INFINITY;
  seenVersion = 0;
}

/** FNV-1a with the finisher of MurmurHash3, since names differ in their last letters; as a number in [0, 1). */
function fraction(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

function orZero(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}

function floorOf(job: Job): number {
  if (job.terms.floorMs !== undefined) return job.terms.floorMs;
  return job.terms.pool === 'host' ? Math.max(HOST_FLOOR_MS, HOST_CPU_SHARE * job.cpuMs) : NETWORK_FLOOR_MS;
}

function isDown(job: Job): boolean {
  return job.terms.pool === 'network' && job.failures > 0;
}

/** Timers fire a little late: without some slack a floor as long as the rhythm would skip every other run. */
const FLOOR_SLACK = 0.02;

/** Never before: the floor, and for a failing target a back-off below one interval. */
function earliestStart(job: Job): number {
  const floor = floorOf(job) * (1 - FLOOR_SLACK);
  if (!isDown(job)) return job.startMs + floor;
  const backOff = Math.min(NETWORK_FLOOR_MS * 2 ** job.failures, job.terms.intervalMs * LONGEST_BACK_OFF);
  return job.startMs + Math.max(floor, backOff);
}

/** The p99 of a run followed by a build. Their sum would be exceeded once in ten thousand times, at the cost of older data. */
function p99OfBoth(runs: RunTimes, builds: RunTimes): number {
  if (builds.count === 0) return runs.p99;
  return runs.mean + builds.mean + Math.hypot(Math.max(0, runs.p99 - runs.mean), Math.max(0, builds.p99 - builds.mean));
}

/** From the start of a lane's batch to the page, milliseconds, at its recent p99. */
function reach(job: Job, feed: Feed): number {
  if (feed.times.count > 0) return p99OfBoth(feed.times, feed.view.builds);
  // Before a batch was seen: all of its jobs, one after the other.
  let run = orZero(feed.view.builds.p99);
  for (const other of feed.view.jobs) if (other.lane === job.lane) run += orZero(other.times.p99);
  return run;
}

export class Timetable {
  readonly #jobs = new Map<number, Job>();
  readonly #order: Job[] = [];
  readonly #lanes = new Map<string, Lane>();
  readonly #views: ViewTimes[] = [];
  readonly #originMs: number;
  readonly #next = new Float64Array(TRAINS);

  constructor(nowMs: number) {
    this.#originMs = nowMs;
  }

  /** A new job starts at once; network lanes are spread over half a second. Throws Error for an id that is in use. */
  addJob(id: number, terms: JobTerms, nowMs: number): void {
    if (this.#jobs.has(id)) throw new Error(`timetable: job ${id} is there already`);
    const lane = this.#laneOf(terms);
    lane.jobs += 1;
    const job: Job = {
      id,
      terms,
      lane,
      times: new RunTimes(),
      feeds: [],
      dueMs: nowMs + (lane.isHost ? 0 : lane.offset * FIRST_SPREAD_MS),
      isDirty: false,
      goalMs: Number.NaN,
      isRunning: false,
      startMs: Number.NEGATIVE_INFINITY,
      endMs: Number.NEGATIVE_INFINITY,
      plannedMs: Number.NaN,
      servedMs: Number.NEGATIVE_INFINITY,
      servedBeforeMs: Number.NEGATIVE_INFINITY,
      cpuMs: 0,
      failures: 0,
      waitsSinceMs: Number.NaN,
    };
    this.#jobs.set(id, job);
    this.#order.push(job);
  }

  removeJob(id: number): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#jobs.delete(id);
    this.#order.splice(this.#order.indexOf(job), 1);
    for (const view of this.#views)
      if (view.jobs.includes(job))
        this.setViewJobs(
          view,
          view.jobs.filter((other) => other !== job).map((other) => other.id),
        );
    job.lane.jobs -= 1;
    if (job.lane.jobs === 0) this.#lanes.delete(job.lane.name);
  }

  addView(jobs: readonly number[]): ViewTimes {
    const view = new ViewTimes();
    this.#views.push(view);
    this.setViewJobs(view, jobs);
    return view;
  }

  removeView(view: ViewTimes): void {
    const at = this.#views.indexOf(view);
    if (at < 0) return;
    this.setViewJobs(view, []);
    this.#views.splice(at, 1);
  }

  /** Unknown ids are left out. What is known of the view's trains and lanes stays. */
  setViewJobs(view: ViewTimes, ids: readonly number[]): void {
    for (const job of view.jobs) {
      job.feeds = job.feeds.filter((feed) => feed.view !== view);
      job.isDirty = true;
    }
    view.jobs = [];
    const old = view.feeds.splice(0);
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      let feed = view.feeds.find((one) => one.lane === job.lane);
      if (feed === undefined) {
        feed = old.find((one) => one.lane === job.lane) ?? {
          view,
          lane: job.lane,
          times: new RunTimes(),
          from: Number.NaN,
          left: 0,
          lastEnd: 0,
          isWhole: false,
          marginMs: 0,
        };
        feed.from = Number.NaN;
        view.feeds.push(feed);
      }
      job.feeds.push(feed);
      job.isDirty = true;
      view.jobs.push(job);
    }
  }

  /**
   * A request for the view. Gives the number of its train, or STRANGER (result `unlocked`). For a train the caller reports
   * runs and builds that ended meanwhile, then asks for the `verdict`.
   */
  arrived(view: ViewTimes, nowMs: number, wallMs: number): number {
    const train = view.yard.arrive(nowMs, wallMs);
    if (view.yard.version !== view.seenVersion) this.#trainsChanged(view);
    return train;
  }

  /** Judges what a train's arrival found, and sets its margin: doubled after a miss, slowly less after a hit. */
  verdict(view: ViewTimes, train: number): Verdict {
    this.#meet(view, train);
    const arrival = view.yard.expected(train);
    let hostLate = false;
    let networkLate = false;
    for (const feed of view.feeds) {
      const late = view.jobs.some((job) => job.lane === feed.lane && this.#isLate(job, view, arrival));
      if (!late && !feed.lane.isHost) feed.marginMs = feed.marginMs > 1 ? feed.marginMs * MARGIN_DECAY : 0;
      if (!late) continue;
      if (feed.lane.isHost) hostLate = true;
      else {
        networkLate = true;
        feed.marginMs = Math.min(LAST_MARGIN_MS, Math.max(FIRST_MARGIN_MS, feed.marginMs * 2));
      }
    }
    const margin = view.margins[train] as number;
    view.margins[train] = hostLate ? Math.min(LAST_MARGIN_MS, margin * 2) : Math.max(FIRST_MARGIN_MS, margin * MARGIN_DECAY);
    if (hostLate || networkLate) for (const job of view.jobs) job.isDirty = true;
    return hostLate || networkLate ? 'miss' : 'hit';
  }

  /** The page of the view was published. `durationMs`: from the end of the run that called for it; `fromMs`: when the build began. */
  viewBuilt(view: ViewTimes, fromMs: number, durationMs: number): void {
    view.builtFromMs = Math.max(view.builtFromMs, fromMs);
    view.builds.add(durationMs);
  }

  jobStarted(id: number, nowMs: number): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    // By the plan the run may have been called for before now; how late it started is part of how long it takes.
    const planned = nowMs - job.plannedMs <= PAUSE_MS ? job.plannedMs : nowMs;
    job.plannedMs = Number.NaN;
    job.waitsSinceMs = Number.NaN;
    job.isRunning = true;
    job.startMs = nowMs;
    job.servedBeforeMs = job.servedMs;
    let ready = nowMs;
    for (const feed of job.feeds) {
      ready = Math.max(ready, nowMs + reach(job, feed));
      this.#enterBatch(feed, planned, nowMs);
    }
    const goal = Number.isNaN(job.goalMs) ? ready : job.goalMs;
    job.servedMs = Math.max(job.servedMs, Math.max(goal, ready) + SHARED_MS);
    job.isDirty = true;
  }

  /** May be reported late: `endedMs` is when it was. Durations of failed runs say nothing of the next one and are left out. */
  jobEnded(id: number, endedMs: number, durationMs: number, cpuMs: number, ending: Ending): void {
    const job = this.#jobs.get(id);
    if (job === undefined || !job.isRunning) return;
    const isGood = ending === 'ok' || ending === 'absent';
    job.isRunning = false;
    job.endMs = endedMs;
    job.failures = isGood ? 0 : Math.min(16, job.failures + 1);
    // The first run opened files and compiled code: a floor from it would hold back what follows.
    if (job.times.count > 0) job.cpuMs = job.cpuMs === 0 ? cpuMs : job.cpuMs + (cpuMs - job.cpuMs) / 8;
    if (isGood) job.times.add(Math.min(durationMs, job.terms.deadlineMs));
    for (const feed of job.feeds) this.#leaveBatch(feed, endedMs, isGood);
    job.isDirty = true;
  }

  /** The least time from start to start of a job, milliseconds. */
  floorMs(id: number): number {
    const job = this.#jobs.get(id);
    return job === undefined ? 0 : floorOf(job);
  }

  /** When to call `due` next; +Infinity when there is no job. */
  next(nowMs: number): number {
    for (const view of this.#views) {
      view.yard.advance(nowMs);
      if (view.yard.version !== view.seenVersion) this.#trainsChanged(view);
    }
    let next = Number.POSITIVE_INFINITY;
    for (const job of this.#order) {
      if (job.isDirty) this.#plan(job);
      if (job.isRunning && job.dueMs <= nowMs) job.dueMs = nowMs + STILL_RUNNING_MS;
      if (job.dueMs < next) next = job.dueMs;
    }
    return next;
  }

  /** When the job starts next. */
  dueAt(id: number): number {
    const job = this.#jobs.get(id);
    if (job === undefined) return Number.POSITIVE_INFINITY;
    if (job.isDirty) this.#plan(job);
    return job.dueMs;
  }

  /**
   * Fills `out` with the jobs that start now, batch by batch in the order of addition. Each is to be confirmed by
   * `jobStarted`, else it is due again at the next call.
   */
  due(nowMs: number, out: number[]): void {
    out.length = 0;
    if (this.next(nowMs) > nowMs) return;
    this.#findBatches(nowMs);
    this.#gather(nowMs, out);
  }

  #gather(nowMs: number, out: number[]): void {
    for (const job of this.#order) {
      const startAt = job.lane.startAt;
      if (startAt === Number.POSITIVE_INFINITY || job.isRunning || job.dueMs > nowMs + TOGETHER_MS) continue;
      if (job.dueMs > nowMs && earliestStart(job) > nowMs) continue;
      if (!Number.isNaN(job.waitsSinceMs) && job.dueMs > nowMs) continue;
      job.plannedMs = startAt;
      out.push(job.id);
    }
  }

  /**
   * What `due` will give at a later time, if nothing happens before, and when something else falls due after it, milliseconds;
   * -Infinity when not all of it is for trains: what keeps to an interval is due again whether or not a scraper comes.
   * Each of `out` is to be confirmed by `jobStarted`.
   */
  batchAt(atMs: number, out: number[]): number {
    out.length = 0;
    this.#findBatches(atMs);
    this.#gather(atMs, out);
    let other = Number.POSITIVE_INFINITY;
    for (const job of this.#order) {
      if (!out.includes(job.id)) other = Math.min(other, job.dueMs);
      else if (Number.isNaN(job.goalMs)) return Number.NEGATIVE_INFINITY;
    }
    return other;
  }

  #laneOf(terms: JobTerms): Lane {
    const name = terms.pool === 'host' ? 'host' : `network ${terms.lane}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      const isHost = terms.pool === 'host';
      lane = { name, isHost, offset: isHost ? 0 : fraction(name), jobs: 0, startAt: 0, trainStart: 0, trainGoal: 0 };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #trainsChanged(view: ViewTimes): void {
    view.seenVersion = view.yard.version;
    for (const job of view.jobs) job.isDirty = true;
  }

  /** A new train in an old one's place begins with the first margin. */
  #meet(view: ViewTimes, train: number): void {
    if (view.serials[train] === view.yard.serial(train)) return;
    view.serials[train] = view.yard.serial(train);
    view.margins[train] = FIRST_MARGIN_MS;
  }

  #isLate(job: Job, view: ViewTimes, arrival: number): boolean {
    // A target that is down is shown as down by every page, and a job with its own interval promises nothing.
    if (job.terms.intervalIsSet || isDown(job)) return false;
    if (job.isRunning) return job.servedBeforeMs < arrival && job.servedMs >= arrival;
    if (job.servedMs >= arrival) return job.endMs > view.builtFromMs;
    // Not begun: late if a run was planned for this arrival; else its floor did not allow one.
    return job.goalMs <= arrival + SHARED_MS;
  }

  #enterBatch(feed: Feed, planned: number, nowMs: number): void {
    if (feed.from !== planned) {
      feed.from = planned;
      feed.left = 0;
      feed.lastEnd = nowMs;
      feed.isWhole = true;
    }
    feed.left += 1;
  }

  #leaveBatch(feed: Feed, endedMs: number, isGood: boolean): void {
    if (Number.isNaN(feed.from)) return;
    feed.left -= 1;
    feed.lastEnd = Math.max(feed.lastEnd, endedMs);
    if (!isGood) feed.isWhole = false;
    if (feed.left > 0) return;
    if (feed.isWhole) {
      feed.times.add(feed.lastEnd - feed.from);
      for (const job of feed.view.jobs) job.isDirty = true;
    }
    feed.from = Number.NaN;
  }

  #plan(job: Job): void {
    job.isDirty = false;
    job.goalMs = Number.NaN;
    // The first run keeps its time.
    if (job.startMs === Number.NEGATIVE_INFINITY) return;
    const earliest = earliestStart(job);
    job.dueMs = Number.POSITIVE_INFINITY;
    if (!job.terms.intervalIsSet) for (const feed of job.feeds) this.#planForTrains(job, feed, earliest);
    if (Number.isNaN(job.goalMs)) job.dueMs = this.#plain(job, earliest);
    else if (isDown(job) && job.dueMs > job.startMs + job.terms.intervalMs) {
      job.dueMs = Math.max(earliest, job.startMs + job.terms.intervalMs);
      job.goalMs = Number.NaN;
    }
  }

  #planForTrains(job: Job, feed: Feed, earliest: number): void {
    const { view } = feed;
    if (view.yard.locked === 0) return;
    const length = reach(job, feed);
    // An arrival that comes before a run could end is served by the page that is there.
    view.yard.predict(Math.max(job.servedMs, earliest + length), this.#next);
    for (let train = 0; train < TRAINS; train++) {
      const arrival = this.#next[train] as number;
      if (Number.isNaN(arrival)) continue;
      this.#meet(view, train);
      const start = Math.max(earliest, arrival - length - (view.margins[train] as number) - feed.marginMs);
      if (start >= job.dueMs) continue;
      job.dueMs = start;
      job.goalMs = arrival;
    }
  }

  /** The lane's next point of a grid that never moves, so that late starts do not add up. */
  #plain(job: Job, earliest: number): number {
    const { intervalMs } = job.terms;
    const first = this.#originMs + job.lane.offset * intervalMs;
    const after = Math.max(earliest, job.startMs + TOGETHER_MS);
    return first + Math.ceil((after - first) / intervalMs) * intervalMs;
  }

  #findBatches(nowMs: number): void {
    for (const lane of this.#lanes.values()) {
      lane.startAt = Number.POSITIVE_INFINITY;
      lane.trainStart = Number.POSITIVE_INFINITY;
      lane.trainGoal = Number.NaN;
    }
    for (const job of this.#order) {
      const { lane } = job;
      if (Number.isNaN(job.goalMs)) continue;
      if (job.dueMs < lane.trainStart) {
        lane.trainStart = job.dueMs;
        lane.trainGoal = job.goalMs;
      }
    }
    for (const job of this.#order) {
      if (job.dueMs > nowMs || job.isRunning) continue;
      if (this.#givesWay(job, nowMs)) job.dueMs = Math.max(nowMs, job.lane.trainStart) + 1;
      else job.lane.startAt = Math.min(job.lane.startAt, job.dueMs);
    }
  }

  /** A run of the plain interval just before, or with, a batch that a scraper waits for would make that one late. */
  #givesWay(job: Job, nowMs: number): boolean {
    const { lane } = job;
    if (!lane.isHost || !Number.isNaN(job.goalMs) || job.startMs === Number.NEGATIVE_INFINITY) return false;
    if (lane.trainStart > nowMs + orZero(job.times.p99) + FIRST_MARGIN_MS) return false;
    if (Number.isNaN(job.waitsSinceMs)) job.waitsSinceMs = nowMs;
    return nowMs - job.waitsSinceMs <= LONGEST_GIVE_WAY_MS;
  }
}
