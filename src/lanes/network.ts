import { workerData } from 'node:worker_threads';
import { CollectError, type Ending, type NetworkModule, type NetworkSession } from '../collect/contract.ts';
import { systemClock } from '../model/clock.ts';
import { loadReaders } from '../readers/load.ts';
import { ring } from './bell.ts';
import { Job, type JobSpec, type LaneNews, loadWorker, ownData, sessionKey } from './work.ts';

/** Given to every thread of a shard when it starts. */
export interface ShardData {
  readonly builderBell: SharedArrayBuffer;
}

/** A task of a shard: one round of a target, its last pages once more, or its end. Specs travel with the round, since a shard may be new. */
export type ShardTask =
  | { readonly kind: 'round'; readonly jobs: readonly number[]; readonly deadlineMs: number; readonly specs?: readonly JobSpec[] }
  | { readonly kind: 'reprint'; readonly jobs: readonly number[] }
  | { readonly kind: 'close'; readonly key: string; readonly jobs: readonly number[] };

export interface RoundEnd {
  /** True when the shard does not know a job and wants the round again with specs. */
  readonly unknown: boolean;
  readonly durationMs: number;
  readonly news: readonly LaneNews[];
}

interface Held {
  readonly job: Job;
  readonly module: NetworkModule;
}

const readers = loadReaders();
const builderBell = new Int32Array((ownData(workerData) as ShardData).builderBell);
const jobs = new Map<number, Held>();
const sessions = new Map<string, NetworkSession>();
/** By session, the job under way: jobs share it, and what it says is said of the one that runs. */
const running = new Map<string, number>();
/** Travels with whichever round ends next. */
const news: LaneNews[] = [];

/** Runs the due parts of one target over its kept connection, each published as it ends. Rounds of other targets go on meanwhile. */
export default async function shardTask(task: ShardTask): Promise<RoundEnd> {
  const started = systemClock.monotonicMs();
  if (task.kind !== 'round') {
    if (task.kind === 'close') await close(task.key, task.jobs);
    else for (const id of task.jobs) jobs.get(id)?.job.reprint();
    return { unknown: false, durationMs: systemClock.monotonicMs() - started, news: news.splice(0) };
  }
  for (const spec of task.specs ?? []) await learn(spec);
  const held: Held[] = [];
  for (const id of task.jobs) {
    const known = jobs.get(id);
    if (known === undefined) return { unknown: true, durationMs: 0, news: [] };
    held.push(known);
  }
  await round(held, task.deadlineMs);
  return { unknown: false, durationMs: systemClock.monotonicMs() - started, news: news.splice(0) };
}

async function learn(spec: JobSpec): Promise<void> {
  // Told once per thread, or anew when the number went to another job.
  const module = await loadWorker<NetworkModule>(spec);
  jobs.set(spec.id, { job: new Job(spec, readers, module.report, (item) => news.push(item)), module });
}

async function close(key: string, ids: readonly number[]): Promise<void> {
  for (const id of ids) jobs.delete(id);
  const session = sessions.get(key);
  sessions.delete(key);
  running.delete(key);
  await session?.close();
}

function open({ job, module }: Held): NetworkSession {
  const key = sessionKey(job.spec);
  let session = sessions.get(key);
  if (session === undefined) {
    const warn = (text: string): void => void news.push({ kind: 'warning', job: running.get(key) ?? job.spec.id, text });
    session = module.open({ ...job.spec, readers, monotonicMs: systemClock.monotonicMs, wallMs: systemClock.wallMs, warn });
    sessions.set(key, session);
  }
  return session;
}

async function round(held: readonly Held[], deadlineMs: number): Promise<void> {
  const first = held[0];
  if (first === undefined) return;
  const now = systemClock.monotonicMs;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), deadlineMs);
  const passed = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(new CollectError('timeout', first.job.spec.target.address, `no answer within ${deadlineMs} ms`)), {
      once: true,
    });
  });
  passed.catch(() => undefined);
  const end = (job: Job, ending: Ending, error?: unknown): void => job.end(ending, error, now(), 0);
  const started = now();
  const key = sessionKey(first.job.spec);
  running.set(key, first.job.spec.id);
  for (const { job } of held) job.start(started);
  try {
    let session: NetworkSession;
    try {
      session = open(first);
      await Promise.race([session.begin(controller.signal), passed]);
    } catch (error) {
      for (const { job } of held) end(job, 'down', error);
      return;
    }
    for (const { job } of held) {
      if (controller.signal.aborted) {
        end(job, 'timeout', new CollectError('timeout', job.spec.target.address, `not reached within ${deadlineMs} ms`));
        continue;
      }
      running.set(key, job.spec.id);
      try {
        const outcome = await Promise.race([session.collect(job.spec.part, job.sheet, controller.signal), passed]);
        end(job, outcome.kind);
      } catch (error) {
        end(job, controller.signal.aborted ? 'timeout' : 'failed', error);
      }
    }
  } finally {
    clearTimeout(timer);
    ring(builderBell);
  }
}
