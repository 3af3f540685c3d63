import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wallByMillisecond } from './clock.ts';

test('the wall clock is asked once in each millisecond of the monotonic one, and a step of it is seen in the next', () => {
  let [asked, wall] = [0, 1_700_000_000_000];
  const at = wallByMillisecond(() => {
    asked += 1;
    return wall;
  });
  assert.deepEqual([at(5.1), at(5.9), asked], [wall, wall, 1]);
  wall -= 3_600_000;
  assert.deepEqual([at(5.95), asked], [wall + 3_600_000, 1], 'the same millisecond');
  assert.deepEqual([at(6), asked], [wall, 2]);
  wall += 1000;
  assert.deepEqual([at(1e9), at(1e9 + 0.5), asked], [wall, wall, 3]);
});
