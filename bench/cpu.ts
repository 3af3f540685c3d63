/**
 * CPU time of a node cycle: exporterd and node_exporter at one gzip scrape a second with the same collectors, at the same
 * time, each in a control group of its own. Beside them the daemon with one part of one line (the empty cycle: wake, hand-over,
 * merge, gzip) and a C loop that reads the files the daemon has open. Then the daemon at rest.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import type { Agent } from 'node:http';
import { startPostgres } from '../test/support/backends/postgres.ts';
import { startRedis } from '../test/support/backends/redis.ts';
import { cProgram } from './c-program.ts';
import { type Cpuacct, makeCpuacct } from './cpuacct.ts';
import { startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { findNodeExporter, NODE_COLLECTORS, startNodeExporter } from './node-exporter.ts';
import { familyDifferences, nodeCollectors, sumOf } from './page.ts';
import { type Program, start } from './program.ts';
import { atMost, exactly, type Findings, runBench, type Table, type Verdict } from './result.ts';
import { everyPeriod, fetchPage, fetchRaw, keptConnection, sleepUntil } from './scrape.ts';
import { mean, median } from './statistics.ts';
import { type Thread, threadCosts, threadsOf } from './threads.ts';

const flags = readFlags({ cycles: 120, warmup: 60, settle: 30, rest: 60 }, { cycles: 5, warmup: 5, settle: 1, rest: 3 });

const OURS = 'exporterd';
const PEER = 'node_exporter';
const EMPTY = 'empty cycle';
const FLOOR = 'C loop, same files';
const PERIOD_MS = 1000;

/** A program under measurement; without a URL it runs by its own timer, once a second. */
interface Subject {
  readonly name: string;
  readonly program: Program;
  readonly group: Cpuacct;
  readonly url?: string;
}

/** Only what a node page needs: the part about the process has no counterpart in the peer as it is started here. */
const NODE_ONLY = ['--role=node', '--exporterd.enabled=false', '--node.disable-defaults', '--interval=1s'];

await runBench('cpu', 'CPU time of a cycle', flags, async (): Promise<Findings> => {
  const notes: string[] = [];
  const verdicts: Verdict[] = [];
  const group = { ours: makeCpuacct('ours'), empty: makeCpuacct('empty'), floor: makeCpuacct('floor'), peer: makeCpuacct('peer'), rest: makeCpuacct('rest') };

  const ours = await startDaemon([...NODE_ONLY, ...parts(NODE_COLLECTORS)], { group: group.ours });
  const page = await fetchPage(`${ours.url}/metrics/node`, 'gzip');
  const collectors = nodeCollectors(page, OURS);
  const empty = await startDaemon([...NODE_ONLY, ...parts(['time'])], { group: group.empty });
  const files = keptFiles(ours.pid);
  const floor = start(cProgram('read'), files, { group: group.floor });
  await floor.says(/reading \d+ files/);
  const subjects: Subject[] = [
    { name: OURS, program: ours, group: group.ours, url: `${ours.url}/metrics/node` },
    { name: EMPTY, program: empty, group: group.empty, url: `${empty.url}/metrics/node` },
    { name: FLOOR, program: floor, group: group.floor },
  ];
  const peer = findNodeExporter();
  if ('missing' in peer) notes.push(peer.missing);
  else {
    const started = await startNodeExporter(peer.path, collectors, { group: group.peer });
    const url = `${started.url}/metrics`;
    subjects.push({ name: PEER, program: started, group: group.peer, url });
    const theirs = await fetchPage(url, 'gzip');
    const { missing: lacking, extra } = familyDifferences(page, theirs);
    // The role's page; the persona's has it.
    const missing = lacking.filter((name) => name !== 'node_exporter_build_info');
    verdicts.push(exactly('families of the peer that our page lacks', missing.length, 0));
    if (missing.length + extra.length > 0) notes.push(`Families missing here: ${missing.join(', ') || 'none'}; only here: ${extra.join(', ') || 'none'}.`);
  }
  notes.push(
    `${collectors.length} collectors: ${collectors.join(', ')}; ${page.samples.size} samples; the C loop reads the ${files.length} files that the daemon keeps open.`,
  );

  const costs = await measure(subjects);
  const per = (name: string): Cost => costs.get(name) ?? NOTHING;
  const runs = sumOf(await fetchPage(`${ours.url}/metrics/exporterd`), 'exporterd_collector_runs_total', 'collector="meminfo"');
  notes.push(
    `The daemon ran ${runs} cycles from its start to the end of ${flags.warmup + flags.cycles} scrapes; ${per(OURS).fresh} of ${flags.cycles} scrapes got a page that the scrape before had not got.`,
  );
  verdicts.push(
    atMost('CPU of a cycle against node_exporter', per(OURS).total / per(PEER).total, 1 / 3),
    atMost('CPU of a cycle against node_exporter, the goal', per(OURS).total / per(PEER).total, 1 / 5),
  );
  const table: Table = {
    title: `CPU time of a cycle, ms: ${flags.cycles} cycles of 1 s behind ${flags.warmup} that do not count, all at the same time`,
    columns: ['program', 'mean', 'median', 'mean / ours'],
    rows: subjects.map(({ name }) => {
      const { total, middle } = per(name);
      return [name, total, middle, total / per(OURS).total];
    }),
  };
  const threads: Table = {
    title: 'Threads of exporterd, ms a cycle',
    columns: ['thread', 'CPU'],
    rows: per(OURS)
      .threads.filter(({ cpu }) => cpu > 0)
      .slice(0, 10)
      .map(({ name, tid, cpu }) => [`${name} +${tid - ours.pid}`, cpu / flags.cycles / 1e6]),
  };
  await Promise.all(subjects.map(({ program }) => program.stop()));
  const rest = await atRest(group.rest, notes);
  verdicts.push(atMost('CPU at rest', rest.perSecond, 2, 'ms a second'));
  for (const each of Object.values(group)) each.remove();
  return { tables: [table, threads, rest.table], verdicts, notes };
});

