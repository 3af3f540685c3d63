import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFrom } from '../../test/support/random.ts';
import { STRANGER } from './phase.ts';
import { type JobTerms, RunTimes, Timetable, type ViewTimes } from './timetable.ts';

const WALL = 1.7e12;

type Draw = (random: () => number) => number;

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A machine that runs what the timetable says: one host thread, network targets in parallel, one builder. */
interface Machine {
  readonly jitter: Draw;
  readonly timerLate: Draw;
  readonly run: Record<'host' | 'network', Draw>;
  readonly build: Draw;
}

const IDLE: Machine = {
  jitter: (random) => Math.max(-4, normal(random)),
  timerLate: (random) => 0.1 + random() * 1.2,
  run: {
    host: (random) => 0.2 + 0.15 * random() + (random() < 0.002 ? 6 * random() : 0),
    network: (random) => 8 + 6 * random() + (random() < 0.01 ? 25 * random() : 0),
  },
  build: (random) => 1 + random(),
};

const LOADED: Machine = {
  jitter: (random) => (random() < 0.2 ? 160 * random() : Math.max(-4, 2 * normal(random))),
  timerLate: (random) => 0.2 + 4 * random() + (random() < 0.1 ? 12 * random() : 0),
  run: {
    host: (random) => 0.3 + 0.4 * random() + (random() < 0.02 ? 24 * random() : 0),
    network: (random) => 8 + 12 * random() + (random() < 0.03 ? 20 * random() : 0),
  },
  build: (random) => 2 + 4 * random() + (random() < 0.05 ? 24 * random() : 0),
};

interface Visit {
  readonly at: number;
  readonly view: number;
  readonly regular: boolean;
}

interface SimulatedJob extends JobTerms {
  readonly views: readonly number[];
}

interface Outcome {
  readonly hits: number;
  readonly misses: number;
  readonly unlocked: number;
  /** Response minus start of the oldest run on the page, for regular visits after the first tenth of the time. */
  readonly ages: number[];
  readonly starts: Map<number, number[]>;
  readonly timetable: Timetable;
  readonly views: ViewTimes[];
}

interface Happening {
  readonly at: number;
  readonly act: () => void;
}

function simulate(
  machine: Machine,
  jobs: readonly SimulatedJob[],
  viewCount: number,
  visits: readonly Visit[],
  until: number,
  seed: number,
  pause?: { from: number; to: number },
): Outcome {
  const random = randomFrom(seed);
  const timetable = new Timetable(0);
  for (const [id, terms] of jobs.entries()) timetable.addJob(id, terms, 0);
  const views = Array.from({ length: viewCount }, (_, v) => timetable.addView([...jobs.keys()].filter((id) => jobs[id]?.views.includes(v))));
  const ended = new Map<number, number>();
  const shown = views.map(() => new Map<number, number>());
  const starts = new Map<number, number[]>([...jobs.keys()].map((id) => [id, []]));
  const counts = { hit: 0, miss: 0, unlocked: 0 };
  const ages: number[] = [];
  const happenings: Happening[] = [];
  const at = (time: number, act: () => void): void => {
    let place = happenings.length;
    while (place > 0 && (happenings[place - 1] as Happening).at <= time) place -= 1;
    happenings.splice(place, 0, { at: time, act });
  };
  let hostFreeAt = 0;
  let builderFreeAt = 0;
  const build = (view: number, from: number): void => {
    const begin = Math.max(from, builderFreeAt);
    builderFreeAt = begin + machine.build(random);
    const page = new Map<number, number>();
    at(begin, () => {
      for (const [id, start] of ended) if (jobs[id]?.views.includes(view)) page.set(id, start);
    });
    const done = builderFreeAt;
    at(done, () => {
      shown[view] = page;
      timetable.viewBuilt(views[view] as ViewTimes, begin, done - from);
    });
  };
  const start = (ids: readonly number[], now: number): void => {
    const lanes = new Map<string, number[]>();
    for (const id of ids) {
      const job = jobs[id] as SimulatedJob;
      const name = job.pool === 'host' ? 'host' : job.lane;
      lanes.set(name, [...(lanes.get(name) ?? []), id]);
      timetable.jobStarted(id, now);
      starts.get(id)?.push(now);
    }
    for (const lane of lanes.values()) {
      const pool = (jobs[lane[0] as number] as SimulatedJob).pool;
      let time = pool === 'host' ? Math.max(now, hostFreeAt) : now;
      for (const id of lane) {
        const began = time;
        time += machine.run[pool](random);
        const duration = time - began;
        at(time, () => {
          ended.set(id, began);
          timetable.jobEnded(id, began + duration, duration, pool === 'host' ? duration * 0.8 : 0.1, 'ok');
        });
      }
      if (pool === 'host') hostFreeAt = time;
      const end = time;
      at(end, () => {
        for (const view of new Set(lane.flatMap((id) => jobs[id]?.views ?? []))) build(view, end);
      });
    }
  };
  const arrive = (visit: Visit): void => {
    const view = views[visit.view] as ViewTimes;
    const train = timetable.arrived(view, visit.at, WALL + visit.at);
    counts[train === STRANGER ? 'unlocked' : timetable.verdict(view, train)] += 1;
    const page = shown[visit.view] as Map<number, number>;
    if (visit.regular && visit.at > until / 10 && page.size > 0) ages.push(visit.at - Math.min(...page.values()));
  };
  const ordered = [...visits].sort((a, b) => a.at - b.at);
  const out: number[] = [];
  let arrived = 0;
  let clock = 0;
  let late = machine.timerLate(random);
  for (;;) {
    const visit = ordered[arrived];
    const happening = happenings.at(-1);
    const now = Math.min(visit?.at ?? Infinity, happening?.at ?? Infinity);
    let timer = timetable.next(clock) + late;
    if (pause !== undefined && timer > pause.from && timer < pause.to) timer = pause.to;
    clock = Math.min(now, timer);
    if (clock > until) break;
    if (timer <= now) {
      timetable.due(timer, out);
      start(out, timer);
      late = machine.timerLate(random);
    } else if (happening !== undefined && happening.at <= (visit?.at ?? Infinity)) {
      happenings.pop();
      happening.act();
    } else if (visit !== undefined) {
      arrived += 1;
      arrive(visit);
    }
  }
  return { hits: counts.hit, misses: counts.miss, unlocked: counts.unlocked, ages: ages.sort((a, b) => a - b), starts, timetable, views };
}

