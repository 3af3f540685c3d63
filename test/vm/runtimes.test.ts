import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { kubelet, type PodIds, startContainerd } from './containerd.ts';
import { type Engine, engine, imageArchive, missing, until } from './engines.ts';

/** The daemon beside real engines, on the cgroups of this machine; the one in the virtual machine is the same on v2. */

const CGROUPS = '/sys/fs/cgroup';

/** Samples of one family on a page, by their labels. */
function family(page: string, name: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, labels = '', value = ''] of page.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))) found.set(labels, Number(value));
  return found;
}

/** What engines leave of their cgroups' parents. */
function removeCgroups(name: string): void {
  for (const hierarchy of readdirSync(CGROUPS)) {
    const root = join(CGROUPS, hierarchy, name);
    if (!existsSync(root)) continue;
    const folders = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
    const paths = folders.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort((a, b) => b.length - a.length);
    for (const path of [...paths, root]) {
      try {
        rmdirSync(path);
      } catch {
        // Another engine's, or not empty yet: not ours to insist on.
      }
    }
  }
}

async function beside(made: Engine, options: readonly string[], body: (daemon: RunningDaemon) => Promise<void>): Promise<void> {
  const daemon = await startDaemon(['--roles=container', '--container.collectors.runtimes=true', '--container.interval=500ms', ...options]);
  try {
    await body(daemon);
    const failures = daemon.log.filter(({ level }) => level === 'error');
    assert.deepEqual(failures, []);
  } finally {
    await daemon.stop();
    await made.stop();
  }
}

const UID = '0a1b2c3d-4e5f-6789-abcd-ef0123456789';
const PARENT = `/kubepods/burstable/pod${UID}`;

/** Everything the daemon says of a running pod. */
async function checkPod(daemon: RunningDaemon, ids: PodIds): Promise<void> {
  const own = `container="app",id="${PARENT}/${ids.container}",image="docker.io/demo/app:1",name="${ids.container}",namespace="web",pod="shop-1"`;
  const sandbox = `id="${PARENT}/${ids.sandbox}",image="docker.io/demo/app:1"`;
  const kubeletPage = (): Promise<string> => daemon.page('/metrics/cadvisor');
  await until('the name on /metrics/cadvisor', async () => family(await kubeletPage(), 'container_memory_working_set_bytes').has(own));
  // Files that only named cgroups have are opened by then, and read in the next run.
  await until('the network of the sandbox', async () =>
    [...family(await kubeletPage(), 'container_network_receive_bytes_total').keys()].some((labels) => labels.includes(sandbox)),
  );
  const page = await kubeletPage();
  const memory = family(page, 'container_memory_usage_bytes');
  assert.ok((memory.get(own) ?? 0) > 0);
  assert.equal(family(page, 'container_spec_memory_limit_bytes').get(own), 1 << 26);
  assert.equal(family(page, 'container_spec_cpu_quota').get(own), 50_000);
  assert.ok(memory.has(`container="",id="${PARENT}",image="",name="",namespace="web",pod="shop-1"`), 'the pod');
  assert.ok(memory.has(`container="",${sandbox},name="${ids.sandbox}",namespace="web",pod="shop-1"`), 'its sandbox');
  assert.ok(
    ![...family(page, 'container_network_receive_bytes_total').keys()].some((labels) => labels.includes(ids.container)),
    "the network is the sandbox's alone",
  );

  const standalone = family(await daemon.page('/metrics/container'), 'container_memory_usage_bytes');
  assert.ok(standalone.has(`container_label_team="x",id="${PARENT}/${ids.container}",image="docker.io/demo/app:1",name="${ids.container}"`));
  assert.equal(new Set([...standalone.keys()].map((labels) => /\bid="([^"]*)"/.exec(labels)?.[1])).size, standalone.size, 'no cgroup twice');

  const app = 'container="app",namespace="web",pod="shop-1"';
  await until('the container on /metrics/resource', async () => family(await daemon.page('/metrics/resource'), 'container_cpu_usage_seconds_total').has(app));
  const resource = await daemon.page('/metrics/resource');
  const cpu = family(resource, 'container_cpu_usage_seconds_total').get(app) ?? 0;
  const file = `${CGROUPS}/cpuacct${PARENT}/${ids.container}/cpuacct.usage`;
  if (existsSync(file)) assert.ok(cpu > 0 && cpu <= Number(readFileSync(file, 'utf8')) / 1e9, `${cpu}`);
  assert.ok((family(resource, 'pod_memory_working_set_bytes').get('namespace="web",pod="shop-1"') ?? 0) > 0);
  const started = family(resource, 'container_start_time_seconds').get(app) ?? 0;
  assert.ok(Math.abs(started - Date.now() / 1000) < 60);
}

test('containerd: a pod is named on every page, and gone with its end', { skip: missing('containerd', 'ctr', 'runc', 'busybox') }, async () => {
  const made = await startContainerd();
  const pods = kubelet(made.socket);
  try {
    const options = [`--container.cri=${made.socket}`, '--container.docker=', '--container.podman=', '--container.container-labels=team'];
    await beside(made, options, async (daemon) => {
      const ids = await pods.run({ name: 'shop-1', uid: UID, namespace: 'web', container: 'app', parent: PARENT, labels: { team: 'x' }, memoryLimit: 1 << 26 });
      try {
        await checkPod(daemon, ids);
      } finally {
        await pods.remove(ids);
      }
      await until('the end of the pod', async () => !(await daemon.page('/metrics/cadvisor')).includes(ids.container));
    });
  } finally {
    pods.close();
    removeCgroups('kubepods');
  }
});

test('Docker: names, images and the allowed labels of containers', { skip: missing('dockerd', 'docker', 'containerd', 'runc', 'busybox') }, async () => {
  const made = engine('docker.sock');
  const { folder, socket } = made;
  const docker = (...args: readonly string[]): string => made.run('docker', '--host', `unix://${socket}`, ...args).trim();
  const paths = ['--data-root', join(folder, 'root'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')];
  made.start('dockerd', '--host', `unix://${socket}`, ...paths, '--bridge=none', '--iptables=false', '--storage-driver=vfs');
  try {
    await until('dockerd', () => existsSync(socket));
    docker('load', '--input', imageArchive(mkdtempSync(join(folder, 'image-'))));
    await beside(made, ['--container.cri=', `--container.docker=${socket}`, '--container.podman=', '--container.container-labels=a.b'], async (daemon) => {
      const id = docker('run', '--detach', '--name=web', '--label=a.b=c', '--label=secret=s', '--network=none', '--memory=64m', 'demo/app:1');
      const labels = `container_label_a_b="c",id="/docker/${id}",image="demo/app:1",name="web"`;
      await until('the name on /metrics/container', async () => family(await daemon.page('/metrics/container'), 'container_memory_usage_bytes').has(labels));
      const page = await daemon.page('/metrics/container');
      assert.equal(family(page, 'container_spec_memory_limit_bytes').get(labels), 64 * 1024 * 1024);
      assert.doesNotMatch(page, /secret/);
      docker('rm', '--force', 'web');
      await until('the end of the container', async () => !(await daemon.page('/metrics/container')).includes(id));
    });
  } finally {
    await made.stop();
    removeCgroups('docker');
  }
});
