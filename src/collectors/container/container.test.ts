import assert from 'node:assert/strict';
import { readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CollectError } from '../../collect/contract.ts';
import { referenceReaders } from '../../readers/reference.ts';
import definition from './collector.ts';
import { Activity, KernelActs } from './activity.ts';
import { DescriptorBudget, descriptorLimit } from './cgroup-file.ts';
import { Bench, fixture, samples, withTree } from './harness.ts';
import { Sheet } from '../../collect/sheet.ts';
import { loadReaders } from '../../readers/load.ts';
import { Group } from './group.ts';
import { memoryGroup } from './memory.ts';
import { EVERYTHING } from './selection.ts';
import { detectLayout } from './layout.ts';
import { sharesOfWeight, specGroup } from './spec.ts';
import { Tree } from './tree.ts';

/** Every part whose numbers do not depend on when the tree was laid out. */
const STEADY = definition.parts
  .filter(({ elsewhere, variants = [''] }) => elsewhere === undefined && variants.includes(''))
  .map(({ name }) => name)
  .filter((name) => !['base', 'disk', 'cpu_topology', 'process_files', 'referenced_memory', 'sched', 'tcp', 'udp'].includes(name));

function pages(bench: Bench, parts: readonly string[]): string {
  return parts.map((part) => bench.page(part)).join('');
}

const MEMORY = 'sys/fs/cgroup/memory';
const APP = '/system.slice/app.service';
const usage = (id: string) => `container_memory_usage_bytes{id="${id}"}`;

