/**
 * How long a scrape takes, both programs with the collectors that node_exporter has by default, against a bare uWebSockets.js
 * handler with the same bytes and flags of V8 and against node_exporter, in interleaved rounds of wrk. What is judged is the
 * median of the ratios within one round: a busy moment of the machine then weighs on both sides, where medians of each would
 * come from different moments. Of ours and of the bare handler several processes take part, since one and the same program
 * differs from start to start (where its pages lie in memory) by more than is judged here; how much, the ratios of the bare
 * handler to itself say. With one connection processors halt between any two steps of a round trip, and how long a virtual one
 * takes to wake up is its host's affair, for the bare handler too: a table of its own says what it is without that. Runs that
 * the host disturbed are made again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BareAnswer } from './bare-server.ts';
import { cProgram } from './c-program.ts';
import { NODE_FLAGS, startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { Host } from './host.ts';
import { findNodeExporter, startNodeExporter } from './node-exporter.ts';
import { familyDifferences, nodeCollectors } from './page.ts';
import { start } from './program.ts';
import { atLeast, atMost, exactly, type Findings, runBench, type Table, type Verdict } from './result.ts';
import { type Answer, type Encoding, fetchPage, fetchRaw, sleepUntil } from './scrape.ts';
import { median } from './statistics.ts';
import { wrk, type WrkRound } from './wrk.ts';

const flags = readFlags(
  // The warm-up lasts until V8 has compiled what a flood needs, which takes processor time away from both ends of it.
  { processes: 3, rounds: 15, seconds: 1, warmup: 8, tries: 8, connections: '1,16', encodings: 'gzip,identity', interval: 5 },
  { processes: 1, rounds: 1, seconds: 1, warmup: 2, tries: 1, encodings: 'gzip' },
);

interface Contestant {
  readonly name: string;
  /** Of each of its processes. */
  readonly urls: (encoding: Encoding) => readonly string[];
}

const OURS = 'exporterd';
const BARE = 'bare uWebSockets.js, same bytes';
const PEER = 'node_exporter';
/** It is so far away that it needs no more rounds than these; nor does the table of processors kept awake. */
const PEER_ROUNDS = 5;
/** After so many cycles with a reader the gzip form is made from what was learnt of the page, as it is from then on. */
const CYCLES_TO_LEARN = 4;

/** Written by uWebSockets itself, for both alike. */
const AUTOMATIC = ['date', 'uwebsockets', 'content-length', 'connection', 'transfer-encoding'];

await runBench('latency', 'Latency of a scrape', flags, async (): Promise<Findings> => {
  const encodings = flags.encodings.split(',') as Encoding[];
  const host = await Host.watch();
  const notes: string[] = [];
  const verdicts: Verdict[] = [];
  // The pages keep changing while they are served, as they would under a scraper that comes once an interval.
  const ours: string[] = [];
  for (let i = 0; i < flags.processes; i++) {
    const daemon = await startDaemon(['node_exporter', '--web.disable-exporter-metrics'], { env: { EXPORTERD_INTERVAL: `${flags.interval}s` } });
    ours.push(`${daemon.url}/metrics`);
  }
  const page = await fetchPage(ours[0] as string);
  const collectors = nodeCollectors(page, OURS);
  notes.push(`${page.samples.size} samples of ${collectors.length} collectors (${collectors.join(', ')}), ${page.text.length} bytes.`);

  const contestants: Contestant[] = [{ name: OURS, urls: () => ours }, await bareServers(ours, encodings)];
  const peer = findNodeExporter();
  if ('missing' in peer) notes.push(peer.missing);
  else {
    const { url } = await startNodeExporter(peer.path, undefined);
    contestants.push({ name: PEER, urls: () => [`${url}/metrics`] });
    const { missing, extra } = familyDifferences(page, await fetchPage(`${url}/metrics`));
    verdicts.push(exactly('families of the peer that our page lacks', missing.length, 0));
    if (missing.length + extra.length > 0) notes.push(`Families missing here: ${missing.join(', ') || 'none'}; only here: ${extra.join(', ') || 'none'}.`);
  }

  const tables: Table[] = [];
  for (const encoding of encodings) {
    for (const url of contestants.flatMap(({ urls }) => urls(encoding))) await fetchPage(url, encoding);
    for (const connections of flags.connections.split(',').map(Number)) {
      const at = `${encoding}, ${connections} connection${connections === 1 ? '' : 's'}`;
      const rounds = await interleave(host, contestants, connections, encoding, flags.rounds);
      tables.push(table(at, contestants, rounds));
      if (flags.processes > 1) {
        const bare = rounds.get(BARE) ?? [];
        const [p50, p99] = [spread(bare, 'p50'), spread(bare, 'p99')].map((most) => most.toFixed(2));
        notes.push(`${at}: one process of bare against another, at most: p50 ${p50}, p99 ${p99}.`);
      }
      verdicts.push(
        atMost(`${at}: p50 against bare`, ratio(rounds, BARE, 'p50'), 1.15),
        atMost(`${at}: p99 against bare`, ratio(rounds, BARE, 'p99'), 1.15),
        atLeast(`${at}: throughput against bare`, ratio(rounds, BARE, 'perSecond'), 0.9),
        atLeast(`${at}: p50 of node_exporter against ours`, 1 / ratio(rounds, PEER, 'p50'), 100),
      );
      if (connections > 1) continue;
      const release = await keepAwake();
      const awake = await interleave(host, contestants, connections, encoding, Math.min(flags.rounds, PEER_ROUNDS));
      await release();
      tables.push(table(`${at}, processors kept from halting`, contestants, awake));
      verdicts.push(atLeast(`${at}, processors kept from halting: p50 of node_exporter against ours`, 1 / ratio(awake, PEER, 'p50'), 100));
    }
  }
  notes.push(host.note);
  return { tables, verdicts, notes };
});

