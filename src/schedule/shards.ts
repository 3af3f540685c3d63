import { Piscina } from 'piscina';
import { Channel } from '../collect/channel.ts';
import type { FailureCode } from '../collect/contract.ts';
import { threadFile } from '../collect/load-module.ts';
import type { RoundEnd, ShardData, ShardTask } from '../lanes/network.ts';
import { type JobSpec, type LaneNews, sessionKey } from '../lanes/work.ts';

/** A round that the worker itself should have ended by its deadline is given up so much later: its thread is stuck. */
const STUCK_MS = 150;
/** A new thread has to load the drivers first, which on a busy machine takes longer than a short deadline. */
const COLD_MS = 5000;
const MAX_ROUNDS_PER_SHARD = 256;
const FIRST_RESTART_MS = 250;
const LAST_RESTART_MS = 30_000;

interface Shard {
  readonly pool: Piscina;
  /** Job ids whose specs this shard was sent. */
  readonly told: Set<number>;
  /** Modules of which it has ended a round. */
  readonly loaded: Set<string>;
  /** No rounds before this time: the thread crashed and is restarted with growing delay. */
  notBeforeMs: number;
  restartMs: number;
}

interface Round {
  readonly key: string;
  readonly jobs: readonly NetworkJob[];
  readonly shard: Shard;
  readonly deadlineMs: number;
  /** Until then its thread may still be loading what the round needs. */
  readonly coldUntilMs: number;
  /** Of the jobs' channels when it began: as long as they stand there, the thread has not got to them. */
  readonly sequences: readonly number[];
  givenUp: boolean;
}

interface NetworkJob {
  readonly spec: JobSpec;
  readonly channel: Channel;
}

export interface ShardsOptions {
  /** How many threads; a target that stuck its shard twice gets one more of its own. */
  readonly shards: number;
  readonly builderBell: SharedArrayBuffer;
  readonly monotonicMs: () => number;
  readonly onNews: (news: LaneNews) => void;
  /** @param deadlineMs that the run has passed */
  readonly onTimeout: (job: number, deadlineMs: number) => void;
  readonly onCrash: (error: unknown, delayMs: number) => void;
  /** A shard's thread was replaced because it stopped answering. */
  readonly onStuck: (targets: readonly string[]) => void;
}

/**
 * The threads that talk to targets. A target stays on one shard, so that its connection is reused; parts that are due
 * together travel as one round, and rounds of different targets overlap. Replacing a shard loses connections, not samples:
 * those are in the channels.
 */
export class Shards {
  readonly #options: ShardsOptions;
  readonly #common: (Shard | undefined)[];
  readonly #own = new Map<string, Shard>();
  readonly #stuckTimes = new Map<string, number>();
  readonly #jobs = new Map<number, NetworkJob>();
  readonly #rounds = new Map<string, Round>();
  #closed = false;

  constructor(options: ShardsOptions) {
    this.#options = options;
    this.#common = new Array<Shard | undefined>(Math.max(1, options.shards)).fill(undefined);
  }

  get threads(): number {
    return this.#own.size + this.#common.filter((shard) => shard !== undefined).length;
  }

  add(specs: readonly JobSpec[]): void {
    for (const spec of specs) this.#jobs.set(spec.id, { spec, channel: new Channel(spec.channel) });
  }

  /** Forgets jobs; the target's connection is closed with its last one. */
  remove(ids: readonly number[]): void {
    const keys = new Map<string, number[]>();
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      this.#jobs.delete(id);
      const key = sessionKey(job.spec);
      keys.set(key, [...(keys.get(key) ?? []), id]);
      this.#shard(key).told.delete(id);
    }
    const left = new Set([...this.#jobs.values()].map((job) => sessionKey(job.spec)));
    for (const [key, jobs] of keys) {
      if (left.has(key)) continue;
      const shard = this.#shard(key);
      this.#rounds.delete(key);
      void shard.pool.run({ kind: 'close', key, jobs } satisfies ShardTask).catch(() => undefined);
      const own = this.#own.get(key);
      if (own !== undefined) {
        this.#own.delete(key);
        void own.pool.close();
      }
    }
  }

  /** Has the last pages of jobs printed once more, for a variant that is wanted now. Resolves when that is done. */
  async reprint(ids: readonly number[]): Promise<void> {
    const byShard = new Map<Shard, number[]>();
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      const shard = this.#shard(sessionKey(job.spec));
      if (shard.told.has(id)) byShard.set(shard, [...(byShard.get(shard) ?? []), id]);
    }
    // One that ends with its thread has nothing left to print from.
    await Promise.allSettled([...byShard].map(([shard, jobs]) => shard.pool.run({ kind: 'reprint', jobs } satisfies ShardTask)));
  }

  /** Starts one round per target. Returns jobs whose target has a round under way. */
  start(ids: readonly number[]): number[] {
    const skipped: number[] = [];
    const byTarget = new Map<string, NetworkJob[]>();
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      const key = sessionKey(job.spec);
      byTarget.set(key, [...(byTarget.get(key) ?? []), job]);
    }
    for (const [key, jobs] of byTarget) {
      const shard = this.#shard(key);
      if (this.#rounds.has(key) || shard.notBeforeMs > this.#options.monotonicMs()) skipped.push(...jobs.map((job) => job.spec.id));
      else this.#begin(key, jobs, shard);
    }
    return skipped;
  }

