/**
 * How old the data is that Prometheus stores: a procfs whose `ctxt` is the wall clock, three jobs in two Prometheus servers,
 * idle and with two busy loops per core. The age of each stored sample is its timestamp less its value.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { cProgram, memoryFolder } from './c-program.ts';
import { makeClockTree } from './clock-tree.ts';
import { type Listener, startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { type Page, sumOf } from './page.ts';
import { needProgram } from './place.ts';
import { type Program, start } from './program.ts';
import { type Prometheus, type Sample, startPrometheus } from './prometheus.ts';
import { atLeast, atMost, exactly, type Cell, type Findings, runBench, type Verdict } from './result.ts';
import { fetchPage, sleepUntil } from './scrape.ts';
import { quantile } from './statistics.ts';

const flags = readFlags({ minutes: 10, intervals: '5,15', loads: 'idle,busy', warmup: 12 }, { minutes: 0.25, intervals: '1', loads: 'idle', warmup: 8 });

const COUNTER = 'node_context_switches_total';
const CLOCK = 'node_time_seconds';
const VIEW = '/metrics/node';
/** Milliseconds a second. */
const TRUE_RATE = 1000;
const P99_MS: Readonly<Record<string, number>> = { idle: 100, busy: 250 };

interface Phase {
  /** Seconds. */
  readonly interval: number;
  readonly load: string;
  readonly seen: Seen;
}

await runBench('age', 'Age of the data that Prometheus stores', flags, async (): Promise<Findings> => {
  const notes: string[] = [];
  const verdicts: Verdict[] = [];
  const rows: Cell[][] = [];
  const histogram: Cell[][] = [];
  needProgram('prometheus', 'Debian package prometheus');
  const intervals = flags.intervals.split(',').map(Number);
  const phases: Phase[] = [];
  for (const load of flags.loads.split(',')) phases.push(...(await sideBySide(load, intervals)));
  for (const { interval, load, seen } of phases) {
    const at = `${interval} s, ${load}`;
    // Unlocked scrapes belong to the time before the lock, which the warm-up covers; behind it they count as misses.
    const missed = (seen.misses + seen.unlocked) / (seen.hits + seen.misses + seen.unlocked);
    rows.push([
      at,
      seen.ages.length,
      quantile(seen.ages, 0.5),
      quantile(seen.ages, 0.99),
      Math.max(...seen.ages),
      quantile(seen.answerAges, 0.99),
      seen.hits,
      seen.misses,
      seen.unlocked,
      seen.steady * 100,
    ]);
    histogram.push([at, ...seen.buckets.map(([, share]) => share)]);
    if (histogram.length === 1) histogram.unshift(['', ...seen.buckets.map(([bound]) => `<= ${bound} s`)]);
    verdicts.push(
      atMost(`${at}: p99 of the age`, quantile(seen.ages, 0.99), P99_MS[load] ?? 100, 'ms'),
      atLeast(`${at}: rate() within 1 %`, seen.steady * 100, 99, '% of steps'),
      ...(load === 'busy' ? [atMost(`${at}: misses`, missed * 100, 1, '%')] : []),
    );
    if (seen.complaints !== '') notes.push(`promtool: ${seen.complaints}`);
    verdicts.push(exactly(`${at}: promtool check metrics on our own families, complaints`, seen.complaints === '' ? 0 : seen.complaints.split('\n').length, 0));
    notes.push(`${at}: ${seen.clock}.`);
  }
  notes.push(
    `Three jobs in two Prometheus servers and a daemon for each interval, all intervals at the same time; ${flags.minutes} min behind a warm-up of ${flags.warmup} intervals. Age: timestamp of the stored sample (the scrape's start) less the clock in it.`,
    'Age at the answer: node_time_seconds less the clock, both from the same answer.',
    'The clock in the file is itself up to 2 ms old.',
  );
  const [bounds, ...shares] = histogram;
  return {
    tables: [
      {
        title: 'Age, ms',
        columns: ['interval, load', 'samples', 'p50', 'p99', 'max', 'p99 at the answer', 'hits', 'misses', 'unlocked', 'rate() within 1 %, % of steps'],
        rows,
      },
      { title: 'exporterd_scrape_data_age_seconds, cumulative share', columns: (bounds ?? []).map(String), rows: shares },
    ],
    verdicts,
    notes,
  };
});

interface Seen {
  /** Milliseconds. */
  readonly ages: readonly number[];
  readonly answerAges: readonly number[];
  readonly hits: number;
  readonly misses: number;
  readonly unlocked: number;
  /** Share of steps whose rate() is within 1 % of the truth. */
  readonly steady: number;
  readonly buckets: readonly (readonly [bound: string, share: number])[];
  readonly complaints: string;
  readonly clock: string;
}

/** All intervals at the same time, each with a daemon and Prometheus servers of its own: the minutes are waited for once. */
async function sideBySide(load: string, intervals: readonly number[]): Promise<Phase[]> {
  const loops: Program[] = [];
  try {
    if (load === 'busy') for (let i = 0; i < cpus().length * 2; i++) loops.push(start(cProgram('burn'), []));
    return await Promise.all(intervals.map(async (interval) => ({ interval, load, seen: await measure(interval) })));
  } finally {
    await Promise.all(loops.map((loop) => loop.stop()));
  }
}

