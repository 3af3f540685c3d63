import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadReaders } from '../../readers/load.ts';
import type { Step } from './harness-limits.ts';

const PROGRAM = join(import.meta.dirname, 'harness-limits.js');
const BEFORE = ['/', '/c0', '/c0/inner', '/c1', '/c1/inner'];
const AFTER = [...BEFORE, '/c0/another', '/new', '/new/inner'].sort();

/** What the program sees when it is started so; a command of sh with the program's in `"$@"`. */
function stepsOf(limit: string, start: string): Step[] {
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'exporterd-limits-'));
  try {
    for (const id of ['/c0/inner', '/c1/inner']) mkdirSync(root + id, { recursive: true });
    const { stdout, stderr, status } = spawnSync('sh', ['-c', start, 'sh', process.execPath, PROGRAM, limit, root], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as Step[];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const mayUnshare = spawnSync('unshare', ['-Ur', 'sh', '-c', 'echo 1000 > /proc/sys/user/max_inotify_watches']).status === 0;

describe('cgroups under limits that are really lowered', { skip: loadReaders().native ? false : 'the addon is not built' }, () => {
  test('no descriptor left: nothing that is known is lost, and what came meanwhile is found when there are some again', () => {
    const [before, starved, after] = stepsOf('descriptors', 'ulimit -n 100 && exec "$@"');
    assert.deepEqual(before?.ids, BEFORE);
    // Directories are looked at without a descriptor, and what is in them is listed later.
    assert.deepEqual(starved?.ids, [...BEFORE, '/c0/another', '/new'].sort());
    assert.equal(starved?.layout, 'read', 'what cannot be told now is no answer for good');
    assert.deepEqual(after?.ids, AFTER);
    assert.equal(after?.watches, AFTER.length);
    assert.deepEqual(
      [before, starved, after].map((step) => step?.warnings),
      [[], [], []],
    );
  });

  for (const [limit, code] of [
    ['max_inotify_watches', 'ENOSPC'],
    ['max_inotify_instances', 'EMFILE'],
  ] as const) {
    test(`${limit}: ${code}, told once, and listed until there are some again`, { skip: mayUnshare ? false : 'no user namespaces here' }, () => {
      const [before, listed, after] = stepsOf(limit, 'exec unshare -Ur "$@"');
      assert.deepEqual(before?.ids, BEFORE);
      assert.equal(before?.warnings.length, 1);
      assert.match(before?.warnings[0] ?? '', new RegExp(`\\(${code}\\), they are listed instead`));
      assert.deepEqual(listed?.ids, AFTER);
      assert.deepEqual(after?.ids, AFTER);
      assert.equal(after?.watches, AFTER.length);
      assert.deepEqual([...(listed?.warnings ?? []), ...(after?.warnings ?? [])], []);
    });
  }
});
