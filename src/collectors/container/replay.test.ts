/**
 * Replayed runs against runs in TypeScript: both follow the same tree while its numbers, and now and then its texts and
 * cgroups, are changed, and must show the same page after every step.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFrom } from '../../../test/support/random.ts';
import { Channel, CHANNEL_LAYOUT, EMPTY_PAGE, makeChannel } from '../../collect/channel.ts';
import type { HostSession } from '../../collect/contract.ts';
import { PLAIN } from '../../collect/variant.ts';
import { CONTROL_LAYOUT, HostControl, makeHostControl, MAX_JOBS } from '../../lanes/host-control.ts';
import { Job, Replay } from '../../lanes/work.ts';
import { systemClock } from '../../model/clock.ts';
import { loadReaders } from '../../readers/load.ts';
import { type Readers, type Replays, TURN_LEFT_SHIFT } from '../../readers/readers.ts';
import { open, report } from './collect.ts';
import { fixture, plant, samples, type TestTree } from './harness.ts';
import { containerOptions } from './options.ts';

const readers = loadReaders();
const skip = readers.native ? false : 'the addon is not built';
const LANE = 1;
const NEXT_CYCLE_MS = 510;

/** Every row is made in TypeScript, in each run. */
const oracle = Object.create(readers, { rowTable: { value: () => undefined } }) as Readers;

/** Hears of cgroups that come and go, and of no writes: on these trees, unlike on a kernel's, each new number is one. */
const unwritten = Object.create(readers, {
  watch: {
    value: () => {
      const watch = readers.watch();
      const add = watch?.add.bind(watch);
      return watch === undefined || add === undefined ? undefined : Object.assign(watch, { add: (path: string) => add(path, false) });
    },
  },
}) as Readers;

const PARTS = ['base', 'cpu', 'cpuLoad', 'disk', 'diskIO', 'machine', 'memory', 'network', 'oom_event', 'pressure', 'process', 'resource', 'spec'];
/** Where block devices have two policies one is chosen in TypeScript. On v2 the memory of `/` is worked out from the machine's, and what a cgroup without processes has in threads from another file. */
const NEVER_REPLAYED: Readonly<Record<string, readonly string[]>> = { v1: ['diskIO'], v2: ['memory', 'process', 'resource'] };
/** Files that only a report of a write has read again. */
const STEADY = /cpu\.cfs_|cpu\.shares|cpu\.max|cpu\.weight|limit_in_bytes|pids\.max|memory\.(?:max|min|swap\.max)$|oom_control|memory\.events\.local/;

const WITNESS = /memory\.(?:usage_in_bytes|current)$/;

interface Driven {
  readonly job: Job;
  /** Undefined where every run is made. */
  readonly replay: Replay | undefined;
  readonly channel: Channel;
}

/** The parts of one session as the jobs of a lane, driven as src/lanes/host.ts does. */
class LaneOfParts {
  readonly #jobs: Driven[] = [];
  readonly #turn: () => number;
  readonly #session: HostSession;
  readonly #control = new HostControl(makeHostControl());
  readonly #left = new Int32Array(MAX_JOBS);
  /** Runs that were replayed, by part. */
  readonly replayed = new Map<string, number>();

