/**
 * CPU time of a node cycle: exporterd and node_exporter at one gzip scrape a second with the same collectors, at the same
 * time, each in a control group of its own. Beside them the daemon with one part of one line (the empty cycle: wake, hand-over,
 * merge, gzip) and a C loop that reads the files the daemon has open. Then the daemon at rest.
 */
import { startPostgres } from '../test/support/backends/postgres.ts';
import { startRedis } from '../test/support/backends/redis.ts';
import { cProgram } from './c-program.ts';
import { type Cpuacct, makeCpuacct } from './cpuacct.ts';
import { type Cost, keptFiles, measure, NOTHING, type Subject } from './cycles.ts';
import { startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { findNodeExporter, NODE_COLLECTORS, startNodeExporter } from './node-exporter.ts';
import { familyDifferences, nodeCollectors, sumOf } from './page.ts';
import { start } from './program.ts';
import { atMost, exactly, type Findings, runBench, type Table, type Verdict } from './result.ts';
import { fetchPage, sleepUntil } from './scrape.ts';
import { threadCosts, threadsOf } from './threads.ts';

const flags = readFlags({ cycles: 120, warmup: 60, settle: 30, rest: 60 }, { cycles: 5, warmup: 5, settle: 1, rest: 3 });

const OURS = 'exporterd';
const PEER = 'node_exporter';
const EMPTY = 'empty cycle';
const FLOOR = 'C loop, same files';

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

  const costs = await measure(subjects, flags);
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

function parts(names: readonly string[]): string[] {
  return names.map((name) => `--node.collectors.${name}`);
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
