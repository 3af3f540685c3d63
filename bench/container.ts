/**
 * The container role among 100 to 10,000 cgroups: CPU and wall time of a cycle against a C loop that reads exactly
 * the files the daemon keeps open, with and without scrapes; memory, descriptors, and how long scrapes take meanwhile. Real
 * cgroups of version 1 with a load inside some of them, and a made-up tree of version 2, whose files are cheaper to read
 * than a kernel's.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { cProgram } from './c-program.ts';
import { type Cgroups, inMemoryCgroup, makeV1, makeV2 } from './cgroups.ts';
import { type Cpuacct, makeCpuacct } from './cpuacct.ts';
import { type Listener, spawnDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { type Page, sumOf } from './page.ts';
import { atMost, type Cell, type Findings, format, runBench, type Table, type Verdict } from './result.ts';
import { type Encoding, fetchPage, fetchRaw, keptConnection } from './scrape.ts';
import { mean, median, quantile } from './statistics.ts';

const flags = readFlags(
  { sizes: '100,1000,1600,10000', layouts: 'v1,v2', cycles: 15, least: 4, busy: 8, restless: false, gets: 300 },
  { sizes: '30,60', cycles: 2, least: 2, busy: 2, restless: false, gets: 10 },
);

/** cAdvisor 0.60.5 on this kind of machine with the same families, identity encoding: ms a scrape; CPU of it, ms. */
const PEER: Readonly<Record<number, { readonly wall: number; readonly cpu: number }>> = { 100: { wall: 41, cpu: 47 }, 1000: { wall: 391, cpu: 464 } };

/** Each thread of the daemon is tidied up after its run 20, which costs as much as several cycles. */
const TIDIED_RUNS = 22;

/** Descriptors that a process has besides those of cgroup files. */
const OTHER_DESCRIPTORS = 150;

interface Measured {
  readonly layout: string;
  readonly size: number;
  readonly samples: number;
  readonly bytes: number;
  /** Milliseconds of CPU a cycle of the whole process: nobody asks, one scrape a cycle without and with compression. */
  readonly alone: number;
  readonly identity: number;
  readonly gzip: number;
  /** Wall time of the parts of a cycle, ms. */
  readonly wall: number;
  readonly build: number;
  readonly floor: { readonly cpu: number; readonly wall: number; readonly files: number };
  /** From the start to the first page, ms. */
  readonly ready: number;
  readonly rss: number;
  readonly kernel: number;
  readonly descriptors: number;
  /** Descriptors that may be kept: three quarters of RLIMIT_NOFILE. */
  readonly budget: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  readonly other: number;
}

