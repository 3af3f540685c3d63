import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { randomFrom } from '../../test/support/random.ts';
import { Channel, type ChannelMemory, EMPTY_PAGE, fixedPage, makeChannel } from '../collect/channel.ts';
import { Sheet } from '../collect/sheet.ts';
import { PLAIN } from '../collect/variant.ts';
import { type Family, family } from '../model/family.ts';
import { loadReaders } from '../readers/load.ts';
import { addonPath, nativeReaders } from '../readers/native.ts';
import { type GrowingPage, Merger, TIME_FAMILY, TIME_TEXT } from './merge.ts';
import { crcAdvance, crcOfDifference, gzipPage, writeTime } from './splice.ts';
import { GENERATIONS, makeView, ViewReader, ViewTarget } from './view.ts';

const readers = loadReaders();
const LIMITS = { maxSeries: 100_000, maxBytes: 1 << 24 };

function growing(): GrowingPage & { text(bytes: number): string } {
  const memory = new SharedArrayBuffer(0, { maxByteLength: 1 << 24 });
  const bytes = new Uint8Array(memory);
  return {
    bytes,
    reserve(wanted) {
      if (wanted > memory.byteLength) memory.grow(wanted);
      return true;
    },
    text: (length) => Buffer.from(bytes.slice(0, length)).toString(),
  };
}

/** A channel whose runs are given as lists of samples. */
function source(memory: ChannelMemory = makeChannel([PLAIN], 1 << 20, [EMPTY_PAGE])) {
  const channel = new Channel(memory);
  const sheet = new Sheet(readers, LIMITS);
  let now = 0;
  return {
    memory,
    channel,
    sheet,
    run(samples: readonly (readonly [Family, readonly string[], number])[]) {
      now += 10;
      sheet.begin();
      channel.start(now);
      for (const [of, labels, value] of samples) sheet.sample(of, labels, value);
      return channel.publish(sheet, 'ok', now + 1, 0);
    },
  };
}

const up = family('up_success', 'gauge', 'Shared by two collectors.', ['collector']);
const one = family('one', 'gauge', 'One.');
const two = family('two', 'counter', 'Two.');

test('merging shows each family once, in byte order, with the samples of all channels', () => {
  const a = source();
  const b = source();
  a.run([
    [up, ['a'], 1],
    [two, [], 2],
  ]);
  b.run([
    [up, ['b'], 0],
    [one, [], 1],
  ]);
  const merger = new Merger(
    [
      { channel: a.channel, variant: 0, role: 0 },
      { channel: b.channel, variant: 0, role: 1 },
    ],
    2,
    () => assert.fail('no conflict'),
  );
  const page = growing();
  const merged = merger.merge(page, 20);
  assert.equal(
    page.text(merged.bytes),
    '# HELP one One.\n# TYPE one gauge\none 1\n# HELP two Two.\n# TYPE two counter\ntwo 2\n# HELP up_success Shared by two collectors.\n# TYPE up_success gauge\nup_success{collector="a"} 1\nup_success{collector="b"} 0\n',
  );
  assert.equal(merged.series, 4);
  assert.deepEqual([...merger.oldestMs], [10, 10]);
});

