import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { blot, createLog, type Level, type Log, type LogOptions } from './log.ts';

function recorder(options: Partial<LogOptions> = {}): { log: Log; lines: string[]; clock: { ms: number } } {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const log = createLog({
    level: 'info',
    format: 'logfmt',
    isTerminal: false,
    monotonicMs: () => clock.ms,
    wallMs: () => Date.UTC(2026, 10, 21, 10, 0, 0, 123),
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines, clock };
}

test('logfmt lines have the message first and quote every text', () => {
  const { log, lines } = recorder();
  log.info('listening', { address: '127.0.0.1:43211', kind: 'node:http', port: 43211, parts: ['cpu', 'a b'], nothing: undefined });
  assert.deepEqual(lines, [
    'time=2026-11-21T10:00:00.123Z level=info msg="listening" address="127.0.0.1:43211" kind="node:http" port=43211 parts="[\\"cpu\\",\\"a b\\"]"\n',
  ]);
});

test('a line stays one line, whatever a text holds', () => {
  const { log, lines } = recorder();
  log.warn('two\nlines', { name: 'a"b\u001b[31m\r\n' });
  assert.equal(lines.length, 1);
  assert.equal(lines[0], 'time=2026-11-21T10:00:00.123Z level=warn msg="two\\nlines" name="a\\"b\\u001b[31m\\r\\n"\n');
});

test('auto is logfmt on a terminal and json elsewhere', () => {
  const terminal = recorder({ format: 'auto', isTerminal: true });
  terminal.log.info('ready');
  assert.match(terminal.lines[0] ?? '', /^time=\S+ level=info msg="ready"\n$/);
  const pipe = recorder({ format: 'auto', isTerminal: false });
  pipe.log.info('ready', { count: 3 });
  assert.deepEqual(JSON.parse(pipe.lines[0] ?? ''), { level: 'info', time: '2026-11-21T10:00:00.123Z', count: 3, msg: 'ready' });
});

test('levels below the chosen one are silent', () => {
  const order: readonly Level[] = ['debug', 'info', 'warn', 'error'];
  for (const [index, level] of order.entries()) {
    const { log, lines } = recorder({ level });
    for (const each of order) log[each](each);
    assert.deepEqual(
      lines.map((line) => /msg="(\w+)"/.exec(line)?.[1]),
      order.slice(index),
    );
  }
});

test('once logs the first of a key only', () => {
  const { log, lines } = recorder();
  for (let i = 0; i < 3; i++) log.once('k', 'warn', `number ${i}`);
  log.once('other', 'warn', 'other');
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? '', /msg="number 0"/);
});

test('a throttled key comes through once a minute and says how many did not', () => {
  const { log, lines, clock } = recorder();
  for (let second = 0; second <= 120; second += 10) {
    clock.ms = second * 1000;
    log.throttled('k', 'warn', 'down', { second });
  }
  assert.deepEqual(
    lines.map((line) => line.replace(/^.*msg="down" /, '')),
    ['second=0\n', 'second=60 suppressed=5\n', 'second=120 suppressed=5\n'],
  );
});

test('throttling keeps a bounded number of keys', () => {
  const { log, lines } = recorder();
  for (let i = 0; i < 3000; i++) log.throttled(`key ${i}`, 'warn', 'x');
  assert.equal(lines.length, 3000);
  log.throttled('key 2999', 'warn', 'x');
  assert.equal(lines.length, 3000, 'a recent key is remembered');
  log.throttled('key 0', 'warn', 'x');
  assert.equal(lines.length, 3001, 'the oldest key was forgotten');
});

test('errors are their message and the messages of their causes', () => {
  const { log, lines } = recorder();
  log.error('failed', { error: new Error('cannot read', { cause: new Error('EACCES') }) });
  assert.match(lines[0] ?? '', /msg="failed" error="cannot read: EACCES"\n$/);
  const debug = recorder({ level: 'debug' });
  debug.log.error('failed', { error: new Error('cannot read') });
  assert.match(debug.lines[0] ?? '', /error_stack="Error: cannot read\\n/);
});

test('credentials are blotted out in both formats', () => {
  for (const format of ['json', 'logfmt'] as const) {
    const { log, lines } = recorder({ format });
    log.warn('connect postgres://bob:hunter2@db:5432/x', { dsn: 'host=db password=hunter2 user=bob', error: new Error('redis://:hunter2@h?x=1') });
    assert.doesNotMatch(lines.join(''), /hunter2/);
    assert.match(lines.join(''), /postgres:\/\/<secret>@db:5432\/x/);
  }
});

test('blot leaves other text alone', () => {
  for (const text of ['http://host/metrics', 'user@host', 'mail a@b about http://x/', 'passwords are fine', 'mode=rw path=/a']) assert.equal(blot(text), text);
  const rows: readonly (readonly [string, string])[] = [
    ['https://u:p@ss@h/', 'https://<secret>@h/'],
    ['a password=x b', 'a password=<secret> b'],
    ["PWD='a b' c", 'PWD=<secret> c'],
    ['?user=a&password=b&c=d', '?user=a&password=<secret>&c=d'],
  ];
  for (const [text, wanted] of rows) assert.equal(blot(text), wanted);
});

test('the log goes to standard error, complete even when the process exits at once; standard output stays empty', () => {
  const script = `
    const { createLog } = await import(${JSON.stringify(new URL('./log.js', import.meta.url).href)});
    const log = createLog({ level: 'info', format: 'logfmt', isTerminal: false, monotonicMs: () => 0, wallMs: () => 0 });
    for (let i = 0; i < 500; i++) log.info('line', { i });
    process.exit(0);
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', cwd: fileURLToPath(new URL('.', import.meta.url)) });
  assert.equal(run.stdout, '');
  assert.equal(run.stderr.trimEnd().split('\n').length, 500);
  assert.match(run.stderr, /i=499\n$/);
});
