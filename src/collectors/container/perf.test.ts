import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { CollectError } from '../../collect/contract.ts';
import { loadReaders } from '../../readers/load.ts';
import { Bench, plant, samples, type TestTree } from './harness.ts';
import { cpuList, readPerfConfig } from './perf-config.ts';

const UNITS = 'sys/bus/event_source/devices';

function withTree<T>(body: (tree: TestTree) => T): T {
  const tree = plant('');
  try {
    return body(tree);
  } finally {
    tree.remove();
  }
}

function configOf(tree: TestTree, json: unknown): ReturnType<typeof readPerfConfig> {
  tree.write('perf.json', typeof json === 'string' ? json : JSON.stringify(json));
  return readPerfConfig(`${tree.path}/perf.json`, tree.roots.sysfs);
}

test("events by the kernel's names, by description, and by the folders of units", () => {
  withTree((tree) => {
    tree.write(`${UNITS}/cpu/type`, '4\n');
    tree.write(`${UNITS}/cpu/events/mem-loads`, 'event=0xcd,umask=0x1,edge\n');
    for (const [field, bits] of Object.entries({ event: '0-7', umask: '8-15', edge: '18' })) tree.write(`${UNITS}/cpu/format/${field}`, `config:${bits}\n`);
    for (const at of [0, 1]) {
      tree.write(`${UNITS}/uncore_imc_${at}/type`, `${20 + at}\n`);
      tree.write(`${UNITS}/uncore_imc_${at}/cpumask`, '0,8-9\n');
    }
    tree.write(`${UNITS}/uncore_imc_free_running/type`, '30\n');
    const { core, uncore } = configOf(tree, {
      core: {
        events: ['cycles', ['PERF_COUNT_SW_PAGE_FAULTS', 'INST_RETIRED:ANY'], 'mem-loads'],
        custom_events: [{ name: 'INST_RETIRED:ANY', type: 4, config: ['0x5300c0'] }],
      },
      uncore: { events: ['uncore_imc/reads'], custom_events: [{ name: 'uncore_imc/reads', type: 18, config: ['0x304'] }] },
    });
    assert.deepEqual(core, [
      [{ name: 'cycles', type: 0, config: 0 }],
      [
        { name: 'PERF_COUNT_SW_PAGE_FAULTS', type: 1, config: 2 },
        { name: 'INST_RETIRED:ANY', type: 4, config: 0x5300c0 },
      ],
      [{ name: 'mem-loads', type: 4, config: 0xcd + 0x100 + 2 ** 18 }],
    ]);
    assert.deepEqual(
      uncore.flat().map(({ name, pmu, type, config, cpus }) => [name, pmu, type, config, cpus.join()]),
      [
        ['reads', 'uncore_imc_0', 20, 0x304, '0,8,9'],
        ['reads', 'uncore_imc_1', 21, 0x304, '0,8,9'],
      ],
    );
    assert.deepEqual([cpuList('0-3,8\n'), cpuList('\n'), cpuList('x,1')], [[0, 1, 2, 3, 8], [], [1]]);
  });
});

test('what is no configuration is refused with file and reason', () => {
  withTree((tree) => {
    for (const [json, reason] of [
      ['{', /expected a JSON file/],
      [{ core: { events: ['UNHALTED_CORE_CYCLES'] } }, /core: UNHALTED_CORE_CYCLES is not known here; describe it in custom_events/],
      [{ core: { events: ['../../../etc/passwd'] } }, /is not known here/],
      [{ core: { events: [['cycles', 5]] } }, /core: events are names/],
      [{ core: { custom_events: [{ name: 'x', type: 4, config: ['0x1', '0x2'] }] } }, /one number in config/],
      [{ uncore: { events: ['uncore_imc/reads'] } }, /uncore: uncore_imc\/reads is not known here/],
    ] as const) {
      assert.throws(
        () => configOf(tree, json),
        (error) => error instanceof CollectError && error.code === 'parse' && error.place.endsWith('/perf.json') && reason.test(error.message),
      );
    }
    assert.throws(
      () => readPerfConfig('/nowhere.json', '/sys'),
      (error) => error instanceof CollectError && error.code === 'read',
    );
    assert.deepEqual(configOf(tree, {}), { core: [], uncore: [] });
  });
});

