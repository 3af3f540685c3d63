import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from './address.ts';
import { parseDuration } from '../model/duration.ts';
import { editDistance, nearest } from './nearest.ts';
import { secretReader } from './secret.ts';

test('durations in Go syntax, in seconds', () => {
  const rows: readonly (readonly [string, number | undefined])[] = [
    ['15s', 15],
    ['1m30s', 90],
    ['500ms', 0.5],
    ['1h', 3600],
    ['1.5h', 5400],
    ['.5s', 0.5],
    ['1.s', 1],
    ['3.46608s', 3.46608],
    ['1m0.1s', 60.1],
    ['250us', 0.00025],
    ['250µs', 0.00025],
    ['0', 0],
    ['-5s', -5],
    ['', undefined],
    ['15', undefined],
    ['15 s', undefined],
    ['s', undefined],
    ['1d', undefined],
    ['1m30', undefined],
    ['1h-', undefined],
    ['1,5s', undefined],
  ];
  for (const [text, seconds] of rows) assert.equal(parseDuration(text), seconds, text);
});

test('listen addresses', () => {
  const good: readonly (readonly [string, string, number])[] = [
    [':9100', '', 9100],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['localhost:80', 'localhost', 80],
    ['[::1]:9100', '::1', 9100],
    ['[::]:65535', '::', 65535],
  ];
  for (const [text, host, port] of good) assert.deepEqual(parseAddress(text), { host, port }, text);
  const bad = ['', '9100', 'host', ':', ':x', ':65536', ':-1', '::1:9100', '[::1]', '[host]:1', 'a b:1', 'http://x:1', 'user@host:1', 'host:'];
  for (const text of bad) assert.match(String(parseAddress(text)), /^expected /, text);
  for (const text of ['vsock://:9100', 'unix:/run/x', '/run/x']) assert.match(String(parseAddress(text)), /not yet supported$/, text);
});

test('edit distance counts insertions, deletions, replacements and swaps', () => {
  const rows: readonly (readonly [string, string, number])[] = [
    ['', '', 0],
    ['abc', '', 3],
    ['abc', 'abc', 0],
    ['abc', 'abd', 1],
    ['abc', 'acb', 1],
    ['listn', 'listen', 1],
    ['kitten', 'sitting', 3],
  ];
  for (const [a, b, edits] of rows) {
    assert.equal(editDistance(a, b), edits, `${a} ${b}`);
    assert.equal(editDistance(b, a), edits, `${b} ${a}`);
  }
});

test('the nearest known word', () => {
  const known = ['web.listen_address', 'web.telemetry_path', 'log.level', 'path.procfs', 'path.sysfs', 'node.collectors.cpu'];
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['web.listn_address', 'web.listen_address'],
    ['web.listen-address', 'web.listen_address'],
    ['listen_address', 'web.listen_address'],
    ['path.procsf', 'path.procfs'],
    ['LOG.LEVEL', 'log.level'],
    ['cpu', 'node.collectors.cpu'],
    ['something.else.entirely', undefined],
  ];
  for (const [word, wanted] of rows) assert.equal(nearest(word, known), wanted, word);
});

test('a secret is the file without its last line end; errors name the file', () => {
  const files: Readonly<Record<string, string>> = { '/etc/a': 'pw\n', '/work/b': 'p w \r\n', '/etc/c': 'two\n\n', '/etc/big': 'x'.repeat(70_000) };
  const read = secretReader((path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no'), { code: 'ENOENT' });
    return text;
  }, '/work');
  assert.equal(read('/etc/a'), 'pw');
  assert.equal(read('b'), 'p w ');
  assert.equal(read('/etc/c'), 'two\n');
  assert.throws(() => read('/etc/none'), { message: 'cannot read the secret in /etc/none: ENOENT' });
  assert.throws(() => read('/etc/big'), { message: '/etc/big: expected a secret, got 70000 characters' });
});
