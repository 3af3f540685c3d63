/** What parts are made of: optional sources, bound sources, attribute sets, folders. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { comparable } from '../../../test/compare/node-fixtures.ts';
import { bothReaders, temporaryTree } from '../../../test/compare/node-tree.ts';
import { CollectError } from '../../collect/contract.ts';
import { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import { ReaderError, type Readers, type Source } from '../../readers/readers.ts';
import { addonPath, nativeReaders } from '../../readers/native.ts';
import { referenceReaders } from '../../readers/reference.ts';
import { ABSENCE_MS } from './absence.ts';
import { AttributeSet } from './attribute-set.ts';
import { BoundSource, type Layout } from './bound-source.ts';
import { ConstantSeries } from './constant-series.ts';
import { Directory } from './directory.ts';
import { OptionalSource } from './optional-source.ts';

const VALUE = family('node_test_value', 'gauge', 'A value.', ['key']);
const TOTAL = family('node_test_total', 'counter', 'A total.');

const layout: Layout = (rows, series) => {
  for (const [line, [key, value]] of rows.entries()) series.number(line, value, VALUE, [key?.text ?? '']);
  series.constant(TOTAL, [], rows.length);
};

function sheetOf(readers: Readers): Sheet {
  return new Sheet(readers, { maxSeries: 1000, maxBytes: 1 << 20 });
}

/** A source that counts its scans and fails as told. */
function countingSource(failure: { code: string | undefined }): { source: Source; scans: () => number } {
  let scans = 0;
  const source: Source = {
    path: '/proc/none',
    numbers: new Float64Array(0),
    count: 0,
    scan() {
      scans += 1;
      if (failure.code !== undefined) throw new ReaderError(failure.code, '/proc/none');
      return true;
    },
    text: () => '',
    rows: () => [],
    close: () => undefined,
  };
  return { source, scans: () => scans };
}

test('a missing file is looked for once a minute and found then', () => {
  const clock = { nowMs: 5_000 };
  const failure: { code: string | undefined } = { code: 'ENOENT' };
  const { source, scans } = countingSource(failure);
  const optional = new OptionalSource(source, () => clock.nowMs);
  for (let second = 0; second < 59; second++, clock.nowMs += 1000) assert.equal(optional.scan(), 'absent');
  assert.equal(scans(), 1);
  failure.code = undefined;
  clock.nowMs = 5_000 + ABSENCE_MS - 1;
  assert.equal(optional.scan(), 'absent');
  clock.nowMs += 1;
  assert.equal(optional.scan(), 'changed');
  assert.equal(scans(), 2);
  clock.nowMs += 1;
  assert.equal(optional.scan(), 'changed');
  assert.equal(scans(), 3);
});

test('every other failure passes through and is tried again at once', () => {
  for (const code of ['EACCES', 'EIO', 'TOO_LARGE']) {
    const { source, scans } = countingSource({ code });
    const optional = new OptionalSource(source, () => 0);
    for (let i = 0; i < 3; i++)
      assert.throws(
        () => optional.scan(),
        (error) => error instanceof ReaderError && error.code === code,
      );
    assert.equal(scans(), 3);
  }
});

