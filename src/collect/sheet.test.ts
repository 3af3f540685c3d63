import assert from 'node:assert/strict';
import { test } from 'node:test';
import { family } from '../model/family.ts';
import { referenceReaders } from '../readers/reference.ts';
import { Sheet } from './sheet.ts';
import { PLAIN, type Variant } from './variant.ts';

const readers = referenceReaders();
const temperature = family('b_celsius', 'gauge', 'Temperature.', ['sensor', 'chip']);
const boots = family('a_boots_total', 'counter', 'Boots.');
const LIMITS = { maxSeries: 1000, maxBytes: 1 << 20 };

function sheet(limits = LIMITS): Sheet {
  const made = new Sheet(readers, limits);
  made.begin();
  return made;
}

test('families come in byte order, series in the order of their label values, labels in wire order', () => {
  const page = sheet();
  page.sample(temperature, ['chip1', 'b'], 2);
  page.sample(temperature, ['chip1', 'a'], 1.5);
  page.sample(temperature, ['chip0', 'z'], 1e6);
  page.sample(boots, [], 3);
  assert.equal(
    page.text(),
    '# HELP a_boots_total Boots.\n# TYPE a_boots_total counter\na_boots_total 3\n' +
      '# HELP b_celsius Temperature.\n# TYPE b_celsius gauge\n' +
      'b_celsius{chip="chip0",sensor="z"} 1e+06\nb_celsius{chip="chip1",sensor="a"} 1.5\nb_celsius{chip="chip1",sensor="b"} 2\n',
  );
});

test('a series that is not set in a run is absent from its page, and a family without series too', () => {
  const page = sheet();
  page.sample(temperature, ['c', 's'], 1);
  page.sample(boots, [], 1);
  page.begin();
  page.sample(boots, [], 2);
  assert.equal(page.text(), '# HELP a_boots_total Boots.\n# TYPE a_boots_total counter\na_boots_total 2\n');
});

test('the second sample of a series in one run is refused and counted', () => {
  const page = sheet();
  assert.equal(page.sample(boots, [], 1), true);
  assert.equal(page.sample(boots, [], 2), false);
  assert.equal(page.counts.duplicates, 1);
  assert.match(page.text(), /\na_boots_total 1\n/);
});

test('label values are escaped, and sorted as their UTF-8 bytes', () => {
  const page = sheet();
  page.sample(temperature, ['\u{1f600}', 'x'], 1);
  page.sample(temperature, ['\uffee', 'x'], 2);
  page.sample(temperature, ['a"b\\c\nd', 'x'], 3);
  const values = page
    .text()
    .split('\n')
    .filter((line) => line.startsWith('b_'))
    .map((line) => line.slice(-1));
  assert.deepEqual(values, ['3', '2', '1']);
  assert.match(page.text(), /chip="a\\"b\\\\c\\nd"/);
});

test('a variant adds its label in its place, to every series', () => {
  const page = sheet();
  page.sample(temperature, ['c', 's'], 1);
  page.sample(boots, [], 1);
  const variant: Variant = { name: 'target', labels: [['cluster', 'x']] };
  const text = page.text(variant);
  assert.match(text, /a_boots_total\{cluster="x"\} 1\n/);
  assert.match(text, /b_celsius\{chip="c",cluster="x",sensor="s"\} 1\n/);
  assert.doesNotMatch(page.text(PLAIN), /cluster/);
});

test('an entity adds its labels per variant, can be renamed late, and takes its series with it', () => {
  const page = sheet();
  const handle = page.entity(() => [['name', '']]);
  const other = page.entity(() => [['name', 'other']]);
  page.set(page.slot(temperature, ['c', 's'], temperature.labels, handle), 1);
  page.set(page.slot(temperature, ['c', 's'], temperature.labels, other), 2);
  assert.match(page.text(), /b_celsius\{chip="c",name="",sensor="s"\} 1\n/);
  page.rename(handle, (variant) => (variant === '' ? [['name', 'web']] : []));
  assert.match(page.text(), /b_celsius\{chip="c",name="web",sensor="s"\} 1\n/);
  page.drop(handle);
  assert.doesNotMatch(page.text(), /web/);
  assert.match(page.text(), /name="other"/);
  assert.equal(page.known, 1);
});

test('a histogram is sorted by bound, then sum and count', () => {
  const delay = family('d_seconds', 'histogram', 'Delay.', ['op']);
  const page = sheet();
  const names = ['op', 'le'];
  for (const bound of ['+Inf', '10', '0.5', '2']) page.set(page.slot(delay, ['r', bound], names, -1, '_bucket'), 1);
  page.set(page.slot(delay, ['r'], ['op'], -1, '_count'), 4);
  page.set(page.slot(delay, ['r'], ['op'], -1, '_sum'), 5);
  assert.deepEqual(page.text().split('\n').slice(2, -1), [
    'd_seconds_bucket{op="r",le="0.5"} 1',
    'd_seconds_bucket{op="r",le="2"} 1',
    'd_seconds_bucket{op="r",le="10"} 1',
    'd_seconds_bucket{op="r",le="+Inf"} 1',
    'd_seconds_sum{op="r"} 5',
    'd_seconds_count{op="r"} 4',
  ]);
});

test('le and quantile of other families are labels like any other', () => {
  const odd = family('o', 'untyped', 'Odd.', ['le', 'x']);
  const page = sheet();
  page.sample(odd, ['10', 'a'], 1);
  page.sample(odd, ['2', ''], 2);
  page.sample(odd, ['', 'b'], 3);
  assert.deepEqual(page.text().split('\n').slice(2, -1), ['o{le="",x="b"} 3', 'o{le="10",x="a"} 1', 'o{le="2",x=""} 2']);
});

test('the series budget refuses what is over it, by name', () => {
  const page = sheet({ maxSeries: 2, maxBytes: 1 << 20 });
  for (const chip of ['a', 'b', 'c', 'd']) page.sample(temperature, [chip, 's'], 1);
  assert.equal(page.counts.overBudget, 2);
  assert.equal(page.counts.overBudgetFamily, 'b_celsius');
  assert.equal(
    page
      .text()
      .split('\n')
      .filter((line) => line.startsWith('b_')).length,
    2,
  );
});

test('the byte budget leaves out whole families, and says which', () => {
  const page = sheet({ maxSeries: 1000, maxBytes: 120 });
  page.sample(boots, [], 1);
  for (let i = 0; i < 50; i++) page.sample(temperature, [`chip${i}`, 's'], i);
  const room = { page: new Uint8Array(120), index: new Uint32Array(64), grow: (bytes: number) => bytes <= 120 };
  const { bytes } = page.encode(PLAIN, room);
  assert.equal(new TextDecoder().decode(room.page.subarray(0, bytes)), '# HELP a_boots_total Boots.\n# TYPE a_boots_total counter\na_boots_total 1\n');
  assert.equal(page.counts.overBudgetFamily, 'b_celsius');
});

test('series that stay away free their slots, so label values from data cannot pile up', () => {
  const page = new Sheet(readers, LIMITS);
  for (let run = 0; run < 1000; run++) {
    page.begin();
    page.sample(temperature, [`chip${run}`, 's'], 1);
  }
  assert.ok(page.known <= 200, `${page.known} series are kept`);
  assert.equal(
    page
      .text()
      .split('\n')
      .filter((line) => line.startsWith('b_')).length,
    1,
  );
});
