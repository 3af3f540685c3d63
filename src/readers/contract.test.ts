/** What the contract (readers.ts) promises, told by example; both implementations must keep it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
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

    test('names in a folder: one that comes or goes is a change, also when the folder is made anew', () => {
      const named = join(folder, 'named');
      const source = readers.source(named, { names: true });
      const names = (): string[] => source.text().split('\0').slice(0, -1).sort();
      assert.throws(() => source.scan(), { code: 'ENOENT', path: named });
      mkdirSync(named);
      assert.equal(source.scan(), true);
      assert.deepEqual(names(), []);
      writeFileSync(join(named, 'b'), '');
      writeFileSync(join(named, 'a'), '');
      assert.equal(source.scan(), true);
      assert.deepEqual(names(), ['a', 'b']);
      assert.equal(source.scan(), false);
      rmSync(named, { recursive: true });
      assert.throws(() => source.scan(), { code: 'ENOENT', path: named });
      mkdirSync(named);
      writeFileSync(join(named, 'c'), '');
      assert.equal(source.scan(), true);
      assert.deepEqual(names(), ['c']);
      rmSync(named, { recursive: true });
      mkdirSync(named);
      writeFileSync(join(named, 'd'), '');
      assert.equal(source.scan(), true);
      assert.deepEqual(names(), ['d']);
      assert.throws(() => readers.source(path, { names: true }).scan(), { code: existsSync(path) ? 'ENOTDIR' : 'ENOENT' });
      source.close();
    });

    test('tasks: states are counted, threads that come and go too', () => {
      const procfs = join(folder, 'proc');
      const write = (task: string, state: string, threads: number | string): void => {
        mkdirSync(join(procfs, task), { recursive: true });
        writeFileSync(join(procfs, task, 'stat'), `1 (a) b) ${state} ${'-1 '.repeat(16)}${threads} 0 0\n`);
      };
      const tasks = readers.tasks(procfs);
      const counted = (): unknown => {
        tasks.look();
        const of = (counts: Uint32Array): string =>
          [...counts].flatMap((count, state) => (count > 0 ? [`${String.fromCharCode(state)}${count}`] : [])).join(' ');
        return [tasks.pidCount, tasks.threadCount, of(tasks.processes), of(tasks.threads)];
      };
      assert.throws(() => tasks.look(), { code: 'ENOENT', path: procfs });
      write('10', 'S', 1);
      write('9', 'R', 3);
      for (const thread of ['9', '11', '12']) write(`9/task/${thread}`, thread === '9' ? 'R' : 'D', 3);
      mkdirSync(join(procfs, '13'));
      mkdirSync(join(procfs, 'x9'));
      assert.deepEqual(counted(), [2, 4, 'R1 S1', 'D2 R1 S1']);
      assert.deepEqual(counted(), [2, 4, 'R1 S1', 'D2 R1 S1']);
      write('9', 'R', 2);
      rmSync(join(procfs, '9/task/12'), { recursive: true });
      write('9/task/11', 'S', 2);
      rmSync(join(procfs, '10'), { recursive: true });
      write('8', 'Z', 1);
      assert.deepEqual(counted(), [2, 3, 'R1 Z1', 'R1 S1 Z1']);
      for (const bad of ['1 (a', '1 (a) S 1 2', `1 (a) SS ${'1 '.repeat(17)}`, `1 (a) S ${'1 '.repeat(16)}x`]) {
        writeFileSync(join(procfs, '8/stat'), bad);
        assert.throws(() => tasks.look(), { code: 'MALFORMED', path: join(procfs, '8/stat') });
      }
      tasks.close();
      rmSync(join(procfs, '8'), { recursive: true });
      assert.deepEqual(counted(), [1, 2, 'R1', 'R1 S1']);
      tasks.close();
    });

    test('tasks of this machine: one that is stopped, and then gone', async () => {
      const tasks = readers.tasks('/proc');
      const stopped = (): number => {
        tasks.look();
        assert.ok(tasks.pidCount >= 1 && tasks.threadCount >= tasks.pidCount);
        assert.equal(
          [...tasks.processes].reduce((sum, count) => sum + count),
          tasks.pidCount,
        );
        return tasks.processes['T'.charCodeAt(0)] ?? 0;
      };
      const before = stopped();
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      const ended = once(child, 'close');
      try {
        child.kill('SIGSTOP');
        while (stopped() === before) await setImmediate();
        assert.equal(stopped(), before + 1);
      } finally {
        child.kill('SIGKILL');
      }
      await ended;
      assert.equal(stopped(), before);
      tasks.close();
      const kept = readdirSync('/proc/self/fd').flatMap((number) => {
        try {
          return [readlinkSync(`/proc/self/fd/${number}`)];
        } catch {
          return []; // that of the listing itself
        }
      });
      assert.deepEqual(
        kept.filter((path) => /^\/proc\/\d+\/(task\/\d+\/)?stat$/.test(path)),
        [],
      );
    });

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

    test('what the kernel may still have the text of is opened anew', () => {
      writeFileSync(path, '1\n');
      const [lingering, kept] = [readers.source(path, { lingers: true }), readers.source(path)];
      lingering.scan();
      kept.scan();
      // Another file in its place: only who opens that sees it.
      writeFileSync(`${path}.new`, '2\n');
      renameSync(`${path}.new`, path);
      lingering.scan();
      kept.scan();
      assert.deepEqual([lingering.numbers[0], kept.numbers[0]], [2, 1]);
      lingering.close();
      kept.close();
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

    test('a set knows equal texts around other numbers', () => {
      const other = `${path}-other`;
      writeFileSync(path, 'a 1\nb 22\n');
      writeFileSync(other, 'a 333\nb 4\n');
      const set = readers.set();
      const [one, two] = [set.add(path), set.add(other)];
      set.scan();
      assert.equal(set.shape(one), set.shape(two));
      set.rows(one);
      assert.equal(set.rowsShape(), set.shape(one));
      writeFileSync(other, 'a max\nb 4\n');
      set.scan();
      assert.notEqual(set.shape(one), set.shape(two));
      writeFileSync(other, 'c 4\n');
      set.rows(two);
      assert.notEqual(set.rowsShape(), set.shape(two), 'the text has changed since the scan');
      set.close();
      rmSync(other);
    });

    test('members are below the folder of their set, unless their path is absolute', () => {
      writeFileSync(path, 'a 1\n');
      for (const reopen of [false, true]) {
        const set = readers.set({ reopen }, dirname(path));
        const missing = readers.set({ reopen }, `${path}-missing`);
        const own = [set.add(basename(path)), set.add('nonexistent'), set.add(path)];
        const lost = missing.add(basename(path));
        for (const changed of [1, 0]) {
          set.scan();
          assert.deepEqual(
            own.map((member) => set.status[member]),
            [changed, -2, changed],
          );
        }
        assert.throws(() => set.rows(1), { code: 'ENOENT', path: join(dirname(path), 'nonexistent') });
        missing.scan();
        assert.equal(missing.status[lost], -2, 'not looked for elsewhere');
        set.close();
        missing.close();
      }
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