async function measure(interval: number): Promise<Seen> {
  const tree = await makeClockTree();
  const folder = memoryFolder();
  const daemon = await startDaemon([`--path.procfs=${tree.procfs}`, '--role=node', '--role=exporterd', '--exporterd.interval=1s']);
  const page = await fetchPage(`${daemon.url}${VIEW}`);
  const first = page.samples.get(COUNTER) ?? 0;
  if (Math.abs(Date.now() - first) > 60_000) throw new Error(`${COUNTER} is ${first}: the page does not come from the tree with the clock`);
  const job = (name: string) => ({ name, url: `${daemon.url}${VIEW}`, intervalSeconds: interval });
  const servers = await Promise.all([startPrometheus(join(folder, 'one'), [job('a'), job('b')]), startPrometheus(join(folder, 'two'), [job('c')])]);
  try {
    await sleepUntil(performance.now() + flags.warmup * interval * 1000);
    // The first reading builds the page, the second is of a page that is kept fresh.
    await own(daemon);
    await sleepUntil(performance.now() + 2_000);
    const before = await own(daemon);
    const fromMs = Date.now();
    await sleepUntil(performance.now() + flags.minutes * 60_000);
    const toMs = Date.now();
    const after = await own(daemon);
    const series = await Promise.all(
      [['a', servers[0]] as const, ['b', servers[0]] as const, ['c', servers[1]] as const].map(([name, server]) =>
        stored(server, name, interval, fromMs, toMs),
      ),
    );
    const phase = (result: string): number => {
      const labels = `view="${VIEW}"`;
      const count = (page: Page): number => page.samples.get(`exporterd_scrape_phase_total{result="${result}",${labels}}`) ?? 0;
      return count(after) - count(before);
    };
    const rates = series.flatMap(({ rates }) => rates);
    return {
      ages: series.flatMap(({ ages }) => ages),
      answerAges: series.flatMap(({ answerAges }) => answerAges),
      hits: phase('hit'),
      misses: phase('miss'),
      unlocked: phase('unlocked'),
      steady: rates.filter((rate) => Math.abs(rate / TRUE_RATE - 1) <= 0.01).length / rates.length,
      buckets: ageShares(before, after),
      complaints: promtool(after.text),
      clock: await tree.stop(),
    };
  } finally {
    await Promise.all([...servers, daemon, tree.clock].map((program) => program.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As fresh as the role's interval, one second. */
function own(daemon: Listener): Promise<Page & { readonly text: string }> {
  return fetchPage(`${daemon.url}/metrics/exporterd`);
}

interface Stored {
  readonly ages: number[];
  readonly answerAges: number[];
  readonly rates: number[];
}

async function stored(server: Prometheus, job: string, interval: number, fromMs: number, toMs: number): Promise<Stored> {
  const selector = (name: string): string => `${name}{job="${job}"}`;
  const counter = await server.samples(selector(COUNTER), fromMs, toMs);
  const times = new Map(await server.samples(selector(CLOCK), fromMs, toMs));
  const expected = Math.floor((toMs - fromMs) / 1000 / interval);
  if (counter.length < expected - 1) throw new Error(`job ${job}: ${counter.length} samples stored instead of ${expected}; scrapes failed`);
  const window = 4 * interval;
  const rates = await server.range(`rate(${selector(COUNTER)}[${window}s])`, fromMs + window * 1000, toMs, interval);
  return {
    ages: counter.map(([timestampMs, value]) => timestampMs - value),
    answerAges: counter.flatMap(([timestampMs, value]: Sample) => {
      const seconds = times.get(timestampMs);
      return seconds === undefined ? [] : [seconds * 1000 - value];
    }),
    rates: rates.map(([, rate]) => rate),
  };
}

/** What the daemon itself says of the age, between two readings. */
function ageShares(before: Page, after: Page): [bound: string, share: number][] {
  const count = (page: Page, labels: string): number => sumOf(page, 'exporterd_scrape_data_age_seconds_bucket', labels);
  const bounds = [...after.samples.keys()].flatMap((series) => /^exporterd_scrape_data_age_seconds_bucket\{.*le="([^"]+)".*\}$/.exec(series)?.[1] ?? []);
  const total = count(after, 'le="+Inf"') - count(before, 'le="+Inf"');
  return [...new Set(bounds)].map((bound) => [bound, (count(after, `le="${bound}"`) - count(before, `le="${bound}"`)) / total]);
}

/** Complaints of promtool about a page, one a line; empty when it is clean. */
function promtool(text: string): string {
  try {
    return execFileSync(needProgram('promtool', 'Debian package prometheus'), ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    }).trim();
  } catch (error) {
    const { stderr, stdout } = error as { stderr?: string; stdout?: string }; // of execFileSync
    return `${stdout ?? ''}${stderr ?? ''}`.trim() || String(error);
  }
}