await runBench('container', 'Containers: a cycle among many cgroups', flags, async (): Promise<Findings> => {
  const all: Measured[] = [];
  for (const layout of flags.layouts.split(',')) {
    let kinds: ReadonlySet<string> = new Set();
    for (const size of flags.sizes.split(',').map(Number)) {
      const cgroups = layout === 'v1' ? makeV1(size, Math.min(size, flags.busy), flags.restless) : makeV2(size, flags.restless);
      try {
        const { kinds: known, ...measured } = await measure(layout, size, cgroups, kinds);
        kinds = known;
        all.push(measured);
      } finally {
        await cgroups.remove();
      }
    }
  }
  const verdicts: Verdict[] = [];
  for (const one of all) {
    const at = `${one.layout}, ${one.size} cgroups`;
    if (one.layout === 'v1' && one.size === 1000) {
      verdicts.push(atMost(`${at}: CPU of a cycle against the floor`, one.alone / one.floor.cpu, 1.5));
      verdicts.push(atMost(`${at}: wall time of a cycle against the floor`, one.wall / one.floor.wall, 1.5));
    }
    const peer = PEER[one.size];
    if (one.layout === 'v1' && peer !== undefined)
      verdicts.push(atMost(`${at}: CPU of cycle and scrape, identity, against cAdvisor's scrape`, one.identity / peer.cpu, 0.1));
    verdicts.push(atMost(`${at}: descriptors`, one.descriptors, one.budget + OTHER_DESCRIPTORS));
  }
  for (const layout of flags.layouts.split(',')) {
    const of = all.filter((one) => one.layout === layout).sort((a, b) => a.size - b.size);
    const kept = of.filter((one) => one.floor.files <= one.budget);
    const [small, large] = [kept.at(-2), kept.at(-1)];
    if (small !== undefined && large !== undefined)
      verdicts.push(atMost(`${layout}: CPU for each cgroup, ${large.size} against ${small.size}`, large.alone / large.size / (small.alone / small.size), 1.5));
    // What does not fit is opened in each cycle, here and in the floor: the step is the kernel's.
    for (const one of of.filter((more) => !kept.includes(more)))
      verdicts.push(atMost(`${layout}, ${one.size} cgroups, more files than descriptors: CPU of a cycle against the floor`, one.alone / one.floor.cpu, 1.5));
  }
  return {
    tables: [cost(all), memory(all), latency(all)],
    verdicts,
    notes: [
      'CPU of a cycle: the whole process, by a cgroup of its own, over the runs it made. `alone`: nobody scrapes, so no page is merged; then one scrape a cycle.',
      'Wall time: the sum of the durations of the parts, which run one after the other.',
      'The floor reads the files that the daemon reads in a cycle, one pread each, and never asks for the end of a file. Both keep descriptors for three quarters of RLIMIT_NOFILE and open the rest in each cycle.',
      'The floor reads every file in each pass; the daemon leaves out memory.stat and some others of cgroups that do nothing, for a minute at most.',
      'Kernel memory is what the kernel holds for the daemon, 5 KiB for each open file of a cgroup, 1 KiB for each watched directory.',
      'cAdvisor 0.60 besides its scrapes spends 64 ms of CPU a second at 1,000 cgroups.',
    ],
  };
});

function cost(all: readonly Measured[]): Table {
  return {
    title: 'A cycle, ms; µs for each cgroup',
    columns: [
      'cgroups',
      'samples',
      'files',
      'floor CPU',
      'CPU alone',
      '/ floor',
      'µs each',
      '+ identity',
      '+ gzip',
      'floor wall',
      'wall',
      '/ floor',
      'merge',
      'cAdvisor CPU / ours',
    ],
    rows: all.map((one): Cell[] => [
      `${one.layout} ${one.size}`,
      one.samples,
      one.floor.files,
      one.floor.cpu,
      one.alone,
      one.alone / one.floor.cpu,
      (one.alone * 1000) / one.size,
      one.identity,
      one.gzip,
      one.floor.wall,
      one.wall,
      one.wall / one.floor.wall,
      one.build,
      one.layout === 'v1' && PEER[one.size] !== undefined ? (PEER[one.size]?.cpu ?? 0) / one.identity : '–',
    ]),
  };
}

function memory(all: readonly Measured[]): Table {
  return {
    title: 'Memory and descriptors',
    columns: ['cgroups', 'ready, ms', 'page, MB', 'RSS, MB', 'kernel, MB', 'RSS / cgroup, kB', 'kernel / cgroup, kB', 'descriptors', 'budget'],
    rows: all.map((one) => {
      const less = all.filter((other) => other.layout === one.layout && other.size < one.size).at(-1);
      const slope = (of: (measured: Measured) => number): Cell => (less === undefined ? '–' : (of(one) - of(less)) / (one.size - less.size) / 1e3);
      return [
        `${one.layout} ${one.size}`,
        Math.round(one.ready),
        one.bytes / 1e6,
        one.rss / 1e6,
        one.kernel / 1e6,
        slope(({ rss }) => rss),
        slope(({ kernel }) => kernel),
        one.descriptors,
      ];
    }),
  };
}

