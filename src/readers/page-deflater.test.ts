import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, gunzipSync } from 'node:zlib';
import { randomFrom } from '../../test/support/random.ts';
import { addonPath, nativeReaders } from './native.ts';
import type { PageDeflater } from './readers.ts';

const skip = addonPath() === undefined ? 'the native readers are not built' : false;

const NUMBERS = ['0', '1', '12', '+Inf', 'NaN', '-Inf', '1.763736255123e+09', '2.5e-05', '123456', '0.25'];

/** Series of a page: families of different sizes, label values that repeat and some that do not. */
function seriesOf(families: number, random: () => number): string[] {
  const series: string[] = [];
  for (let family = 0; family < families; family++) {
    const name = `some_family_${family}_total`;
    series.push(`# HELP ${name} What is counted by ${family % 7}.\n# TYPE ${name} counter\n`);
    for (let i = 0; i <= random() * 8; i++) series.push(`${name}{device="eth${i}",id="${Math.floor(random() * 1e9).toString(36)}"} `);
  }
  return series;
}

function pageOf(series: readonly string[], random: () => number): string {
  return series
    .map((text) =>
      text.startsWith('#') ? text : `${text}${NUMBERS[Math.floor(random() * NUMBERS.length)]}${random() < 0.3 ? Math.floor(random() * 1e6) : ''}\n`,
    )
    .join('');
}

/** Undefined when the deflater does not know the text. */
function gzip(deflater: PageDeflater, page: Uint8Array, holeAt = -1, holeBytes = 0): { form: Uint8Array; holeAt: number; crc: number } | undefined {
  const output = new Uint8Array(page.length * 2 + 1024);
  const results = new Float64Array(3);
  if (!deflater.gzip(page, holeAt, holeBytes, output, results)) return undefined;
  return { form: output.subarray(0, results[0]), holeAt: results[1] as number, crc: results[2] as number };
}

function deflaterOf(): PageDeflater {
  return nativeReaders().pageDeflater() as PageDeflater;
}

test('a text is learnt when it comes twice; from then on every page of it is compressed', { skip }, () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomFrom(seed);
    const deflater = deflaterOf();
    // The last ones are far larger than the window of deflate.
    const series = seriesOf(seed < 18 ? seed * 3 : 2000, random);
    for (let step = 0; step < 12; step++) {
      const page = Buffer.from(pageOf(series, random));
      const found = gzip(deflater, page);
      if (step === 0) {
        assert.equal(found, undefined);
        continue;
      }
      assert.ok(found !== undefined, `seed ${seed}, step ${step}`);
      assert.deepEqual(gunzipSync(found.form), page);
      assert.equal(found.crc, crc32(page));
      assert.ok(found.form.length < page.length, `${found.form.length} of ${page.length}`);
    }
  }
});

test('another text is refused once, then learnt', { skip }, () => {
  const random = randomFrom(7);
  const deflater = deflaterOf();
  let series: readonly string[] = [];
  for (let step = 0; step < 20; step++) {
    const isNew = step % 4 === 0;
    if (isNew) series = seriesOf(40, random).map((text) => text.replaceAll('some', `some_${step}`));
    const page = Buffer.from(pageOf(series, random));
    const found = gzip(deflater, page);
    assert.equal(found === undefined, isNew, `step ${step}`);
    if (found !== undefined) assert.deepEqual(gunzipSync(found.form), page);
  }
});

test('lines come and go in what was learnt, first ones of families and sources of copies too', { skip }, () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomFrom(seed);
    const deflater = deflaterOf();
    const series = seriesOf(20, random);
    gzip(deflater, Buffer.from(pageOf(series, random)));
    gzip(deflater, Buffer.from(pageOf(series, random)));
    for (let step = 0; step < 60; step++) {
      const shown = series.filter(() => random() < 0.98);
      if (step % 4 === 0) shown.splice(Math.floor(random() * shown.length), 0, `more_${step}{a="b"} `);
      const page = Buffer.from(pageOf(shown, random));
      const found = gzip(deflater, page);
      // What families begin with changes when lines of it go: there is an end to what can be added to what was learnt.
      if (found === undefined) assert.ok(step > 10, `seed ${seed}, step ${step}`);
      else assert.deepEqual(gunzipSync(found.form), page);
    }
  }
});

