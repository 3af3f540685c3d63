import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { randomFrom } from '../../../test/support/random.ts';
import { loadReaders } from '../../readers/load.ts';
import type { Readers } from '../../readers/readers.ts';
import { Bench, fixture, plant, samples, type TestTree } from './harness.ts';

const readers = loadReaders();
const skip = readers.native ? false : 'the addon is not built';

/** The same readers without rows: every row is made in TypeScript, in each run. */
const oracle = Object.create(readers, { rowTable: { value: () => undefined } }) as Readers;

const PARTS = ['base', 'cpu', 'cpuLoad', 'diskIO', 'memory', 'memory_numa', 'oom_event', 'pressure', 'process', 'spec'];

/** Paths of all files of cgroups, below the tree. */
function cgroupFiles(tree: TestTree): string[] {
  const root = join(tree.path, 'sys/fs/cgroup');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.path.length + 1))
    .sort();
}

/** Changes the text of a file: its numbers, its lines, or whether there is one. */
function mutate(tree: TestTree, path: string, pick: (below: number) => number, first: ReadonlyMap<string, string>): void {
  const file = join(tree.path, path);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const kind = pick(9);
  if (kind < 4)
    tree.write(
      path,
      text.replace(/\b\d+\b/g, (digits) => (pick(2) === 0 ? digits : String(pick(4) === 0 ? 0 : pick(1e9)))),
    );
  else if (kind === 4) tree.write(path, `${text}another ${pick(100)}\n`);
  else if (kind === 5) tree.write(path, text.replace(/\d+\n$/, 'max\n'));
  else if (kind === 6) rmSync(file, { force: true });
  else if (kind === 7) tree.write(path, text.split('\n').slice(1).join('\n'));
  else tree.write(path, first.get(path) ?? text);
}

/** A cgroup comes, with the files of another, or goes. */
function comeOrGo(tree: TestTree, files: readonly string[], pick: (below: number) => number): void {
  const from = files[pick(files.length)] as string;
  const parent = from.slice(0, from.lastIndexOf('/'));
  const made = `${parent}/made-${pick(3)}`;
  if (existsSync(join(tree.path, made))) {
    rmSync(join(tree.path, made), { recursive: true });
    return;
  }
  mkdirSync(join(tree.path, made));
  for (const path of files) {
    const name = path.slice(parent.length + 1);
    if (path.startsWith(`${parent}/`) && !name.includes('/')) tree.write(`${made}/${name}`, readFileSync(join(tree.path, path), 'utf8'));
  }
}

function pageOf(bench: Bench, part: string): string {
  try {
    return bench.page(part);
  } catch (error) {
    return String(error);
  }
}

