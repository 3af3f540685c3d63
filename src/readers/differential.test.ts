/** The addon against the reference: same answers on every fixture, every prefix of it, and on damaged copies. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { diceFrom } from '../../test/support/random.ts';
import { formatNumber } from '../model/number.ts';
import { addonPath, nativeReaders } from './native.ts';
import { INDEX_WORDS, type PagePlan, ReaderError, type Readers, type Source, type SourceFormat, type SourceSet } from './readers.ts';
import { referenceReaders } from './reference.ts';

const skip = addonPath() === undefined ? 'the addon is not built (no C++ compiler?)' : false;

const FORMATS: readonly SourceFormat[] = [
  {},
  { delimiters: ':' },
  { delimiters: '=:/' },
  { delimiters: '=:/,;-.' },
  { delimiters: ':=', keys: 1 },
  { keys: 2, reopen: true },
  { hex: true },
  { delimiters: '=,', keys: 1, hex: true },
  { text: true, delimiters: ' \n5' },
  { attribute: true },
  { keys: 1, record: true },
];

const SPECIAL = Buffer.from(' \t\n0123456789-.xX:=/,eE\r\0\xff', 'latin1');

/** One to four bytes set, put in or taken out. */
function mutate(text: Buffer, roll: (below: number) => number): Buffer {
  let bytes = [...text];
  for (let left = 1 + roll(4); left > 0; left -= 1) {
    const byte = roll(2) === 0 ? (SPECIAL[roll(SPECIAL.length)] ?? 0) : roll(256);
    const at = roll(bytes.length + 1);
    const kind = roll(3);
    bytes = [...bytes.slice(0, at), ...(kind === 1 ? [] : [byte]), ...bytes.slice(kind === 0 ? at : at + 1)];
  }
  return Buffer.from(bytes);
}

type Answer =
  | { readonly changed: boolean; readonly bits: readonly bigint[]; readonly text: string; readonly rows: unknown }
  | { readonly code: string; readonly path: string; readonly message: string };

/** Numbers as bit patterns: -0 is not 0 here. */
function bitsOf(numbers: Float64Array): bigint[] {
  return [...new BigUint64Array(numbers.slice().buffer)];
}

function answer(source: Source): Answer {
  try {
    const changed = source.scan();
    return { changed, bits: bitsOf(source.numbers.subarray(0, source.count)), text: source.text(), rows: source.rows() };
  } catch (error) {
    if (!(error instanceof ReaderError)) throw error;
    return { code: error.code, path: error.path, message: error.message };
  }
}

function setAnswer(set: SourceSet, members: number): unknown {
  set.scan();
  const status = [...set.status.subarray(0, members)];
  return status.map((code, member) => {
    const start = set.start[member] ?? 0;
    return { code, start, bits: bitsOf(set.numbers.subarray(start, start + (set.counts[member] ?? 0))) };
  });
}

const fixtureFolder = join(addonPath() ?? '', '..', '..', 'tests', 'fixtures');

