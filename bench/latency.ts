/**
 * How long a scrape takes, against a bare uWebSockets.js handler with the same bytes and flags of V8 and against node_exporter
 * with the same collectors, in interleaved rounds of wrk. What is judged is the median of the ratios within one round: a busy
 * moment of the machine then weighs on both sides, where medians of each would come from different moments. Of ours and of the
 * bare handler several processes take part, since one and the same program differs from start to start (where its pages lie
 * in memory) by more than is judged here; how much, the ratios of the bare handler to itself say.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BareAnswer } from './bare-server.ts';
import { NODE_FLAGS, startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { findNodeExporter, NODE_COLLECTORS, startNodeExporter } from './node-exporter.ts';
import { familyDifferences, nodeCollectors } from './page.ts';
import { start } from './program.ts';
import { atLeast, atMost, exactly, type Findings, runBench, type Table, type Verdict } from './result.ts';
import { type Answer, type Encoding, fetchPage, fetchRaw, sleepUntil } from './scrape.ts';
import { median } from './statistics.ts';
import { wrk, type WrkRound } from './wrk.ts';

const flags = readFlags(
  { processes: 3, rounds: 25, seconds: 1, connections: '1,16', encodings: 'gzip,identity' },
  { processes: 1, rounds: 1, seconds: 1, encodings: 'gzip' },
);

interface Contestant {
  readonly name: string;
  /** Of each of its processes. */
  readonly urls: (encoding: Encoding) => readonly string[];
}

const OURS = 'exporterd';
const BARE = 'bare uWebSockets.js, same bytes';
const PEER = 'node_exporter, same collectors';
const PEER_DEFAULT = 'node_exporter, its defaults';
/** They are so far away that they need no more rounds than these. */
const PEER_ROUNDS = 5;
/** After so many cycles with a reader the gzip form is made from what was learnt of the page, as it is from then on. */
const CYCLES_TO_LEARN = 4;
const CYCLE_MS = 1000;
const WARM_UP_SECONDS = 2;

/** Written by uWebSockets itself, for both alike. */
const AUTOMATIC = ['date', 'uwebsockets', 'content-length', 'connection', 'transfer-encoding'];

