/**
 * What scrapes notice when back ends hang and die: PostgreSQL and Redis are frozen with their children, thawed, killed and
 * started again, round after round, while a probe measures the page of everything.
 */
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { backendOf } from '../test/support/backends/availability.ts';
import { type PostgresBackend, startPostgres } from '../test/support/backends/postgres.ts';
import { descendants } from '../test/support/backends/processes.ts';
import { type RedisBackend, startRedis } from '../test/support/backends/redis.ts';
import { type Listener, startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { Missing } from './place.ts';
import type { ProbeOptions, ProbeTime } from './probe.ts';
import { atMost, exactly, type Cell, type Findings, runBench } from './result.ts';
import { fetchPage, sleepUntil } from './scrape.ts';
import { quantile } from './statistics.ts';
import { LOOK_MS, Watch } from './watch.ts';

const flags = readFlags({ rounds: 50, probe: 10, baseline: 20, judge: true }, { rounds: 5, baseline: 3, judge: false });

const INTERVAL_MS = 1000;
const DEADLINE_MS = 500;
/** Both back ends stay away this long, so that several cycles meet them so. */
const OUTAGE_MS = 3 * INTERVAL_MS;

/** What one failure took, milliseconds. */
interface Round {
  /** From the failure until both up families were 0. */
  readonly downMs: number;
  /** From the repair until both were 1. */
  readonly upMs: number;
  /** Longest time in which the node counter stood still. */
  readonly stillMs: number;
}

interface Held {
  readonly descriptors: number;
  readonly threads: number;
  readonly postgresSessions: number;
  readonly redisConnections: number;
}

await runBench('faults', 'Back ends that hang and die', { smoke: flags.smoke, mustHold: true }, async (): Promise<Findings> => {
  const [postgres, redis] = await startBackends();
  try {
    const env = { DATA_SOURCE_NAME: postgres.dsn, REDIS_ADDR: redis.address };
    const daemon = await startDaemon(['--interval=1s', '--postgres.deadline=500ms', '--redis.deadline=500ms'], { env });
    const watch = new Watch(daemon);
    const probe = startProbe({ url: `${daemon.url}/metrics`, everyMs: flags.probe });
    try {
      return await rounds(daemon, watch, probe, postgres, redis);
    } finally {
      watch.stop();
      await probe.stop();
      await daemon.stop();
    }
  } finally {
    await Promise.all([postgres.stop(), redis.stop()]);
  }
});

async function rounds(daemon: Listener, watch: Watch, probe: Probe, postgres: PostgresBackend, redis: RedisBackend): Promise<Findings> {
  watch.start();
  if (!(await watch.until(() => watch.isUp, 10_000))) throw new Error('the back ends did not come up');
  await sleepUntil(performance.now() + 2 * INTERVAL_MS);
  const page = await fetchPage(`${daemon.url}/metrics`);
  for (const family of ['node_cpu_seconds_total', 'container_memory_usage_bytes', 'pg_stat_database_xact_commit', 'redis_up']) {
    if (!page.families.has(family)) throw new Error(`${family} is not on the page`);
  }
  await sleepUntil(performance.now() + flags.baseline * 1000);
  const healthy: ProbeTime[] = await probe.take();
  const frozen: Round[] = [];
  const killed: Round[] = [];
  const outage: ProbeTime[] = [];
  let second: Held | undefined;
  let last: Held | undefined;
  const freezeThem = (): void => {
    for (const { server } of [postgres, redis]) server?.freeze();
  };
  const thawThem = (): void => {
    for (const { server } of [postgres, redis]) server?.thaw();
  };
  const kill = (): void => killAll([postgres, redis]);
  const restart = (): Promise<unknown> => Promise.all([postgres.restart(), redis.restart()]);
  for (let round = 1; round <= flags.rounds; round++) {
    frozen.push(await fail(watch, probe, outage, freezeThem, thawThem));
    killed.push(await fail(watch, probe, outage, kill, restart));
    await sleepUntil(performance.now() + 2 * INTERVAL_MS);
    healthy.push(...(await probe.take()));
    last = await held(daemon, postgres, redis);
    if (round === 2) second = last;
  }
  return findings(healthy, outage, frozen, killed, second ?? last, last);
}

function findings(healthy: ProbeTime[], outage: ProbeTime[], frozen: Round[], killed: Round[], second: Held | undefined, last: Held | undefined): Findings {
  const took = (times: readonly ProbeTime[]): number[] => times.map(([, tookMs]) => tookMs * 1000);
  const before = took(healthy);
  const during = took(outage);
  const p99Limit = Math.max(1.5 * quantile(before, 0.99), quantile(before, 0.99) + 1000);
  const worst = (rounds: readonly Round[], key: keyof Round): number => Math.max(...rounds.map((round) => round[key]));
  const all = [...frozen, ...killed];
  const latency = [
    atMost('p50 during against before', quantile(during, 0.5) / quantile(before, 0.5), 1.2),
    atMost('p99 during', quantile(during, 0.99), p99Limit, 'µs'),
  ];
  const row = (name: string, rounds: readonly Round[]): Cell[] => [
    name,
    rounds.length,
    ...(['downMs', 'upMs', 'stillMs'] as const).flatMap((key) => [
      quantile(
        rounds.map((round) => round[key]),
        0.5,
      ),
      worst(rounds, key),
    ]),
  ];
  const heldRows = (['descriptors', 'threads', 'postgresSessions', 'redisConnections'] as const).map((key): [string, number, number] => [
    key,
    second?.[key] ?? Number.NaN,
    last?.[key] ?? Number.NaN,
  ]);
  return {
    tables: [
      {
        title: `Latency of /metrics, gzip, one request every ${flags.probe} ms, µs`,
        columns: ['', 'requests', 'p50', 'p99', 'max'],
        rows: [
          ['both up', before],
          ['both away', during],
        ].map(([name, times]) => [name as string, times?.length ?? 0, ...[0.5, 0.99, 1].map((q) => quantile(times as number[], q))]),
      },
      {
        title: 'Rounds, ms',
        columns: ['both', 'rounds', 'until up is 0', 'worst', 'until up is 1', 'worst', 'node counter still', 'worst'],
        rows: [row('frozen and thawed', frozen), row('killed and restarted', killed)],
      },
      { title: 'Held by the daemon', columns: ['what', 'round 2', `round ${frozen.length}`], rows: heldRows },
    ],
    verdicts: [
      ...(flags.judge ? latency : []),
      // A look comes up to LOOK_MS, and the page is merged some ms, after the fact.
      atMost('up families become 0 within', worst(all, 'downMs'), DEADLINE_MS + INTERVAL_MS + 5 * LOOK_MS, 'ms'),
      atMost('node counters advance, longest still', worst(all, 'stillMs'), 1.5 * INTERVAL_MS, 'ms'),
      atMost('recovery', worst(all, 'upMs'), 2 * INTERVAL_MS + 5 * LOOK_MS, 'ms'),
      ...heldRows.map(([what, then, now]) => exactly(`${what} as in round 2 (${then})`, now, then)),
    ],
    notes: [
      `Interval ${INTERVAL_MS} ms, deadline ${DEADLINE_MS} ms. Limits have ${5 * LOOK_MS} ms more: the page is looked at every ${LOOK_MS} ms.`,
      'Recovery is counted from SIGCONT, or from the time both servers accept connections again.',
    ],
  };
}

async function startBackends(): Promise<readonly [PostgresBackend, RedisBackend]> {
  const states = await Promise.all([startPostgres(), startRedis()]);
  for (const state of states) {
    const why = 'missing' in state ? state.missing : state.backend.server === undefined ? 'a server given by its URI cannot be frozen' : undefined;
    if (why === undefined) continue;
    await Promise.all(states.map((other) => ('backend' in other ? other.backend.stop() : undefined)));
    throw new Missing(why);
  }
  const backends = [backendOf(states[0]), backendOf(states[1])] as const;
  // They run in sessions of their own and would outlive a bench that is interrupted.
  process.once('exit', () => killAll(backends));
  return backends;
}

/** Lets both back ends fail, waits, brings them back, waits until the page has both again. */
async function fail(watch: Watch, probe: Probe, outage: ProbeTime[], breakThem: () => void, mendThem: () => unknown): Promise<Round> {
  // At any point of a cycle, not always the one that the round before left us at.
  await sleepUntil(performance.now() + Math.random() * INTERVAL_MS);
  await probe.take();
  watch.forget();
  const broken = performance.now();
  breakThem();
  if (!(await watch.until(() => watch.isDown, 10_000))) throw new Error('the up families did not become 0 in 10 s');
  const downMs = watch.since(broken, 'down');
  await sleepUntil(broken + OUTAGE_MS);
  outage.push(...(await probe.take()));
  await mendThem();
  const mended = performance.now();
  if (!(await watch.until(() => watch.isUp, 15_000))) throw new Error('the up families did not become 1 in 15 s');
  return { downMs, upMs: Math.max(0, watch.since(mended, 'up')), stillMs: watch.stillMs };
}

function killAll(backends: readonly (PostgresBackend | RedisBackend)[]): void {
  for (const { server } of backends) {
    if (server === undefined || !server.running()) continue;
    for (const pid of [server.pid, ...descendants(server.pid)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // a child that ended with its parent
      }
    }
  }
}

interface Probe {
  /** Times since the last call. */
  take(): Promise<ProbeTime[]>;
  stop(): Promise<void>;
}

function startProbe(options: ProbeOptions): Probe {
  const worker = new Worker(new URL('./probe.js', import.meta.url), { workerData: options });
  let failure: unknown;
  worker.once('error', (error) => {
    failure = error;
  });
  const ask = (message: 'take' | 'stop'): Promise<ProbeTime[]> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) return reject(failure);
      worker.once('message', resolve);
      worker.postMessage(message);
    });
  return {
    take: () => ask('take'),
    async stop() {
      await worker.terminate();
    },
  };
}

async function held(daemon: Listener, postgres: PostgresBackend, redis: RedisBackend): Promise<Held> {
  return {
    descriptors: readdirSync(`/proc/${daemon.pid}/fd`).length,
    threads: readdirSync(`/proc/${daemon.pid}/task`).length,
    postgresSessions: await postgres.connections('exporterd'),
    redisConnections: await redis.connections('exporterd'),
  };
}
