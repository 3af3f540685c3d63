import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { BoardWriter, makeBoard } from '../../collect/board.ts';
import { Bench, samples, withTree } from './harness.ts';
import { KUBELET, RESOURCE } from './labels.ts';
import { encodeNames, type NamedContainer } from './names-table.ts';

const HEX = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const AGAIN = 'aa55aa55aa55aa55'.repeat(4);
const UID = '0a1b2c3d-4e5f-6789-abcd-ef0123456789';
const SLICE = '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_4e5f_6789_abcd_ef0123456789.slice';

const APP: NamedContainer = {
  id: HEX,
  name: HEX,
  image: 'docker.io/web/app:1',
  namespace: 'web',
  pod: 'shop',
  container: 'app',
  sandbox: false,
  created: 1.7e9 + 0.25,
  labels: { team: 'x' },
};
const SANDBOX: NamedContainer = { ...APP, id: OTHER, name: OTHER, image: 'pause:3', container: '', sandbox: true, labels: {} };

test('v1: the kubelet page has the total of the CPUs where the standalone page has each', () => {
  withTree('v1', (tree) => {
    const docker = `/docker/${HEX}`;
    // Two numbers whose sum in seconds is not the sum of their seconds.
    tree.write(`sys/fs/cgroup/cpuacct${docker}/cpuacct.usage_percpu`, '100000001 500000010 \n');
    tree.write(`sys/fs/cgroup/cpuacct${docker}/cpuacct.usage`, '600000011\n');
    const board = makeBoard();
    new BoardWriter(board).post(encodeNames({ containers: [{ ...APP, namespace: '', pod: '', container: '', name: 'web' }], pods: [] }));
    const bench = new Bench(tree.roots, ['cpu'], {}, undefined, board);
    const plain = bench.page('cpu');
    const kubelet = bench.sheet('cpu').text({ name: KUBELET, labels: [] });
    const ofDocker = [...samples(plain)].filter(([series]) => series.startsWith('container_cpu_usage') && series.includes(docker));
    assert.ok(ofDocker.length > 1);
    assert.ok(ofDocker.every(([series]) => /cpu="cpu\d\d"/.test(series)));
    const total = samples(kubelet).get(
      `container_cpu_usage_seconds_total{container="",cpu="total",id="${docker}",image="docker.io/web/app:1",name="web",namespace="",pod=""}`,
    );
    const nanoseconds = Number(readFileSync(join(tree.path, `sys/fs/cgroup/cpuacct${docker}/cpuacct.usage`), 'utf8'));
    assert.equal(total, nanoseconds / 1e9);
    assert.doesNotMatch(kubelet, /cpu00/);
    bench.session.close();
  });
});

test('the kubelet page shows pods, what holds them, containers and / - and no service of its own accord', () => {
  withTree('v1', (tree) => {
    for (const id of ['kubelet.service', 'containerd.service', 'cron.service'])
      tree.write(`sys/fs/cgroup/memory/system.slice/${id}/memory.usage_in_bytes`, '1\n');
    tree.write('sys/fs/cgroup/memory/kubelet/kubepods/burstable/memory.usage_in_bytes', '2\n');
    const bench = new Bench(tree.roots, ['memory']);
    const all = samples(bench.page('memory'));
    assert.ok([...all.keys()].some((series) => series.includes('cron.service')));
    const kubelet = samples(bench.sheet('memory').text({ name: KUBELET, labels: [] }));
    const ids = new Set([...kubelet.keys()].map((series) => /id="([^"]*)"/.exec(series)?.[1]));
    assert.deepEqual([...ids].sort(), [
      '/',
      '/kubelet/kubepods',
      '/kubelet/kubepods/burstable',
      '/system.slice/containerd.service',
      '/system.slice/kubelet.service',
    ]);
    bench.session.close();
  });
});