describe('container: pages of fixture trees', () => {
  for (const [layout, expected] of [
    ['v1', 'v1'],
    ['hybrid', 'v1'],
    ['v2', 'v2'],
  ] as const) {
    for (const readers of ['native or fallback', 'reference'] as const) {
      test(`${layout}, ${readers} readers`, () => {
        withTree(layout, (tree) => {
          const bench = new Bench(tree.roots, STEADY, {}, readers === 'reference' ? referenceReaders() : undefined);
          const first = pages(bench, STEADY);
          assert.equal(first, fixture(`${expected}.prom`));
          assert.equal(pages(bench, STEADY), first, 'a second run prints the same');
          assert.deepEqual(bench.warnings, []);
          bench.session.close();
        });
      });
    }
  }

  test('every family is declared by its part, with the labels it prints', () => {
    withTree('v1', (tree) => {
      const bench = new Bench(
        tree.roots,
        definition.parts.map(({ name }) => name),
      );
      for (const part of definition.parts.filter(({ elsewhere }) => elsewhere === undefined)) {
        const page = bench.page(part.name, part.variants?.[0]);
        for (const [, name = '', type = ''] of page.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
          const family = part.families.find((candidate) => candidate.name === name);
          assert.ok(family, `${part.name} prints ${name}`);
          assert.equal(family.type, type, name);
          for (const [, labels = ''] of page.matchAll(new RegExp(`^${name}\\{(.*)\\} `, 'gm'))) {
            for (const [, label = ''] of labels.matchAll(/(?:^|,)(\w+)="/g)) assert.ok(family.labels.includes(label), `${name} has ${label}`);
          }
        }
      }
      bench.session.close();
    });
  });

  test('creation: the earliest witness, not before boot; last seen: now', () => {
    withTree('v1', (tree) => {
      const made = 1_699_990_000;
      for (const hierarchy of ['cpu', 'cpuacct', 'pids', 'memory']) utimesSync(join(tree.path, `sys/fs/cgroup/${hierarchy}${APP}`), made + 5, made + 5);
      utimesSync(join(tree.path, `${MEMORY}${APP}`), made, made);
      utimesSync(join(tree.path, `${MEMORY}/alone`), 1000, 1000);
      const bench = new Bench(tree.roots, ['base']);
      const found = samples(bench.page('base'));
      assert.equal(found.get(`container_creation_time_seconds{id="${APP}"}`), made);
      assert.equal(found.get(`container_start_time_seconds{id="${APP}"}`), made);
      // 1,700,000,030.5 less 86,400.25 of uptime, cut to the minute.
      assert.equal(found.get('container_creation_time_seconds{id="/alone"}'), Math.floor((1_700_000_030.5 - 86_400.25) / 60) * 60);
      assert.equal(found.get('container_last_seen{id="/"}'), 1_700_000_030);
      assert.equal(found.get('container_health_state{id="/"}'), -1);
      assert.equal(found.get('container_scrape_error'), 0);
      bench.session.close();
    });
  });

  test('without percpu the total is one series', () => {
    withTree('v1', (tree) => {
      const bench = new Bench(tree.roots, ['cpu'], { percpu: false });
      const found = samples(bench.page('cpu'));
      assert.equal(found.get(`container_cpu_usage_seconds_total{cpu="total",id="${APP}"}`), 4.07940528);
      assert.equal(
        [...found.keys()].some((key) => key.includes('cpu00')),
        false,
      );
      bench.session.close();
    });
  });
});

describe('container: the tree moves', () => {
  test('cgroups appear, go and come back under the same name, one cycle each', () => {
    withTree('v1', (tree) => {
      const bench = new Bench(tree.roots, ['memory']);
      assert.equal(samples(bench.page('memory')).get(usage(APP)), 22224896);
      tree.write(`${MEMORY}/late/memory.usage_in_bytes`, '77\n');
      let found = samples(bench.page('memory'));
      assert.equal(found.get(usage('/late')), 77);
      rmSync(join(tree.path, `${MEMORY}/late`), { recursive: true });
      for (const hierarchy of ['memory', 'cpu', 'cpuacct', 'pids']) rmSync(join(tree.path, `sys/fs/cgroup/${hierarchy}${APP}`), { recursive: true });
      found = samples(bench.page('memory'));
      assert.equal(found.has(usage('/late')), false);
      assert.equal(found.has(usage(APP)), false);
      assert.equal(found.get(usage('/')), 555511808);
      tree.write(`${MEMORY}/late/memory.usage_in_bytes`, '78\n');
      assert.equal(samples(bench.page('memory')).get(usage('/late')), 78);
      bench.session.close();
    });
  });

  test('a series that stayed away for long comes back as itself', () => {
    withTree('v1', (tree) => {
      const bench = new Bench(tree.roots, ['cpu']);
      const quota = 'sys/fs/cgroup/cpu/system.slice/app.service/cpu.cfs_quota_us';
      bench.page('cpu');
      tree.write(quota, '-1\n');
      for (let run = 0; run < 200; run++) bench.run('cpu');
      // Slots the sheet has taken back go to these before the old series are asked for again.
      for (let i = 0; i < 10; i++) tree.write(`sys/fs/cgroup/cpuacct/new${i}/cpuacct.stat`, `user ${i}\nsystem ${i}\n`);
      bench.page('cpu');
      tree.write(quota, '20000\n');
      const found = samples(bench.page('cpu'));
      assert.equal(found.get(`container_cpu_cfs_periods_total{id="${APP}"}`), 204);
      for (let i = 0; i < 10; i++) assert.equal(found.get(`container_cpu_user_seconds_total{id="/new${i}"}`), i / 100);
      bench.session.close();
    });
  });
});

describe('container: files that are not as they should be', () => {
  const cases: readonly { readonly name: string; readonly content: string; readonly expected: number | undefined; readonly file?: string }[] = [
    { name: 'empty', content: '', expected: undefined },
    { name: 'garbage', content: '\u0000\u0001nonsense 12 34\nxx\n', expected: undefined },
    { name: 'a word for a number', content: 'lots\n', expected: undefined },
    { name: 'empty statistics', content: '', file: 'memory.stat', expected: undefined },
    { name: 'statistics of something else', content: 'foo 1\nbar 2\n', file: 'memory.stat', expected: undefined },
    { name: 'statistics cut in the middle of a key', content: 'cache 0\ntotal_cache 5\ntotal_inac', file: 'memory.stat', expected: 22224896 },
  ];
  for (const { name, content, expected, file = 'memory.usage_in_bytes' } of cases) {
    test(`${name}: the cgroup is left out, the others stay, and it comes back`, () => {
      withTree('v1', (tree) => {
        const bench = new Bench(tree.roots, ['memory']);
        const path = `${MEMORY}${APP}/${file}`;
        bench.page('memory');
        tree.write(path, content);
        const found = samples(bench.page('memory'));
        assert.equal(found.get(usage(APP)), expected);
        assert.equal(found.get(usage('/')), 555511808);
        if (expected === undefined) assert.match(bench.warnings.join(), new RegExp(`^${APP}: ${file.replaceAll('.', '\\.')}: cannot be read`));
        else assert.equal(found.get(`container_memory_working_set_bytes{id="${APP}"}`), expected, 'without the key nothing is taken off');
        tree.write(`${MEMORY}${APP}/memory.usage_in_bytes`, '5\n');
        tree.write(`${MEMORY}${APP}/memory.stat`, 'total_inactive_file 9\n');
        const after = samples(bench.page('memory'));
        assert.equal(after.get(usage(APP)), 5);
        assert.equal(after.get(`container_memory_working_set_bytes{id="${APP}"}`), 0, 'clamped');
        bench.session.close();
      });
    });
  }

  test('what stays at fault is told once, however many cgroups join it; again when it was whole in between', () => {
    withTree('v1', (tree) => {
      const bench = new Bench(tree.roots, ['memory']);
      const usageOf = (id: string, text: string) => tree.write(`${MEMORY}${id}/memory.usage_in_bytes`, text);
      usageOf(APP, 'lots\n');
      for (let i = 0; i < 5; i++) {
        bench.page('memory');
        usageOf(`${APP}/more${i}`, 'lots\n');
      }
      assert.equal(bench.warnings.length, 1);
      for (const id of [APP, ...[0, 1, 2, 3, 4].map((i) => `${APP}/more${i}`)]) usageOf(id, '1\n');
      bench.page('memory');
      usageOf(APP, 'lots\n');
      bench.page('memory');
      bench.page('memory');
      assert.equal(bench.warnings.length, 2, bench.warnings.join());
      bench.session.close();
    });
  });

  test('a file that is there and cannot be read (EISDIR stands for EACCES, which root never meets)', () => {
    withTree('v1', (tree) => {
      rmSync(join(tree.path, `${MEMORY}${APP}/memory.stat`));
      tree.write(`${MEMORY}${APP}/memory.stat/x`, '');
      const bench = new Bench(tree.roots, ['memory']);
      const found = samples(bench.page('memory'));
      assert.equal(found.has(usage(APP)), false);
      assert.equal(found.get(usage('/')), 555511808);
      assert.match(bench.warnings.join(), /memory\.stat: cannot be read/);
      bench.session.close();
    });
  });

  test('a file that only one cgroup lacks counts as zero, as with the peer', () => {
    withTree('v1', (tree) => {
      rmSync(join(tree.path, `${MEMORY}${APP}/memory.failcnt`));
      const bench = new Bench(tree.roots, ['memory']);
      assert.equal(samples(bench.page('memory')).get(`container_memory_failcnt{id="${APP}"}`), 0);
      bench.session.close();
    });
  });

  test('nothing readable at all is a failure with a place; no hierarchy is absence', () => {
    withTree('v1', (tree) => {
      const bench = new Bench(tree.roots, ['memory', 'cpu']);
      bench.page('memory');
      rmSync(join(tree.path, 'sys'), { recursive: true });
      assert.throws(
        () => bench.page('memory'),
        (error) => error instanceof CollectError && error.code === 'read' && error.place.endsWith('/fs/cgroup/memory'),
      );
      const none = new Bench(tree.roots, ['memory']);
      assert.deepEqual(none.run('memory'), { kind: 'absent', why: 'no cgroup hierarchy is mounted' });
      bench.session.close();
      none.session.close();
    });
  });

  test('no MemTotal is a failure of machine, named', () => {
    withTree('v1', (tree) => {
      tree.write('proc/meminfo', 'MemFree: 3 kB\n');
      const bench = new Bench(tree.roots, ['machine']);
      assert.throws(
        () => bench.page('machine'),
        (error) => error instanceof CollectError && error.code === 'parse' && error.message.includes('expected a line MemTotal'),
      );
      bench.session.close();
    });
  });
});

describe('container: descriptors', () => {
  test('the budget is three quarters of the soft limit', () => {
    const limits = (soft: string) =>
      `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft}                 4096                 files     \n`;
    assert.equal(descriptorLimit(limits('1024')), 768);
    assert.equal(descriptorLimit(limits('unlimited')), 500_000);
    assert.equal(descriptorLimit(''), 768);
    const budget = new DescriptorBudget(1);
    assert.deepEqual([budget.take(), budget.take()], [true, false]);
    budget.give();
    assert.equal(budget.take(), true);
  });

  test('cgroups beyond the budget are read all the same, without a descriptor each', () => {
    withTree('v1', (tree) => {
      const readers = loadReaders();
      const open = (limit: number): { run(): string; end(): void } => {
        const cgroups = new Tree(detectLayout(tree.roots), { readers, procfs: tree.roots.procfs, monotonicMs: () => 0 });
        const activity = new Activity(new KernelActs(cgroups, readers, tree.roots.procfs));
        const shared = {
          tree: cgroups,
          readers,
          budget: new DescriptorBudget(limit),
          warn: () => assert.fail(),
          selection: EVERYTHING,
          activity,
          monotonicMs: () => 0,
        };
        const group = new Group(
          shared,
          memoryGroup(false, () => 0),
        );
        const sheet = new Sheet(readers, { maxSeries: 10_000, maxBytes: 1 << 24 });
        return {
          run() {
            sheet.begin();
            group.collect('memory', sheet);
            return sheet.text();
          },
          end() {
            group.close();
            cgroups.close();
          },
        };
      };
      const descriptors = () => readdirSync('/proc/self/fd').length;
      const before = descriptors();
      const poor = open(3);
      poor.run();
      const ofPoor = descriptors() - before;
      const rich = open(1000);
      rich.run();
      assert.ok(descriptors() - before - ofPoor > ofPoor + 10, 'three descriptors are few for this tree');
      for (const bytes of [4096, 123_456_789]) {
        tree.write(`${MEMORY}${APP}/memory.usage_in_bytes`, `${bytes}\n`);
        const page = poor.run();
        assert.equal(page, rich.run());
        assert.equal(samples(page).get(usage(APP)), bytes);
      }
      tree.write(`${MEMORY}/newcomer/memory.usage_in_bytes`, '7\n');
      assert.equal(samples(poor.run()).get(usage('/newcomer')), 7);
      poor.end();
      rich.end();
      assert.equal(descriptors(), before);
    });
  });

  for (const isWatched of [true, false]) {
    const title = isWatched ? 'read again when written to, and in a slow sweep' : 'read in each run where nobody reports writes';
    test(`steady files keep no descriptor, and are ${title}`, { skip: isWatched && !loadReaders().native ? 'the addon is not built' : false }, () => {
      withTree('v1', (tree) => {
        for (let i = 0; i < 60; i++) tree.write(`${MEMORY}/many${i}/memory.limit_in_bytes`, `${i * 4096}\n`);
        const layout = detectLayout(tree.roots);
        let monotonicMs = 0;
        const readers = loadReaders();
        const cgroups = new Tree(layout, {
          readers,
          procfs: tree.roots.procfs,
          monotonicMs: () => monotonicMs,
          ...(isWatched ? { watch: () => readers.watch() } : {}),
        });
        const shared = {
          tree: cgroups,
          readers,
          budget: new DescriptorBudget(1000),
          warn: () => assert.fail(),
          selection: EVERYTHING,
          activity: new Activity(new KernelActs(cgroups, readers, tree.roots.procfs)),
          monotonicMs: () => monotonicMs,
        };
        const group = new Group(
          shared,
          specGroup(false, () => ({ memory: 7, swap: 0 })),
        );
        const sheet = new Sheet(readers, { maxSeries: 10_000, maxBytes: 1 << 24 });
        const run = (ms = 1000) => {
          monotonicMs += ms;
          sheet.begin();
          group.collect('spec', sheet);
          return samples(sheet.text());
        };
        const limit = (i: number) => `container_spec_memory_limit_bytes{id="/many${i}"}`;
        let found = run();
        const before = readdirSync('/proc/self/fd').length;
        for (let i = 1; i < 60; i++) assert.equal(found.get(limit(i)), i * 4096, 'all are read at once when new');
        assert.equal(found.get(`container_spec_cpu_shares{id="${APP}"}`), 512);
        for (let i = 1; i < 60; i++) tree.write(`${MEMORY}/many${i}/memory.limit_in_bytes`, `${i * 8192}\n`);
        tree.write(`${MEMORY}/newcomer/memory.limit_in_bytes`, '4096\n');
        tree.write(`sys/fs/cgroup/cpu${APP}/cpu.shares`, '77\n');
        found = run();
        for (let i = 1; i < 60; i++) assert.equal(found.get(limit(i)), i * 8192, 'a write is seen in the next run');
        assert.equal(found.get('container_spec_memory_limit_bytes{id="/newcomer"}'), 4096);
        assert.equal(found.get(`container_spec_cpu_shares{id="${APP}"}`), 77, 'another hierarchy');
        assert.equal(readdirSync('/proc/self/fd').length, before);
        // Changed behind the kernel's back, as far as reports go.
        const place = join(tree.path, `${MEMORY}/many7`);
        renameSync(`${place}/memory.limit_in_bytes`, `${place}/old`);
        const replacement = join(tree.path, 'replacement');
        writeFileSync(replacement, '40960\n');
        renameSync(replacement, `${place}/memory.limit_in_bytes`);
        assert.equal(run().get(limit(7)), isWatched ? 7 * 8192 : 40960);
        assert.equal(run(300_000).get(limit(7)), 40960, 'in five minutes each has had its turn');
        rmSync(join(tree.path, `${MEMORY}/many5`), { recursive: true });
        assert.equal(run().has(limit(5)), false);
        group.close();
        cgroups.close();
      });
    });
  }

  test('a closed session has none', () => {
    withTree('v1', (tree) => {
      const before = readdirSync('/proc/self/fd').length;
      const bench = new Bench(tree.roots, STEADY);
      pages(bench, STEADY);
      assert.ok(readdirSync('/proc/self/fd').length > before);
      bench.session.close();
      assert.equal(readdirSync('/proc/self/fd').length, before);
    });
  });
});

test('shares of a v2 weight', () => {
  for (const [weight, shares] of [
    [1, 2],
    [39, 998],
    [100, 2597],
    [10000, 262144],
    [0, 0],
  ] as const)
    assert.equal(sharesOfWeight(weight), shares, `${weight}`);
});