function scraper(view: number, period: number, phase: number, until: number, machine: Machine, seed: number): Visit[] {
  const random = randomFrom(seed);
  const visits: Visit[] = [];
  for (let tick = 0; phase + tick * period < until; tick++) visits.push({ at: phase + tick * period + machine.jitter(random), view, regular: true });
  return visits;
}

function host(count: number, views: readonly number[], more: Partial<SimulatedJob> = {}): SimulatedJob[] {
  return Array.from({ length: count }, () => ({ pool: 'host', lane: 'host', intervalMs: 15_000, intervalIsSet: false, deadlineMs: 1000, views, ...more }));
}

function network(target: string, parts: number, views: readonly number[], more: Partial<SimulatedJob> = {}): SimulatedJob[] {
  return Array.from({ length: parts }, () => ({ pool: 'network', lane: target, intervalMs: 15_000, intervalIsSet: false, deadlineMs: 5000, views, ...more }));
}

function p99(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length * 0.99)] as number;
}

function gaps(times: readonly number[] | undefined): number[] {
  assert.ok(times !== undefined && times.length > 1);
  return times.slice(1).map((time, i) => time - (times[i] as number));
}

const HOUR = 3_600_000;

/**
 * Two servers with three jobs each at one interval: node page, postgres page, everything. Arrivals that want the target are
 * more than its floor of 1 s apart; closer ones cannot all find it fresh.
 */
function twoServers(machine: Machine, interval: number, until: number): Visit[] {
  const phases = [0.137, 0.05, 0.3, 0.611, 0.55, 0.8];
  return phases.flatMap((phase, i) => scraper(i % 3, interval, phase * interval, until, machine, 100 + i));
}

const JOBS = [...host(40, [0, 2]), ...network('postgres/a', 3, [1, 2])];

test('idle: at least 99 % hits, p99 of the data age at most 100 ms', () => {
  for (const interval of [5000, 15_000]) {
    const { hits, misses, ages } = simulate(IDLE, JOBS, 3, twoServers(IDLE, interval, HOUR * (interval / 5000)), HOUR * (interval / 5000), 1);
    assert.ok(hits > 4000 && misses / (hits + misses) <= 0.01, `${interval} ms: ${hits} hits, ${misses} misses`);
    assert.ok(p99(ages) <= 100, `${interval} ms: p99 of the age is ${p99(ages)} ms`);
  }
});

test('loaded: at most 1 % misses, p99 of the data age at most 250 ms', () => {
  for (const interval of [5000, 15_000]) {
    const { hits, misses, ages } = simulate(LOADED, JOBS, 3, twoServers(LOADED, interval, HOUR * (interval / 5000)), HOUR * (interval / 5000), 2);
    assert.ok(hits > 4000 && misses / (hits + misses) <= 0.01, `${interval} ms: ${hits} hits, ${misses} misses`);
    assert.ok(p99(ages) <= 250, `${interval} ms: p99 of the age is ${p99(ages)} ms`);
  }
});

