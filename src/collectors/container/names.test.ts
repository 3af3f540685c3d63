import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bench, fixture, plant, samples } from './harness.ts';
import { pathKind } from './names.ts';

const HEX = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const UID = '0a1b2c3d-4e5f-6789-abcd-ef0123456789';
const SLICE = '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_4e5f_6789_abcd_ef0123456789.slice';

test('what a path says', () => {
  const container = (runtime: string, podUid: string) => ({ kind: 'container', runtime, containerId: HEX, podUid }) as const;
  const pod = (podUid: string) => ({ kind: 'pod', podUid }) as const;
  const plain = { kind: 'plain' } as const;
  const cases: readonly (readonly [string, ReturnType<typeof pathKind>])[] = [
    ['/', plain],
    ['/system.slice/ssh.service', plain],
    ['/kubepods.slice', plain],
    ['/kubepods/burstable', plain],
    [SLICE, pod(UID)],
    [`/kubepods/besteffort/pod${UID}`, pod(UID)],
    [`/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${UID.replaceAll('-', '_')}.slice`, pod(UID)],
    ['/kubepods.slice/kubepods-pod0123456789abcdef0123456789abcdef.slice', pod('0123456789abcdef0123456789abcdef')],
    ['/kubepods.slice/kubepods-podnot_a_uid.slice', plain],
    [`${SLICE}/cri-containerd-${HEX}.scope`, container('cri-containerd', UID)],
    [`${SLICE}/crio-${HEX}.scope`, container('crio', UID)],
    [`${SLICE}/crio-conmon-${HEX}.scope`, plain],
    [`/kubepods/burstable/pod${UID}/${HEX}`, container('', UID)],
    [`/docker/${HEX}`, container('', '')],
    [`/system.slice/docker-${HEX}.scope`, container('docker', '')],
    [`/system.slice/docker-${HEX}.scope/init.scope`, plain],
    [`/docker/${HEX.slice(1)}g`, plain],
    [`/machine.slice/libpod-${HEX}.scope/container`, container('libpod', '')],
    ['/machine.slice/other.scope/container', plain],
  ];
  for (const [id, expected] of cases) assert.deepEqual(pathKind(id), expected, id);
});

test('the network of a pod is that of a process of its sandbox, whichever lives', () => {
  const tree = plant(fixture('v2.tree'));
  try {
    const sandbox = `${SLICE}/cri-containerd-${OTHER}.scope`;
    const device = (bytes: number) => `  eth0: ${bytes} 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n`;
    tree.write(`sys/fs/cgroup${sandbox}/cgroup.procs`, '77\n78\n');
    tree.write('proc/77/net/dev', device(5000));
    tree.write('proc/78/net/dev', device(6000));
    tree.write(`root/var/log/pods/web_shop-7d_${UID}/app/0.log`, '');
    tree.write(`root/var/log/containers/shop-7d_web_app-${HEX}.log`, '');
    const bench = new Bench(tree.roots, ['network']);
    const series = `container_network_receive_bytes_total{id="${sandbox}",image="",interface="eth0",name="${OTHER}"}`;
    bench.page('network');
    assert.equal(samples(bench.page('network')).get(series), 5000);
    rmSync(join(tree.path, 'proc/77'), { recursive: true });
    tree.write(`sys/fs/cgroup${sandbox}/cgroup.procs`, '78\n');
    assert.equal(samples(bench.page('network')).has(series), false);
    const found = samples(bench.page('network'));
    assert.equal(found.get(series), 6000);
    assert.equal(
      [...found.keys()].filter((key) => key.startsWith('container_network_receive_bytes_total')).length,
      3,
      'two of the machine, one of the sandbox, none of the container',
    );
    bench.session.close();
  } finally {
    tree.remove();
  }
});

