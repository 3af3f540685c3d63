import assert from 'node:assert/strict';
import { test } from 'node:test';
import { family } from '../model/family.ts';
import { loadReaders } from '../readers/load.ts';
import { Channel, EMPTY_PAGE, makeChannel, wantVariant } from './channel.ts';
import { FAILURE_CODES } from './contract.ts';
import { Sheet } from './sheet.ts';
import { PLAIN, type Variant } from './variant.ts';

const VALUE = family('value', 'gauge', 'A value.', ['of']);
const VARIANTS: readonly Variant[] = [PLAIN, ...['b', 'c', 'target'].map((name): Variant => ({ name, labels: [[name, 'x']] }))];

/** A channel as a lane, the main thread and the builder have it between them. */
function made(): { channel: Channel; sheet: Sheet; run: (value: number) => void; shown: (variant: string) => string | undefined; print: () => void } {
  const memory = makeChannel(VARIANTS, 1 << 16, [EMPTY_PAGE]);
  const [lane, channel] = [new Channel(memory), new Channel(memory)];
  const sheet = new Sheet(loadReaders(), { maxSeries: 100, maxBytes: 1 << 16 });
  return {
    channel,
    sheet,
    run(value) {
      lane.start(10);
      sheet.begin();
      sheet.sample(VALUE, ['a'], value);
      lane.publish(sheet, 'ok', 20, 0);
    },
    print: () => lane.reprint(sheet),
    shown(variant) {
      const view = channel.view(channel.variant(variant), 30);
      return view && Buffer.from(view.page).toString().split('\n')[2];
    },
  };
}

test('the most variants there may be leave the counts of failures alone', () => {
  const { channel, run } = made();
  for (let i = 0; i < 2; i++) run(i);
  assert.deepEqual(
    FAILURE_CODES.map((code) => channel.failures(code)),
    FAILURE_CODES.map(() => 0),
  );
  channel.fail('crash');
  assert.equal(channel.failures('crash'), 1);
});

test('a variant that is not wanted is neither printed nor shown; wanted again, the last run is printed once more', () => {
  const { channel, run, shown, print } = made();
  wantVariant(channel.memory, 'target', false);
  print();
  assert.equal(shown(PLAIN.name), undefined, 'there is nothing to print before the first run');
  run(1);
  assert.deepEqual([PLAIN.name, 'b', 'target'].map(shown), ['value{of="a"} 1', 'value{b="x",of="a"} 1', undefined]);
  wantVariant(channel.memory, 'target', true);
  assert.equal(shown('target'), undefined);
  print();
  assert.deepEqual([PLAIN.name, 'target'].map(shown), ['value{of="a"} 1', 'value{of="a",target="x"} 1']);
  assert.equal(channel.view(0, 30)?.startedMs, 10, 'as old as it was');
  assert.equal(channel.sequence, 1, 'and no run of its own');
  run(2);
  assert.equal(shown('target'), 'value{of="a",target="x"} 2');
  channel.fail('crash');
  print();
  assert.equal(channel.view(0, 30)?.shape, -1, 'a run that gave nothing is not shown again');
});

test('a run that could not be printed shows the fallback and is counted, unless it was given up before', () => {
  const { channel, run, shown } = made();
  run(1);
  const lane = new Channel(channel.memory);
  lane.start(40);
  lane.abandon(50, 0, 'bug');
  assert.deepEqual([channel.view(0, 60)?.shape, channel.failures('bug'), channel.figures().ending, channel.running], [-1, 1, 'failed', false]);
  run(2);
  assert.equal(shown(PLAIN.name), 'value{of="a"} 2');
  lane.start(70);
  assert.ok(channel.giveUp());
  lane.abandon(80, 0, 'bug');
  assert.deepEqual([channel.failures('timeout'), channel.failures('bug'), channel.figures().late], [1, 1, 1]);
});
