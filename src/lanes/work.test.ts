import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNEL_LAYOUT, EMPTY_PAGE, makeChannel } from '../collect/channel.ts';
import { type HostSession, OK } from '../collect/contract.ts';
import { PLAIN } from '../collect/variant.ts';
import { family } from '../model/family.ts';
import { loadReaders } from '../readers/load.ts';
import { addonPath, nativeReaders } from '../readers/native.ts';
import { type Replays, TURN_LEFT_SHIFT } from '../readers/readers.ts';
import { CONTROL_LAYOUT, HostControl, makeHostControl, MAX_JOBS } from './host-control.ts';
import { Job, type JobSpec, type LaneNews, Replay } from './work.ts';

const LANE = 1;
const COUNT = family('test_count', 'gauge', 'A number.');

function specOf(id: number, part: string): JobSpec {
  return {
    id,
    collector: 'test',
    part,
    target: { name: 'local', settings: undefined, address: '' },
    worker: '',
    options: {},
    roots: { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '' },
    parts: [part],
    deadlineMs: 1000,
    maxSeries: 10,
    maxBytes: 1 << 16,
    channel: makeChannel([PLAIN], 1 << 16, [EMPTY_PAGE]),
  };
}

const skip = addonPath() === undefined && 'the native readers are not built';

for (const [what, replay] of [
  ['throws', () => assert.fail('no steps today')],
  [
    'names a slot that does not exist',
    (_part, _sheet, steps) => {
      steps.wall(1 << 20);
      return true;
    },
  ],
] as const satisfies readonly (readonly [string, NonNullable<HostSession['replay']>])[]) {
  test(`a part whose replay ${what} is run as before, told once, and takes no other along`, { skip }, () => {
    const readers = nativeReaders();
    const replays = readers.replays(Int32Array.from([...CHANNEL_LAYOUT, ...CONTROL_LAYOUT])) as Replays;
    const news: LaneNews[] = [];
    const session: HostSession = {
      collect(_, sheet) {
        sheet.sample(COUNT, [], 1);
        return OK;
      },
      replay: (part, sheet, steps) => part === 'good' || replay(part, sheet, steps),
      close: () => undefined,
    };
    const jobs = ['bad', 'good'].map((part, id) => {
      const job = new Job(
        specOf(id, part),
        readers,
        () => undefined,
        (item) => news.push(item),
      );
      return { job, replay: new Replay(job, replays) };
    });
    const control = new HostControl(makeHostControl());
    const owners = new Int32Array(MAX_JOBS).fill(LANE);
    const left = new Int32Array(MAX_JOBS);
    const bell = new Int32Array(new SharedArrayBuffer(4));
    const turn = replays.turns({ words: control.words, floats: control.floats, owners, left, bell, number: LANE });
    for (let run = 0; run < 4; run++) {
      for (const { job } of jobs) control.due(job.spec.id);
      const ids = [...left.subarray(0, turn() >>> TURN_LEFT_SHIFT)];
      assert.deepEqual(ids, run === 0 ? [0, 1] : [0]);
      for (const id of ids) {
        const { job, replay } = jobs[id] as (typeof jobs)[number];
        replay.leave();
        job.start(1);
        const outcome = session.collect(job.spec.part, job.sheet);
        job.end(outcome.kind, undefined, 2, 0);
        replay.arm(session, outcome.kind);
      }
    }
    for (const { replay } of jobs) replay.leave();
    assert.deepEqual(
      jobs.map(({ job }) => job.channel.goods),
      [4, 4],
    );
    assert.deepEqual(
      news.map(({ kind, job }) => [kind, job]),
      [['warning', 0]],
    );
  });
}

test('what is said about a run is on the page also when the run has used up the budget', () => {
  const news: LaneNews[] = [];
  const item = family('test_items', 'gauge', 'Items.', ['n']);
  const job = new Job(
    specOf(0, 'part'),
    loadReaders(),
    (_part, ending, _seconds, sheet) => void sheet.sample(COUNT, [], ending === 'ok' ? 1 : 0),
    (one) => news.push(one),
  );
  for (let run = 0; run < 2; run++) {
    job.start(1);
    for (let n = 0; n < 20; n++) job.sheet.sample(item, [String(n)], n);
    job.end('ok', undefined, 2, 0);
    const lines = job.sheet.text().split('\n');
    assert.equal(lines.filter((line) => line.startsWith('test_items{')).length, 10);
    assert.ok(lines.includes('test_count 1'));
  }
  assert.equal(job.sheet.counts.overBudget, 20);
  assert.deepEqual(
    news.map((one) => (one.kind === 'over-budget' ? one.family : one.kind)),
    ['test_items'],
  );
});