await runBench('latency', 'Latency of a scrape', flags, async (): Promise<Findings> => {
  const encodings = flags.encodings.split(',') as Encoding[];
  const notes: string[] = [];
  const verdicts: Verdict[] = [];
  // A cycle a second runs during every round, as it would under a scraper; the pages keep changing while they are served.
  const switches = ['--collector.disable-defaults', ...NODE_COLLECTORS.map((name) => `--collector.${name}`), '--web.disable-exporter-metrics'];
  const ours: string[] = [];
  for (let i = 0; i < flags.processes; i++) {
    const daemon = await startDaemon(['node_exporter', ...switches], { env: { EXPORTERD_INTERVAL: `${CYCLE_MS}ms` } });
    ours.push(`${daemon.url}/metrics`);
  }
  const page = await fetchPage(ours[0] as string);
  const collectors = nodeCollectors(page, OURS);
  notes.push(`${page.samples.size} samples of ${collectors.length} collectors (${collectors.join(', ')}), ${page.text.length} bytes.`);
  const absent = NODE_COLLECTORS.filter((name) => !collectors.includes(name));
  if (absent.length > 0) notes.push(`Collectors that did not run, here or in the peer: ${absent.join(', ')}.`);

  const contestants: Contestant[] = [{ name: OURS, urls: () => ours }, await bareServers(ours, encodings)];
  const peer = findNodeExporter();
  if ('missing' in peer) notes.push(peer.missing);
  else {
    const [same, usual] = await Promise.all([startNodeExporter(peer.path, collectors), startNodeExporter(peer.path, undefined)]);
    contestants.push({ name: PEER, urls: () => [`${same.url}/metrics`] }, { name: PEER_DEFAULT, urls: () => [`${usual.url}/metrics`] });
    const { missing, extra } = familyDifferences(page, await fetchPage(`${same.url}/metrics`));
    verdicts.push(exactly('families of the peer that our page lacks', missing.length, 0));
    if (missing.length + extra.length > 0) notes.push(`Families missing here: ${missing.join(', ') || 'none'}; only here: ${extra.join(', ') || 'none'}.`);
  }

  const tables: Table[] = [];
  for (const encoding of encodings) {
    for (const url of contestants.flatMap(({ urls }) => urls(encoding))) await fetchPage(url, encoding);
    for (const connections of flags.connections.split(',').map(Number)) {
      const rounds = await interleave(contestants, connections, encoding);
      const of = (name: string, figure: keyof WrkRound): number => median((rounds.get(name) ?? []).flat().map((round) => round[figure]));
      const ratio = (name: string, figure: keyof WrkRound): number =>
        median((rounds.get(OURS) ?? []).flatMap((round, i) => ratiosOf(round, rounds.get(name)?.[i] ?? [], figure)));
      tables.push({
        title: `${encoding}, ${connections} connection${connections === 1 ? '' : 's'}: medians of ${flags.rounds} rounds of ${flags.seconds} s with ${flags.processes} processes of ours and of bare, and of the ratios in each`,
        columns: ['server', 'bytes', 'p50 µs', 'p99 µs', 'mean µs', 'a second', 'p50 / ours', 'p99 / ours', 'a second / ours'],
        rows: contestants.map(({ name }) => [
          name,
          Math.round(of(name, 'bytes')),
          of(name, 'p50'),
          of(name, 'p99'),
          of(name, 'mean'),
          Math.round(of(name, 'perSecond')),
          1 / ratio(name, 'p50'),
          1 / ratio(name, 'p99'),
          1 / ratio(name, 'perSecond'),
        ]),
      });
      const at = `${encoding}, ${connections} conn.`;
      if (flags.processes > 1) {
        const bare = rounds.get(BARE) ?? [];
        const [p50, p99] = [spread(bare, 'p50'), spread(bare, 'p99')].map((most) => most.toFixed(2));
        notes.push(`${at}: one process of bare against another, at most: p50 ${p50}, p99 ${p99}.`);
      }
      verdicts.push(
        atMost(`${at}: p50 against bare`, ratio(BARE, 'p50'), 1.15),
        atMost(`${at}: p99 against bare`, ratio(BARE, 'p99'), 1.15),
        atLeast(`${at}: throughput against bare`, ratio(BARE, 'perSecond'), 0.9),
        atLeast(`${at}: p50 of node_exporter against ours`, 1 / ratio(PEER, 'p50'), 100),
      );
    }
  }
  return { tables, verdicts, notes };
});

/** By contestant, per round what each of its processes did. */
async function interleave(contestants: readonly Contestant[], connections: number, encoding: Encoding): Promise<Map<string, WrkRound[][]>> {
  const rounds = new Map<string, WrkRound[][]>(contestants.map(({ name }) => [name, []]));
  // As many as the most processes that one has: neighbours are then of different kinds.
  const turns = Array.from({ length: flags.processes }, (_, process) =>
    contestants.map(({ name, urls }) => ({ name, process, url: urls(encoding)[process] })),
  ).flat();
  const runs = turns.flatMap(({ url, ...rest }) => (url === undefined ? [] : [{ ...rest, url }]));
  // One that does not count: compilers and sockets get warm.
  for (const { url } of runs) await wrk(url, connections, WARM_UP_SECONDS, encoding);
  for (let round = 0; round < flags.rounds; round++) {
    for (const of of rounds.values()) of.push([]);
    // Each goes first in turn, and every other round the other way round, so that none always runs behind the same neighbour.
    const order = runs.map((_, i) => runs[(i + round) % runs.length] as (typeof runs)[number]);
    if (round % 2 === 1) order.reverse();
    for (const { name, process, url } of order) {
      if (round >= PEER_ROUNDS && name !== OURS && name !== BARE) continue;
      const of = rounds.get(name)?.[round] as WrkRound[]; // filled above
      of[process] = await wrk(url, connections, flags.seconds, encoding);
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
      await sleepUntil(performance.now() + CYCLE_MS);
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