describe('rows', { skip }, () => {
  for (const kind of ['v1', 'hybrid', 'v2']) {
    test(`made by the addon as they are made in TypeScript, whatever changes: ${kind}`, () => {
      const tree = plant(fixture(`${kind}.tree`));
      const [native, made] = [readers, oracle].map((by) => new Bench(tree.roots, PARTS, {}, by)) as [Bench, Bench];
      try {
        const random = randomFrom(20);
        const pick = (below: number): number => Math.floor(random() * below);
        const files = cgroupFiles(tree);
        const first = new Map(files.map((path) => [path, readFileSync(join(tree.path, path), 'utf8')]));
        for (let step = 0; step < 120; step++) {
          for (let changes = pick(4); changes > 0; changes--) {
            const path = files[pick(files.length)] as string;
            mutate(tree, path, pick, first);
            // Never without the whole, or it need not be looked at.
            const whole = path.replace(/cpuacct\.stat$/, 'cpuacct.usage_percpu');
            if (whole !== path && existsSync(join(tree.path, whole))) tree.write(whole, `${step + 1} ${step * 7}\n`);
            // No kernel has processes without tasks.
            const tasks = path.endsWith('/pids.current') && existsSync(join(tree.path, path)) ? readFileSync(join(tree.path, path), 'utf8') : '';
            if (/^(?:0|max)\b/.test(tasks)) tree.write(path, '3\n');
          }
          if (pick(8) === 0)
            comeOrGo(
              tree,
              files.filter((path) => existsSync(join(tree.path, path))),
              pick,
            );
          native.wallMs = made.wallMs += 1000;
          for (const part of PARTS) {
            assert.deepEqual(pageOf(native, part).split('\n'), pageOf(made, part).split('\n'), `${part}, step ${step}`);
          }
        }
      } finally {
        native.session.close();
        made.session.close();
        tree.remove();
      }
    });
  }

  test('how CPU time divides is not read anew while it stands still', () => {
    const tree = plant(fixture('v1.tree'));
    const bench = new Bench(tree.roots, ['cpu'], {}, readers);
    try {
      const usage = cgroupFiles(tree).find((path) => /\/cpuacct\/.*cpuacct\.usage_percpu$/.test(path)) ?? '';
      const folder = `${usage.slice(0, usage.indexOf('/cpuacct/'))}/cpuacct/docker/resting`;
      tree.write('sys/fs/cgroup/memory/docker/resting/memory.usage_in_bytes', '4096\n');
      const user = (ticks: number): string | undefined => {
        tree.write(`${folder}/cpuacct.stat`, `user ${ticks}\nsystem 1\n`);
        bench.monotonicMs += 5000;
        bench.run('cpu');
        return samples(bench.sheet('cpu').text()).get('container_cpu_user_seconds_total{id="/docker/resting"}')?.toString();
      };
      tree.write(`${folder}/cpuacct.usage_percpu`, '1000 2000\n');
      assert.deepEqual([user(100), user(200), user(300)], ['1', '2', '3'], 'not before it has settled');
      assert.equal(user(400), '3');
      tree.write(`${folder}/cpuacct.usage_percpu`, '1000 2001\n');
      assert.deepEqual([user(500), user(600), user(700), user(800)], ['5', '6', '7', '7']);
      let rested = 0;
      while (user(900 + rested) === '7' && rested < 20) rested += 1;
      assert.ok(rested >= 3 && rested <= 12, `${rested} cycles of five seconds`);
    } finally {
      bench.session.close();
      tree.remove();
    }
  });

  test('processes are not counted anew while CPU time and tasks stand still', () => {
    const tree = plant(fixture('v1.tree'));
    const bench = new Bench(tree.roots, ['cpu', 'process'], {}, readers);
    /** A file of a cgroup of this test. */
    const fileOf = (cgroup: string, file: string): string => {
      const hierarchy = /^.*?cgroup\/[^/]+/.exec(cgroupFiles(tree).find((path) => path.endsWith(`/${file}`)) ?? '')?.[0];
      return `${hierarchy}/docker/${cgroup}/${file}`;
    };
    const [usage, tasks] = [fileOf('resting', 'cpuacct.usage_percpu'), fileOf('resting', 'pids.current')];
    let count = 0;
    /** A cycle in which there is another process in each; of which that is seen. */
    const seen = (): readonly [resting: boolean, untold: boolean] => {
      count += 1;
      const processes = Array.from({ length: count }, (_, i) => `${100 + i}\n`).join('');
      for (const cgroup of ['resting', 'untold']) tree.write(fileOf(cgroup, 'cpu.shares').replace('cpu.shares', 'cgroup.procs'), processes);
      bench.monotonicMs += 5000;
      bench.run('cpu');
      bench.run('process');
      const shown = samples(bench.sheet('process').text());
      return [shown.get('container_processes{id="/docker/resting"}') === count, shown.get('container_processes{id="/docker/untold"}') === count];
    };
    const settle = (): void => {
      for (let left = 10; seen()[0]; left--) assert.ok(left > 0, 'it never rests');
    };
    try {
      tree.write('proc/vmstat', 'pgscan_kswapd 5\noom_kill 0\n');
      for (const cgroup of ['resting', 'untold']) {
        tree.write(`sys/fs/cgroup/memory/docker/${cgroup}/memory.usage_in_bytes`, '4096\n');
        tree.write(fileOf(cgroup, 'cpuacct.usage_percpu'), '1000 2000\n');
      }
      tree.write(tasks, '1\n');
      settle();
      assert.deepEqual(seen(), [false, true], 'nobody says how many tasks the other has');
      tree.write(usage, '1001 2000\n');
      assert.deepEqual(seen(), [true, true], 'it worked');
      settle();
      tree.write(tasks, '2\n');
      assert.deepEqual(seen(), [true, true], 'something was moved there');
    } finally {
      bench.session.close();
      tree.remove();
    }
  });

  test('costly files of a cgroup that does nothing rest, until it works, the kernel takes pages back, or a minute is over', () => {
    const tree = plant(fixture('v1.tree'));
    const bench = new Bench(tree.roots, ['cpu', 'diskIO', 'memory'], {}, readers);
    // One policy of block I/O, so that its files rest as well, and that part asks before memory does.
    tree.write('sys/fs/cgroup/blkio/blkio.bfq.io_service_bytes_recursive', 'Total 0\n');
    const folder = (controller: string) => `sys/fs/cgroup/${controller}/docker/resting`;
    const series = 'container_memory_rss{id="/docker/resting"}';
    let rss = 1;
    /** A cycle in which memory.stat has other numbers than before; what is shown of it. */
    const shown = (): boolean => {
      rss += 1;
      tree.write(`${folder('memory')}/memory.stat`, `total_rss ${rss}\n`);
      for (const name of ['io_service_bytes', 'io_serviced'])
        tree.write(`${folder('blkio')}/blkio.throttle.${name}_recursive`, `8:0 Read ${rss}\n8:0 Write 0\n8:0 Total ${rss}\nTotal 0\n`);
      bench.monotonicMs += 5000;
      bench.run('cpu');
      bench.run('diskIO');
      bench.run('memory');
      return samples(bench.sheet('memory').text()).get(series) === rss;
    };
    const read = (): number | undefined =>
      [...samples(bench.sheet('diskIO').text())].find(([name]) => /^container_fs_reads_bytes_total\{.*id="\/docker\/resting"/.test(name))?.[1];
    const settle = (): void => {
      for (let left = 10; shown(); left--) assert.ok(left > 0, 'it never rests');
    };
    try {
      tree.write('proc/vmstat', 'pgscan_kswapd 5\noom_kill 0\n');
      for (const [name, text] of [
        ['memory.usage_in_bytes', '4096'],
        ['memory.max_usage_in_bytes', '4096'],
        ['memory.failcnt', '0'],
        ['memory.kmem.usage_in_bytes', '0'],
      ] as const)
        tree.write(`${folder('memory')}/${name}`, `${text}\n`);
      const usage = cgroupFiles(tree).find((path) => /\/cpuacct\/.*cpuacct\.usage_percpu$/.test(path)) ?? '';
      const times = (text: string): void => tree.write(`${usage.slice(0, usage.indexOf('/cpuacct/'))}/cpuacct/docker/resting/cpuacct.usage_percpu`, text);
      tree.write(`${usage.slice(0, usage.indexOf('/cpuacct/'))}/cpuacct/docker/resting/cpuacct.stat`, 'user 1\nsystem 1\n');
      times('1000 2000\n');
      assert.deepEqual([shown(), shown()], [true, true], 'not before its numbers have settled');
      settle();
      assert.equal(shown(), false);
      assert.notEqual(read(), rss, 'nor is what it has read from disks');
      times('1001 2000\n');
      assert.ok(shown(), 'it worked');
      assert.equal(read(), rss, 'it may have read from disks');
      settle();
      tree.write(`${folder('memory')}/memory.usage_in_bytes`, '8192\n');
      assert.ok(shown(), 'it has more memory');
      settle();
      tree.write('proc/vmstat', 'pgscan_kswapd 6\noom_kill 0\n');
      assert.ok(shown(), 'pages were taken back');
      settle();
      let rested = 0;
      while (!shown() && rested < 20) rested += 1;
      assert.ok(rested >= 4 && rested <= 12, `${rested} cycles of five seconds`);
      settle();
      bench.monotonicMs += 5000;
      bench.run('memory');
      assert.equal(samples(bench.sheet('memory').text()).get(series), rss, 'nobody has looked at its CPU time');
    } finally {
      bench.session.close();
      tree.remove();
    }
  });
});
