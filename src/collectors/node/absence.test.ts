/** Runs that are replayed as long as something is missing. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Channel, CHANNEL_LAYOUT, EMPTY_PAGE, makeChannel } from '../../collect/channel.ts';
import { Sheet } from '../../collect/sheet.ts';
import { PLAIN } from '../../collect/variant.ts';
import { CONTROL_LAYOUT, HostControl, makeHostControl, MAX_JOBS } from '../../lanes/host-control.ts';
import { systemClock } from '../../model/clock.ts';
import { addonPath, nativeReaders } from '../../readers/native.ts';
import { type Replays, TURN } from '../../readers/readers.ts';

const LANE = 1;
const JOB = 3;
const HOUR_MS = 3_600_000;
const skip = addonPath() === undefined && 'the native readers are not built';

/** Whether a run whose only step this is was replayed; one call, one run. */
function runs(path: string, untilMs: number, againMs: number): () => boolean {
  const readers = nativeReaders();
  const replays = readers.replays(Int32Array.from([...CHANNEL_LAYOUT, ...CONTROL_LAYOUT])) as Replays;
  const sheet = new Sheet(readers, { maxSeries: 10, maxBytes: 1 << 16 });
  const channel = new Channel(makeChannel([PLAIN], 1 << 16, [EMPTY_PAGE]));
  const control = new HostControl(makeHostControl());
  channel.start(1);
  sheet.begin();
  channel.publish(sheet, 'ok', 2, 0);
  const steps = replays.steps();
  steps.missing(path, untilMs, againMs);
  replays.arm(JOB, steps, channel.replayMemory(sheet, 'ok'));
  const owners = new Int32Array(MAX_JOBS).fill(LANE);
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const turn = replays.turns({ words: control.words, floats: control.floats, owners, left: new Int32Array(1), bell, number: LANE });
  return () => {
    control.due(JOB);
    return turn() === TURN.ran;
  };
}

test('what is missing is looked for when it is time, and again after that', { skip }, (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-absence-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'file');
  const each = runs(path, 0, 0);
  assert.equal(each(), true);
  assert.equal(each(), true);
  writeFileSync(path, '');
  assert.equal(each(), false, 'it is there');
  assert.equal(runs(path, systemClock.monotonicMs() + HOUR_MS, 0)(), true, 'not looked for yet');
  rmSync(path);
  const seldom = runs(path, 0, HOUR_MS);
  assert.equal(seldom(), true);
  writeFileSync(path, '');
  assert.equal(seldom(), true, 'looked for a moment ago');
  assert.equal(runs(join(path, 'below'), 0, 0)(), true, 'a file where a folder would be');
  mkdirSync(join(folder, 'folder'));
  assert.equal(runs(join(folder, 'folder'), 0, 0)(), false, 'a folder');
});