  /** @param isReplayed one lane of a thread only */
  constructor(tree: TestTree, by: Readers, isReplayed: boolean) {
    const replays = isReplayed ? (by.replays(Int32Array.from([...CHANNEL_LAYOUT, ...CONTROL_LAYOUT])) as Replays) : undefined;
    const { words, floats } = this.#control;
    const owners = new Int32Array(MAX_JOBS).fill(LANE);
    const bell = new Int32Array(new SharedArrayBuffer(4));
    this.#turn = replays?.turns({ words, floats, owners, left: this.#left, bell, number: LANE }) ?? (() => this.#control.turn(0, this.#left));
    const target = { name: 'local', settings: {}, address: '' };
    const options = containerOptions.parse({});
    const shared = {
      collector: 'container',
      target,
      worker: '',
      options,
      roots: tree.roots,
      parts: PARTS,
      deadlineMs: 1000,
      maxSeries: 10_000,
      maxBytes: 1 << 22,
    };
    for (const [id, part] of PARTS.entries()) {
      const memory = makeChannel([PLAIN], 1 << 22, [EMPTY_PAGE]);
      const job = new Job({ ...shared, id, part, channel: memory }, by, report, () => undefined);
      this.#jobs.push({ job, replay: replays && new Replay(job, replays), channel: new Channel(memory) });
    }
    this.#session = open({ ...shared, readers: by, monotonicMs: systemClock.monotonicMs, wallMs: systemClock.wallMs, warn: () => undefined });
  }

  /** Runs all parts; their pages. */
  run(): readonly string[] {
    for (const id of PARTS.keys()) this.#control.due(id);
    const left = this.#left.slice(0, this.#turn() >>> TURN_LEFT_SHIFT);
    for (const [id, part] of PARTS.entries()) if (!left.includes(id)) this.replayed.set(part, (this.replayed.get(part) ?? 0) + 1);
    for (const id of left) this.#collect(id);
    return this.#jobs.map(({ channel }) => pageOf(channel));
  }

  close(): void {
    for (const { replay } of this.#jobs) replay?.leave();
    this.#session.close();
  }

  #collect(id: number): void {
    const { job, replay } = this.#jobs[id] as Driven;
    replay?.leave();
    job.start(systemClock.monotonicMs());
    try {
      const outcome = this.#session.collect(job.spec.part, job.sheet);
      job.end(outcome.kind, undefined, systemClock.monotonicMs(), 0);
      replay?.arm(this.#session, outcome.kind);
    } catch (error) {
      job.end('failed', error, systemClock.monotonicMs(), 0);
    }
  }
}

function pageOf(channel: Channel): string {
  const view = channel.view(0, 0);
  if (view === undefined) return '';
  const { page, index, families } = view;
  let end = 0;
  for (let i = 0; i < families; i++) end = Math.max(end, (index[i * 4] ?? 0) + (index[i * 4 + 1] ?? 0) + (index[i * 4 + 2] ?? 0));
  return new TextDecoder().decode(page.slice(0, end));
}

/** Numbers that move by themselves between one run and the other are the same when they are near. */
function assertSame(part: string, page: string, expected: string, step: number): void {
  if (part !== 'base' && part !== 'disk') {
    assert.deepEqual(page.split('\n'), expected.split('\n'), `${part}, step ${step}`);
    return;
  }
  const [found, wanted] = [samples(page), samples(expected)];
  assert.deepEqual([...found.keys()], [...wanted.keys()], `${part}, step ${step}`);
  for (const [series, value] of found) {
    const other = wanted.get(series) ?? Number.NaN;
    assert.ok(Math.abs(value - other) <= (part === 'base' ? 1 : 0.05 * other), `${series}: ${value}, not ${other}`);
  }
}

function filesBelow(tree: TestTree): string[] {
  const base = join(tree.path, 'sys/fs/cgroup');
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.path.length + 1))
    .sort();
}

/** The numbers of a disk, which are parts of its name in /proc/diskstats, stay. */
function withOtherNumbers(text: string, random: () => number): string {
  return text.replace(/(?<![:\w])\d+(?=\s)(?!.* sda)/g, (number) => (random() < 0.5 ? number : String(Math.floor(random() * 1e9) + 1)));
}

function changeTexts(tree: TestTree, path: string, random: () => number): void {
  const file = join(tree.path, path);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : 'another 1\n';
  if (random() < 0.3) rmSync(file, { force: true });
  else tree.write(path, random() < 0.5 ? `${text}another 5\n` : text.split('\n').slice(1).join('\n'));
}

