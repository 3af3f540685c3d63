/**
 * How long a scrape takes, against a bare uWebSockets.js handler with the same bytes and flags of V8 and against node_exporter
 * with the same collectors, in interleaved rounds of wrk. What is judged is the median of the ratios within one round: a busy
 * moment of the machine then weighs on both sides, where medians of each would come from different moments.
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
import { type Encoding, fetchPage, fetchRaw, sleepUntil } from './scrape.ts';
import { median } from './statistics.ts';
import { wrk, type WrkRound } from './wrk.ts';

const flags = readFlags({ rounds: 9, seconds: 2, connections: '1,16', encodings: 'gzip,identity' }, { rounds: 1, seconds: 1, encodings: 'gzip' });

interface Contestant {
  readonly name: string;
  readonly url: (encoding: Encoding) => string;
}

const OURS = 'exporterd';
const BARE = 'bare uWebSockets.js, same bytes';
const PEER = 'node_exporter, same collectors';
const PEER_DEFAULT = 'node_exporter, its defaults';
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
  const ours = await startDaemon(['node_exporter', ...switches], { env: { EXPORTERD_INTERVAL: `${CYCLE_MS}ms` } });
  const page = await fetchPage(`${ours.url}/metrics`);
  const collectors = nodeCollectors(page, OURS);
  notes.push(`${page.samples.size} samples of ${collectors.length} collectors (${collectors.join(', ')}), ${page.text.length} bytes.`);
  const absent = NODE_COLLECTORS.filter((name) => !collectors.includes(name));
  if (absent.length > 0) notes.push(`Collectors that did not run, here or in the peer: ${absent.join(', ')}.`);

  const contestants: Contestant[] = [{ name: OURS, url: () => `${ours.url}/metrics` }, await bareServer(`${ours.url}/metrics`, encodings)];
  const peer = findNodeExporter();
  if ('missing' in peer) notes.push(peer.missing);
  else {
    const [same, usual] = await Promise.all([startNodeExporter(peer.path, collectors), startNodeExporter(peer.path, undefined)]);
    contestants.push({ name: PEER, url: () => `${same.url}/metrics` }, { name: PEER_DEFAULT, url: () => `${usual.url}/metrics` });
    const { missing, extra } = familyDifferences(page, await fetchPage(`${same.url}/metrics`));
    verdicts.push(exactly('families of the peer that our page lacks', missing.length, 0));
    if (missing.length + extra.length > 0) notes.push(`Families missing here: ${missing.join(', ') || 'none'}; only here: ${extra.join(', ') || 'none'}.`);
  }

  const tables: Table[] = [];
  for (const encoding of encodings) {
    for (const { url } of contestants) await fetchPage(url(encoding), encoding);
    for (const connections of flags.connections.split(',').map(Number)) {
      const rounds = await interleave(contestants, connections, encoding);
      const of = (name: string, figure: keyof WrkRound): number => median((rounds.get(name) ?? []).map((round) => round[figure]));
      const ratio = (name: string, figure: keyof WrkRound): number => {
        const others = rounds.get(name) ?? [];
        return median((rounds.get(OURS) ?? []).map((round, i) => round[figure] / (others[i]?.[figure] ?? Number.NaN)));
      };
      tables.push({
        title: `${encoding}, ${connections} connection${connections === 1 ? '' : 's'}: medians of ${flags.rounds} rounds of ${flags.seconds} s, and of the ratios in each`,
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

async function interleave(contestants: readonly Contestant[], connections: number, encoding: Encoding): Promise<Map<string, WrkRound[]>> {
  const rounds = new Map<string, WrkRound[]>(contestants.map(({ name }) => [name, []]));
  // One that does not count: compilers and sockets get warm.
  for (const { url } of contestants) await wrk(url(encoding), connections, WARM_UP_SECONDS, encoding);
  for (let round = 0; round < flags.rounds; round++) {
    // Each goes first in turn, and every other round the other way round, so that none always runs behind the same neighbour.
    const order = contestants.map((_, i) => contestants[(i + round) % contestants.length] as Contestant);
    if (round % 2 === 1) order.reverse();
    for (const { name, url } of order) rounds.get(name)?.push(await wrk(url(encoding), connections, flags.seconds, encoding));
  }
  return rounds;
}

/** One process per encoding, each with the bytes and headers that `url` has now. */
async function bareServer(url: string, encodings: readonly Encoding[]): Promise<Contestant> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-bench-'));
  const ports = new Map<Encoding, string>();
  for (const encoding of encodings) {
    for (let cycle = 0; cycle < CYCLES_TO_LEARN; cycle++) {
      await fetchRaw(url, encoding);
      await sleepUntil(performance.now() + CYCLE_MS);
    }
    const { headers, body } = await fetchRaw(url, encoding);
    const answer: BareAnswer = { headers: headers.filter(([name]) => !AUTOMATIC.includes(name.toLowerCase())), body: body.toString('base64') };
    const file = join(folder, `${encoding}.json`);
    writeFileSync(file, JSON.stringify(answer));
    const server = start(process.execPath, [...NODE_FLAGS, fileURLToPath(new URL('./bare-server.js', import.meta.url)), file]);
    ports.set(encoding, (await server.says(/^port (\d+)$/m))[1] ?? '');
  }
  rmSync(folder, { recursive: true });
  return { name: BARE, url: (encoding) => `http://127.0.0.1:${ports.get(encoding)}/metrics` };
}