test('pods, containers and sandboxes are named from the log directories; a late name renames and adds nothing', () => {
  const tree = plant(fixture('v2.tree'));
  try {
    const cgroups = 'sys/fs/cgroup';
    tree.write(`${cgroups}${SLICE}/cri-containerd-${OTHER}.scope/memory.current`, '5\n');
    const bench = new Bench(tree.roots, ['memory']);
    const kubelet = () => samples(bench.sheet('memory').text({ name: 'kubelet', labels: [] }));
    const usage = (container: string, id: string, name: string, namespace: string, pod: string) =>
      `container_memory_usage_bytes{container="${container}",id="${id}",image="",name="${name}",namespace="${namespace}",pod="${pod}"}`;
    const app = `${SLICE}/cri-containerd-${HEX}.scope`;
    const sandbox = `${SLICE}/cri-containerd-${OTHER}.scope`;
    const plain = samples(bench.page('memory'));
    assert.ok(plain.has(`container_memory_usage_bytes{id="${app}"}`));
    assert.equal(kubelet().get(usage('', app, '', '', '')), 104857600);
    const rows = kubelet().size;
    assert.ok(rows < plain.size, 'the kubelet does not list services that it does not watch');

    tree.write(`root/var/log/pods/web_shop-7d_${UID}/app/0.log`, '');
    bench.page('memory');
    bench.page('memory');
    assert.equal(kubelet().get(usage('', SLICE, '', 'web', 'shop-7d')), 40, 'the pod');
    tree.write(`root/var/log/containers/shop-7d_web_app-${HEX}.log`, '');
    tree.write('root/var/log/containers/not a log', '');
    for (let run = 0; run < 8; run++) bench.page('memory');
    const named = kubelet();
    assert.equal(named.get(usage('app', app, HEX, 'web', 'shop-7d')), 104857600, 'the container');
    assert.equal(named.get(usage('', sandbox, OTHER, 'web', 'shop-7d')), 5, 'the sandbox, which has no log');
    assert.equal(named.get(usage('', '/', '', '', '')), 479375360);
    assert.equal(named.size, rows, 'no series twice');

    const standalone = samples(bench.page('memory'));
    assert.equal(standalone.get(`container_memory_usage_bytes{id="${app}",image="",name="${HEX}"}`), 104857600);
    assert.equal(standalone.get('container_memory_usage_bytes{id="/",image="",name=""}'), 479375360);
    assert.equal(standalone.size, plain.size);

    for (const scope of [app, sandbox]) rmSync(join(tree.path, cgroups + scope), { recursive: true });
    assert.ok(samples(bench.page('memory')).has('container_memory_usage_bytes{id="/"}'), 'with the last name gone, id alone again');
    bench.session.close();
  } finally {
    tree.remove();
  }
});

test("the machine's ends of pods' interfaces are hidden as veth is, everything else is shown", () => {
  const tree = plant(fixture('v2.tree'));
  try {
    const hash = '0123456789abcdef';
    const hidden = [
      'lo',
      'veth1',
      'Docker0',
      `cali${hash.slice(0, 11)}`,
      `lxc${hash.slice(0, 12)}`,
      `eni${hash.slice(4)}`,
      `gke${hash.slice(0, 12)}`,
      hash.slice(1),
    ];
    const shown = ['eth0', 'enp0s3', 'eno1', 'ens192', 'cali1', 'lxc_health', 'lxdbr0', 'cilium_host', 'cni0', hash.slice(2), `lxc${hash.slice(0, 11)}`];
    tree.write('proc/1/net/dev', [...hidden, ...shown].map((name) => `${name}: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n`).join(''));
    const bench = new Bench(tree.roots, ['network']);
    const series = [...samples(bench.page('network')).keys()].filter((one) => one.startsWith('container_network_receive_bytes_total'));
    assert.deepEqual(series.map((one) => /interface="([^"]*)"/.exec(one)?.[1]).sort(), shown.toSorted());
    bench.session.close();
  } finally {
    tree.remove();
  }
});

test('interfaces that come and go leave nothing', () => {
  const tree = plant(fixture('v2.tree'));
  try {
    const bench = new Bench(tree.roots, ['network']);
    for (let i = 0; i < 400; i++) {
      tree.write('proc/1/net/dev', `cali${i}: ${i} 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n`);
      bench.run('network');
    }
    const found = samples(bench.page('network'));
    assert.equal(found.get('container_network_receive_bytes_total{id="/",interface="cali399"}'), 399);
    assert.equal(found.size, 8);
    assert.ok(bench.sheet('network').known <= 8 * 65, 'the sheet forgets after 64 runs');
    bench.session.close();
  } finally {
    tree.remove();
  }
});
