/**
 * CPU time of a node cycle for three sets of collectors (the 14 of the first release, the defaults, everything) against
 * node_exporter with the same set, all at the same time, each in a control group of its own. Beside them the daemon with one
 * part of one line (the empty cycle) and, per set, a C loop that reads the files the daemon has open. Then what each collector
 * costs with everything on, and the memory of that.
 */
import { execFileSync } from 'node:child_process';
import { partNames } from '../src/collectors/node/discover.ts';
import { cProgram } from './c-program.ts';
import { type Cpuacct, makeCpuacct } from './cpuacct.ts';
import { type Cost, keptFiles, measure, NOTHING, PERIOD_MS, type Subject } from './cycles.ts';
import { type Listener, startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { MIB, memoryOf } from './memory-of.ts';
import { findNodeExporter, NODE_COLLECTORS, startNodeExporter } from './node-exporter.ts';
import { type Page, sumOf } from './page.ts';
import { start } from './program.ts';
import { atMost, type Cell, type Findings, runBench, type Table, type Verdict } from './result.ts';
import { everyPeriod, fetchPage, keptConnection } from './scrape.ts';
import { mean } from './statistics.ts';

const flags = readFlags({ cycles: 90, warmup: 40, parts: 40 }, { cycles: 5, warmup: 3, parts: 3 });

/** As in the other benches: the part about the process has no counterpart in the peer as it is started here. */
const NODE_ONLY = ['--role=node', '--exporterd.enabled=false', '--interval=1s'];
/** The daemon's own figures are on the same page. */
const WITH_OWN = ['--role=node', '--role=exporterd', '--interval=1s'];

interface CollectorSet {
  readonly name: string;
  /** Left out: the defaults of either program. */
  readonly ours?: readonly string[];
  readonly theirs?: readonly string[];
  /** Share of the peer's CPU that ours may be. */
  readonly limit: number;
}

/** What the most expensive collectors spend it on; found with perf and a clock around each. */
const WHY: Readonly<Record<string, string>> = {
  slabinfo: 'the kernel walks the partial slabs of every cache while it prints the file: bare reads take 98 % of it',
  processes: 'a read of stat for each process and each thread, which are kept open: the kernel takes about 5 us for each, listing them a sixth of the whole',
  tcpstat: 'the kernel walks its table of all sockets and tells of each; counted in the addon',
  netclass: 'about twenty attributes for each device',
  network_route: 'two dumps over netlink, decoded when another answer comes',
  qdisc: 'two dumps over netlink, decoded when another answer comes',
  pcidevice: 'about twenty attributes for each device; some ask the hardware',
  filesystem: 'a thread that may hang in statfs, and the mount table',
  netstat: 'the kernel sums 400 counters over all processors',
  interrupts: 'a number for each line and processor',
  mountstats: 'the mount table',
  ethtool: 'calls of the drivers, in each run',
  perf: 'a read of each counter, some on another processor',
  cpu_vulnerabilities: 'an attribute for each known weakness of the processor',
  udp_queues: 'the kernel walks its table of sockets',
};

await runBench('node-cost', 'CPU time of the node role', flags, async (): Promise<Findings> => {
  const notes: string[] = [];
  const groups: Cpuacct[] = [];
  const group = (name: string): Cpuacct => {
    const made = makeCpuacct(name);
    groups.push(made);
    return made;
  };
  const peer = findNodeExporter();
  if ('missing' in peer) notes.push(peer.missing);
  const every = partNames();
  const sets: CollectorSet[] = [
    { name: 'first 14', ours: NODE_COLLECTORS, theirs: NODE_COLLECTORS, limit: 1 / 5 },
    { name: 'default', limit: 1 / 5 },
    { name: 'everything', ours: every, ...('path' in peer ? { theirs: peerCollectors(peer.path) } : {}), limit: 1 / 6 },
  ];
  const subjects: Subject[] = [];
  const programs: { name: string; daemon: Listener; page: Page; theirs?: Page; files: number }[] = [];
  for (const [i, set] of sets.entries()) {
    const ours = group(`ours${i}`);
    const daemon = await startDaemon([...NODE_ONLY, ...chosen(set.ours)], { group: ours });
    const page = await fetchPage(`${daemon.url}/metrics/node`, 'gzip');
    subjects.push({ name: `exporterd, ${set.name}`, program: daemon, group: ours, url: `${daemon.url}/metrics/node` });
    const files = keptFiles(daemon.pid);
    const floorGroup = group(`floor${i}`);
    const floor = start(cProgram('read'), files, { group: floorGroup });
    await floor.says(/reading \d+ files/);
    subjects.push({ name: `C loop, ${set.name}`, program: floor, group: floorGroup });
    let theirs: Page | undefined;
    if ('path' in peer) {
      const theirGroup = group(`peer${i}`);
      const started = await startNodeExporter(peer.path, set.theirs, { group: theirGroup });
      theirs = await fetchPage(`${started.url}/metrics`, 'gzip');
      subjects.push({ name: `node_exporter, ${set.name}`, program: started, group: theirGroup, url: `${started.url}/metrics` });
    }
    programs.push({ name: set.name, daemon, page, files: files.length, ...(theirs === undefined ? {} : { theirs }) });
  }
  const emptyGroup = group('empty');
  const empty = await startDaemon([...NODE_ONLY, ...chosen(['time'])], { group: emptyGroup });
  subjects.push({ name: 'empty cycle', program: empty, group: emptyGroup, url: `${empty.url}/metrics/node` });

  const costs = await measure(subjects, flags);
  const per = (name: string): Cost => costs.get(name) ?? NOTHING;
  const verdicts: Verdict[] = sets.map(({ name, limit }) =>
    atMost(`CPU of a cycle, ${name}, against node_exporter`, per(`exporterd, ${name}`).total / per(`node_exporter, ${name}`).total, limit),
  );
  const table: Table = {
    title: `CPU time of a cycle, ms: ${flags.cycles} cycles of 1 s behind ${flags.warmup} that do not count, all at the same time`,
    columns: ['collectors', 'exporterd', 'median', 'node_exporter', 'median', 'ratio', 'C loop', 'empty cycle'],
    rows: sets.map(({ name }): Cell[] => {
      const ours = per(`exporterd, ${name}`);
      const theirs = per(`node_exporter, ${name}`);
      return [name, ours.total, ours.middle, theirs.total, theirs.middle, ours.total / theirs.total, per(`C loop, ${name}`).total, per('empty cycle').total];
    }),
  };
  const pages: Table = {
    title: 'What was measured',
    columns: ['collectors', 'succeed here', 'succeed there', 'samples here', 'samples there', 'files kept open', 'pages that were new'],
    rows: programs.map(({ name, page, theirs, files }): Cell[] => [
      name,
      sumOf(page, 'node_scrape_collector_success'),
      theirs === undefined ? Number.NaN : sumOf(theirs, 'node_scrape_collector_success'),
      page.samples.size,
      theirs?.samples.size ?? Number.NaN,
      files,
      `${per(`exporterd, ${name}`).fresh} of ${flags.cycles}`,
    ]),
  };
  const all = programs.at(-1);
  if (all === undefined) throw new Error('no set of collectors');
  const { rss, pss, peak } = memoryOf(all.daemon.pid);
  await Promise.all(subjects.map(({ program }) => program.stop()));
  for (const each of groups) each.remove();
  const dearest = await costOfParts(every);
  return {
    tables: [
      table,
      pages,
      dearest,
      {
        title: 'Memory with everything on, MiB',
        columns: ['after', 'RSS', 'PSS', 'greatest RSS'],
        rows: [[`${flags.cycles + flags.warmup} cycles`, rss / MIB, pss / MIB, peak / MIB]],
      },
    ],
    verdicts,
    notes,
  };
});

function chosen(names: readonly string[] | undefined): string[] {
  return names === undefined ? [] : ['--node.disable-defaults', ...names.map((name) => `--node.collectors.${name.replaceAll('_', '-')}`)];
}

/** Every collector that the peer's help names. */
function peerCollectors(path: string): string[] {
  const help = execFileSync(path, ['--help'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return [...help.matchAll(/^\s+--\[no-\]collector\.([a-z0-9_]+)\s/gm)].flatMap(([, name]) => (name === undefined || name === 'all' ? [] : [name]));
}

/** The daemon's own figures of the CPU time of runs: parts by what they cost. */
async function costOfParts(names: readonly string[]): Promise<Table> {
  const daemon = await startDaemon([...WITH_OWN, ...chosen(names)]);
  const agent = keptConnection();
  const runs = new Map<string, number[]>();
  await everyPeriod(PERIOD_MS, flags.warmup + flags.parts, async (round) => {
    const page = await fetchPage(`${daemon.url}/metrics`, 'gzip', agent);
    if (round < flags.warmup) return;
    for (const [series, seconds] of page.samples) {
      const name = /^exporterd_collector_cpu_seconds\{collector="([^"]+)",role="node"/.exec(series)?.[1];
      if (name !== undefined) runs.set(name, [...(runs.get(name) ?? []), seconds * 1000]);
    }
  });
  agent.destroy();
  await daemon.stop();
  const parts = [...runs].map(([name, ms]) => ({ name, ms: mean(ms) })).sort((a, b) => b.ms - a.ms);
  const total = parts.reduce((sum, { ms }) => sum + ms, 0);
  const others = parts.slice(10).reduce((sum, { ms }) => sum + ms, 0);
  return {
    title: `The ten most expensive collectors with everything on, ms a run without printing the page (mean of ${flags.parts} runs)`,
    columns: ['collector', 'CPU', 'share', 'what for'],
    rows: [
      ...parts.slice(0, 10).map(({ name, ms }): Cell[] => [name, ms, ms / total, WHY[name] ?? '']),
      [`${Math.max(0, parts.length - 10)} others`, others, others / total, ''],
      ['all', total, 1, ''],
    ],
  };
}
