import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFrom } from '../../test/support/random.ts';
import { STRANGER, TRAINS, TrainYard } from './phase.ts';

const WALL = 1.7e12;

type Jitter = (random: () => number) => number;

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const idle: Jitter = (random) => Math.max(-4, normal(random));
const loaded: Jitter = (random) => (random() < 0.2 ? random() * 160 : Math.max(-4, 2 * normal(random)));
const exact: Jitter = () => 0;

interface Arrival {
  readonly at: number;
  readonly from: number;
}

function train(from: number, period: number, phase: number, start: number, end: number, jitter: Jitter, random: () => number): Arrival[] {
  const arrivals: Arrival[] = [];
  for (let tick = Math.ceil((start - phase) / period); phase + tick * period < end; tick++) {
    arrivals.push({ at: phase + tick * period + jitter(random), from });
  }
  return arrivals;
}

interface Run {
  /** Per source: what arrive() gave, in order. */
  readonly given: Map<number, number[]>;
  readonly most: number;
}

function play(yard: TrainYard, arrivals: readonly Arrival[], wallOf: (at: number) => number = (at) => WALL + at): Run {
  const given = new Map<number, number[]>();
  let most = 0;
  for (const { at, from } of [...arrivals].sort((a, b) => a.at - b.at)) {
    const list = given.get(from) ?? [];
    list.push(yard.arrive(at, wallOf(at)));
    given.set(from, list);
    most = Math.max(most, yard.locked);
  }
  return { given, most };
}

function periods(yard: TrainYard): number[] {
  const list: number[] = [];
  for (let i = 0; i < TRAINS; i++) if (yard.isLocked(i)) list.push(yard.period(i));
  return list.sort((a, b) => a - b);
}

function share(list: readonly number[] | undefined, skip: number): number {
  assert.ok(list !== undefined && list.length > skip);
  const rest = list.slice(skip);
  return rest.filter((train) => train !== STRANGER).length / rest.length;
}

test('a train is locked by its fourth arrival and its fifth is foretold', () => {
  for (const period of [1000, 1500, 5000, 7300, 15_000, 60_000, 300_000]) {
    const yard = new TrainYard();
    const out = new Float64Array(TRAINS);
    for (let tick = 0; tick < 4; tick++) {
      assert.equal(yard.locked, 0);
      assert.equal(yard.arrive(123 + tick * period, WALL + tick * period), STRANGER);
    }
    assert.equal(yard.predict(123 + 3 * period, out), 1, `period ${period}`);
    assert.ok(Math.abs((out[0] as number) - (123 + 4 * period)) < 0.01);
    assert.equal(yard.arrive(123 + 4 * period, WALL), 0);
  }
});

test('a train of 1 s is learned however late its first arrival was', () => {
  for (const late of [0, 2, 5, 8, 15, 40]) {
    const yard = new TrainYard();
    yard.arrive(late, WALL + late);
    for (let tick = 1; tick < 8; tick++) yard.arrive(tick * 1000, WALL + tick * 1000);
    assert.deepEqual(periods(yard), [1000], `${late} ms late`);
  }
});

test('who seemed to come faster than a second is learned once it keeps whole ones', () => {
  const yard = new TrainYard();
  let at = 0;
  for (let visit = 0; visit < 8; visit++) yard.arrive((at += 995), WALL + at);
  assert.equal(yard.locked, 0);
  for (let visit = 0; visit < 50; visit++) yard.arrive((at += 1000), WALL + at);
  assert.deepEqual(periods(yard).map(Math.round), [1000]);
});