test('the p99 is the second largest of the last 128, and forgets the cold first run', () => {
  const times = new RunTimes();
  assert.ok(Number.isNaN(times.p99));
  times.add(900);
  assert.equal(times.p99, 900);
  times.add(3);
  assert.equal(times.p99, 3);
  const random = randomFrom(3);
  const all = [3];
  for (let i = 0; i < 5000; i++) {
    const duration = Math.floor(random() * 50) + (random() < 0.01 ? 500 : 0);
    all.push(duration);
    times.add(duration);
    const recent = all.slice(-128).sort((a, b) => b - a);
    assert.equal(times.p99, recent[all.length < 16 ? 0 : 1], `after ${all.length}`);
  }
});

test('without a scraper host jobs start together every interval, network lanes spread over it', () => {
  const targets = Array.from({ length: 10 }, (_, i) => network(`postgres/db${i}`, 2, [0]));
  const { starts } = simulate(IDLE, [...host(5, [0]), ...targets.flat()], 1, [], 300_000, 4);
  const spread = new Set<number>();
  for (const [id, times] of starts) {
    for (const gap of gaps(times).slice(1)) assert.ok(Math.abs(gap - 15_000) < 5, `job ${id}: ${gap}`);
    if (id < 5) assert.deepEqual(times, starts.get(0));
    else spread.add(Math.floor(((times[3] as number) % 15_000) / 1500));
    // The first run comes at once, not on the lane's grid; the grid's next point may be closer than the floor.
    assert.ok(gaps(times).every((gap) => gap < 16_010));
  }
  assert.ok(spread.size >= 5, `${spread.size} of 10 tenths of the interval are used`);
  for (let id = 5; id < 25; id += 2) assert.deepEqual(starts.get(id), starts.get(id + 1), 'parts of one target start together');
});

test('a train replaces the plain interval until it is dropped', () => {
  const { starts } = simulate(IDLE, host(3, [0]), 1, scraper(0, 60_000, 7000, 1_200_000, IDLE, 5), 1_600_000, 5);
  const times = starts.get(0) as number[];
  const between = (from: number, to: number): number => times.filter((at) => at > from && at <= to).length;
  assert.equal(between(300_000, 1_140_000), 14);
  for (const at of times.filter((time) => time > 300_000 && time < 1_140_000)) assert.ok((at + 60_000 - 7000) % 60_000 > 59_950, `started at ${at}`);
  // The third miss is noticed at the run after it.
  assert.ok(between(1_430_000, 1_595_000) >= 10, `back to every 15 s: ${times.slice(-12).map(Math.round).join()}`);
});

test('a job whose interval is set keeps it beside a train, out of the way of its batch', () => {
  const jobs = [...host(20, [0]), ...host(1, [0], { intervalIsSet: true, intervalMs: 10_000 })];
  // The train comes just when the set interval falls due.
  const { starts, hits, misses } = simulate(IDLE, jobs, 1, scraper(0, 5000, 8, HOUR, IDLE, 6), HOUR, 6);
  assert.ok(gaps(starts.get(20)).every((gap) => Math.abs(gap - 10_000) < 1100));
  assert.ok(misses / (hits + misses) <= 0.01, `${hits} hits, ${misses} misses`);
});

test('one run serves arrivals within 50 ms of each other, and no two runs are closer than the floor', () => {
  const together = [...scraper(0, 5000, 1000, 600_000, IDLE, 7), ...scraper(1, 5000, 1035, 600_000, IDLE, 8)];
  const { starts } = simulate(IDLE, host(3, [0, 1]), 2, together, 600_000, 7);
  assert.ok(Math.abs((starts.get(0) as number[]).filter((at) => at > 100_000).length - 100) <= 1);
  const apart = [...scraper(0, 1000, 0, 600_000, IDLE, 9), ...scraper(1, 1000, 300, 600_000, IDLE, 10), ...scraper(1, 1000, 600, 600_000, IDLE, 11)];
  const close = simulate(IDLE, [...host(2, [0, 1]), ...host(1, [0, 1], { floorMs: 400 }), ...network('redis/a', 1, [0, 1])], 2, apart, 600_000, 8);
  for (const [id, floor] of [
    [0, 50],
    [2, 400],
    [3, 1000],
  ] as const)
    assert.ok(
      gaps(close.starts.get(id)).every((gap) => gap >= floor * 0.98 - 0.01),
      `job ${id}`,
    );
  assert.ok((close.starts.get(0) as number[]).length > 1600, 'three trains a second, three runs');
});

test('the floor of a host job is 20 times its CPU time', () => {
  const heavy: Machine = { ...IDLE, run: { ...IDLE.run, host: () => 100 } };
  const { starts } = simulate(heavy, host(1, [0]), 1, scraper(0, 1000, 0, 300_000, IDLE, 12), 300_000, 9);
  assert.ok(
    gaps(starts.get(0))
      .slice(2)
      .every((gap) => gap >= 1600 - 0.01),
  );
});