/** A tree in which perf_event is a real v1 hierarchy; undefined where none may be mounted. */
function mounted(tree: TestTree): string | undefined {
  const folder = `${tree.roots.sysfs}/fs/cgroup/perf_event`;
  mkdirSync(folder, { recursive: true });
  return spawnSync('mount', ['-t', 'cgroup', '-o', 'perf_event', 'none', folder]).status === 0 ? folder : undefined;
}

test("the kernel's own events of a real cgroup", { skip: loadReaders().native ? false : 'the addon is not built' }, async (context) => {
  const tree = plant('');
  const folder = mounted(tree);
  if (folder === undefined) {
    tree.remove();
    return context.skip('no cgroup hierarchy may be mounted here');
  }
  const child = spawn(process.execPath, [
    '-e',
    'process.stdin.once("data", () => { Buffer.alloc(64 << 20, 1); console.log("done"); setInterval(() => {}, 1e6) })',
  ]);
  try {
    mkdirSync(`${folder}/app`);
    tree.write('sys/fs/cgroup/memory/app/memory.stat', 'total_cache 0\n');
    tree.write('sys/devices/system/cpu/online', '0\n');
    // Mounts of this machine are looked for below our sysfs: of its controllers only those planted here are found.
    tree.write(
      'proc/self/mountinfo',
      `31 23 0:28 / ${folder} rw - cgroup cgroup rw,perf_event\n32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n`,
    );
    tree.write('perf.json', JSON.stringify({ core: { events: ['page-faults', ['context-switches', 'cpu-clock']] } }));
    const { stdout: online } = spawnSync('cat', ['/sys/devices/system/cpu/online'], { encoding: 'utf8' });
    tree.write('sys/devices/system/cpu/online', online);
    const options = { perf_events_config: `${tree.path}/perf.json`, percpu: false };
    const bench = new Bench(tree.roots, ['perf_event'], options);
    const perCpu = new Bench(tree.roots, ['perf_event'], { ...options, percpu: true });
    writeFileSync(`${folder}/app/cgroup.procs`, `${child.pid}`);
    const labels = (event: string, cpu = '') => `{cpu="${cpu}",event="${event}",id="/app"}`;
    const before = samples(bench.page('perf_event'));
    const singly = samples(perCpu.page('perf_event'));
    assert.equal(before.get(`container_perf_events_scaling_ratio${labels('page-faults')}`), 1);
    child.stdin.write('go\n');
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const after = samples(bench.page('perf_event'));
    const faults = (found: Map<string, number>) => found.get(`container_perf_events_total${labels('page-faults')}`) ?? Number.NaN;
    assert.ok(faults(after) - faults(before) > 30, `${faults(before)} then ${faults(after)}`);
    assert.ok((after.get(`container_perf_events_total${labels('cpu-clock')}`) ?? 0) > 0);
    const later = samples(perCpu.page('perf_event'));
    const cpus = [...later.keys()].flatMap((series) => /^container_perf_events_total\{cpu="(\d+)",event="page-faults",id="\/app"/.exec(series)?.[1] ?? []);
    assert.deepEqual(cpus, cpuList(online).map(String));
    assert.ok(singly.size === later.size && singly.size > before.size - 1);
    assert.deepEqual([bench.warnings, perCpu.warnings], [[], []]);
    tree.write('perf.json', JSON.stringify({ core: { events: ['none-such'] } }));
    const wrong = new Bench(tree.roots, ['perf_event'], options);
    assert.throws(() => wrong.page('perf_event'), CollectError);
    for (const one of [bench, perCpu, wrong]) one.session.close();
    const idle = new Bench(tree.roots, ['perf_event']);
    assert.deepEqual(idle.run('perf_event'), { kind: 'absent', why: 'no events are configured' });
    idle.session.close();
  } finally {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        rmdirSync(`${folder}/app`);
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20)); // Busy until its last process is reaped.
      }
    }
    spawnSync('umount', [folder]);
    tree.remove();
  }
});
