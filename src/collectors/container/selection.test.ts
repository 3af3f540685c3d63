import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoardWriter, makeBoard } from '../../collect/board.ts';
import { Bench, fixture, plant, samples } from './harness.ts';
import { encodeNames } from './names-table.ts';

const HEX = '0123456789abcdef'.repeat(4);
const DOCKER = `/docker/${HEX}`;

/** Ids and series on the page of a part under options. */
function shown(part: string, options: unknown): { ids: string[]; series: string[] } {
  const tree = plant(fixture('v1.tree'));
  try {
    const board = makeBoard();
    const named = { id: HEX, name: 'web', image: 'web:1', namespace: '', pod: '', container: '', sandbox: true, created: 0, labels: {} };
    new BoardWriter(board).post(encodeNames({ containers: [named], pods: [] }));
    tree.write(`sys/fs/cgroup/cpu${DOCKER}/cgroup.procs`, '77\n');
    tree.write(`sys/fs/cgroup/cpu${DOCKER}/cpu.cfs_quota_us`, '20000\n');
    tree.write(`sys/fs/cgroup/cpuacct${DOCKER}/cpuacct.usage_percpu`, '5 6 \n');
    for (const file of ['io_service_bytes', 'io_serviced'])
      tree.write(`sys/fs/cgroup/blkio${DOCKER}/blkio.throttle.${file}_recursive`, '8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n');
    tree.write('proc/77/net/dev', ['eth0', 'cali1'].map((name) => `  ${name}: 5000 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n`).join(''));
    const bench = new Bench(tree.roots, [part], options, undefined, board);
    bench.page(part);
    const series = [...samples(bench.page(part)).keys()];
    bench.session.close();
    const ids = new Set(series.map((one) => /\bid="([^"]*)"/.exec(one)?.[1] ?? '').filter((id) => id !== ''));
    return { ids: [...ids].sort(), series };
  } finally {
    tree.remove();
  }
}

test('which cgroups are shown', () => {
  const all = shown('memory', {}).ids;
  assert.ok(all.length > 4 && all.includes('/') && all.includes(DOCKER));
  const cases: readonly (readonly [unknown, readonly string[]])[] = [
    [{ docker_only: true }, ['/', DOCKER]],
    [{ docker_only: true, disable_root_cgroup_stats: true }, [DOCKER]],
    [{ docker_only: true, raw_cgroup_prefix_whitelist: '/alone, /nowhere' }, ['/', '/alone', DOCKER]],
    [{ raw_cgroup_prefix_whitelist: '/alone' }, ['/', '/alone', DOCKER]],
    [{ disable_root_cgroup_stats: true }, all.filter((id) => id !== '/')],
    [{ profile: 'lean' }, [DOCKER]],
  ];
  for (const [options, expected] of cases) assert.deepEqual(shown('memory', options).ids, expected, JSON.stringify(options));
});

/** What the rules and dashboards of kube-prometheus-stack (kubernetes-mixin, kube-prometheus) ask for, by part. */
const ASKED_FOR: Readonly<Record<string, readonly string[]>> = {
  cpu: ['container_cpu_cfs_periods_total', 'container_cpu_cfs_throttled_periods_total', 'container_cpu_usage_seconds_total'],
  diskIO: ['container_fs_reads_bytes_total', 'container_fs_reads_total', 'container_fs_writes_bytes_total', 'container_fs_writes_total'],
  memory: ['container_memory_cache', 'container_memory_rss', 'container_memory_swap', 'container_memory_working_set_bytes'],
  network: ['receive', 'transmit'].flatMap((way) => ['bytes', 'packets', 'packets_dropped'].map((what) => `container_network_${way}_${what}_total`)),
};

test("lean has whatever the stack's own rules and dashboards ask for", () => {
  for (const [part, wanted] of Object.entries(ASKED_FOR)) {
    const { series } = shown(part, { profile: 'lean' });
    for (const name of wanted)
      assert.ok(
        series.some((one) => one.startsWith(`${name}{`)),
        name,
      );
  }
});

test('lean leaves out what the chart of kube-prometheus-stack drops, and nothing else', () => {
  const without = (part: string): string[] => {
    const families = (options: unknown): Set<string> =>
      new Set(shown(part, options).series.flatMap((series) => (series.includes(DOCKER) ? [series.slice(0, series.indexOf('{'))] : [])));
    const lean = families({ profile: 'lean' });
    return [...families({})].filter((name) => !lean.has(name)).sort();
  };
  assert.deepEqual(without('memory'), ['container_memory_mapped_file']);
  assert.deepEqual(without('process'), ['container_threads_max']);
  assert.deepEqual(without('cpu'), ['container_cpu_cfs_throttled_seconds_total', 'container_cpu_system_seconds_total', 'container_cpu_user_seconds_total']);
  assert.deepEqual(without('diskIO'), []);
  assert.deepEqual(without('base'), []);
  assert.deepEqual(without('cpuLoad'), ['container_cpu_load_average_10s', 'container_tasks_state']);
  assert.deepEqual(without('pressure'), []);
  assert.deepEqual(without('oom_event'), []);
  assert.equal(shown('spec', { profile: 'lean' }).series.length, 0);
  assert.ok(shown('memory', {}).series.some((series) => series.includes('scope="hierarchy"')));
  assert.ok(!shown('memory', { profile: 'lean' }).series.some((series) => series.includes('scope="hierarchy"')));
  const interfaces = (options: unknown): number => shown('network', options).series.filter((series) => series.includes(DOCKER)).length;
  assert.deepEqual([interfaces({}), interfaces({ profile: 'lean' })], [16, 8]);
});
