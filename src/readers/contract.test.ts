/** What the contract (readers.ts) promises, told by example; both implementations must keep it. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addonPath, nativeReaders } from './native.ts';
import { ReaderError, type Readers, type SourceFormat } from './readers.ts';
import { referenceReaders } from './reference.ts';

const BOTH: readonly { name: string; open: () => Readers; skip: string | false }[] = [
  { name: 'native', open: nativeReaders, skip: addonPath() === undefined ? 'the addon is not built' : false },
  { name: 'reference', open: referenceReaders, skip: false },
];

for (const { name, open, skip } of BOTH) {
  describe(name, { skip }, () => {
    let readers: Readers;
    let folder: string;
    let path: string;

    before(() => {
      readers = open();
      folder = mkdtempSync(join(tmpdir(), 'exporterd-contract-'));
      path = join(folder, 'source');
    });
    after(() => rmSync(folder, { recursive: true }));

    function tokens(text: string, format: SourceFormat): string[][] {
      writeFileSync(path, text);
      const source = readers.source(path, format);
      source.scan();
      const rows = source.rows().map((row) => row.map(({ text: token, at }) => (at < 0 ? token : `${token}#${at}`)));
      source.close();
      return rows;
    }

    const CUTS: readonly (readonly [string, string, SourceFormat, string[][]])[] = [
      [
        '/proc/stat',
        'cpu  1 2\nctxt 3\n',
        {},
        [
          ['cpu', '1#0', '2#1'],
          ['ctxt', '3#2'],
        ],
      ],
      ['/proc/meminfo', 'MemTotal:   8 kB\n', { delimiters: ':' }, [['MemTotal', '8#0', 'kB']]],
      ['/proc/pressure/io', 'some avg10=0.25 total=7\n', { delimiters: '=' }, [['some', 'avg10', '0.25#0', 'total', '7#1']]],
      ['io.stat', '8:0 rbytes=1\n', { keys: 1, delimiters: '=' }, [['8:0', 'rbytes', '1#0']]],
      ['an interface named 5', '  5: 1 2\n', { keys: 1, delimiters: ':' }, [['5', '1#0', '2#1']]],
      ['softnet_stat', '0000001f 0x0a zz\n', { hex: true }, [['0000001f#0', '0x0a#1', 'zz']]],
      ['empty lines', '\n\na\n \n:\nb', { delimiters: ':' }, [['a'], ['b']]],
      ['a text', 'a 1\n', { text: true }, [['a', '1']]],
      ['no number', '- 1e5 +1 .5 5. 1-2 18446744073709551616', {}, [['-', '1e5', '+1', '.5', '5.', '1-2', '18446744073709551616']]],
    ];
    for (const [what, text, format, rows] of CUTS) {
      test(`cuts ${what}`, () => assert.deepEqual(tokens(text, format), rows));
    }

    test('a scan is a change the first time, when text moves and after an error', () => {
      writeFileSync(path, 'a 1\n');
      const source = readers.source(path, { reopen: true });
      const scanOf = (text: string): boolean => {
        writeFileSync(path, text);
        return source.scan();
      };
      assert.equal(source.scan(), true);
      assert.equal(source.scan(), false);
      assert.equal(scanOf('a 22\n'), false);
      assert.equal(source.numbers[0], 22);
      assert.equal(scanOf('a 22 3\n'), true);
      renameSync(path, `${path}.away`);
      assert.throws(
        () => source.scan(),
        (error) => error instanceof ReaderError && error.code === 'ENOENT' && error.path === path,
      );
      assert.equal(source.count, 0);
      renameSync(`${path}.away`, path);
      assert.equal(source.scan(), true);
      assert.equal(source.scan(), false);
    });

    test('the numbers array grows and is then kept', () => {
      writeFileSync(path, '7 '.repeat(1000));
      const source = readers.source(path);
      assert.equal(source.scan(), true);
      assert.equal(source.count, 1000);
      assert.equal(source.numbers[999], 7);
      const { numbers } = source;
      assert.equal(source.scan(), false);
      assert.equal(source.numbers, numbers);
      source.close();
    });

    test('text is that of the last scan only', () => {
      writeFileSync(path, 'gr\u00fc\u00df \u{1f600}\n');
      const one = readers.source(path);
      const two = readers.source('/proc/self/status');
      assert.throws(() => one.text(), /right after/);
      one.scan();
      assert.equal(one.text(), 'gr\u00fc\u00df \u{1f600}\n');
      two.scan();
      assert.throws(() => one.text(), /right after/);
      assert.throws(() => one.rows(), /right after/);
      one.close();
      one.close();
      assert.equal(one.scan(), false);
      one.close();
      two.close();
    });

    test('bytes that are not UTF-8 become U+FFFD', () => {
      writeFileSync(path, Buffer.from([0x61, 0xff, 0x20, 0xc3, 0x0a]));
      const source = readers.source(path);
      source.scan();
      assert.equal(source.text(), 'a\ufffd \ufffd\n');
      assert.deepEqual(source.rows(), [
        [
          { text: 'a\ufffd', at: -1 },
          { text: '\ufffd', at: -1 },
        ],
      ]);
      source.close();
    });

    test('an attribute is one read of at most 128 bytes', () => {
      writeFileSync(path, '1'.repeat(10).concat(' ').repeat(50));
      const source = readers.source(path, { attribute: true });
      source.scan();
      assert.equal(source.text().length, 128);
      source.close();
    });

    test('a record is read whole, however many reads it takes', () => {
      const text = '123456789 '.repeat(20_000);
      writeFileSync(path, text);
      const source = readers.source(path, { record: true });
      source.scan();
      assert.equal(source.text(), text);
      assert.equal(source.count, 20_000);
      writeFileSync(path, '5\n');
      source.scan();
      assert.deepEqual([source.text(), source.count], ['5\n', 1]);
      source.close();
    });

    test('mistakes of the program are refused', () => {
      assert.throws(
        () => readers.source('/a\0b'),
        (error) => error instanceof ReaderError && error.code === 'MALFORMED',
      );
      assert.throws(() => readers.set().add('/a\0b'), ReaderError);
      assert.throws(() => readers.source('/a', { keys: -1 }), RangeError);
      assert.throws(() => readers.source('/a', { delimiters: '\u00e9' }), RangeError);
      assert.throws(() => readers.set().rows(3));
    });

    test('a set tells members apart', () => {
      writeFileSync(path, 'a 1 2\n');
      const set = readers.set();
      assert.deepEqual([set.add(path), set.add('/nonexistent/member'), set.add(path)], [0, 1, 2]);
      set.scan();
      assert.deepEqual([...set.status.subarray(0, 3)], [1, -2, 1]);
      assert.deepEqual([...set.start.subarray(0, 3)], [0, 2, 2]);
      assert.deepEqual([...set.counts.subarray(0, 3)], [2, 0, 2]);
      assert.deepEqual([...set.numbers.subarray(0, 4)], [1, 2, 1, 2]);
      set.remove(0);
      assert.equal(set.status[0], -1000);
      set.scan();
      assert.deepEqual([...set.status.subarray(0, 3)], [-1000, -2, 0]);
      assert.equal(set.add(path), 0);
      set.scan();
      assert.deepEqual([...set.status.subarray(0, 3)], [1, -2, 0]);
      set.close();
    });

    test('CPU seconds of the thread only grow', () => {
      const start = readers.threadCpuSeconds();
      let sum = 0;
      while (readers.threadCpuSeconds() === start) sum += 1;
      assert.ok(sum >= 0 && readers.threadCpuSeconds() > start);
    });
  });
}