test('after a pause of an hour exactly one run follows, and then the rhythm', () => {
  for (const visits of [[], scraper(0, 15_000, 4000, 3 * HOUR, IDLE, 13).filter(({ at }) => at < HOUR || at > 2 * HOUR)]) {
    const { starts } = simulate(IDLE, [...host(3, [0]), ...network('redis/a', 1, [0])], 1, visits, 3 * HOUR, 10, { from: HOUR, to: 2 * HOUR });
    for (const times of starts.values()) {
      const after = times.filter((at) => at >= HOUR - 100);
      assert.equal(after.filter((at) => at < 2 * HOUR + 5).length - after.filter((at) => at < HOUR + 20).length, 1);
      assert.ok(after.filter((at) => at > 2 * HOUR + 5 && at < 2 * HOUR + 30_100).length <= 3);
    }
  }
});

test('a failing target is tried less often, but at least once an interval, and is no miss', () => {
  for (const period of [1000, 10_000, 300_000]) {
    const timetable = new Timetable(0);
    timetable.addJob(0, network('redis/a', 1, [0])[0] as JobTerms, 0);
    const view = timetable.addView([0]);
    const starts: number[] = [];
    const out: number[] = [];
    for (let now = 0; now < 10 * period + 400_000; now += 10) {
      if (now % period === 0) {
        const train = timetable.arrived(view, now, WALL + now);
        if (train !== STRANGER) assert.equal(timetable.verdict(view, train), 'hit');
      }
      timetable.due(now, out);
      if (out.length === 0) continue;
      starts.push(now);
      timetable.jobStarted(0, now);
      timetable.jobEnded(0, now + 2, 2, 0, 'down');
    }
    assert.ok(
      gaps(starts).every((gap) => gap <= 15_010),
      `period ${period}: ${Math.max(...gaps(starts))}`,
    );
    assert.ok(
      gaps(starts)
        .slice(8)
        .every((gap) => gap >= 8000),
      `period ${period}: ${Math.min(...gaps(starts).slice(8))}`,
    );
  }
});

test('a miss doubles the margin, hits take it back slowly', () => {
  const timetable = new Timetable(0);
  timetable.addJob(0, host(1, [0])[0] as JobTerms, 0);
  const view = timetable.addView([0]);
  const out: number[] = [];
  const run = (at: number, ms: number): void => {
    timetable.due(at, out);
    assert.deepEqual(out, [0]);
    timetable.jobStarted(0, at);
    timetable.jobEnded(0, at + ms, ms, 0.01, 'ok');
    timetable.viewBuilt(view, at + ms, 1);
  };
  for (let now = 0; now <= 100_000; now += 5000) {
    const train = timetable.arrived(view, now, WALL + now);
    if (train !== STRANGER) timetable.verdict(view, train);
    for (let due = now < 100_000 ? timetable.next(now + 1) : now + 5000; due < now + 4995.5; due = timetable.next(due + 0.001)) run(due, 3);
  }
  assert.equal(view.margins[0], 5);
  timetable.due(104_995, out);
  timetable.jobStarted(0, 104_995);
  assert.equal(timetable.verdict(view, timetable.arrived(view, 105_000, WALL)), 'miss');
  assert.equal(view.margins[0], 10);
  timetable.jobEnded(0, 105_003, 3, 0.01, 'ok');
  timetable.viewBuilt(view, 105_003, 1);
  const due = timetable.next(105_500);
  assert.ok(due < 110_000 - 13, `${due}`);
  run(due, 3);
  assert.equal(timetable.verdict(view, timetable.arrived(view, 110_000, WALL)), 'hit');
  assert.ok((view.margins[0] as number) < 10 && (view.margins[0] as number) > 9.9);
});

test('jobs and views come and go', () => {
  const timetable = new Timetable(0);
  assert.equal(timetable.next(0), Number.POSITIVE_INFINITY);
  timetable.addJob(7, host(1, [0])[0] as JobTerms, 0);
  timetable.addJob(3, network('redis/a', 1, [0])[0] as JobTerms, 0);
  assert.throws(() => timetable.addJob(7, host(1, [0])[0] as JobTerms, 0), /job 7/);
  const view = timetable.addView([7, 3, 99]);
  const out: number[] = [];
  timetable.due(600, out);
  assert.deepEqual(out, [7, 3]);
  timetable.removeJob(7);
  timetable.due(600, out);
  assert.deepEqual(out, [3]);
  timetable.jobEnded(7, 700, 1, 1, 'ok');
  assert.equal(timetable.dueAt(7), Number.POSITIVE_INFINITY);
  timetable.removeView(view);
  timetable.removeJob(3);
  assert.equal(timetable.next(1e6), Number.POSITIVE_INFINITY);
});