/** By contestant, per round what each of its processes did. */
type Rounds = ReadonlyMap<string, readonly WrkRound[][]>;

function table(title: string, contestants: readonly Contestant[], rounds: Rounds): Table {
  const of = (name: string, figure: keyof WrkRound): number => median((rounds.get(name) ?? []).flat().map((round) => round[figure]));
  const count = rounds.get(OURS)?.length ?? 0;
  return {
    title: `${title}: medians of ${count} rounds of ${flags.seconds} s with ${flags.processes} processes of ours and of bare, and of the ratios in each`,
    columns: ['server', 'bytes', 'p50 µs', 'p99 µs', 'mean µs', 'a second', 'p50 / ours', 'p99 / ours', 'a second / ours'],
    rows: contestants.map(({ name }) => [
      name,
      Math.round(of(name, 'bytes')),
      of(name, 'p50'),
      of(name, 'p99'),
      of(name, 'mean'),
      Math.round(of(name, 'perSecond')),
      1 / ratio(rounds, name, 'p50'),
      1 / ratio(rounds, name, 'p99'),
      1 / ratio(rounds, name, 'perSecond'),
    ]),
  };
}

/** Of ours to another: the median of the ratios in each round. */
function ratio(rounds: Rounds, name: string, figure: keyof WrkRound): number {
  return median((rounds.get(OURS) ?? []).flatMap((round, i) => ratiosOf(round, rounds.get(name)?.[i] ?? [], figure)));
}

/** Keeps all processors from halting until the returned function has been called. */
async function keepAwake(): Promise<() => Promise<void>> {
  const loops = cpus().map((_, cpu) => start(cProgram('awake'), [String(cpu)]));
  await Promise.all(loops.map((loop) => loop.says(/^awake$/m)));
  return async () => void (await Promise.all(loops.map((loop) => loop.stop())));
}

async function interleave(host: Host, contestants: readonly Contestant[], connections: number, encoding: Encoding, count: number): Promise<Rounds> {
  const rounds = new Map<string, WrkRound[][]>(contestants.map(({ name }) => [name, []]));
  // As many as the most processes that one has: neighbours are then of different kinds.
  const turns = Array.from({ length: flags.processes }, (_, process) =>
    contestants.map(({ name, urls }) => ({ name, process, url: urls(encoding)[process] })),
  ).flat();
  const runs = turns.flatMap(({ url, ...rest }) => (url === undefined ? [] : [{ ...rest, url }]));
  // One that does not count: compilers and sockets get warm.
  for (const { url } of runs) await wrk(url, connections, flags.warmup, encoding);
  for (let round = 0; round < count; round++) {
    for (const of of rounds.values()) of.push([]);
    // Each goes first in turn, and every other round the other way round, so that none always runs behind the same neighbour.
    const order = runs.map((_, i) => runs[(i + round) % runs.length] as (typeof runs)[number]);
    if (round % 2 === 1) order.reverse();
    for (const { name, process, url } of order) {
      if (round >= PEER_ROUNDS && name !== OURS && name !== BARE) continue;
      const of = rounds.get(name)?.[round] as WrkRound[]; // filled above
      of[process] = await host.undisturbed(() => wrk(url, connections, flags.seconds, encoding), name === PEER ? 1 : flags.tries);
    }
  }
  return rounds;
}

/** Each process of ours against the one of the other with its number; where the other has but one, against that. */
function ratiosOf(ours: readonly WrkRound[], others: readonly WrkRound[], figure: keyof WrkRound): number[] {
  return ours.flatMap((round, process) => {
    const other = others[process] ?? others[0];
    return other === undefined ? [] : [round[figure] / other[figure]];
  });
}

/** How much one process of a server differs from another, at most: the greatest median of their ratios. */
function spread(rounds: readonly WrkRound[][], figure: keyof WrkRound): number {
  const ratios = (i: number): number[] => rounds.flatMap((round) => ratiosOf(round.slice(i, i + 1), round.slice(i - 1), figure));
  return Math.max(...Array.from({ length: flags.processes }, (_, i) => median(ratios(i))));
}

/** A process per encoding and one of `urls`, each with the bytes and headers that this one has now. */
async function bareServers(urls: readonly string[], encodings: readonly Encoding[]): Promise<Contestant> {
  const servers = new Map<Encoding, string[]>();
  for (const encoding of encodings) {
    for (let cycle = 0; cycle < CYCLES_TO_LEARN; cycle++) {
      for (const url of urls) await fetchRaw(url, encoding);
      await sleepUntil(performance.now() + flags.interval * 1000);
    }
    const started: string[] = [];
    for (const url of urls) started.push(await bareServer(await fetchRaw(url, encoding)));
    servers.set(encoding, started);
  }
  return { name: BARE, urls: (encoding) => servers.get(encoding) ?? [] };
}

async function bareServer({ headers, body }: Answer): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-bench-'));
  const answer: BareAnswer = { headers: headers.filter(([name]) => !AUTOMATIC.includes(name.toLowerCase())), body: body.toString('base64') };
  const file = join(folder, 'answer.json');
  writeFileSync(file, JSON.stringify(answer));
  const server = start(process.execPath, [...NODE_FLAGS, fileURLToPath(new URL('./bare-server.js', import.meta.url)), file]);
  const port = (await server.says(/^port (\d+)$/m))[1] ?? '';
  rmSync(folder, { recursive: true });
  return `http://127.0.0.1:${port}/metrics`;
}
