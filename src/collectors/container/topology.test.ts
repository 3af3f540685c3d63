import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Bench, fixture, plant, samples, type TestTree } from './harness.ts';
import { readTopology } from './topology.ts';

const CPU = 'sys/devices/system/cpu';
const NODE = 'sys/devices/system/node';

function thread(tree: TestTree, folder: string, number: number, core: number, socket: number): void {
  tree.write(`${folder}/cpu${number}/topology/core_id`, `${core}\n`);
  tree.write(`${folder}/cpu${number}/topology/physical_package_id`, `${socket}\n`);
}

function cache(tree: TestTree, cpu: number, index: number, level: number, type: string, size: string, map: string): void {
  const folder = `${CPU}/cpu${cpu}/cache/index${index}`;
  for (const [name, text] of Object.entries({ level: String(level), type, size, shared_cpu_map: map })) tree.write(`${folder}/${name}`, `${text}\n`);
}

test('two nodes: caches of cores and of nodes, threads, huge pages, distances', () => {
  const tree = plant('== proc/meminfo\nMemTotal: 9 kB\n');
  try {
    for (const node of [0, 1]) {
      const folder = `${NODE}/node${node}`;
      for (const at of [0, 1, 2, 3]) thread(tree, folder, node * 4 + at, at >> 1, node);
      tree.write(`${folder}/meminfo`, `Node ${node} MemTotal:       ${1000 + node} kB\nNode ${node} MemFree: 5 kB\n`);
      tree.write(`${folder}/distance`, node === 0 ? '10 21\n' : '21 10\n');
      tree.write(`${folder}/hugepages/hugepages-2048kB/nr_hugepages`, `${node}\n`);
    }
    tree.write(`${NODE}/node1/cpu7/online`, '0\n');
    cache(tree, 0, 0, 1, 'Data', '32K', '00000000,00000003');
    cache(tree, 0, 1, 2, 'Unified', '1024K', '0000000f');
    cache(tree, 0, 2, 3, 'Unified', '32768K', '0000000f');
    cache(tree, 2, 0, 3, 'Unified', '32768K', '0000000f');
    cache(tree, 4, 0, 3, 'Unified', '16384K', '00000030');
    cache(tree, 6, 0, 1, 'Data', 'lots', '00000040');
    const bench = new Bench(tree.roots, ['cpu_topology', 'machine']);
    const own = /boot_id="[^"]*",|machine_id="[^"]*",|system_uuid="[^"]*",?/g;
    const found = [...samples(bench.page('cpu_topology'))].map(([series, value]) => `${series.replaceAll(own, '').replace(',}', '}')} ${value}`).sort();
    const expected = [
      'machine_cpu_cache_capacity_bytes{core_id="",level="3",node_id="0",type="Unified"} 33554432',
      'machine_cpu_cache_capacity_bytes{core_id="0",level="1",node_id="0",type="Data"} 32768',
      'machine_cpu_cache_capacity_bytes{core_id="0",level="3",node_id="1",type="Unified"} 16777216',
      'machine_node_distance{node_id="0",target_node_id="0"} 10',
      'machine_node_distance{node_id="0",target_node_id="1"} 21',
      'machine_node_distance{node_id="1",target_node_id="0"} 21',
      'machine_node_distance{node_id="1",target_node_id="1"} 10',
      'machine_node_hugepages_count{node_id="0",page_size="2048"} 0',
      'machine_node_hugepages_count{node_id="1",page_size="2048"} 1',
      'machine_node_memory_capacity_bytes{node_id="0"} 1024000',
      'machine_node_memory_capacity_bytes{node_id="1"} 1025024',
      ...[0, 1, 2, 3].map((at) => `machine_thread_siblings_count{core_id="${at >> 1}",node_id="0",thread_id="${at}"} 2`),
      'machine_thread_siblings_count{core_id="0",node_id="1",thread_id="4"} 2',
      'machine_thread_siblings_count{core_id="0",node_id="1",thread_id="5"} 2',
      'machine_thread_siblings_count{core_id="1",node_id="1",thread_id="6"} 1',
    ];
    assert.deepEqual(found, expected.sort());
    bench.session.close();
  } finally {
    tree.remove();
  }
});

test('without nodes: one for each socket, without memory and distances; nothing at all is no node', () => {
  const tree = plant('');
  try {
    assert.deepEqual(readTopology(tree.roots.sysfs), []);
    thread(tree, CPU, 0, 0, 0);
    thread(tree, CPU, 1, 0, 1);
    const nodes = readTopology(tree.roots.sysfs);
    assert.deepEqual(
      nodes.map(({ id, cores, memoryBytes, distances }) => [id, cores.length, memoryBytes, distances.length]),
      [
        ['0', 1, undefined, 0],
        ['1', 1, undefined, 0],
      ],
    );
  } finally {
    tree.remove();
  }
});

test("this machine's own: as many threads as are online", () => {
  const online = readFileSync('/proc/cpuinfo', 'utf8').match(/^processor\s*:/gm)?.length ?? 0;
  const threads = readTopology('/sys').flatMap(({ cores }) => cores.flatMap((core) => core.threads));
  assert.equal(new Set(threads).size, threads.length);
  if (readdirSync('/sys/devices/system/cpu').includes('cpu0')) assert.equal(threads.length, online);
});

test('books and drawers of s390x; 0 elsewhere', () => {
  const tree = plant(fixture('v1.tree'));
  try {
    tree.write('proc/cpuinfo', 'cpu number : 0\nphysical id : 0\nbook id : 1\ndrawer id : 0\n\ncpu number : 1\nphysical id : 1\nbook id : 2\ndrawer id : 0\n');
    const bench = new Bench(tree.roots, ['machine']);
    const found = [...samples(bench.page('machine'))];
    const value = (name: string) => found.find(([series]) => series.startsWith(`${name}{`))?.[1];
    assert.deepEqual([value('machine_cpu_books'), value('machine_cpu_drawers'), value('machine_cpu_sockets')], [2, 1, 2]);
    bench.session.close();
  } finally {
    tree.remove();
  }
});