describe('native and reference agree', { skip }, () => {
  let native: Readers;
  let reference: Readers;
  let folder: string;
  let path: string;

  before(() => {
    native = nativeReaders();
    reference = referenceReaders();
    folder = mkdtempSync(join(tmpdir(), 'exporterd-readers-'));
    path = join(folder, 'source');
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Scans each text through kept sources of every format, so that the changed bits form one sequence. */
  function compare(texts: Iterable<Buffer>, formats = FORMATS): void {
    writeFileSync(path, '');
    const pairs = formats.map((format) => ({ format, ours: native.source(path, format), theirs: reference.source(path, format) }));
    for (const text of texts) {
      writeFileSync(path, text);
      for (const { format, ours, theirs } of pairs) {
        const expected = answer(theirs);
        assert.deepEqual(answer(ours), expected, `${JSON.stringify(format)} ${JSON.stringify(text.toString('latin1'))}`);
      }
    }
    for (const { ours, theirs } of pairs) {
      ours.close();
      theirs.close();
    }
  }

  for (const [seed, name] of skip === false ? readdirSync(fixtureFolder).entries() : []) {
    const whole = readFileSync(join(fixtureFolder, name));

    test(`${name}: whole, prefixes and damaged copies`, () => {
      compare([whole, whole]);
      // Long files in steps: the reference cuts some megabytes a second.
      const step = Math.max(1, Math.ceil(whole.length / 120));
      const prefixes: Buffer[] = [];
      for (let length = 0; length < whole.length; length += step) prefixes.push(whole.subarray(0, length));
      compare(prefixes);
      const roll = diceFrom(seed);
      // Each copy twice with the sound text between: changed, unchanged, changed back.
      compare(Array.from({ length: 30 }, () => mutate(whole, roll)).flatMap((copy) => [copy, copy, whole]));
    });

    test(`${name}: numbers that move do not change the shape`, () => {
      const roll = diceFrom(seed);
      const moved = Array.from({ length: 20 }, () =>
        Buffer.from(
          whole.toString('latin1').replace(/\d+/g, () => String(roll(10 ** roll(10)))),
          'latin1',
        ),
      );
      compare(moved);
    });
  }

  test('every prefix of a nasty text', () => {
    const nasty = Buffer.from('a=1 -2.50\t18446744073709551616\n 5 0x1f \r\xe9\xc3\xa9:7\n\n12345678 123456789\n', 'latin1');
    compare(Array.from({ length: nasty.length + 1 }, (_, length) => nasty.subarray(0, length)));
  });

  test('too large, gone and never there', () => {
    const limits = { largestTextBytes: 1000 };
    const [ours, theirs] = [nativeReaders(limits).source(path), referenceReaders(limits).source(path)];
    for (const text of ['x'.repeat(1000), 'x'.repeat(1001), '1', '1', '2'.repeat(70_000), '']) {
      writeFileSync(path, text);
      assert.deepEqual(answer(ours), answer(theirs));
    }
    for (const bad of [join(folder, 'missing'), join(path, 'below-a-file'), folder, `${folder}/${'x'.repeat(300)}`]) {
      assert.deepEqual(answer(native.source(bad)), answer(reference.source(bad)));
    }
    ours.close();
    theirs.close();
  });

  test('sets: members of all kinds, removed and added again', () => {
    const files = Array.from({ length: 40 }, (_, i) => join(folder, `member-${i}`));
    for (const [i, file] of files.entries()) {
      if (i % 7 !== 3) writeFileSync(file, `k${i} ${'5 '.repeat(i)}\n`);
    }
    for (const format of FORMATS) {
      const ours = native.set(format);
      const theirs = reference.set(format);
      for (const file of files) assert.equal(ours.add(file), theirs.add(file));
      for (let round = 0; round < 4; round += 1) {
        assert.deepEqual(setAnswer(ours, files.length), setAnswer(theirs, files.length));
        assert.deepEqual(ours.rows(1), theirs.rows(1));
        assert.deepEqual(setAnswer(ours, files.length), setAnswer(theirs, files.length));
        for (const set of [ours, theirs]) {
          set.remove(5);
          set.remove(round);
        }
        assert.deepEqual(setAnswer(ours, files.length), setAnswer(theirs, files.length));
        for (const file of files.slice(0, 2)) assert.equal(ours.add(file), theirs.add(file));
        writeFileSync(files[9] ?? '', `round ${round} ${'1 '.repeat(100 * round)}`);
      }
      for (const set of [ours, theirs]) set.close();
      assert.deepEqual(setAnswer(ours, files.length), setAnswer(theirs, files.length));
      for (const set of [ours, theirs]) set.close();
    }
  });

  test('machine names', () => {
    assert.deepEqual(native.uname(), reference.uname());
  });

  test('mounts that answer', () => {
    const paths = ['/', '/proc', '/sys', '/dev', join(folder, 'missing'), join(path, 'below-a-file')];
    writeFileSync(path, '');
    const all = [native.mounts(), reference.mounts()].map((mounts) => {
      mounts.paths(paths);
      mounts.run(60_000);
      // Free space and inodes move between the two calls.
      const still = mounts.numbers.filter((_, i) => ![2, 3, 5].includes(i % 7));
      return { status: [...mounts.status], still: [...still] };
    });
    assert.deepEqual(all[0], all[1]);
    assert.deepEqual(all[0]?.status, [0, 0, 0, 0, 2, 20]);
  });
});

describe('pages', { skip }, () => {
  interface Case {
    plan: PagePlan;
    values: Float64Array;
    stamps: Uint32Array;
  }

  function randomCase(roll: (below: number) => number): Case {
    const slots = 1 + roll(20);
    const families = roll(6);
    const ops: number[] = [];
    const blob: string[] = [];
    for (let family = 0; family < families; family += 1) {
      const header = '# h\n'.repeat(roll(4));
      const series = roll(5);
      ops.push(header.length, series);
      blob.push(header);
      for (let i = 0; i < series; i += 1) {
        const prefix = `${'n'.repeat(roll(12))} `;
        ops.push(prefix.length, roll(slots));
        blob.push(prefix);
      }
    }
    const bits = new BigUint64Array(slots);
    for (let i = 0; i < slots; i += 1) bits[i] = (BigInt(roll(2 ** 32)) << 32n) | BigInt(roll(2 ** 32));
    const values = new Float64Array(bits.buffer);
    for (let i = 0; i < slots; i += 2) values[i] = roll(2 ** 31) / 10 ** roll(6);
    return {
      plan: { blob: new TextEncoder().encode(blob.join('')), ops: Uint32Array.from(ops), families },
      values,
      stamps: Uint32Array.from({ length: slots }, () => roll(2)),
    };
  }

  function encode(readers: Readers, { plan, values, stamps }: Case, room: number): unknown {
    const page = new Uint8Array(room);
    const index = new Uint32Array(plan.families * INDEX_WORDS).fill(7);
    const result = readers.encode(plan, values, stamps, 1, page, index);
    const written = index.reduce((end, word, i) => (i % INDEX_WORDS === 0 ? Math.max(end, word + (index[i + 1] ?? 0) + (index[i + 2] ?? 0)) : end), 0);
    return { result, index: [...index], page: Buffer.from(page.subarray(0, written)).toString('latin1') };
  }

  test('random plans, every page size', () => {
    const native = nativeReaders();
    const reference = referenceReaders();
    const roll = diceFrom(3);
    for (let i = 0; i < 150; i += 1) {
      const one = randomCase(roll);
      const whole = reference.encode(one.plan, one.values, one.stamps, 1, new Uint8Array(0), new Uint32Array(one.plan.families * INDEX_WORDS));
      const wanted = whole === 0 ? 0 : -whole - 1;
      for (let room = 0; room <= wanted + 30; room += 1) {
        assert.deepEqual(encode(native, one, room), encode(reference, one, room), `case ${i}, room ${room}`);
      }
    }
  });

  test('a page over a growable SharedArrayBuffer', () => {
    const shared = new SharedArrayBuffer(4, { maxByteLength: 4096 });
    const page = new Uint8Array(shared);
    const plan: PagePlan = { blob: Buffer.from('# H\nm '), ops: Uint32Array.from([4, 1, 2, 0]), families: 1 };
    const values = Float64Array.of(1.5e9);
    for (const readers of [nativeReaders(), referenceReaders()]) {
      const index = new Uint32Array(INDEX_WORDS);
      if (readers.native) {
        assert.equal(readers.encode(plan, values, Uint32Array.of(1), 1, page, index), -15);
        shared.grow(4096);
      }
      assert.equal(readers.encode(plan, values, Uint32Array.of(1), 1, page, index), 14);
      assert.equal(Buffer.from(page.slice(0, 14)).toString(), '# H\nm 1.5e+09\n');
      assert.deepEqual([...index], [0, 4, 10, 1]);
    }
  });

  test('plans that point outside are refused', () => {
    const good: PagePlan = { blob: Buffer.from('# H\nm '), ops: Uint32Array.from([4, 1, 2, 0]), families: 1 };
    const bad: PagePlan[] = [
      { ...good, blob: good.blob.subarray(0, 5) },
      { ...good, ops: good.ops.subarray(0, 3) },
      { ...good, ops: Uint32Array.from([4, 1, 2, 1]) },
      { ...good, ops: Uint32Array.from([4, 0xffffffff, 2, 0]) },
      { ...good, families: 2 },
    ];
    for (const readers of [nativeReaders(), referenceReaders()]) {
      for (const plan of bad) {
        const call = (): number => readers.encode(plan, Float64Array.of(1), Uint32Array.of(1), 1, new Uint8Array(99), new Uint32Array(INDEX_WORDS));
        assert.throws(call, RangeError);
      }
    }
  });

  test('a million random doubles are printed alike', () => {
    const native = nativeReaders();
    const roll = diceFrom(11);
    const slots = 10_000;
    const plan: PagePlan = {
      blob: new Uint8Array(0),
      ops: Uint32Array.from([0, slots, ...Array.from({ length: slots }, (_, slot) => [0, slot]).flat()]),
      families: 1,
    };
    const words = new Uint32Array(slots * 2);
    const values = new Float64Array(words.buffer);
    const stamps = new Uint32Array(slots);
    const page = new Uint8Array(slots * 32);
    for (let round = 0; round < 100; round += 1) {
      for (let i = 0; i < words.length; i += 1) words[i] = roll(2 ** 32);
      // Half of them where kernel values lie: integers and short decimals.
      for (let i = 0; i < slots; i += 2) values[i] = Math.round((values[i + 1] ?? 0) % 1e12) / 10 ** (i % 8);
      const length = native.encode(plan, values, stamps, 0, page, new Uint32Array(INDEX_WORDS));
      const expected = Array.from(values, (value) => `${formatNumber(value)}\n`).join('');
      assert.equal(Buffer.from(page.subarray(0, length)).toString('latin1'), expected);
    }
  });
});
