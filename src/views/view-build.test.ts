import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Channel, fixedPage, makeChannel, SHOWN_LAYOUT } from '../collect/channel.ts';
import { Sheet } from '../collect/sheet.ts';
import { PLAIN } from '../collect/variant.ts';
import { type Family, family } from '../model/family.ts';
import { systemClock } from '../model/clock.ts';
import { loadReaders } from '../readers/load.ts';
import { addonPath } from '../readers/native.ts';
import { Merger, TIME_FAMILY } from './merge.ts';
import { gzipPage } from './splice.ts';
import { GENERATIONS, makeView, VIEW_LAYOUT, ViewReader, ViewTarget } from './view.ts';

const readers = loadReaders();
const LIMITS = { maxSeries: 1000, maxBytes: 1 << 20 };
const IDLE_MS = 60_000;

const one = family('one', 'gauge', 'One.');
const two = family('two', 'counter', 'Two.');
const three = family('three', 'gauge', 'Three.', ['of']);
const time = family(TIME_FAMILY, 'gauge', 'Time.');
type Samples = readonly (readonly [Family, readonly string[], number])[];

/** A channel with a fallback of its own, and a way to end a run of it. */
function source(name: string) {
  const sheet = new Sheet(readers, LIMITS);
  sheet.begin();
  sheet.sample(three, [name], -1);
  const channel = new Channel(makeChannel([PLAIN], 1 << 20, [fixedPage(sheet, PLAIN)]));
  const run = (samples: Samples, startedMs = systemClock.monotonicMs()): void => {
    sheet.begin();
    channel.start(startedMs);
    for (const [of, labels, value] of samples) sheet.sample(of, labels, value);
    channel.publish(sheet, 'ok', startedMs + 1, 0);
  };
  return { channel, run };
}

/** A view of two channels, built as the builder does it, or by another thread once it is armed. */
function view(wantsGzip = true) {
  const sources = [source('a'), source('b')] as const;
  const entries = sources.map(({ channel }, role) => ({ channel, variant: 0, role }));
  const merger = new Merger(entries, 2, () => assert.fail('no conflict'), undefined, readers.merge);
  const memory = makeView(2);
  const target = new ViewTarget(memory);
  const reader = new ViewReader(memory, systemClock.monotonicMs);
  const deflater = readers.pageDeflater();
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const layout = Int32Array.of(...SHOWN_LAYOUT, ...VIEW_LAYOUT);
  const others = readers.viewBuild({ bell, layout, ...target.head, idleMs: IDLE_MS });
  assert.ok(others);
  const build = (): void => {
    others.disarm();
    const generation = target.free();
    const page = target.page(generation);
    const { version } = merger;
    const merged = merger.merge(page, systemClock.monotonicMs());
    const bytes = page.bytes.subarray(0, merged.bytes);
    const zipped = wantsGzip ? gzipPage(readers, bytes, merged.timeAt, target.gzip(generation), deflater) : undefined;
    const gzip = { gzipBytes: zipped?.bytes ?? 0, gzipTimeAt: zipped?.timeAt ?? -1, crc: zipped?.crc ?? 0 };
    target.publish(generation, { ...merged, ...gzip, oldestMs: merger.oldestMs, version }, systemClock.monotonicMs(), 0);
  };
  const arm = (): void => others.arm({ ...merger.plan, ...target.buffers, deflater: wantsGzip ? deflater : undefined });
  const text = (gzip: boolean): string => {
    const response = reader.open(gzip, 1763736255123);
    const bytes = Buffer.concat(response.parts);
    response.release();
    return (gzip ? gunzipSync(bytes) : bytes).toString();
  };
  /** What the builder shows of the channels as they are. */
  const expected = (): string => {
    const oracle = new Merger(entries, 2, () => undefined);
    const page = new ViewTarget(makeView(2)).page(0);
    const { bytes, series } = oracle.merge(page, systemClock.monotonicMs());
    assert.equal(target.figures()?.series, series);
    assert.deepEqual(
      [0, 1].map((role) => reader.oldestMs(role)),
      [...oracle.oldestMs],
    );
    return Buffer.from(page.bytes.slice(0, bytes)).toString().replace('0.000000000000e+09', '1.763736255123e+09');
  };
  const isShown = (): void => {
    const page = expected();
    assert.equal(text(false), page);
    if (wantsGzip) assert.equal(text(true), page);
  };
  return { sources, merger, reader, target, others, build, arm, isShown, perform: () => readers.buildViews(bell) };
}

const samplesOf = (value: number): readonly [Samples, Samples] => [
  [
    [one, [], value],
    [time, [], value],
    [three, ['a'], value * 1e6],
  ],
  [
    [two, [], 1 / value],
    [three, ['b'], -value],
  ],
];

/** Built by the builder until it knows the text, as it is before it arms a view. */
function steady(wantsGzip = true) {
  const made = view(wantsGzip);
  made.reader.use(systemClock.monotonicMs());
  const move = (value: number): void => {
    const [a, b] = samplesOf(value);
    made.sources[0].run(a);
    made.sources[1].run(b);
  };
  for (let i = 1; i <= 3; i++) {
    move(i);
    made.build();
  }
  assert.equal(made.merger.isSettled, true);
  made.arm();
  return { ...made, move };
}

