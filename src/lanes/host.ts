import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { CHANNEL_LAYOUT } from '../collect/channel.ts';
import type { HostModule, HostSession, Outcome } from '../collect/contract.ts';
import { preloadModules } from '../collect/load-module.ts';
import { loadReaders } from '../readers/load.ts';
import { settling } from '../readers/settle.ts';
import { TURN, TURN_LEFT_SHIFT } from '../readers/readers.ts';
import { systemClock } from '../model/clock.ts';
import { listen, ring } from './bell.ts';
import { CONTROL_LAYOUT, HostControl, type HostControlMemory, MAX_JOBS } from './host-control.ts';
import { failureOf, Job, type JobSpec, type LaneNews, type LaneUnplanned, loadWorker, Replay, ownData, sessionKey } from './work.ts';

/** Given to the thread when it starts. */
export interface HostLaneData {
  /** Modules that it will probably need, loaded while nobody waits for it. */
  readonly preload: readonly string[];
}

/** The one task of a host lane's pool: it lasts as long as the thread. */
export interface HostLaneTask {
  readonly lane: number;
  readonly control: HostControlMemory;
  /** Which lane owns a job; a lane that was left behind with a hung job must not run the others. */
  readonly owners: SharedArrayBuffer;
  /** The view builder sleeps on it. Rung at the end of a batch that moved what the lane cannot put on a page itself. */
  readonly builderBell: SharedArrayBuffer;
  readonly port: MessagePort;
}

export type HostLaneMail = { readonly kind: 'add'; readonly jobs: readonly JobSpec[] } | { readonly kind: 'remove'; readonly jobs: readonly number[] };

preloadModules((ownData(workerData) as HostLaneData | undefined)?.preload ?? []);

/**
 * Sleeps until jobs are due, runs them one after the other as one batch, and publishes each as it ends. Between batches the
 * thread is in a futex wait: it has no event loop turn, no timer and costs nothing.
 */
export default async function hostLane(task: HostLaneTask): Promise<void> {
  const readers = loadReaders();
  const control = new HostControl(task.control);
  const owners = new Int32Array(task.owners);
  const bell = new Int32Array(task.builderBell);
  const replays = readers.replays(Int32Array.from([...CHANNEL_LAYOUT, ...CONTROL_LAYOUT]));
  const jobs = new Map<number, { job: Job; replay: Replay | undefined; session: () => HostSession }>();
  const sessions = new Map<string, HostSession>();
  /** Jobs of a batch that cannot be replayed. */
  const left = new Int32Array(MAX_JOBS);
  const now = systemClock.monotonicMs;
  const settle = settling();
  /** The job under way. A session is shared by jobs, and what it says is said of the one that runs. */
  let running = -1;
  const turn =
    replays === undefined
      ? (): number => control.turn(now(), left)
      : replays.turns({ words: control.words, floats: control.floats, owners, left, bell, number: task.lane });
  const tell = (news: LaneNews): void => task.port.postMessage(news);

  const add = async (spec: JobSpec): Promise<void> => {
    const module = await loadWorker<HostModule>(spec);
    const key = sessionKey(spec);
    const job = new Job(spec, readers, module.report, tell);
    jobs.set(spec.id, {
      job,
      replay: replays === undefined ? undefined : new Replay(job, replays),
      session: () => {
        let session = sessions.get(key);
        if (session === undefined) {
          const warn = (text: string): void => tell({ kind: 'warning', job: running, text });
          session = module.open({ ...spec, readers, monotonicMs: now, wallMs: systemClock.wallMs, warn });
          sessions.set(key, session);
        }
        return session;
      },
    });
  };

  const remove = (id: number): void => {
    const held = jobs.get(id);
    jobs.delete(id);
    if (held === undefined) return;
    held.replay?.leave();
    const key = sessionKey(held.job.spec);
    if ([...jobs.values()].some((other) => sessionKey(other.job.spec) === key)) return;
    const session = sessions.get(key);
    sessions.delete(key);
    try {
      session?.close();
    } catch (error) {
      tell({ kind: 'warning', job: id, text: `did not close: ${failureOf(error).text}` });
    }
  };

  const handleMail = async (): Promise<void> => {
    for (let mail = receiveMessageOnPort(task.port); mail !== undefined; mail = receiveMessageOnPort(task.port)) {
      const message = mail.message as HostLaneMail;
      // One after the other: the first of a collector loads what its others then have.
      if (message.kind === 'add') for (const spec of message.jobs) await add(spec);
      else message.jobs.forEach(remove);
    }
  };

  const run = (id: number): void => {
    const held = jobs.get(id);
    if (held === undefined || Atomics.load(owners, id) !== task.lane) return;
    const { job, replay, session } = held;
    running = id;
    replay?.leave();
    const started = now();
    const cpuBefore = readers.threadCpuSeconds();
    control.enter(id, started);
    let outcome: Outcome | undefined;
    let error: unknown;
    try {
      job.start(started);
      outcome = session().collect(job.spec.part, job.sheet);
    } catch (thrown) {
      error = thrown;
    }
    control.leave();
    job.end(outcome === undefined ? 'failed' : outcome.kind, error, now(), readers.threadCpuSeconds() - cpuBefore);
    if (outcome !== undefined) replay?.arm(session(), outcome.kind);
  };

  const build = (): void => {
    if (!readers.buildViews(bell)) ring(bell);
  };

  /** CPU of what the batch under way has run before it was interrupted, ms. */
  let spentMs = 0;
  /** What an interrupted batch still has to run, behind what has interrupted it; empty when none was. */
  const postponed = new Set<number>();

  /**
   * Runs what a turn has left. Between two jobs what has become due meanwhile has its turn: ten thousand cgroups do not keep a
   * scraper of the node waiting. Then true: the rest is for the next turn.
   */
  const runLeft = async (count: number): Promise<boolean> => {
    const cpuBefore = readers.threadCpuSeconds();
    // Jobs are told before they are due: what came between the two looks must not be taken for removed.
    if (control.takeMail()) await handleMail();
    if (postponed.size > 0) {
      build();
      left.subarray(0, count).sort((one, other) => Number(postponed.has(one)) - Number(postponed.has(other)) || one - other);
      postponed.clear();
    }
    for (let i = 0; i < count && postponed.size === 0; i++) {
      run(left[i] as number);
      if (control.hasMore(now())) for (const job of left.subarray(i + 1, count)) postponed.add(job);
    }
    // Due again, so that the lane counts as busy until they have run.
    for (const job of postponed) control.due(job);
    spentMs += (readers.threadCpuSeconds() - cpuBefore) * 1000;
    if (postponed.size > 0) {
      spentMs += control.batchCpuMs;
      return true;
    }
    control.batchEnded(now(), spentMs);
    spentMs = 0;
    build();
    control.rest(now());
    return false;
  };

  for (let heard = 0; ; ) {
    const said = turn();
    if ((said & TURN.told) !== 0) {
      if (control.stopped) break;
      if (control.takeMail()) await handleMail();
      continue;
    }
    if ((said & TURN.unplanned) !== 0) task.port.postMessage({ kind: 'unplanned' } satisfies LaneUnplanned);
    if (said >>> TURN_LEFT_SHIFT > 0) {
      if (await runLeft(said >>> TURN_LEFT_SHIFT)) continue;
    } else {
      postponed.clear();
      spentMs = 0;
      if ((said & TURN.unbuilt) !== 0) ring(bell);
    }
    if ((said & TURN.ran) !== 0 && settle()) control.rest(now());
    heard = listen(control.words, heard, 0, control.sleepMs);
  }
  for (const session of sessions.values()) session.close();
}
