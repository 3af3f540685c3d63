import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { collectGarbage, trimMemory } from './load.ts';
import { addonPath } from './native.ts';

const skip = addonPath() === undefined && 'the addon is not built';

function kilobytes(key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

test('garbage is collected at once', { skip }, () => {
  let held: object[] | undefined = Array.from({ length: 200_000 }, (_, i) => ({ i }));
  const full = process.memoryUsage().heapUsed;
  assert.equal(held.length, 200_000);
  held = undefined;
  collectGarbage();
  assert.ok(process.memoryUsage().heapUsed < full - 4e6, `${process.memoryUsage().heapUsed} bytes are left of ${full}`);
});

test("node's own pages are let go, and come back when they are needed", { skip }, () => {
  const full = kilobytes('RssFile');
  trimMemory();
  const trimmed = kilobytes('RssFile');
  assert.ok(trimmed < full - 8192, `${trimmed} kB are left of ${full}`);
  // Code and tables of the file, and data of it that were relocated.
  assert.equal(JSON.stringify([gzipSync('page').length > 0, new Intl.NumberFormat('en').format(1234.5), /é/i.test('É')]), '[true,"1,234.5",true]');
  assert.throws(() => readFileSync('/nowhere'), { code: 'ENOENT' });
});