for (const [name, readers] of bothReaders()) {
  const bound = (context: TestContext, content: string) => {
    const tree = temporaryTree(context, { file: content });
    const clock = { nowMs: 0 };
    const source = new BoundSource(new OptionalSource(readers.source(tree.path('file'), { keys: 1 }), () => clock.nowMs), layout);
    const sheet = sheetOf(readers);
    context.after(() => source.close());
    const run = (): string => {
      sheet.begin();
      return source.collect(sheet) ? comparable(sheet.text()) : 'absent';
    };
    return { tree, sheet, run, source, clock };
  };
  const page = (values: Readonly<Record<string, number>>): string => {
    const lines = Object.entries(values).map(([key, value]) => `node_test_value{key="${key}"} ${value}\n`);
    return `# TYPE node_test_total counter\nnode_test_total ${lines.length}\n${lines.length === 0 ? '' : '# TYPE node_test_value gauge\n'}${lines.join('')}`;
  };

  test(`numbers follow the file; a new line shows at once, a lost one is gone (${name})`, (context) => {
    const { tree, run } = bound(context, 'a 1\nb 2\n');
    assert.equal(run(), page({ a: 1, b: 2 }));
    tree.write('file', 'a 10\nb 20\n');
    assert.equal(run(), page({ a: 10, b: 20 }));
    tree.write('file', 'a 11\nb 21\nc 31\n');
    assert.equal(run(), page({ a: 11, b: 21, c: 31 }));
    tree.write('file', 'c 32\n');
    assert.equal(run(), page({ c: 32 }));
  });

  test(`of a series that comes twice the first counts (${name})`, (context) => {
    const { run } = bound(context, 'a 1\na 2\n');
    assert.equal(run(), '# TYPE node_test_total counter\nnode_test_total 2\n# TYPE node_test_value gauge\nnode_test_value{key="a"} 1\n');
  });

  test(`a layout that failed is not believed when the same text comes again (${name})`, (context) => {
    const { tree, run } = bound(context, 'a 1\nb x\n');
    for (let i = 0; i < 3; i++) {
      assert.throws(
        run,
        (error) => error instanceof CollectError && error.code === 'parse' && error.place === `${tree.path('file')}:2` && error.message.includes('not "x"'),
      );
    }
    tree.write('file', 'a 1\nb 2\n');
    assert.equal(run(), page({ a: 1, b: 2 }));
  });

  test(`slots are not believed after missed runs, nor those of another sheet (${name})`, (context) => {
    const { run, sheet, source } = bound(context, 'a 1\nb 2\n');
    run();
    // Long enough for the sheet to forget both series and to give their slots away.
    for (let i = 0; i < 200; i++) {
      sheet.begin();
      sheet.sample(VALUE, [`other${i % 2}`], i);
    }
    assert.equal(run(), page({ a: 1, b: 2 }));
    const other = sheetOf(readers);
    other.begin();
    other.sample(VALUE, ['first'], 9);
    source.collect(other);
    assert.equal(
      comparable(other.text()),
      '# TYPE node_test_total counter\nnode_test_total 2\n# TYPE node_test_value gauge\nnode_test_value{key="a"} 1\nnode_test_value{key="b"} 2\nnode_test_value{key="first"} 9\n',
    );
  });

  test(`attributes: gone, back within a minute, unreadable, not a number, new (${name})`, (context) => {
    const tree = temporaryTree(context, { a: '1\n', b: '2\n', words: 'on\n', two: '1 2\n' });
    const clock = { nowMs: 0 };
    const set = new AttributeSet(readers, () => clock.nowMs);
    context.after(() => set.close());
    const sheet = sheetOf(readers);
    const run = (): string => {
      sheet.begin();
      const read = set.collect(sheet);
      const lines = comparable(sheet.text())
        .split('\n')
        .filter((line) => line.startsWith('node'));
      assert.equal(read, lines.length);
      return lines.map((line) => line.replace('node_test_value', '')).join(' ');
    };
    const attribute = (key: string) => ({ path: tree.path(key), family: VALUE, labels: [key], times: 10 });
    set.follow(['a', 'b', 'words', 'two', 'late'].map(attribute));
    assert.equal(run(), '{key="a"} 10 {key="b"} 20');
    tree.write('late', '5');
    assert.equal(run(), '{key="a"} 10 {key="b"} 20', 'a missing file is believed to be missing');
    clock.nowMs += ABSENCE_MS;
    assert.equal(run(), '{key="a"} 10 {key="b"} 20 {key="late"} 50');
    tree.write('c', '7');
    tree.write('a', '3');
    set.follow(['a', 'c', 'late'].map(attribute));
    assert.equal(run(), '{key="a"} 30 {key="c"} 70 {key="late"} 50', 'a new list counts at once');
    set.follow([]);
    assert.equal(run(), '');
  });

  test(`constants: the first of equal series counts, and a list made anew replaces them (${name})`, () => {
    const sheet = sheetOf(readers);
    const series = new ConstantSeries();
    const run = (): string => {
      sheet.begin();
      series.collect(sheet);
      return comparable(sheet.text());
    };
    series.add(VALUE, ['a'], 1);
    series.add(VALUE, ['a'], 2);
    assert.equal(run(), '# TYPE node_test_value gauge\nnode_test_value{key="a"} 1\n');
    assert.equal(run(), '# TYPE node_test_value gauge\nnode_test_value{key="a"} 1\n');
    series.clear();
    series.add(VALUE, ['b'], 3);
    assert.equal(run(), '# TYPE node_test_value gauge\nnode_test_value{key="b"} 3\n');
    assert.equal(sheet.counts.duplicates, 0);
  });
}

for (const [name, readers] of bothReaders()) {
  test(`folders with ${name} readers: sorted names, new ones at once, a missing one once a minute`, (context) => {
    const tree = temporaryTree(context, { 'f/b': '', 'f/a': '', plain: '' });
    const clock = { nowMs: 0 };
    const folder = new Directory(tree.path('f'), readers, () => clock.nowMs);
    assert.equal(folder.scan(), 'changed');
    assert.deepEqual(folder.names, ['a', 'b']);
    assert.equal(folder.scan(), 'same');
    tree.write('f/c', '');
    assert.equal(folder.scan(), 'changed');
    assert.deepEqual(folder.names, ['a', 'b', 'c']);
    tree.remove('f');
    assert.equal(folder.scan(), 'absent');
    assert.deepEqual(folder.names, []);
    tree.write('f/d', '');
    assert.equal(folder.scan(), 'absent');
    clock.nowMs += ABSENCE_MS;
    assert.equal(folder.scan(), 'changed');
    assert.deepEqual(folder.names, ['d']);
  });
}

test('a file beyond all bounds is refused, not cut', (context) => {
  const tree = temporaryTree(context, { file: 'a 1\n'.repeat(1000) });
  const small = [referenceReaders({ largestTextBytes: 1000 }), ...(addonPath() === undefined ? [] : [nativeReaders({ largestTextBytes: 1000 })])];
  for (const readers of small) {
    const source = new OptionalSource(readers.source(tree.path('file')), () => 0);
    assert.throws(() => source.scan(), { name: 'ReaderError', code: 'TOO_LARGE', path: tree.path('file') });
    source.close();
  }
});