test('names of a runtime win over those of logs, come late without a second series, and carry labels that are allowed', () => {
  withTree('v2', (tree) => {
    tree.write(`sys/fs/cgroup${SLICE}/cri-containerd-${OTHER}.scope/memory.current`, '5\n');
    tree.write(`root/var/log/pods/web_old-name_${UID}/app/0.log`, '');
    const board = makeBoard();
    const writer = new BoardWriter(board);
    const bench = new Bench(tree.roots, ['memory'], { container_labels: 'team, io.kubernetes.pod.name' }, undefined, board);
    bench.page('memory');
    const kubelet = () => samples(bench.sheet('memory').text({ name: KUBELET, labels: [] }));
    const usage = (container: string, id: string, image: string, name: string, pod = 'shop') =>
      `container_memory_usage_bytes{container="${container}",id="${id}",image="${image}",name="${name}",namespace="web",pod="${pod}"}`;
    const before = kubelet();
    assert.equal(before.get(usage('', SLICE, '', '', 'old-name')), 40, 'from the logs');
    assert.equal(writer.takeAsked(), true, 'the runtimes are asked for what came');
    bench.monotonicMs += 999;
    bench.run('memory');
    assert.equal(writer.takeAsked(), false, 'once');
    writer.post(encodeNames({ containers: [APP, SANDBOX], pods: [{ uid: UID, namespace: 'web', pod: 'shop' }] }));
    bench.page('memory');
    const after = kubelet();
    assert.equal(after.get(usage('', SLICE, '', '')), 40);
    assert.equal(after.get(usage('app', `${SLICE}/cri-containerd-${HEX}.scope`, 'docker.io/web/app:1', HEX)), 104857600);
    assert.equal(after.get(usage('', `${SLICE}/cri-containerd-${OTHER}.scope`, 'pause:3', OTHER)), 5);
    assert.equal(after.size, before.size);
    const standalone = samples(bench.page('memory'));
    const own = (id: string, image: string, name: string, team: string) =>
      `container_memory_usage_bytes{container_label_io_kubernetes_pod_name="",container_label_team="${team}",id="${id}",image="${image}",name="${name}"}`;
    assert.equal(standalone.get(own(`${SLICE}/cri-containerd-${HEX}.scope`, 'docker.io/web/app:1', HEX, 'x')), 104857600);
    assert.ok(standalone.has(own('/', '', '', '')), 'empty where there is none');
    for (let run = 0; run < 70; run++) bench.page('memory');
    assert.deepEqual(samples(bench.sheet('memory').text({ name: KUBELET, labels: [] })), after, 'the logs do not take the names back');
    bench.session.close();
  });
});

test('/metrics/resource: node, pods and containers by name, none of the rest', () => {
  for (const layout of ['v1', 'v2'] as const) {
    withTree(layout, (tree) => {
      const board = makeBoard();
      // The fixture of v1 has a cgroup of Docker under the usual id.
      const appId = 'ab'.repeat(32);
      new BoardWriter(board).post(
        encodeNames({ containers: [{ ...APP, id: appId }, SANDBOX, { ...APP, id: AGAIN }], pods: [{ uid: UID, namespace: 'web', pod: 'shop' }] }),
      );
      const write = (name: string, id: string, content: string): void =>
        tree.write(`sys/fs/cgroup/${layout === 'v1' ? `${name.split('.')[0]}` : ''}${id}/${name}`, content);
      const fill = (id: string): void => {
        if (layout === 'v1') {
          write('cpuacct.usage', id, '1500000000\n');
          write('memory.usage_in_bytes', id, '1000\n');
          write('memory.stat', id, 'total_inactive_file 400\ntotal_swap 7\n');
          write('memory.memsw.limit_in_bytes', id, '9223372036854771712\n');
        } else {
          write('cpu.stat', id, 'usage_usec 1500000\n');
          write('memory.current', id, '1000\n');
          write('memory.stat', id, 'anon 1\nfile 2\ninactive_file 400\n');
          write('memory.swap.current', id, '7\n');
          write('memory.swap.max', id, 'max\n');
        }
      };
      for (const id of [SLICE, ...[appId, OTHER, AGAIN].map((hex) => `${SLICE}/cri-containerd-${hex}.scope`)]) fill(id);
      const bench = new Bench(tree.roots, ['resource'], {}, undefined, board);
      bench.page('resource', RESOURCE);
      const text = bench.page('resource', RESOURCE);
      const found = samples(text);
      const app = '{container="app",namespace="web",pod="shop"}';
      const pod = '{namespace="web",pod="shop"}';
      assert.equal(found.get(`container_cpu_usage_seconds_total${app}`), 1.5, layout);
      assert.equal(found.get(`container_memory_working_set_bytes${app}`), 600);
      assert.equal(found.get(`container_swap_usage_bytes${app}`), 7);
      assert.equal(found.get(`container_start_time_seconds${app}`), 1.7e9 + 0.25);
      assert.equal(found.has(`container_swap_limit_bytes${app}`), false, 'unlimited');
      assert.equal(found.get(`pod_cpu_usage_seconds_total${pod}`), 1.5);
      assert.equal(found.get(`pod_memory_working_set_bytes${pod}`), 600);
      assert.equal(found.get(`pod_swap_usage_bytes${pod}`), 7);
      assert.equal(found.get('resource_scrape_error'), 0);
      const own = samples(new Bench(tree.roots, ['memory']).page('memory'));
      assert.equal(found.get('node_memory_working_set_bytes'), own.get('container_memory_working_set_bytes{id="/"}'));
      assert.equal(found.get('node_swap_usage_bytes'), own.get('container_memory_swap{id="/"}'));
      assert.ok((found.get('node_cpu_usage_seconds_total') ?? 0) > 0);
      assert.equal(found.size, 11, 'a container with two cgroups has one series');
      const lines = text.split('\n').filter((line) => !line.startsWith('#'));
      assert.equal(new Set(lines.map((line) => line.slice(0, line.lastIndexOf(' ')))).size, lines.length);
      for (const hex of [appId, AGAIN]) {
        const limit = `${SLICE}/cri-containerd-${hex}.scope`;
        write(layout === 'v1' ? 'memory.memsw.limit_in_bytes' : 'memory.swap.max', limit, '5000\n');
      }
      assert.equal(samples(bench.page('resource', RESOURCE)).get(`container_swap_limit_bytes${app}`), 5000);
      const memoryOf = (): number | undefined => samples(bench.page('resource', RESOURCE)).get(`container_memory_working_set_bytes${app}`);
      const both = [appId, AGAIN].map((hex) => `${SLICE}/cri-containerd-${hex}.scope`);
      for (const [i, id] of both.entries()) write(layout === 'v1' ? 'memory.usage_in_bytes' : 'memory.current', id, `${2400 + i}\n`);
      const shown = memoryOf();
      assert.ok(shown === 2000 || shown === 2001, `${shown}`);
      const hierarchies = layout === 'v1' ? readdirSync(`${tree.path}/sys/fs/cgroup`) : [''];
      for (const hierarchy of hierarchies) rmSync(`${tree.path}/sys/fs/cgroup/${hierarchy}${both[shown - 2000]}`, { recursive: true, force: true });
      assert.equal(memoryOf(), 4001 - shown, 'the other has taken its place');
      bench.session.close();
    });
  }
});