test('a family that appears later is merged in its place; another TYPE is dropped and told, another HELP keeps the first', () => {
  const a = source();
  const b = source();
  const conflicts: string[] = [];
  const merger = new Merger(
    [
      { channel: a.channel, variant: 0, role: 0 },
      { channel: b.channel, variant: 0, role: 0 },
    ],
    1,
    (name, kept, dropped) => conflicts.push(`${name} ${kept} ${dropped}`),
  );
  const page = growing();
  a.run([
    [two, [], 1],
    [one, [], 1],
  ]);
  a.run([[two, [], 1]]);
  b.run([
    [family('two', 'gauge', 'Other.'), [], 9],
    [family('up_success', 'gauge', 'Other words.', ['collector']), ['b'], 1],
  ]);
  assert.doesNotMatch(page.text(merger.merge(page, 20).bytes), /one|two 9/);
  a.run([
    [one, [], 5],
    [up, ['a'], 1],
  ]);
  const text = page.text(merger.merge(page, 40).bytes);
  assert.match(text, /^# HELP one One\.\n# TYPE one gauge\none 5\n/);
  assert.match(text, /# HELP up_success Shared by two collectors\.\n# TYPE up_success gauge\nup_success\{collector="a"\} 1\nup_success\{collector="b"\} 1\n/);
  assert.equal(conflicts[0], 'two counter gauge');
});

test('a run that is given up shows the fallback at once and until a later run has ended; its late end is not used', () => {
  const sheet = new Sheet(readers, LIMITS);
  sheet.begin();
  sheet.sample(up, ['x'], 0);
  const { channel, run, sheet: samples } = source(makeChannel([PLAIN], 1 << 20, [fixedPage(sheet, PLAIN)]));
  const merger = new Merger([{ channel, variant: 0, role: 0 }], 1, () => undefined);
  const page = growing();
  const show = (): string => page.text(merger.merge(page, 50).bytes).split('\n').at(-2) ?? '';
  assert.equal(show(), '');
  run([[up, ['x'], 1]]);
  assert.equal(show(), 'up_success{collector="x"} 1');
  samples.begin();
  channel.start(100);
  samples.sample(up, ['x'], 7);
  assert.equal(show(), 'up_success{collector="x"} 1', 'the last page while a run is under way');
  assert.equal(channel.giveUp(), true);
  assert.equal(show(), 'up_success{collector="x"} 0');
  assert.equal(channel.publish(samples, 'ok', 101, 0), false);
  assert.equal(show(), 'up_success{collector="x"} 0');
  channel.start(200);
  assert.equal(show(), 'up_success{collector="x"} 0', 'no old samples while the next run is under way');
  run([[up, ['x'], 2]]);
  assert.equal(show(), 'up_success{collector="x"} 2');
  assert.equal(channel.failures('timeout'), 1);
  assert.equal(channel.figures().late, 1);
});

test('nothing older than the bound is shown', () => {
  const { channel, run } = source();
  run([[one, [], 1]]);
  channel.expireAfter(1000);
  const merger = new Merger([{ channel, variant: 0, role: 0 }], 1, () => undefined);
  const page = growing();
  assert.ok(merger.merge(page, 1000).bytes > 0);
  assert.equal(merger.merge(page, 1011).bytes, 0);
});

test('only the families asked for', () => {
  const { channel, run } = source();
  run([
    [one, [], 1],
    [two, [], 2],
  ]);
  const merger = new Merger([{ channel, variant: 0, role: 0 }], 1, () => undefined, ['two']);
  const page = growing();
  assert.equal(page.text(merger.merge(page, 20).bytes), '# HELP two Two.\n# TYPE two counter\ntwo 2\n');
});

const time = family(TIME_FAMILY, 'gauge', 'Time.');

/** A view built once from these families, as the builder does it. */
function built(gzip: boolean, big = 0) {
  const { channel, run } = source();
  run([[one, [], 1], [time, [], 12.5], [two, [], 2], ...Array.from({ length: big }, (_, i) => [up, [`collector ${i}`], i] as const)]);
  const merger = new Merger([{ channel, variant: 0, role: 0 }], 1, () => undefined);
  const memory = makeView(1);
  const target = new ViewTarget(memory);
  const build = (): boolean => {
    const generation = target.free();
    if (generation < 0) return false;
    const page = target.page(generation);
    const merged = merger.merge(page, 20);
    const zipped = gzip ? gzipPage(readers, page.bytes.subarray(0, merged.bytes), merged.timeAt, target.gzip(generation)) : undefined;
    target.publish(
      generation,
      { ...merged, gzipBytes: zipped?.bytes ?? 0, gzipTimeAt: zipped?.timeAt ?? -1, crc: zipped?.crc ?? 0, oldestMs: merger.oldestMs, version: merger.version },
      20,
      0.001,
    );
    return true;
  };
  return { memory, build, reader: new ViewReader(memory, () => 0) };
}

const joined = (parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)));

test('the time on a page is that of the response, identity and gzip alike, alone and beside other readers', () => {
  for (const big of [0, 3000]) {
    const { build, reader } = built(true, big);
    build();
    const at = (wallMs: number, gzip: boolean) => {
      const response = reader.open(gzip, wallMs);
      const bytes = joined(response.parts);
      assert.equal(bytes.length, response.length);
      return { response, text: (gzip ? gunzipSync(bytes) : bytes).toString() };
    };
    const first = at(1763736255123, false);
    assert.match(first.text, /\nnode_time_seconds 1\.763736255123e\+09\n/);
    const second = at(1763736299999, true);
    assert.equal(second.text, first.text.replace('1.763736255123e+09', '1.763736299999e+09'), 'while another reader has it');
    first.response.release();
    second.response.release();
    const third = at(1763736300001, true);
    assert.equal(third.text, first.text.replace('1.763736255123e+09', '1.763736300001e+09'), 'alone, written in place');
    third.response.release();
    const again = at(1763736300777, true);
    assert.match(again.text, /1\.763736300777e\+09/);
    again.response.release();
  }
});