function latency(all: readonly Measured[]): Table {
  return {
    title: `Scrapes while cycles run, ms: ${flags.gets} of the container page (identity, read to the end), then as many of a small page`,
    columns: ['cgroups', 'p50', 'p99', 'greatest', 'small page p99'],
    rows: all.map((one) => [`${one.layout} ${one.size}`, one.p50, one.p99, one.worst, one.other]),
  };
}

/** @param known files of a cgroup, as `kindsOf` has them, where a smaller size has shown them */
async function measure(
  layout: string,
  size: number,
  cgroups: Cgroups,
  known: ReadonlySet<string>,
): Promise<Measured & { readonly kinds: ReadonlySet<string> }> {
  // A cycle is not to take more than a twentieth of the time.
  const seconds = Math.max(1, size / 800);
  // Few cgroups have cheap cycles, among which a stray one weighs more: four times as many are looked at.
  const cycles = Math.max(flags.least, Math.min(flags.cycles * 4, Math.round((flags.cycles * 1000) / size)));
  const group = makeCpuacct('daemon');
  // The page about the daemon is asked for by this bench only: it is made when it is, not in every cycle.
  const args = ['--role=container', ...cgroups.flags, `--container.interval=${seconds}s`, '--container.deadline=60s', '--exporterd.interval=60s'];
  const budget = ['--container.max-series=2000000', '--container.max-bytes=1000000000', '--exporterd.max-series=10000'];
  const { result: daemon, ...kernel } = await inMemoryCgroup(() => spawnDaemon([...args, ...budget], { group }));
  try {
    const url = `${daemon.url}/metrics/container`;
    const agent = keptConnection();
    // Ready with the first page.
    await daemon.says(/"msg":"ready"/, 180_000);
    const ready = performance.now() - daemon.spawnedMs;
    // The daemon tidies up after its run 20, which costs as much as several cycles and comes once; it would take minutes among very many.
    await settled(daemon, size > 1000 ? Math.max(3, cycles) : TIDIED_RUNS, seconds);
    const alone = await cpuOf(daemon, group, cycles, seconds);
    const page = await fetchPage(url);
    const families = [...page.samples.keys()].filter((series) => series.startsWith('container_memory_usage_bytes{')).length;
    if (families < size) throw new Error(`${families} cgroups on the page, not ${size}`);
    const identity = await cpuOf(daemon, group, cycles, seconds, { url, encoding: 'identity', agent });
    const own = await fetchPage(`${daemon.url}/metrics/exporterd`);
    const gzip = await cpuOf(daemon, group, cycles, seconds, { url, encoding: 'gzip', agent });
    const times = await gets(url, agent, flags.gets);
    const other = await gets(`${daemon.url}/metrics/exporterd`, agent, flags.gets);
    const kept = keptFiles(daemon.pid);
    const budget = Math.floor((Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/limits`, 'utf8'))?.[1]) * 3) / 4);
    const kinds = known.size > 0 ? known : kindsOf(kept);
    if (kept.length >= budget && known.size === 0)
      throw new Error('the files of a cgroup are learnt from a size whose files are all kept open: give a smaller one first');
    const kernelBytes = kernel.kernelBytes();
    agent.destroy();
    const rss = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) * 1024;
    const descriptors = readdirSync(`/proc/${daemon.pid}/fd`).length;
    await daemon.stop();
    return {
      layout,
      size,
      samples: page.samples.size,
      bytes: page.text.length,
      alone,
      identity,
      gzip,
      wall: sumOf(own, 'exporterd_collector_duration_seconds', 'role="container"') * 1000,
      build: (own.samples.get('exporterd_view_build_seconds{view="/metrics/container"}') ?? Number.NaN) * 1000,
      floor: await floorOf(
        [...kinds].flatMap((kind) => Array.from({ length: size }, (_, i) => kind.replace('*', String(i)))),
        seconds,
        cycles,
      ),
      rss,
      kernel: kernelBytes,
      ready,
      descriptors,
      budget,
      kinds,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      worst: Math.max(...times),
      other: quantile(other, 0.99),
    };
  } finally {
    await daemon.stop();
    kernel.remove();
    group.remove();
  }
}

async function runsOf(daemon: Listener): Promise<number> {
  return sumOf(await own(daemon), 'exporterd_collector_runs_total', 'collector="memory"');
}

function own(daemon: Listener): Promise<Page> {
  return fetchPage(`${daemon.url}/metrics/exporterd`);
}

/** Waits until so many cycles more are done. */
async function settled(daemon: Listener, count: number, seconds: number): Promise<void> {
  const wanted = (await runsOf(daemon)) + count;
  for (let waited = 0; (await runsOf(daemon)) < wanted; waited += 1) {
    if (waited > count * seconds * 5 + 60) throw new Error(`no ${count} cycles in ${waited} s`);
    await sleep(1000);
  }
}

/** Milliseconds of CPU a cycle; a scrape a cycle where one is given. */
async function cpuOf(
  daemon: Listener,
  group: Cpuacct,
  cycles: number,
  seconds: number,
  scrape?: { readonly url: string; readonly encoding: Encoding; readonly agent: Agent },
): Promise<number> {
  if (scrape !== undefined) {
    // What the first pages of a kind bring is done once: texts are learnt, and the thread that builds them is tidied up after its run 20.
    for (let left = Math.min(cycles, TIDIED_RUNS); left > 0; left--) {
      await fetchRaw(scrape.url, scrape.encoding, scrape.agent);
      await sleep(seconds * 1000);
    }
  }
  await settled(daemon, 1, seconds);
  const [runs, before] = [await runsOf(daemon), group.read()];
  for (let cycle = 0; cycle < cycles; cycle++) {
    if (scrape !== undefined) await fetchRaw(scrape.url, scrape.encoding, scrape.agent);
    await sleep(seconds * 1000);
  }
  const [made, after] = [(await runsOf(daemon)) - runs, group.read()];
  return (after - before) / 1e6 / made;
}

async function gets(url: string, agent: Agent, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    const { status } = await fetchRaw(url, 'identity', agent);
    if (status !== 200) throw new Error(`${url}: status ${status}`);
    times.push(performance.now() - started);
    await sleep(10);
  }
  return times;
}

/** Cgroup files that a process has open. */
function keptFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${name}`);
      return target.includes('/fs/cgroup/') ? [target] : [];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

/** Paths with `*` for the number of the cgroup; what is kept of others is a few files. */
function kindsOf(files: readonly string[]): Set<string> {
  return new Set(files.filter((file) => /\/container-\d+/.test(file)).map((file) => file.replace(/\/container-\d+/, '/container-*')));
}

async function floorOf(files: readonly string[], seconds: number, passes: number): Promise<Measured['floor']> {
  const loop = spawn(cProgram('pread'), [String(Math.min(1, seconds))], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  const enough = new Promise<void>((resolve, reject) => {
    loop.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.split('\n').length > passes + 4) resolve();
    });
    loop.once('error', reject);
    loop.once('exit', (code) => reject(new Error(`the floor ended with ${code}`)));
  });
  try {
    loop.stdin.end(`${files.join('\n')}\n`);
    await enough;
  } finally {
    loop.kill('SIGKILL');
  }
  // The first pass fills the kernel's buffers.
  const lines = text
    .trim()
    .split('\n')
    .slice(2, passes + 2)
    .map((line) => line.split(' ').map(Number));
  const [cpu, wall] = [lines.map(([first = Number.NaN]) => first), lines.map(([, second = Number.NaN]) => second)];
  if (lines.length < passes || !Number.isFinite(mean(cpu))) throw new Error(`the floor said ${format(text.slice(0, 200))}`);
  return { cpu: mean(cpu), wall: median(wall), files: files.length };
}
