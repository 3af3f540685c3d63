/** What replayed runs take from answers of netlink(7): sessions of one part that asks for this machine's devices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channel, CHANNEL_LAYOUT, EMPTY_PAGE, makeChannel } from '../../collect/channel.ts';
import { Sheet } from '../../collect/sheet.ts';
import { PLAIN } from '../../collect/variant.ts';
import { CONTROL_LAYOUT, HostControl, makeHostControl, MAX_JOBS } from '../../lanes/host-control.ts';
import { family } from '../../model/family.ts';
import { addonPath, nativeReaders } from '../../readers/native.ts';
import { type BoundField, type Replays, TURN } from '../../readers/readers.ts';
import { linksAnswer, LINKS_QUESTION, looseInLinks } from './links.ts';
import type { ByteRange } from './netlink.ts';

const VALUE = family('test_value', 'gauge', 'A number of the answer.');
const LANE = 1;
const JOB = 3;
const skip = addonPath() === undefined && 'the native readers are not built';

/** What one replayed run shows of the answer; undefined when it is left to JavaScript. */
function replayed(answer: Uint8Array, loose: readonly ByteRange[], field?: Omit<BoundField, 'slot'>): number | undefined {
  const readers = nativeReaders();
  const replays = readers.replays(Int32Array.from([...CHANNEL_LAYOUT, ...CONTROL_LAYOUT])) as Replays;
  const sheet = new Sheet(readers, { maxSeries: 10, maxBytes: 1 << 16 });
  const channel = new Channel(makeChannel([PLAIN], 1 << 16, [EMPTY_PAGE]));
  const control = new HostControl(makeHostControl());
  channel.start(1);
  sheet.begin();
  const slot = sheet.slot(VALUE);
  sheet.set(slot, -1);
  channel.publish(sheet, 'ok', 2, 0);
  const steps = replays.steps();
  steps.answer(LINKS_QUESTION, answer, loose, field === undefined ? [] : [{ ...field, slot }]);
  replays.arm(JOB, steps, channel.replayMemory(sheet, 'ok'));
  control.due(JOB);
  const owners = new Int32Array(MAX_JOBS).fill(LANE);
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const said = replays.turns({ words: control.words, floats: control.floats, owners, left: new Int32Array(1), bell, number: LANE })();
  replays.drop(JOB);
  return said === TURN.ran ? (sheet.values[slot] ?? Number.NaN) : undefined;
}

function links(): Buffer {
  return linksAnswer(nativeReaders()) ?? assert.fail('no answer');
}

test('an answer that says the same is replayed, whatever its loose bytes were', { skip }, () => {
  const answer = links();
  const loose = looseInLinks(answer);
  for (const [from, to] of loose) answer.fill(0xa5, from, to);
  assert.equal(replayed(answer, loose), -1);
});

test('any other byte, and another length, leaves the run to JavaScript', { skip }, () => {
  const answer = links();
  const loose = looseInLinks(answer);
  const isLoose = (at: number): boolean => loose.some(([from, to]) => at >= from && at < to);
  const strict = [...answer.keys()].filter((at) => !isLoose(at));
  assert.ok(strict.length > 0);
  for (const at of strict.filter((_, i) => i % 7 === 0 || i === strict.length - 1)) {
    const other = Buffer.from(answer);
    other[at] = (other[at] ?? 0) ^ 1;
    assert.equal(replayed(other, loose), undefined, `byte ${at}`);
  }
  assert.equal(replayed(answer.subarray(0, -1), loose), undefined);
});

test('numbers of four and eight bytes are read where they are', { skip }, () => {
  const answer = links();
  const loose = looseInLinks(answer);
  // Length of the first message; with type and flags of its header.
  assert.equal(replayed(answer, loose, { at: 0, bytes: 4 }), answer.readUInt32LE(0));
  assert.equal(replayed(answer, loose, { at: 0, bytes: 8 }), Number(answer.readBigUInt64LE(0)));
});

test('a range or a number outside of the answer is refused', { skip }, () => {
  const answer = links();
  assert.throws(() => replayed(answer, [[0, answer.length + 1]]), /steps that do not fit/);
  assert.throws(
    () =>
      replayed(answer, [
        [8, 12],
        [4, 6],
      ]),
    /steps that do not fit/,
  );
  assert.throws(() => replayed(answer, [], { at: answer.length - 3, bytes: 4 }), /steps that do not fit/);
});