test('a container that no runtime lists yet is asked for again, less and less often, until it is known', () => {
  withTree('v2', (tree) => {
    const board = makeBoard();
    const writer = new BoardWriter(board);
    const bench = new Bench(tree.roots, ['memory'], {}, undefined, board);
    const second = (): boolean => {
      bench.page('memory');
      return writer.takeAsked();
    };
    const asked = (seconds: number): number[] => Array.from({ length: seconds }, (_, i) => i).filter(second);
    assert.deepEqual(asked(70), [0, 1, 3, 7, 15, 31, 63]);
    // A list that does not have it: the runtime makes the cgroup first.
    const others = [{ ...APP, id: AGAIN }];
    writer.post(encodeNames({ containers: others, pods: [] }));
    assert.deepEqual(asked(60), [53]);
    tree.write(`sys/fs/cgroup${SLICE}/cri-containerd-${OTHER}.scope/memory.current`, '5\n');
    assert.deepEqual(asked(8), [0, 1, 3, 7], 'one that came');
    const known = [...bench.page('memory').matchAll(/(?:docker|cri-containerd|libpod)-([0-9a-f]{64})/g)].map(([, id = '']) => ({ ...APP, id }));
    writer.post(encodeNames({ containers: known, pods: [] }));
    assert.deepEqual(asked(130), []);
    bench.session.close();
  });
});

/** Modules that a compiled one loads, itself included; packages by name. */
function imports(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)[^'"]*?(?:from )?['"]([^'"]+)['"]/gm)) {
    if (from.startsWith('.')) imports(resolve(dirname(file), from), found);
    else found.add(from);
  }
  return found;
}

test('the collecting threads load no schema library, and the one for gRPC only where there is a CRI socket', () => {
  for (const module of ['collect.js', 'collect-runtimes.js']) {
    const loaded = imports(join(import.meta.dirname, module));
    assert.ok(
      [...loaded].some((path) => path.endsWith('/group.js') || path.endsWith('/docker.js')),
      'the walk finds what is loaded',
    );
    for (const library of ['zod', '@grpc/grpc-js', 'protobufjs/light.js']) assert.ok(!loaded.has(library), `${module} loads ${library}`);
  }
  assert.ok(imports(join(import.meta.dirname, 'cri.js')).has('@grpc/grpc-js'));
  assert.ok([...imports(join(import.meta.dirname, 'collector.js'))].includes('zod'), 'the definition has the schema');
});