test('predictions stay near the train, idle and with arrivals up to 160 ms late', () => {
  for (const [name, jitter, bound] of [
    ['idle', idle, 2],
    ['loaded', loaded, 8],
  ] as const) {
    const random = randomFrom(1);
    const yard = new TrainYard();
    const out = new Float64Array(TRAINS);
    const deviations: number[] = [];
    for (let tick = 0; tick < 3000; tick++) {
      yard.arrive(tick * 5000 + jitter(random), WALL + tick * 5000);
      if (yard.predict(tick * 5000 + 2500, out) === 1 && tick > 20)
        deviations.push(Math.abs(Math.max(...[...out].filter((at) => !Number.isNaN(at))) - (tick + 1) * 5000));
    }
    deviations.sort((a, b) => a - b);
    assert.ok(deviations.length > 2900, `${name}: locked ${deviations.length} of 2980`);
    const p99 = deviations[Math.floor(deviations.length * 0.99)] as number;
    assert.ok(p99 < bound, `${name}: p99 of the prediction's error is ${p99} ms`);
  }
});

test('two scrapers of one period are two trains, each counted alone', () => {
  const random = randomFrom(2);
  for (const [apart, period] of [
    [100, 15_000],
    [400, 1000],
    [4321, 15_000],
    [7500, 15_000],
  ] as const) {
    const yard = new TrainYard();
    const { given } = play(yard, [...train(0, period, 0, 0, 200 * period, idle, random), ...train(1, period, apart, 0, 200 * period, idle, random)]);
    if (apart !== 7500) assert.deepEqual(periods(yard).map(Math.round), [period, period], `${apart} ms apart`);
    // Exactly half a period apart they may as well be one train of half the period.
    assert.ok(share(given.get(0), 8) > 0.99, `${apart} ms apart`);
    assert.ok(share(given.get(1), 8) > 0.99, `${apart} ms apart`);
  }
});

test('two scrapers of the same phase are one train with two arrivals', () => {
  const random = randomFrom(3);
  const yard = new TrainYard();
  const { given, most } = play(yard, [...train(0, 15_000, 0, 0, 3e6, idle, random), ...train(1, 15_000, 8, 0, 3e6, idle, random)]);
  assert.equal(most, 1);
  assert.ok(share(given.get(0), 6) > 0.99 && share(given.get(1), 6) > 0.99);
});

test('eight trains are learned, a ninth is not', () => {
  const random = randomFrom(4);
  const list = [1000, 5000, 5000, 10_000, 15_000, 15_000, 30_000, 60_000].map((period, i) =>
    train(i, period, (i * 0.618 * period) % period, 0, 3.6e6, idle, random),
  );
  const yard = new TrainYard();
  const { given, most } = play(yard, [...list.flat(), ...train(8, 20_000, 777, 1.8e6, 3.6e6, idle, random)]);
  assert.equal(most, TRAINS);
  assert.deepEqual(periods(yard).map(Math.round), [1000, 5000, 5000, 10_000, 15_000, 15_000, 30_000, 60_000]);
  for (let i = 0; i < 8; i++) assert.ok(share(given.get(i), 10) > 0.97, `train ${i}: ${share(given.get(i), 10)}`);
  assert.ok(share(given.get(8), 5) < 0.2);
});

test('a train is dropped after three misses, kept after two', () => {
  const yard = new TrainYard();
  for (let tick = 0; tick < 10; tick++) yard.arrive(tick * 5000, WALL);
  yard.advance(45_000 + 5300);
  yard.advance(45_000 + 10_300);
  assert.equal(yard.locked, 1);
  assert.notEqual(yard.arrive(60_000, WALL), STRANGER);
  for (const missed of [1, 2, 3]) {
    assert.equal(yard.locked, 1);
    yard.advance(60_000 + missed * 5000 + 300);
  }
  assert.equal(yard.locked, 0);
});

test('a long pause of this process counts as one miss', () => {
  const yard = new TrainYard();
  for (let tick = 0; tick < 10; tick++) yard.arrive(tick * 5000, WALL + tick * 5000);
  yard.advance(3_600_100);
  assert.equal(yard.locked, 1);
  assert.notEqual(yard.arrive(3_605_000, WALL + 3_605_000), STRANGER);
});