interface Cost {
  /** Milliseconds a cycle; `middle` is the median over cycles. */
  readonly total: number;
  readonly middle: number;
  /** Scrapes whose body was another than that of the scrape before. */
  readonly fresh: number;
  /** CPU of all measured cycles, nanoseconds. */
  readonly threads: readonly Thread[];
}

const NOTHING: Cost = { total: Number.NaN, middle: Number.NaN, fresh: 0, threads: [] };

async function measure(subjects: readonly Subject[]): Promise<Map<string, Cost>> {
  // Spread over the second, so that no two wake each other.
  const costs = await Promise.all(
    subjects.map(async (subject, i): Promise<[string, Cost]> => {
      await sleepUntil(performance.now() + (i * PERIOD_MS) / subjects.length);
      return [subject.name, await measureOne(subject)];
    }),
  );
  return new Map(costs);
}

async function measureOne({ program, group, url }: Subject): Promise<Cost> {
  const agent: Agent = keptConnection();
  const readings: number[] = [];
  let threads: Thread[] = [];
  let fresh = 0;
  let last: Buffer = Buffer.alloc(0);
  await everyPeriod(PERIOD_MS, flags.warmup + flags.cycles + 1, async (round) => {
    // Read before the scrape: a cycle lasts from one scrape to the next, its collection included.
    if (round === flags.warmup) threads = threadsOf(program.pid);
    if (round >= flags.warmup) readings.push(group.read());
    if (url === undefined || round === flags.warmup + flags.cycles) return;
    const { status, body } = await fetchRaw(url, 'gzip', agent);
    if (status !== 200) throw new Error(`${url}: status ${status}`);
    // The time of the day changes with each answer; two kilobytes in, other collectors differ too.
    if (round >= flags.warmup && distance(last, body) > 40) fresh += 1;
    last = body;
  });
  const spent = threadCosts(program.pid, threads);
  agent.destroy();
  const steps = readings.slice(1).map((reading, i) => (reading - (readings[i] as number)) / 1e6);
  return { total: mean(steps), middle: median(steps), fresh, threads: spent };
}

/** Bytes in which two bodies differ: a replaced time is its digits and the checksum, a new page differs everywhere. */
function distance(a: Buffer, b: Buffer): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count += 1;
  return count;
}

function parts(names: readonly string[]): string[] {
  return names.map((name) => `--node.collectors.${name}`);
}

/** Kernel files a process has open. */
function keptFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      const target = readlinkSync(`${folder}/${name}`);
      return /^\/(proc|sys)\//.test(target) ? [target] : [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** Nobody scrapes and nothing is due: what is left is timers, event loops and connections. Everything has been in use once. */
async function atRest(group: Cpuacct, notes: string[]): Promise<{ readonly perSecond: number; readonly table: Table }> {
  const env: Record<string, string> = {};
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  if ('backend' in postgres) env['DATA_SOURCE_NAME'] = postgres.backend.dsn;
  else notes.push(`At rest without PostgreSQL: ${postgres.missing}`);
  if ('backend' in redis) env['REDIS_ADDR'] = redis.backend.address;
  else notes.push(`At rest without Redis: ${redis.missing}`);
  try {
    // With an hour between cycles there are none to be subtracted.
    const daemon = await startDaemon(['--interval=1h'], { group, env });
    await fetchPage(`${daemon.url}/metrics`, 'gzip');
    await sleepUntil(performance.now() + flags.settle * 1000);
    const threads = threadsOf(daemon.pid);
    const before = group.read();
    const started = performance.now();
    await sleepUntil(started + flags.rest * 1000);
    const after = group.read();
    const seconds = (performance.now() - started) / 1000;
    const spent = threadCosts(daemon.pid, threads);
    await daemon.stop();
    const perSecond = (after - before) / 1e6 / seconds;
    const rows = [
      ['all', perSecond] as const,
      ...spent
        .filter(({ cpu }) => cpu > 0)
        .slice(0, 6)
        .map(({ name, tid, cpu }) => [`thread ${name} +${tid - daemon.pid}`, cpu / 1e6 / seconds] as const),
    ];
    return { perSecond, table: { title: `At rest, all pools up: CPU ms a second over ${flags.rest} s`, columns: ['part', 'CPU'], rows } };
  } finally {
    await Promise.all([postgres, redis].map((state) => ('backend' in state ? state.backend.stop() : undefined)));
  }
}
