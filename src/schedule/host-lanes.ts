import { MessageChannel, type MessagePort, SHARE_ENV } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { Channel } from '../collect/channel.ts';
import { threadFile } from '../collect/load-module.ts';
import type { HostLaneData, HostLaneMail, HostLaneTask } from '../lanes/host.ts';
import { HostControl, MAX_JOBS, makeHostControl } from '../lanes/host-control.ts';
import type { JobSpec, LaneNews, LaneUnplanned } from '../lanes/work.ts';

/** After so many runs within the deadline a job that hung joins the others again. */
const GOOD_RUNS_TO_REJOIN = 3;
const FIRST_RESTART_MS = 250;
const LAST_RESTART_MS = 30_000;

interface Lane {
  readonly id: number;
  readonly pool: Piscina;
  readonly control: HostControl;
  readonly openedMs: number;
  readonly port: MessagePort;
  readonly done: Promise<void>;
  /** The job for which the lane is kept apart, or -1 for the common lane. */
  apart: number;
  goodRuns: number;
  seenSequence: number;
  /** Ids made due last, and when, monotonic ms. */
  batch: readonly number[];
  batchAtMs: number;
}

interface HostJob {
  readonly spec: JobSpec;
  readonly channel: Channel;
  lane: Lane | undefined;
  /** Of its channel, when it came to its lane. */
  movedSequence: number;
  /** How long its next crash keeps it from running. */
  restartMs: number;
}

/** Due in its lane's last batch, which has not reached it. */
function isPending({ spec, channel, lane }: HostJob): boolean {
  return lane !== undefined && channel.runStartedMs < lane.batchAtMs && lane.batch.includes(spec.id);
}

/** For the run that is under way. */
function deadlineMsOf({ spec, channel, movedSequence }: HostJob): number {
  return channel.sequence === movedSequence ? (spec.firstDeadlineMs ?? spec.deadlineMs) : spec.deadlineMs;
}

const NONE: readonly number[] = [];