/** Ten arrivals every 15 s, then none until `back`; gives how many arrivals it takes until one is the train's. */
function comeBack(back: number, wallStep: number, phaseStep: number): number {
  const yard = new TrainYard();
  for (let tick = 0; tick < 10; tick++) yard.arrive(tick * 15_000, WALL + tick * 15_000);
  for (let at = 136_000; at < back; at += 15_000) yard.advance(at);
  assert.equal(yard.locked, 0);
  for (let i = 0; i < 6; i++) {
    const at = back + i * 15_000 + phaseStep;
    if (yard.arrive(at, WALL + at + wallStep) !== STRANGER) return i;
  }
  return Number.POSITIVE_INFINITY;
}

test('a restarted scraper is known again at its first arrival, by the phase of the wall clock', () => {
  assert.equal(comeBack(135_000 + 10 * 15_000, 0, 0), 1);
  assert.equal(comeBack(135_000 + 10 * 15_000, 0, 20), 1, 'a little late');
  assert.equal(comeBack(135_000 + 10 * 15_000, 0, 4000), 4, 'at another phase it is a new train');
  assert.equal(comeBack(135_000 + 10 * 15_000, 4000, 0), 4, 'the wall clock was set meanwhile');
  assert.equal(comeBack(135_000 + 20 * 15_000, 0, 0), 4, 'away for too long');
});

test('a step of the wall clock does not disturb a locked train', () => {
  const random = randomFrom(5);
  const { given, most } = play(new TrainYard(), train(0, 15_000, 0, 0, 3e6, idle, random), (at) => WALL + at + (at > 1e6 ? 3.6e6 : 0) - (at > 2e6 ? 9e6 : 0));
  assert.equal(most, 1);
  assert.equal(share(given.get(0), 4), 1);
});

test('trains carried over a reload are locked at their first arrival', () => {
  const before = new TrainYard();
  play(before, [...train(0, 15_000, 0, 0, 150_000, exact, randomFrom(6)), ...train(1, 5000, 1234, 0, 150_000, exact, randomFrom(6))]);
  assert.equal(before.locked, 2);
  const after = new TrainYard();
  after.restore(JSON.parse(JSON.stringify(before.remembered())) as ReturnType<TrainYard['remembered']>);
  const { given } = play(after, [
    ...train(0, 15_000, 0, 150_000, 250_000, exact, randomFrom(6)),
    ...train(1, 5000, 1234, 150_000, 250_000, exact, randomFrom(6)),
  ]);
  assert.equal(share(given.get(0), 1), 1);
  assert.equal(share(given.get(1), 1), 1);
});

test('the shortest period that explains the arrivals is taken', () => {
  const yard = new TrainYard();
  play(yard, train(0, 5000, 321, 0, 600_000, idle, randomFrom(7)));
  assert.deepEqual(periods(yard).map(Math.round), [5000]);
});

test('a period that is not whole, or drifts, is followed', () => {
  for (const period of [15_000.3, 14_999.1, 7321.5, 60_003, 299_985]) {
    const random = randomFrom(8);
    const yard = new TrainYard();
    const { given } = play(yard, train(0, period, 0, 0, 300 * period, idle, random));
    assert.equal(share(given.get(0), 5), 1, `${period}`);
    assert.ok(Math.abs((periods(yard)[0] as number) - period) < 0.4, `${period}: ${periods(yard)[0]}`);
  }
});

test('a train whose phase moves by less than its window is followed', () => {
  for (const moved of [-40, 45, 130]) {
    const yard = new TrainYard();
    const out = new Float64Array(TRAINS);
    play(yard, [...train(0, 15_000, 0, 0, 300_000, idle, randomFrom(9)), ...train(0, 15_000, moved, 300_000, 600_000, idle, randomFrom(9))]);
    assert.equal(yard.predict(600_100 + moved, out), 1);
    assert.ok(Math.abs((out[0] as number) - (615_000 + moved)) < 5, `moved by ${moved}: ${out[0]}`);
  }
});

