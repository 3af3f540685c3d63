/**
 * The node role against the real node_exporter, whose path TEST_NODE_EXPORTER gives (release 1.12.1): byte by byte on every
 * fixture tree; names, types and labels on the machine itself, with counters between two of the peer's scrapes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discoverParts } from '../../src/collectors/node/discover.ts';
import { reportNode } from '../../src/collectors/node/report.ts';
import { loadReaders } from '../../src/readers/load.ts';
import { skipUnless } from '../support/backends/availability.ts';
import { startPeer } from './node-exporter.ts';
import { comparable, fixtures, ourPage } from './node-fixtures.ts';
import { LIVE_ROOTS, nodePages, rootsIn } from './node-page.ts';

const program = process.env['TEST_NODE_EXPORTER'];
const skip = skipUnless(program === undefined || program === '' ? { missing: 'TEST_NODE_EXPORTER does not name a node_exporter' } : { backend: program });

for (const fixture of fixtures()) {
  test(`fixture ${fixture.name} gives the peer's page`, { skip: skip || fixture.peerFails || fixture.notHere || false }, async () => {
    const peer = await startPeer(program ?? '', [fixture.part], rootsIn(fixture.folder), fixture.flags);
    try {
      const theirs = await peer.page();
      const { page: ours } = await ourPage(fixture, loadReaders());
      for (const prefix of fixture.onlyOurs) assert.ok(hasLine(ours, prefix) && !hasLine(theirs, prefix), `differences: + ${prefix} is not a difference`);
      for (const prefix of fixture.onlyPeer) assert.ok(hasLine(theirs, prefix) && !hasLine(ours, prefix), `differences: - ${prefix} is not a difference`);
      assert.equal(comparable(ours, fixture.volatile, fixture.onlyOurs), comparable(theirs, fixture.volatile, fixture.onlyPeer));
    } finally {
      await peer.stop();
    }
  });
}

/** Lines that we print on a live machine and the peer does not, by part; docs/differences/node.md gives the reasons. */
const LIVE_ONLY_OURS: Readonly<Record<string, RegExp>> = { meminfo: /^node_memory_/ };

test('the machine itself: same names, types and labels, counters between two scrapes', { skip }, async (context) => {
  const parts = (await discoverParts()).filter((part) => part.enabledByDefault).map(({ name }) => name);
  const peer = await startPeer(program ?? '', parts, LIVE_ROOTS);
  const pages = nodePages({ readers: loadReaders(), roots: LIVE_ROOTS, parts, monotonicMs: () => performance.now() });
  try {
    for (const part of parts) {
      await context.test(part, async () => {
        const before = samplesOf(await peer.page());
        const { outcome, error } = pages.run(part);
        const sheet = pages.sheet(part);
        reportNode(part, outcome?.kind ?? 'failed', 0, sheet);
        const ours = samplesOf(sheet.text());
        const after = samplesOf(await peer.page());
        assert.equal(error, undefined);
        checkPart(part, before, ours, after);
      });
    }
  } finally {
    pages.close();
    await peer.stop();
  }
});

interface Samples {
  readonly types: ReadonlyMap<string, string>;
  readonly values: ReadonlyMap<string, number>;
}

function samplesOf(page: string): Samples {
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  for (const line of page.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '');
    const sample = /^([^#].*) (\S+)$/.exec(line);
    if (sample !== null) values.set(sample[1] ?? '', Number((sample[2] ?? '').replace('Inf', 'Infinity')));
  }
  return { types, values };
}

function nameOf(series: string): string {
  return /^[a-zA-Z0-9_:]+/.exec(series)?.[0] ?? '';
}

function checkPart(part: string, before: Samples, ours: Samples, after: Samples): void {
  for (const [series, value] of ours.values) {
    const name = nameOf(series);
    const low = before.values.get(series);
    const high = after.values.get(series);
    if (low === undefined || high === undefined) {
      // What is only on one of the peer's two pages has come or gone meanwhile.
      const isKnown = low !== undefined || high !== undefined || LIVE_ONLY_OURS[part]?.test(series) === true;
      assert.ok(isKnown, `only we print ${series}`);
      continue;
    }
    assert.equal(ours.types.get(name), after.types.get(name), `type of ${name}`);
    if (ours.types.get(name) === 'counter') assert.ok(low <= value && value <= high, `${series}: ${value} is not between ${low} and ${high}`);
  }
  // The families that this part prints are the peer's whole families: no series of them may be missing.
  const families = new Set([...ours.values.keys()].map(nameOf));
  for (const series of before.values.keys()) {
    const isOther = nameOf(series).startsWith('node_scrape_') && !series.includes(`"${part}"`);
    if (families.has(nameOf(series)) && !isOther && after.values.has(series)) assert.ok(ours.values.has(series), `only the peer prints ${series}`);
  }
}

test('the machine itself: no family of the peer is missing', { skip }, async () => {
  const parts = (await discoverParts()).filter((part) => part.enabledByDefault).map(({ name }) => name);
  const peer = await startPeer(program ?? '', parts, LIVE_ROOTS);
  const pages = nodePages({ readers: loadReaders(), roots: LIVE_ROOTS, parts });
  try {
    const theirs = samplesOf(await peer.page());
    const ours = new Set(parts.flatMap((part) => [...samplesOf(pages.run(part).page).types.keys()]));
    const own = /^(node_exporter_build_info|node_scrape_collector_)/;
    assert.deepEqual(
      [...theirs.types.keys()].filter((name) => !ours.has(name) && !own.test(name)),
      [],
    );
  } finally {
    pages.close();
    await peer.stop();
  }
});

test('the machine itself: detailed counters of netdev', { skip }, async () => {
  const peer = await startPeer(program ?? '', ['netdev'], LIVE_ROOTS, ['--collector.netdev.enable-detailed-metrics', '--collector.netdev.label-ifalias']);
  const pages = nodePages({
    readers: loadReaders(),
    roots: LIVE_ROOTS,
    parts: ['netdev'],
    options: { netdev: { enable_detailed_metrics: true, label_ifalias: true } },
  });
  try {
    const before = samplesOf(await peer.page());
    const ours = samplesOf(pages.run('netdev').page);
    const after = samplesOf(await peer.page());
    checkPart('netdev', before, ours, after);
    assert.deepEqual(
      [...after.types.keys()].filter((name) => name.startsWith('node_network_') && !ours.types.has(name)),
      [],
    );
  } finally {
    pages.close();
    await peer.stop();
  }
});

test('help texts are our own words', { skip }, async () => {
  const parts = (await discoverParts()).filter((part) => part.enabledByDefault).map(({ name }) => name);
  const peer = await startPeer(program ?? '', parts, LIVE_ROOTS);
  const pages = nodePages({ readers: loadReaders(), roots: LIVE_ROOTS, parts });
  try {
    const helpOf = (page: string): Map<string, string> => new Map([...page.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help = '']) => [name, help]));
    const theirs = helpOf(await peer.page());
    for (const part of parts) for (const [name, help] of helpOf(pages.run(part).page)) assert.notEqual(help, theirs.get(name), name);
  } finally {
    pages.close();
    await peer.stop();
  }
});

function hasLine(page: string, prefix: string): boolean {
  return page.split('\n').some((line) => line.startsWith(prefix));
}