test('what was learnt and has served is learnt anew when too much was added, and costs no size until then', { skip }, () => {
  const random = randomFrom(11);
  const deflater = deflaterOf();
  const line = (id: number): string => `some_family_total{container="${Math.floor(id * 1e9).toString(36)}",device="eth0"} `;
  const ids = Array.from({ length: 200 }, random);
  gzip(deflater, Buffer.from(pageOf(ids.map(line), randomFrom(1))));
  for (let step = 0; step < 300; step++) {
    // One comes and one goes in each page, after which nothing is as it was.
    ids.splice(Math.floor(random() * ids.length), 1);
    ids.splice(Math.floor(random() * ids.length), 0, random());
    const page = Buffer.from(pageOf(ids.map(line), randomFrom(step)));
    if (step === 0) gzip(deflater, page);
    const found = gzip(deflater, page);
    assert.ok(found !== undefined, `step ${step}`);
    assert.deepEqual(gunzipSync(found.form), page);
    const fresh = deflaterOf();
    gzip(fresh, page);
    const { form } = gzip(fresh, page) ?? assert.fail('not learnt');
    assert.ok(found.form.length < form.length * 1.3, `step ${step}: ${found.form.length} instead of ${form.length} bytes`);
  }
});

test('the hole stands in the form as it is, and can be written over', { skip }, () => {
  const random = randomFrom(3);
  const deflater = deflaterOf();
  const series = seriesOf(10, random);
  const hole = '0.000000000000e+09';
  for (let step = 0; step < 10; step++) {
    const before = `${pageOf(series, random)}# TYPE time gauge\ntime `;
    const page = Buffer.from(`${before}${hole}\n${pageOf(series, random)}`);
    const found = gzip(deflater, page, before.length, hole.length);
    if (step === 0) continue;
    assert.ok(found !== undefined);
    assert.deepEqual(gunzipSync(found.form), page);
    assert.equal(Buffer.from(found.form).toString('latin1', found.holeAt, found.holeAt + hole.length), hole);
    const other = Buffer.from(page);
    other.write('1.763736255123e+09', before.length, 'latin1');
    const form = Buffer.from(found.form);
    form.write('1.763736255123e+09', found.holeAt, 'latin1');
    form.writeUInt32LE(crc32(other), form.length - 8);
    assert.deepEqual(gunzipSync(form), other);
  }
});

test('texts that are no pages, and too little room', { skip }, () => {
  for (const text of ['', '\n', 'a', ' ', '1', 'a 1', '# x', '#\n\n\n', 'a  \n', 'é{ü="ö"} 1\n'.repeat(50), '\0'.repeat(5000), 'x'.repeat(70_000)]) {
    const deflater = deflaterOf();
    const page = Buffer.from(text);
    gzip(deflater, page);
    const found = gzip(deflater, page);
    assert.ok(found !== undefined, JSON.stringify(text.slice(0, 20)));
    assert.deepEqual(gunzipSync(found.form), page);
    const results = new Float64Array(3);
    for (const room of [0, 1, 10, 17, found.form.length - 1]) {
      assert.equal(deflater.gzip(page, -1, 0, new Uint8Array(room), results), false);
    }
  }
  assert.throws(() => deflaterOf().gzip(Buffer.from('a 1\n'), 3, 5, new Uint8Array(100), new Float64Array(3)), TypeError);
});

test('a number with bytes that none had before is learnt at once', { skip }, () => {
  const deflater = deflaterOf();
  gzip(deflater, Buffer.from('a 1\n'));
  gzip(deflater, Buffer.from('a 2\n'));
  const page = Buffer.from('a ~?\n');
  assert.deepEqual(gunzipSync(gzip(deflater, page)?.form ?? Buffer.alloc(0)), page);
});