const needsAddon = { skip: addonPath() === undefined };

for (const wantsGzip of [false, true]) {
  test(`other threads build what the builder would, gzip ${wantsGzip}`, needsAddon, () => {
    const { move, perform, isShown, target, reader, others } = steady(wantsGzip);
    for (const value of [4, 1e9, 0.125, Number.NaN, 12345.678, 7]) {
      move(value);
      const before = target.figures()?.builds as number;
      assert.equal(perform(), true);
      isShown();
      assert.ok(systemClock.monotonicMs() - reader.builtMs < 5000);
      assert.equal(perform(), true, 'nothing has moved');
      assert.equal(target.figures()?.builds, before + 1);
    }
    others.close();
  });
}

test('a family that shows nothing in a run needs no builder', needsAddon, () => {
  const { perform, isShown, sources, others, build, arm } = steady();
  build();
  arm();
  for (const from of [1, 0, 1]) {
    sources[0].run(samplesOf(2 + from)[0].slice(from));
    assert.equal(perform(), true);
    isShown();
  }
  others.close();
});

test('what a plan does not know is left to the builder, which arms the view anew', needsAddon, () => {
  const { move, perform, isShown, target, sources, others, build, arm } = steady();
  const [a] = sources;
  const leaves = (change: () => void, why: string): void => {
    move(1);
    build();
    arm();
    move(2);
    assert.equal(perform(), true);
    const builds = target.figures()?.builds as number;
    change();
    assert.equal(perform(), false, why);
    assert.equal(target.figures()?.builds, builds, why);
    build();
    isShown();
  };
  const grown = samplesOf(3)[0].concat([[three, ['c'], 3]]);
  leaves(() => a.run(grown), 'a series more');
  leaves(() => {
    a.channel.start(systemClock.monotonicMs());
    a.channel.giveUp();
  }, 'the fallback');
  leaves(() => {
    others.disarm();
    move(3);
  }, 'not armed');
  others.close();
  move(4);
  assert.equal(perform(), true, 'no view of this builder is left');
});

test('a fallback that stays, a channel without a page and one that is too old are shown as the builder shows them', needsAddon, () => {
  const { sources, perform, build, arm, isShown, reader } = view();
  const [a, b] = sources;
  reader.use(systemClock.monotonicMs());
  const again = (): void => {
    for (let i = 0; i < 2; i++) build();
    arm();
    a.run(samplesOf(systemClock.monotonicMs())[0]);
    assert.equal(perform(), true);
    isShown();
  };
  a.run(samplesOf(1)[0]);
  again();
  b.channel.start(systemClock.monotonicMs());
  b.channel.giveUp();
  again();
  b.channel.expireAfter(1000);
  b.run(samplesOf(1)[1], systemClock.monotonicMs() - 1001);
  again();
});

test('pages in the hands of readers are not filled, idle views are not built, gzip is for the builder to begin', needsAddon, () => {
  const { move, perform, build, arm, reader, target } = steady(false);
  // As generations are that have been filled before.
  for (let generation = 0; generation < GENERATIONS; generation++) target.page(generation).reserve(1 << 16);
  build();
  arm();
  const held = Array.from({ length: GENERATIONS }, () => {
    const response = reader.open(false, 0);
    const bytes = Buffer.concat(response.parts).toString();
    move(performance.now());
    return { response, bytes, isDone: perform() };
  });
  assert.deepEqual(
    held.map(({ isDone }) => isDone),
    [...Array.from({ length: GENERATIONS - 1 }, () => true), false],
  );
  for (const { response, bytes } of held) {
    assert.equal(Buffer.concat(response.parts).toString(), bytes);
    response.release();
  }
  assert.equal(perform(), true, 'there is room again');
  const builds = target.figures()?.builds as number;
  reader.use(systemClock.monotonicMs() - IDLE_MS - 1000);
  move(8);
  assert.equal(perform(), true);
  assert.equal(target.figures()?.builds, builds, 'idle');
  reader.use(systemClock.monotonicMs());
  reader.wantGzip();
  assert.equal(perform(), false);
});

test('lists that point outside their arrays are refused', needsAddon, () => {
  const { merger, target, others } = steady();
  const plan = { ...merger.plan, ...target.buffers, deflater: undefined };
  assert.throws(() => others.arm({ ...plan, missing: Int32Array.of(2, 0) }), TypeError);
  assert.throws(() => others.arm({ ...plan, order: plan.order.subarray(1) }), TypeError);
  assert.throws(() => others.arm({ ...plan, entries: plan.entries.map((entry) => ({ ...entry, role: 2 })) }), TypeError);
  assert.throws(() => others.arm({ ...plan, entries: plan.entries.map((entry) => ({ ...entry, words: entry.words.subarray(0, 2) })) }), TypeError);
});