  /** Gives up rounds whose thread should have ended them, and the thread itself. Returns when to look again, monotonic ms. */
  watch(): number {
    if (this.#rounds.size === 0) return Number.POSITIVE_INFINITY;
    const now = this.#options.monotonicMs();
    let next = Number.POSITIVE_INFINITY;
    const stuck = new Set<Shard>();
    for (const round of this.#rounds.values()) {
      const { shard, deadlineMs } = round;
      if (!round.givenUp && now >= deadlineMs) this.#giveUp(round);
      const stuckMs = Math.max(deadlineMs, round.coldUntilMs);
      if (now >= stuckMs) stuck.add(shard);
      else next = Math.min(next, round.givenUp ? stuckMs : deadlineMs);
    }
    for (const shard of stuck) this.#replace(shard);
    return next;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closing = [...this.#jobs.values()].map((job) => sessionKey(job.spec));
    const shards = new Set([...this.#own.values(), ...this.#common.filter((shard) => shard !== undefined)]);
    await Promise.all(
      [...new Set(closing)].map((key) => {
        const shard = this.#own.get(key) ?? this.#common[slotOf(key, this.#common.length)];
        return shard?.pool.run({ kind: 'close', key, jobs: [] } satisfies ShardTask).catch(() => undefined);
      }),
    );
    await Promise.all([...shards].map((shard) => shard.pool.destroy()));
  }

  #shard(key: string): Shard {
    const own = this.#own.get(key);
    if (own !== undefined) return own;
    const slot = slotOf(key, this.#common.length);
    return (this.#common[slot] ??= this.#open());
  }

  #open(): Shard {
    const data: ShardData = { builderBell: this.#options.builderBell };
    const pool = new Piscina({
      filename: threadFile('lanes/network.js').href,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: MAX_ROUNDS_PER_SHARD,
      // Parked workers would freeze their sockets.
      atomics: 'disabled',
      recordTiming: false,
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    pool.on('error', () => undefined);
    return { pool, told: new Set(), loaded: new Set(), notBeforeMs: 0, restartMs: FIRST_RESTART_MS };
  }

  #begin(key: string, jobs: readonly NetworkJob[], shard: Shard): void {
    const deadline = Math.min(...jobs.map((job) => job.spec.deadlineMs));
    const untold = jobs.filter((job) => !shard.told.has(job.spec.id)).map((job) => job.spec);
    const now = this.#options.monotonicMs();
    const coldUntilMs = jobs.every((job) => shard.loaded.has(job.spec.worker)) ? now : now + COLD_MS;
    const sequences = jobs.map((job) => job.channel.sequence);
    const round: Round = { key, jobs, shard, deadlineMs: now + deadline + STUCK_MS, coldUntilMs, sequences, givenUp: false };
    this.#rounds.set(key, round);
    for (const spec of untold) shard.told.add(spec.id);
    const task: ShardTask = { kind: 'round', jobs: jobs.map((job) => job.spec.id), deadlineMs: deadline, ...(untold.length > 0 ? { specs: untold } : {}) };
    (shard.pool.run(task) as Promise<RoundEnd>).then(
      (end) => this.#ended(round, end),
      (error: unknown) => this.#crashed(round, error),
    );
  }

  #ended(round: Round, end: RoundEnd): void {
    if (!end.unknown) for (const job of round.jobs) round.shard.loaded.add(job.spec.worker);
    for (const news of end.news) this.#options.onNews(news);
    if (this.#rounds.get(round.key) !== round) return;
    this.#rounds.delete(round.key);
    round.shard.restartMs = FIRST_RESTART_MS;
    if (!end.unknown) return;
    for (const job of round.jobs) round.shard.told.delete(job.spec.id);
    this.#lose(round, 'crash');
  }

  #crashed(round: Round, error: unknown): void {
    if (this.#closed || this.#rounds.get(round.key) !== round) return;
    this.#rounds.delete(round.key);
    if (round.givenUp) return;
    for (const job of round.jobs) job.channel.fail('crash');
    const { shard } = round;
    // Piscina starts the next thread by itself, with nothing learnt.
    shard.told.clear();
    shard.loaded.clear();
    shard.notBeforeMs = this.#options.monotonicMs() + shard.restartMs;
    this.#options.onCrash(error, shard.restartMs);
    shard.restartMs = Math.min(LAST_RESTART_MS, shard.restartMs * 2);
  }

  #giveUp(round: Round): void {
    round.givenUp = true;
    for (const job of round.jobs) if (job.channel.giveUp()) this.#options.onTimeout(job.spec.id, job.spec.deadlineMs);
  }

  /** Ends the runs of a round that its thread never got to: else they would count as under way for ever. */
  #lose(round: Round, code: FailureCode): void {
    for (const [index, job] of round.jobs.entries()) if (job.channel.sequence === round.sequences[index]) job.channel.fail(code);
  }

  #replace(shard: Shard): void {
    const lost = [...this.#rounds.values()].filter((round) => round.shard === shard);
    const late = lost.filter((round) => round.givenUp).map((round) => round.key);
    for (const round of lost) {
      this.#giveUp(round);
      this.#lose(round, 'timeout');
      this.#rounds.delete(round.key);
    }
    // Never awaited: a thread that is stuck in a system call cannot be ended.
    void shard.pool.destroy().catch(() => undefined);
    const slot = this.#common.indexOf(shard);
    if (slot >= 0) this.#common[slot] = undefined;
    for (const [key, own] of this.#own) if (own === shard) this.#own.delete(key);
    for (const key of late) {
      const times = (this.#stuckTimes.get(key) ?? 0) + 1;
      this.#stuckTimes.set(key, times);
      if (times >= 2) this.#own.set(key, this.#open());
    }
    this.#options.onStuck(late);
  }
}

/** FNV-1a of the key, so that a target keeps its shard over restarts. */
function slotOf(key: string, slots: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % slots;
}