/** The thread of a lane. `preload`: addresses of modules that it loads before it is told what to do. */
export function hostPool(preload: readonly string[] = []): Piscina {
  return new Piscina({
    filename: threadFile('lanes/host.js').href,
    minThreads: 1,
    maxThreads: 1,
    // The task never ends, so the worker never waits for another; the young generation is small since a cycle allocates little.
    atomics: 'disabled',
    recordTiming: false,
    // Started before the settings are known, which threads take from there.
    env: SHARE_ENV,
    workerData: { preload } satisfies HostLaneData,
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
}

export interface HostLanesOptions {
  /** A thread that was started before there was anything to run. */
  readonly spare?: Piscina | undefined;
  readonly builderBell: SharedArrayBuffer;
  readonly monotonicMs: () => number;
  readonly onNews: (news: LaneNews) => void;
  /** @param deadlineMs that the run has passed */
  readonly onTimeout: (job: number, deadlineMs: number) => void;
  /** The common lane could have been told of its next start by now. */
  readonly onUnplanned: () => void;
  /** A lane's thread ended with an error; restarted after `delayMs`. */
  readonly onCrash: (error: unknown, delayMs: number) => void;
}

/**
 * The threads that read kernel files. Normally one, for all host jobs. When a job passes its deadline, its lane is left to
 * it (the thread may be stuck in a system call for good) and a fresh lane takes the other jobs; it comes back when it has
 * behaved for a while. A job that ends its thread is treated alike, but for a pause that doubles with each crash.
 */
export class HostLanes {
  readonly #options: HostLanesOptions;
  readonly #owners = new SharedArrayBuffer(MAX_JOBS * 4);
  readonly #ownerWords = new Int32Array(this.#owners);
  readonly #jobs = new Map<number, HostJob>();
  readonly #apart = new Set<Lane>();
  #common: Lane | undefined;
  #spare: Piscina | undefined;
  /** The lane that has a plan. */
  #planned: Lane | undefined;
  #nextLane = 1;
  #restartMs = FIRST_RESTART_MS;
  #shortestDeadlineMs = Number.POSITIVE_INFINITY;
  /** Above every id. */
  #idLimit = 0;
  #simple: boolean | undefined;
  #closed = false;

  constructor(options: HostLanesOptions) {
    this.#options = options;
    this.#spare = options.spare;
  }

  get lanes(): number {
    return this.#apart.size + (this.#common === undefined ? 0 : 1);
  }

  /** A job is under way; once closed, one that does not end. */
  get isStuck(): boolean {
    return [...this.#all()].some((lane) => lane.control.current >= 0);
  }

  add(specs: readonly JobSpec[]): void {
    if (specs.length === 0) {
      void this.#spare?.destroy();
      this.#spare = undefined;
      return;
    }
    for (const spec of specs) {
      if (spec.id >= MAX_JOBS) throw new RangeError(`more than ${MAX_JOBS} host jobs`);
      this.#jobs.set(spec.id, { spec, channel: new Channel(spec.channel), lane: undefined, movedSequence: 0, restartMs: FIRST_RESTART_MS });
      this.#shortestDeadlineMs = Math.min(this.#shortestDeadlineMs, spec.deadlineMs);
      this.#idLimit = Math.max(this.#idLimit, spec.id + 1);
    }
    this.#common ??= this.#open(-1);
    this.#move(
      this.#common,
      specs.map((spec) => spec.id),
    );
  }

  remove(ids: readonly number[]): void {
    for (const id of ids) {
      const job = this.#jobs.get(id);
      this.#jobs.delete(id);
      this.#simple = undefined;
      Atomics.store(this.#ownerWords, id, 0);
      if (job?.lane === undefined) continue;
      this.#mail(job.lane, { kind: 'remove', jobs: [id] });
      if (job.lane.apart === id) this.#retire(job.lane);
    }
  }

  /** Starts jobs as one batch. Returns those that could not start because their last run is still under way. */
  start(ids: readonly number[]): readonly number[] {
    const common = this.#common;
    // Nearly always: one lane, all jobs in it, nothing under way.
    if (common !== undefined && this.#isSimple() && common.control.isIdle(this.#idLimit)) {
      this.#begin(common, ids);
      return NONE;
    }
    const skipped: number[] = [];
    const byLane = new Map<Lane, number[]>();
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      // Without a lane it waits for a restart.
      if (job.lane === undefined || isPending(job) || job.channel.running || job.lane.control.current === id) skipped.push(id);
      else byLane.set(job.lane, [...(byLane.get(job.lane) ?? []), id]);
    }
    // What the lane was told before and has not reached yet stays in its batch.
    for (const [lane, batch] of byLane)
      this.#begin(
        lane,
        batch,
        lane.batch.filter((id) => this.#isPendingId(id)),
      );
    return skipped;
  }

  /**
   * Lets the common lane start jobs by itself, so that the main thread need not wake for it. False when it cannot: jobs are
   * kept apart, or something is under way.
   */
  plan(ids: readonly number[], atMs: number): boolean {
    const common = this.#common;
    if (common === undefined || !this.#isSimple() || !common.control.isIdle(this.#idLimit)) return false;
    common.control.plan(ids, atMs);
    common.batch = ids;
    common.batchAtMs = atMs;
    this.#planned = common;
    return true;
  }

  /** Takes the plan back, if it has not begun. When it began, monotonic ms; NaN when it has not, or there was none. */
  unplan(): number {
    const lane = this.#planned;
    if (lane === undefined) return Number.NaN;
    this.#planned = undefined;
    return lane.control.unplan();
  }

  /** True when the common lane has nothing due or under way; jobs kept apart do not count. */
  get isIdle(): boolean {
    return this.#common === undefined || this.#common.control.isIdle(this.#idLimit);
  }

  /** When the common lane's last batch ended, monotonic ms, and the CPU it took. */
  get lastBatch(): { readonly endedMs: number; readonly cpuMs: number } {
    const control = this.#common?.control;
    return { endedMs: control?.batchEndedMs ?? 0, cpuMs: control?.batchCpuMs ?? 0 };
  }

  /** Of all jobs; +Infinity without any. */
  get shortestDeadlineMs(): number {
    return this.#shortestDeadlineMs;
  }

  /** Gives up what has passed its deadline, moves jobs between lanes. Returns when to look again, monotonic ms. */
  watch(): number {
    const now = this.#options.monotonicMs();
    let next = Number.POSITIVE_INFINITY;
    if (this.#common !== undefined) next = this.#watchLane(this.#common, now);
    if (this.#apart.size === 0) return next;
    for (const lane of this.#apart) next = Math.min(next, this.#watchLane(lane, now));
    for (const lane of this.#apart) this.#maybeRejoin(lane);
    return next;
  }

  /** Gives up the lane's job if it has passed its deadline. Returns when it will, monotonic ms. */
  #watchLane(lane: Lane, now: number): number {
    const current = lane.control.current;
    const job = current < 0 ? undefined : this.#jobs.get(current);
    if (job === undefined) return Number.POSITIVE_INFINITY;
    const deadlineMs = deadlineMsOf(job);
    const deadline = lane.control.currentStartedMs + deadlineMs;
    if (now < deadline) return deadline;
    if (job.channel.giveUp()) this.#options.onTimeout(current, deadlineMs);
    lane.goodRuns = 0;
    if (lane === this.#common) this.#leaveBehind(lane, current);
    return Number.POSITIVE_INFINITY;
  }

  /** Stops lanes that can be stopped; a stuck one is left to `_exit`. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const lane of this.#all()) lane.control.stop();
    await Promise.all([...this.#all()].filter((lane) => lane.control.current < 0).map((lane) => lane.done));
  }

  #begin(lane: Lane, ids: readonly number[], before: readonly number[] = NONE): void {
    lane.batch = before.length === 0 ? ids : [...before, ...ids];
    lane.batchAtMs = this.#options.monotonicMs();
    for (const id of ids) lane.control.due(id);
    lane.control.go();
  }

  #isPendingId(id: number): boolean {
    const job = this.#jobs.get(id);
    return job !== undefined && isPending(job);
  }

  /** Every job is in the common lane. Worked out anew after jobs have moved. */
  #isSimple(): boolean {
    this.#simple ??= this.#apart.size === 0 && [...this.#jobs.values()].every((job) => job.lane === this.#common);
    return this.#simple;
  }

  *#all(): Generator<Lane> {
    if (this.#common !== undefined) yield this.#common;
    yield* this.#apart;
  }

  #open(apart: number): Lane {
    const control = makeHostControl();
    const { port1, port2 } = new MessageChannel();
    const pool = this.#spare ?? hostPool();
    this.#spare = undefined;
    const id = this.#nextLane++;
    const task: HostLaneTask = { lane: id, control, owners: this.#owners, builderBell: this.#options.builderBell, port: port2 };
    const ended = pool.run(task, { transferList: [port2] }) as Promise<void>;
    const lane: Lane = {
      id,
      pool,
      control: new HostControl(control),
      openedMs: this.#options.monotonicMs(),
      port: port1,
      apart,
      goodRuns: 0,
      seenSequence: 0,
      batch: NONE,
      batchAtMs: 0,
      done: ended.then(
        () => void pool.destroy(),
        (error: unknown) => this.#crashed(lane, error),
      ),
    };
    port1.on('message', (news: LaneNews | LaneUnplanned) => {
      if (news.kind !== 'unplanned') this.#options.onNews(news);
      else if (lane === this.#common) this.#options.onUnplanned();
    });
    port1.unref();
    return lane;
  }

  #mail(lane: Lane, mail: HostLaneMail): void {
    lane.port.postMessage(mail);
    lane.control.mail();
  }

  #move(lane: Lane, ids: readonly number[]): void {
    this.#simple = undefined;
    const specs: JobSpec[] = [];
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      Atomics.store(this.#ownerWords, id, lane.id);
      job.lane = lane;
      job.movedSequence = job.channel.sequence;
      specs.push(job.spec);
    }
    this.#mail(lane, { kind: 'add', jobs: specs });
  }

  /** The common lane is stuck in a job: it becomes that job's own, and the rest go on elsewhere, those due at once. */
  #leaveBehind(lane: Lane, stuck: number): void {
    lane.apart = stuck;
    lane.seenSequence = this.#jobs.get(stuck)?.channel.sequence ?? 0;
    this.#apart.add(lane);
    this.#simple = undefined;
    const others = [...this.#jobs.values()].filter((job) => job.lane === lane && job.spec.id !== stuck);
    this.#common = this.#open(-1);
    this.#moveDue(this.#common, others);
  }

  #maybeRejoin(lane: Lane): void {
    const job = this.#jobs.get(lane.apart);
    if (job === undefined) {
      this.#retire(lane);
      return;
    }
    const sequence = job.channel.sequence;
    if (lane.control.current >= 0 || sequence === lane.seenSequence) return;
    lane.seenSequence = sequence;
    if (job.channel.figures().ending !== 'timeout') lane.goodRuns += 1;
    if (lane.goodRuns < GOOD_RUNS_TO_REJOIN || this.#common === undefined) return;
    // One writer at a time: the common lane is told only when this one has ended.
    job.lane = undefined;
    job.restartMs = FIRST_RESTART_MS;
    this.#retire(lane);
    void lane.done.then(() => {
      if (!this.#closed && this.#common !== undefined && this.#jobs.has(job.spec.id)) this.#move(this.#common, [job.spec.id]);
    });
  }

  #retire(lane: Lane): void {
    this.#apart.delete(lane);
    this.#simple = undefined;
    lane.control.stop();
    lane.port.close();
  }

  #crashed(lane: Lane, error: unknown): void {
    void lane.pool.destroy();
    if (this.#closed) return;
    lane.port.close();
    this.#apart.delete(lane);
    this.#simple = undefined;
    if (this.#common === lane) this.#common = undefined;
    const orphans = [...this.#jobs.values()].filter((job) => job.lane === lane);
    const culprit = orphans.find((job) => job.spec.id === lane.control.current);
    if (culprit === undefined) this.#restartAll(lane, orphans, error);
    else {
      this.#takeOver(orphans.filter((job) => job !== culprit));
      this.#restartApart(culprit, error);
    }
  }

  /** Jobs whose thread ended without their doing go on elsewhere, those due at once. */
  #takeOver(jobs: readonly HostJob[]): void {
    if (jobs.length === 0) return;
    this.#common ??= this.#open(-1);
    this.#moveDue(this.#common, jobs);
  }

  /** Moves jobs; those that their old lane has not reached start at once. */
  #moveDue(lane: Lane, jobs: readonly HostJob[]): void {
    const due = jobs.filter(isPending).map((job) => job.spec.id);
    this.#move(
      lane,
      jobs.map((job) => job.spec.id),
    );
    if (due.length > 0) this.#begin(lane, due);
  }

  /** The job that ended its thread gets one of its own, after a pause. */
  #restartApart(job: HostJob, error: unknown): void {
    const delayMs = job.restartMs;
    job.restartMs = Math.min(LAST_RESTART_MS, delayMs * 2);
    this.#lose(job);
    this.#options.onCrash(error, delayMs);
    setTimeout(() => {
      if (this.#closed || this.#jobs.get(job.spec.id) !== job) return;
      const lane = this.#open(job.spec.id);
      lane.seenSequence = job.channel.sequence;
      this.#apart.add(lane);
      this.#move(lane, [job.spec.id]);
    }, delayMs).unref();
  }

  /** The thread ended outside any job (a module that does not load, memory): nobody can be told apart. */
  #restartAll(lane: Lane, jobs: readonly HostJob[], error: unknown): void {
    const livedMs = this.#options.monotonicMs() - lane.openedMs;
    const delayMs = livedMs > LAST_RESTART_MS ? FIRST_RESTART_MS : this.#restartMs;
    this.#restartMs = Math.min(LAST_RESTART_MS, delayMs * 2);
    for (const job of jobs) this.#lose(job);
    this.#options.onCrash(error, delayMs);
    setTimeout(() => {
      if (this.#closed) return;
      this.#common ??= this.#open(-1);
      this.#move(
        this.#common,
        jobs.filter((job) => this.#jobs.get(job.spec.id) === job).map((job) => job.spec.id),
      );
    }, delayMs).unref();
  }

  #lose(job: HostJob): void {
    job.lane = undefined;
    this.#simple = undefined;
    job.channel.fail('crash');
  }
}