const CENSUS = '#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t5\t1\ncpuacct\t3\t5\t1\nmemory\t4\t5\t1\n';
const VMSTAT = 'nr_free_pages 5\npgscan_kswapd 5\noom_kill 0\n';
const DISKS = '   8       0 sda 312 0 11088 7 40 5 60 7 8 9 10\n';
const NET = 'Inter-|   Receive\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n';

describe('replayed runs', { skip }, () => {
  for (const kind of ['v1', 'v2'] as const) {
    for (const hearsWrites of [false, true]) {
      test(`show what runs in TypeScript show, whatever changes: ${kind}${hearsWrites ? ', limits too' : ''}`, async () => {
        const tree = plant(fixture(`${kind}.tree`));
        mkdirSync(join(tree.path, 'root'), { recursive: true });
        tree.write('proc/1/mountinfo', '22 1 8:0 / / rw - ext4 /dev/sda rw\n');
        const random = randomFrom(7);
        const moving = { 'proc/cgroups': CENSUS, 'proc/vmstat': VMSTAT, 'proc/diskstats': DISKS, 'proc/1/net/dev': NET };
        for (const [path, text] of Object.entries(moving)) tree.write(path, text);
        if (kind === 'v2') tree.write('sys/fs/cgroup/cgroup.stat', 'nr_descendants 9\nnr_dying_descendants 0\n');
        const all = filesBelow(tree);
        const files = hearsWrites ? all : all.filter((path) => !STEADY.test(path));
        const [native, made] = [new LaneOfParts(tree, hearsWrites ? readers : unwritten, true), new LaneOfParts(tree, oracle, false)];
        const first = new Map(files.map((path) => [path, readFileSync(join(tree.path, path), 'utf8')]));
        let changed = '';
        const pick = (): string => files[Math.floor(random() * files.length)] as string;
        const parent = files.find((path) => path.endsWith(kind === 'v1' ? '/memory/memory.usage_in_bytes' : '/memory.stat'))?.replace(/\/[^/]*$/, '') ?? '';
        try {
          for (let step = 0; step < (hearsWrites ? 24 : 60); step++) {
            for (let count = 0; count < 4; count++) {
              const path = pick();
              if (existsSync(join(tree.path, path))) tree.write(path, withOtherNumbers(readFileSync(join(tree.path, path), 'utf8'), random));
            }
            // All cgroups are at work: their costly files never rest.
            for (const path of all.filter((file) => WITNESS.test(file) && existsSync(join(tree.path, file)))) tree.write(path, `${step * 4096 + 1}\n`);
            for (const path of ['proc/diskstats', 'proc/1/net/dev'] as const) tree.write(path, withOtherNumbers(moving[path], random));
            // Parts that run within half a second share a look at the tree: the next one is a cycle of its own.
            if (hearsWrites || step % 4 === 3) await sleep(NEXT_CYCLE_MS);
            if (step % 20 === 3) mkdirSync(join(tree.path, parent, `made-${step}`));
            else if (step % 20 === 7) tree.write('proc/cgroups', CENSUS.replaceAll('\t5\t', `\t${5 + step}\t`));
            else if (step % 20 === 11) tree.write('proc/vmstat', VMSTAT.replaceAll('5', String(step)));
            else if (step % 4 === 3) changeTexts(tree, (changed = pick()), random);
            else if (step % 4 === 1 && changed !== '') tree.write(changed, first.get(changed) ?? '');
            const [pages, expected] = [native.run(), made.run()];
            for (const [i, part] of PARTS.entries()) assertSame(part, pages[i] ?? '', expected[i] ?? '', step);
          }
          for (const part of PARTS) {
            const count = native.replayed.get(part) ?? 0;
            if (NEVER_REPLAYED[kind]?.includes(part) === true) assert.equal(count, 0, part);
            else assert.ok(hearsWrites || count > 20, `${part} was replayed ${count} times`);
          }
        } finally {
          native.close();
          made.close();
          tree.remove();
        }
      });
    }
  }
});