test('a response that was released serves the next reader; one that is held is left alone', () => {
  const { build, reader } = built(false);
  build();
  const text = (wallMs: number) => {
    const response = reader.open(false, wallMs);
    return { response, text: joined(response.parts).toString() };
  };
  const first = text(1763736255123);
  first.response.release();
  const second = text(1763736255124);
  assert.equal(second.response, first.response);
  const third = text(1763736255125);
  assert.notEqual(third.response, second.response, 'while the second is held');
  second.response.release();
  second.response.release();
  assert.equal(build(), true);
  assert.equal(build(), true);
  assert.equal(build(), true);
  assert.equal(build(), true, 'of four generations one is current and one held');
  const last = text(1763736255999);
  for (const [one, wall] of [
    [first, 123],
    [second, 124],
    [third, 125],
    [last, 999],
  ] as const)
    assert.match(one.text, new RegExp(`\\nnode_time_seconds 1\\.763736255${wall}e\\+09\\n`));
  last.response.release();
  third.response.release();
});

test('a pinned generation is never filled again; with all pinned there is no room until a reader is cut', () => {
  const { build, reader } = built(false);
  build();
  const cuts: number[] = [];
  const responses = Array.from({ length: GENERATIONS }, (_, i) => {
    const response = reader.open(false, 1e12 + i);
    response.waiting(() => {
      cuts.push(i);
      response.release();
    });
    const isBuilt = build();
    assert.equal(isBuilt, i < GENERATIONS - 1, `build ${i}`);
    return response;
  });
  const texts = responses.map((response) => joined(response.parts).toString());
  for (const [i, text] of texts.entries()) assert.match(text, new RegExp(`node_time_seconds 1\\.00000000000${i}e\\+09`));
  assert.equal(reader.cutSlow(1, 1e9, true), 1);
  assert.deepEqual(cuts, [0], 'the readers of the generation built first');
  assert.equal(build(), true);
  assert.equal(reader.cutSlow(2e9, 1e9, false), GENERATIONS - 1, 'readers slower than the bound');
});

test('the checksum of a changed page follows from the change alone', () => {
  for (const length of [18, 19, 100, 4096, 70_001]) {
    const a = Buffer.alloc(length, 'abcdefg');
    const b = Buffer.from(a);
    const changeAt = Math.min(3, length - 18);
    b.write('1.234567890123e+09', changeAt);
    const difference = crcAdvance(crcOfDifference(a.subarray(changeAt, changeAt + 18), b.subarray(changeAt, changeAt + 18)), length - changeAt - 18);
    const trailer = (bytes: Buffer): number => {
      const page = growing();
      return gzipPage(readers, bytes, -1, page)?.crc ?? 0;
    };
    assert.equal((trailer(a) ^ difference) >>> 0, trailer(b));
  }
});

test('the fixed-width time is the time', () => {
  for (const wallMs of [0, 1, 999, 1763736255123, 9999999999999]) {
    const out = new TextEncoder().encode(TIME_TEXT);
    writeTime(wallMs, out, 0);
    assert.equal(Number(new TextDecoder().decode(out)), wallMs / 1000);
  }
});

test('the addon merges as the merger itself does', { skip: addonPath() === undefined }, () => {
  const random = randomFrom(5);
  const sources = [source(), source(), source()];
  const time = family('node_time_seconds', 'gauge', 'Time.');
  const entries = sources.map(({ channel }) => ({ channel, variant: 0, role: 0 }));
  const fail = (): never => assert.fail('no conflict');
  const slow = new Merger(entries, 1, fail);
  const fast = new Merger(entries, 1, fail, undefined, nativeReaders().merge);
  const pages = [growing(), growing()] as const;
  for (let step = 0; step < 200; step++) {
    for (const [i, each] of sources.entries()) {
      const samples: [typeof one, string[], number][] = [];
      if (random() < 0.7) samples.push([up, [String(i)], random()]);
      if (i === 0 && random() < 0.8) samples.push([one, [], random()], [time, [], random() * 2e9]);
      if (i === 1 && random() < 0.8) samples.push([two, [], Math.floor(random() * 1e6)]);
      each.run(samples);
    }
    const [expected, found] = [slow.merge(pages[0], 20), fast.merge(pages[1], 20)];
    assert.deepEqual(found, expected);
    assert.equal(pages[1].text(found.bytes), pages[0].text(expected.bytes), `step ${step}`);
  }
});