test('pollers faster than a second are never learned', () => {
  for (const period of [50, 200, 333, 500, 900, 990, 995]) {
    for (const sloppy of [0, 1, period > 900 ? 3 : 0.02 * period]) {
      const random = randomFrom(period);
      const yard = new TrainYard();
      const arrivals: Arrival[] = [];
      // A loop of request and sleep keeps no phase; a timer does.
      for (let at = 0, tick = 0; at < 300_000; tick++) {
        at = sloppy > 1 ? at + period + sloppy * normal(random) : tick * period + sloppy * normal(random);
        arrivals.push({ at, from: 0 });
      }
      const { most } = play(yard, arrivals);
      assert.equal(most, 0, `every ${period} ms, sloppy by ${sloppy}: ${periods(yard).join()}`);
    }
  }
});

test('irregular visitors are not learned: a chance train in fewer than one of 10000 visits, gone after three misses', () => {
  let locks = 0;
  for (const mean of [200, 500, 1000, 2000, 5000, 10_000, 60_000]) {
    const random = randomFrom(mean);
    const yard = new TrainYard();
    let version = 0;
    for (let at = 0, i = 0; i < 6000; i++) {
      at -= mean * Math.log(1 - random());
      yard.arrive(at, WALL + at);
      if (yard.version === version) continue;
      version = yard.version;
      if (yard.locked === 0) locks += 1;
    }
  }
  assert.ok(locks <= 4, `${locks} chance trains in 42000 visits`);
});

test('trains are learned and kept beside a poller of 0.5 s', () => {
  for (const sloppy of [0, 8]) {
    const random = randomFrom(10 + sloppy);
    const poller: Arrival[] = [];
    for (let at = 57; at < 3e6; at += 500 + sloppy * normal(random)) poller.push({ at, from: 9 });
    const yard = new TrainYard();
    const { given, most } = play(yard, [...poller, ...train(0, 15_000, 4000, 60_000, 3e6, idle, random), ...train(1, 5000, 2200, 60_000, 3e6, idle, random)]);
    assert.ok(most === 2, `${most} trains`);
    assert.ok(share(given.get(0), 20) > 0.9, `15 s: ${share(given.get(0), 20)}`);
    assert.ok(share(given.get(1), 30) > 0.9, `5 s: ${share(given.get(1), 30)}`);
  }
});

test('a flood neither moves, drops nor adds a train, and stays cheap in state', () => {
  const random = randomFrom(11);
  const yard = new TrainYard();
  const out = new Float64Array(TRAINS);
  const flood: Arrival[] = [];
  for (let at = 100_000; at < 112_000; at += 0.05 + random() * 0.05) flood.push({ at, from: 9 });
  const { given, most } = play(yard, [...flood, ...train(0, 5000, 0, 0, 400_000, idle, random), ...train(1, 1000, 123, 0, 400_000, idle, random)]);
  assert.equal(most, 2);
  assert.equal(yard.version, 2);
  assert.ok(yard.strangers <= 64);
  assert.ok(share(given.get(0), 4) > 0.94);
  assert.ok(share(given.get(1), 6) > 0.94);
  assert.ok(share(given.get(9), 0) < 0.001, 'the flood itself is nobody');
  yard.predict(402_500, out);
  assert.ok(Math.abs((out[yard.period(0) > 2000 ? 0 : 1] as number) - 405_000) < 4);
});

test('a train is learned again after a flood that came before its fourth arrival', () => {
  const yard = new TrainYard();
  const flood: Arrival[] = [];
  for (let at = 36_000; at < 40_000; at += 0.2) flood.push({ at, from: 9 });
  const { given } = play(yard, [...flood, ...train(0, 15_000, 0, 0, 300_000, exact, randomFrom(12))]);
  assert.equal(share(given.get(0), 4), 1);
});

test('state does not grow with the number of visitors', () => {
  const random = randomFrom(13);
  const yard = new TrainYard();
  let at = 0;
  const visit = (count: number): void => {
    for (let i = 0; i < count; i++) {
      at += random() < 0.01 ? random() * 20_000 : random() * 400;
      yard.arrive(at, WALL + at);
    }
  };
  visit(100_000);
  assert.ok(yard.strangers <= 64 && yard.locked <= TRAINS);
  assert.ok(yard.remembered().length <= 16 + TRAINS);
});
