import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Channel } from '../../src/collect/channel.ts';
import type { LaneNews } from '../../src/lanes/work.ts';
import { systemClock } from '../../src/model/clock.ts';
import { HostLanes } from '../../src/schedule/host-lanes.ts';
import { Shards } from '../../src/schedule/shards.ts';
import { until } from '../support/daemon.ts';
import { TOY_HOST, TOY_NETWORK, type ToySettings } from './toys/definitions.ts';
import { shown, specOf } from './toys/specs.ts';

const folder = mkdtempSync(join(tmpdir(), 'exporterd-lanes-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  readonly news: LaneNews[];
  readonly timeouts: number[];
  readonly crashes: number[];
  readonly stuck: (readonly string[])[];
}

function listeners(): Said & { readonly options: ConstructorParameters<typeof Shards>[0] } {
  const said: Said = { news: [], timeouts: [], crashes: [], stuck: [] };
  return {
    ...said,
    options: {
      shards: 1,
      builderBell: new SharedArrayBuffer(8),
      monotonicMs: systemClock.monotonicMs,
      onNews: (news) => said.news.push(news),
      onTimeout: (job) => said.timeouts.push(job),
      onCrash: (_, delayMs) => said.crashes.push(delayMs),
      onStuck: (targets) => said.stuck.push(targets),
    },
  };
}

const toy = (id: number, settings: ToySettings, deadlineMs = 300) =>
  specOf(TOY_NETWORK, id, 'only', { name: settings.name, settings, address: settings.name }, {}, deadlineMs);

/** Watches as the scheduler does until the condition holds. */
async function watch(lanes: { watch(): number }, what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  await until(ms, what, async () => {
    lanes.watch();
    return condition();
  });
}

/** Resolves once a job reads this FIFO, which ends when what is returned is called. */
async function reached(lanes: HostLanes, fifo: string): Promise<() => void> {
  let writer = -1;
  await watch(lanes, `${fifo} is read`, () => {
    try {
      writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENXIO'); // No reader yet.
    }
    return writer >= 0;
  });
  return () => closeSync(writer);
}

test('a shard stuck in a system call is replaced; the other targets keep their samples and go on', { timeout: 60_000 }, async () => {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const said = listeners();
  const shards = new Shards(said.options);
  const good = toy(0, { name: 'good' });
  const bad = toy(1, { name: 'bad', blocks_on: fifo });
  const goodRuns = (): number => new Channel(good.channel).sequence;
  try {
    shards.add([good, bad]);
    assert.deepEqual(shards.start([0]), []);
    await watch(shards, 'the good target answers', () => goodRuns() === 1);
    assert.deepEqual(shown(good), ['toy_runs{part="only"} 1', 'toy_up{part="only"} 1']);

    for (const round of [1, 2]) {
      const before = goodRuns();
      shards.start([1]);
      await watch(shards, `the shard is given up, time ${round}`, () => said.stuck.length === round);
      assert.deepEqual(said.stuck[round - 1], ['toynet/bad']);
      assert.deepEqual(shown(bad), ['toy_up{part="only"} 0']);
      assert.ok(shown(good).includes('toy_up{part="only"} 1'), 'the samples of the good one are still shown');
      assert.equal(goodRuns(), before, 'and nothing was counted against it');
      shards.start([0]);
      await watch(shards, 'the good target goes on, on a fresh thread', () => goodRuns() === before + 1);
      assert.ok(shown(good).includes('toy_runs{part="only"} 1'), 'a session of its own, newly opened');
    }

    // From the second time on the bad one has a thread of its own, and sticks only that.
    assert.equal(shards.threads, 2);
    const runs = goodRuns();
    assert.deepEqual(shards.start([0, 1]), []);
    await watch(shards, 'the good target is not disturbed', () => goodRuns() === runs + 1);
    assert.ok(shown(good).includes('toy_runs{part="only"} 2'), 'its session was kept');
    await watch(shards, 'stuck a third time', () => said.stuck.length === 3);
    shards.start([0]);
    await watch(shards, 'and goes on', () => goodRuns() === runs + 2);
    assert.ok(shown(good).includes('toy_runs{part="only"} 3'), 'its session was kept');
    assert.deepEqual(said.timeouts, [1, 1, 1]);
  } finally {
    // The stuck threads come back, so that this process can end.
    const writer = openSync(fifo, constants.O_RDWR);
    setTimeout(() => closeSync(writer), 200);
    await shards.close();
  }
});

test('a round that waits behind a target that sticks is ended with the thread, and the target goes on', { timeout: 60_000 }, async () => {
  const fifo = join(folder, 'fifo-before-others');
  execFileSync('mkfifo', [fifo]);
  const said = listeners();
  const shards = new Shards(said.options);
  const good = toy(0, { name: 'good' });
  const bad = toy(1, { name: 'bad', blocks_on: fifo });
  const runs = (): number => new Channel(good.channel).sequence;
  try {
    shards.add([good, bad]);
    shards.start([0]);
    await watch(shards, 'the good target answers', () => runs() === 1);
    shards.start([1]);
    // The thread has the round, and will never look at it.
    assert.deepEqual(shards.start([0]), []);
    await watch(shards, 'the shard is given up', () => said.stuck.length === 1);
    assert.equal(runs(), 2, 'the run has ended, or nobody would start another');
    assert.deepEqual(shown(good), ['toy_up{part="only"} 0']);
    assert.deepEqual(shards.start([0]), []);
    await watch(shards, 'the good target goes on, on a fresh thread', () => runs() === 3);
    assert.deepEqual(shown(good), ['toy_runs{part="only"} 1', 'toy_up{part="only"} 1']);
  } finally {
    const writer = openSync(fifo, constants.O_RDWR);
    setTimeout(() => closeSync(writer), 200);
    await shards.close();
  }
});

test('a target whose thread ends at each run is restarted ever more slowly; its neighbours are counted and come back', { timeout: 60_000 }, async () => {
  const said = listeners();
  const shards = new Shards(said.options);
  const good = toy(0, { name: 'good' });
  const bad = toy(1, { name: 'bad', exits: true });
  shards.add([good, bad]);
  try {
    const crash = async (times: number): Promise<void> => {
      await watch(shards, `crash ${times}`, () => {
        if (said.crashes.length < times) shards.start([1]);
        return said.crashes.length === times;
      });
    };
    await crash(4);
    assert.deepEqual(said.crashes, [250, 500, 1000, 2000]);
    assert.deepEqual(shown(bad), ['toy_up{part="only"} 0']);
    assert.equal(new Channel(bad.channel).failures('crash'), 4);
    await watch(shards, 'the good one runs after the pause', () => {
      shards.start([0]);
      return shown(good).includes('toy_up{part="only"} 1');
    });
  } finally {
    await shards.close();
  }
});

test('what becomes due while a host lane has several jobs left runs between them', { timeout: 60_000 }, async () => {
  const said = listeners();
  const lanes = new HostLanes({ ...said.options, onUnplanned: () => undefined });
  const slow = ['first', 'second'].map((name, id) => {
    const fifo = join(folder, name);
    execFileSync('mkfifo', [fifo]);
    return { fifo, spec: specOf(TOY_HOST, id, 'crashes', { name, settings: undefined, address: name }, { crash_file: fifo }, 30_000) };
  });
  const calm = specOf(TOY_HOST, 2, 'calm', { name: 'local', settings: undefined, address: 'local' }, {}, 30_000);
  try {
    lanes.add([...slow.map(({ spec }) => spec), calm]);
    lanes.start([0, 1]);
    const endFirst = await reached(lanes, slow[0]?.fifo ?? '');
    lanes.start([2]);
    endFirst();
    await watch(lanes, 'the calm one has run', () => shown(calm).length === 2);
    assert.equal(new Channel((slow[1] as (typeof slow)[0]).spec.channel).sequence, 0);
    assert.equal(lanes.isIdle, false);
    (await reached(lanes, slow[1]?.fifo ?? ''))();
    await watch(lanes, 'the second one has run', () => new Channel((slow[1] as (typeof slow)[0]).spec.channel).sequence === 1);
    await watch(lanes, 'the lane rests', () => lanes.isIdle);
    assert.deepEqual(
      [...slow.map(({ spec }) => spec), calm].map((spec) => new Channel(spec.channel).sequence),
      [1, 1, 1],
    );
    assert.deepEqual(said.timeouts, []);
  } finally {
    await lanes.close();
  }
});

test("a job's first run in its lane has a deadline of its own", { timeout: 60_000 }, async () => {
  const fifo = join(folder, 'slow-at-first');
  execFileSync('mkfifo', [fifo]);
  const said = listeners();
  let skewMs = 0;
  const lanes = new HostLanes({ ...said.options, monotonicMs: () => systemClock.monotonicMs() + skewMs, onUnplanned: () => undefined });
  const spec = {
    ...specOf(TOY_HOST, 0, 'crashes', { name: 'slow', settings: undefined, address: 'slow' }, { crash_file: fifo }, 20_000),
    firstDeadlineMs: 60_000,
  };
  const timeoutsAfter = (ms: number): number => {
    skewMs = ms;
    lanes.watch();
    skewMs = 0;
    return said.timeouts.length;
  };
  try {
    lanes.add([spec]);
    lanes.start([0]);
    const endFirst = await reached(lanes, fifo);
    assert.equal(timeoutsAfter(30_000), 0);
    endFirst();
    await watch(lanes, 'the first run has ended', () => lanes.isIdle && new Channel(spec.channel).sequence === 1);
    lanes.start([0]);
    const endSecond = await reached(lanes, fifo);
    assert.equal(timeoutsAfter(30_000), 1);
    endSecond();
  } finally {
    await lanes.close();
  }
});

test('a host lane in a crash loop is restarted ever more slowly, fails only the collector that crashes it, and comes back', { timeout: 60_000 }, async () => {
  const crashFile = join(folder, 'crash');
  writeFileSync(crashFile, '');
  const said = listeners();
  const lanes = new HostLanes({ ...said.options, onUnplanned: () => undefined });
  const options = { crash_file: crashFile };
  const calm = specOf(TOY_HOST, 0, 'calm', { name: 'local', settings: undefined, address: 'local' }, options, 1000);
  const crashing = specOf(TOY_HOST, 1, 'crashes', { name: 'local', settings: undefined, address: 'local' }, options, 1000);
  try {
    lanes.add([calm, crashing]);
    lanes.start([0, 1]);
    await watch(lanes, 'both run', () => shown(calm).length === 2 && shown(crashing).length === 2);
    writeFileSync(crashFile, 'now');
    await watch(lanes, 'four crashes', () => {
      if (said.crashes.length < 4) lanes.start([0, 1]);
      return said.crashes.length >= 4;
    });
    assert.deepEqual(said.crashes.slice(0, 4), [250, 500, 1000, 2000]);
    assert.deepEqual(shown(crashing), ['toy_up{part="crashes"} 0']);
    assert.ok(new Channel(crashing.channel).failures('crash') >= 4);
    // The neighbour fails at most once, with the crash that took it along, and runs while the other waits for its restart.
    assert.ok(new Channel(calm.channel).failures('crash') <= 1);
    const calmRuns = new Channel(calm.channel).figures().oks;
    await watch(
      lanes,
      'the calm one runs during the pause',
      () => {
        lanes.start([0]);
        return new Channel(calm.channel).figures().oks > calmRuns + 2;
      },
      1500,
    );
    writeFileSync(crashFile, '');
    await watch(lanes, 'it comes back', () => {
      lanes.start([1]);
      return shown(crashing).includes('toy_up{part="crashes"} 1');
    });
  } finally {
    await lanes.close();
  }
});
