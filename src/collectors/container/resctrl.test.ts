import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bench, fixture, plant, samples } from './harness.ts';

const ROOT = 'sys/fs/resctrl';
const HEX = 'fedcba9876543210'.repeat(4);

/** The processors at hand have no resctrl: a tree as the kernel documents it (Documentation/filesystems/resctrl.rst). */
test('of the machine and of containers with a monitoring group; what is unavailable is left out', () => {
  const tree = plant(fixture('v2.tree'));
  try {
    const bench = new Bench(tree.roots, ['resctrl']);
    assert.deepEqual(bench.run('resctrl'), { kind: 'absent', why: 'resctrl is not mounted, or without monitoring' });
    const data = (group: string, node: number, llc: string, total: string, local?: string): void => {
      const folder = `${ROOT}${group}/mon_data/mon_L3_0${node}`;
      tree.write(`${folder}/llc_occupancy`, `${llc}\n`);
      tree.write(`${folder}/mbm_total_bytes`, `${total}\n`);
      if (local !== undefined) tree.write(`${folder}/mbm_local_bytes`, `${local}\n`);
    };
    data('', 0, '1000', '2000', '1500');
    data('', 1, 'Unavailable', '3000');
    data(`/batch/mon_groups/${HEX}`, 0, '10', '20', '15');
    data('/mon_groups/cadvisor-system.slice-app.service', 1, '7', '8', '9');
    data('/mon_groups/stranger', 0, '1', '1', '1');
    for (const id of [`docker/${HEX}`, 'system.slice/app.service']) mkdirSync(join(tree.path, 'sys/fs/cgroup', id), { recursive: true });
    const found = samples(bench.page('resctrl'));
    assert.deepEqual(Object.fromEntries(found), {
      'container_llc_occupancy_bytes{id="/",node_id="0"}': 1000,
      [`container_llc_occupancy_bytes{id="/docker/${HEX}",node_id="0"}`]: 10,
      'container_llc_occupancy_bytes{id="/system.slice/app.service",node_id="0"}': 7,
      'container_memory_bandwidth_bytes{id="/",node_id="0"}': 2000,
      'container_memory_bandwidth_bytes{id="/",node_id="1"}': 3000,
      [`container_memory_bandwidth_bytes{id="/docker/${HEX}",node_id="0"}`]: 20,
      'container_memory_bandwidth_bytes{id="/system.slice/app.service",node_id="0"}': 8,
      'container_memory_bandwidth_local_bytes{id="/",node_id="0"}': 1500,
      [`container_memory_bandwidth_local_bytes{id="/docker/${HEX}",node_id="0"}`]: 15,
      'container_memory_bandwidth_local_bytes{id="/system.slice/app.service",node_id="0"}': 9,
    });
    rmSync(join(tree.path, ROOT, 'mon_groups'), { recursive: true });
    assert.equal([...samples(bench.page('resctrl')).keys()].filter((series) => series.includes('app.service')).length, 0);
    rmSync(join(tree.path, ROOT), { recursive: true });
    assert.equal(samples(bench.page('resctrl')).size, 0);
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
  } finally {
    tree.remove();
  }
});
