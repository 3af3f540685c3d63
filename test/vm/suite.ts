import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { skipUnless } from '../support/backends/availability.ts';
import { until } from '../support/daemon.ts';
import { APP, APP_ARCHIVE } from './app-image.ts';
import { type CgroupNumbers, cgroupNumbers } from './cgroup-numbers.ts';
import { noMachine } from './image.ts';
import { type ContainerWanted, type Kubelet, kubelet, type Pod, type PodWanted } from './kubelet.ts';
import { type Layout, type Machine, bootMachine } from './machine.ts';
import { matching, type Sample, samplesOf, sampleOf } from './samples.ts';
import { DAEMON_PORT, HANDLERS, NODE, PAYLOAD } from './settings.ts';

const reason = noMachine();
const skip = skipUnless(reason === false ? { backend: undefined } : { missing: reason });

/** For what takes a second or two in an emulated machine that has the CPU to itself. */
const SOON_MS = 300_000;
/** Each question costs an emulated CPU as much as what it waits for. */
const ASK_EVERY_MS = 250;
const MIB = 1024 ** 2;
const PINGS = 20;

/** Of each pod. All are started at once. */
const CONTAINERS: readonly ContainerWanted[] = [
  { name: 'app', script: 'exec sleep 1000000', labels: { team: 'x' }, memoryLimit: 64 * MIB, cpuShares: 512 },
  {
    name: 'quiet',
    script: 'dd if=/dev/zero of=/tmp/file bs=1M count=8 conv=fsync; for i in 1 2 3; do sleep 1000000 & done; exec sleep 1000000',
    memoryLimit: 64 * MIB,
  },
  { name: 'busy', script: 'while :; do :; done', cpuQuota: 10_000, memoryLimit: 64 * MIB },
  { name: 'greedy', script: 'tail /dev/zero; exec sleep 1000000', memoryLimit: 16 * MIB },
  { name: 'chatty', script: `ping -c ${PINGS} -i 0.1 -s 1000 10.88.0.1; exec sleep 1000000` },
];

/** What the page is compared with the cgroup's files for, once they say so much. */
const CHECKS: readonly (readonly [container: string, what: string, isEnough: (numbers: CgroupNumbers) => boolean])[] = [
  [
    'quiet',
    'memory, processes, block I/O and limits are those of the cgroup files',
    ({ gauges, blockBytes }) => gauges['container_processes'] === 4 && blockBytes.Write >= 8 * MIB,
  ],
  ['busy', 'a container over its CPU quota is throttled', ({ counters }) => (counters['container_cpu_cfs_throttled_periods_total'] ?? 0) >= 3],
  ['greedy', 'a process killed for lack of memory is an OOM event', ({ counters }) => counters['container_oom_events_total'] === 1],
];

type Driver = keyof typeof HANDLERS;

/** A pod's cgroup as the kubelet names it, and that of a container in it. */
function podOf(driver: Driver, number: number): PodWanted {
  const uid = `0a1b2c3d-4e5f-6789-abcd-ef012345678${number}`;
  const parent =
    driver === 'systemd' ? `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice` : `/kubepods/burstable/pod${uid}`;
  return { name: `shop-${number}`, uid, namespace: 'web', parent, handler: HANDLERS[driver] };
}

function cgroupOf({ parent, handler }: PodWanted, id: string): string {
  return handler === HANDLERS.systemd ? `${parent}/cri-containerd-${id}.scope` : `${parent}/${id}`;
}

/** The container role in a real Debian machine: systemd, containerd with pods of both cgroup drivers, Docker. */
export function containerSuite(layout: Layout, more: (machine: () => Machine) => void = () => undefined): void {
  describe(`the container role in a Debian machine, cgroups ${layout}`, { skip }, () => {
    let machine: Machine;
    let pods: Kubelet;

    const page = async (path: string): Promise<Sample[]> => samplesOf(await machine.page(path));
    const startDaemon = async (...flags: readonly string[]): Promise<void> => {
      await machine.attempt('systemctl', 'stop', 'exporterd');
      await machine.run(
        ...['systemd-run', '--unit=exporterd', '--quiet', `--working-directory=${PAYLOAD}`, NODE, 'dist/src/main.js'],
        ...[
          `--web.listen-address=:${DAEMON_PORT}`,
          '--roles=container',
          '--container.interval=2s',
          '--container.deadline=60s',
          '--container.container-labels=team',
          '--log.format=json',
        ],
        ...flags,
      );
      await soon('the daemon listens', () =>
        machine.page('/-/healthy').then(
          () => true,
          () => false,
        ),
      );
    };
    const complaints = async (): Promise<string[]> =>
      (await machine.run('journalctl', '--unit=exporterd', '--output=cat', '--quiet'))
        .split('\n')
        .filter((line) => /"level":"(warn|error)"/.test(line))
        // An emulated CPU on a busy machine.
        .filter((line) => !/passed its deadline|thread was replaced/.test(line));
    /** Files of the daemon whose path has this text. */
    const openFiles = async (text: string): Promise<number> => {
      const find = 'find /proc/$(systemctl show --property=MainPID --value exporterd)/fd -lname "*$1*" | wc -l';
      return Number(await machine.run('sh', '-c', find, 'sh', text));
    };

    /** Once a page shows what the cgroup's files said, and they still say it; counters are between two readings. */
    async function checkNumbers(id: string, labels: Readonly<Record<string, string>>, isEnough: (numbers: CgroupNumbers) => boolean): Promise<void> {
      let wrong: string[] = [];
      await soon(`the numbers of ${id}`, async () => {
        const low = await cgroupNumbers(machine, layout, id);
        if (!isEnough(low)) {
          wrong = [`not there yet: ${JSON.stringify(low)}`];
          return false;
        }
        // Collected after the first reading: its CPU time is at least that.
        let samples: Sample[] = [];
        const cpu = (): number => sampleOf(samples, 'container_cpu_usage_seconds_total', { ...labels, cpu: 'total' }) ?? 0;
        await soon('a page that is newer', async () => {
          samples = await page('/metrics/cadvisor');
          return cpu() >= (low.counters['container_cpu_usage_seconds_total'] ?? 0);
        });
        const high = await cgroupNumbers(machine, layout, id);
        wrong = differences(samples, labels, low, high);
        return wrong.length === 0;
      }).catch((error: unknown) => assert.fail(`${String(error)}\n${wrong.join('\n')}`));
    }

    before(async () => {
      machine = await bootMachine(layout, program('TEST_NODE_EXPORTER', 'node_exporter'));
      assert.equal((await machine.attempt('systemctl', 'is-system-running', '--wait')).stdout, 'running\n', await machine.run('systemctl', '--failed'));
      await machine.run('ctr', '--namespace', 'k8s.io', 'images', 'import', APP_ARCHIVE);
      pods = kubelet(await machine.socket('/run/containerd/containerd.sock'));
      await startDaemon();
    });
    after(async () => {
      pods?.close();
      await machine?.stop();
    });

    for (const [number, driver] of (['systemd', 'cgroupfs'] as const).entries()) {
      describe(`a pod of the ${driver} driver`, () => {
        const wanted = podOf(driver, number);
        const inPod = { namespace: 'web', pod: wanted.name };
        let pod: Pod;
        const ids = new Map<string, string>();
        const idOf = (container: string): string => ids.get(container) ?? assert.fail(`no container ${container}`);

        before(async () => {
          pod = await pods.startPod(wanted);
          // One after the other, as the kubelet does: at once, containerd has been seen to make the pod's socket twice ("address already in use").
          for (const container of CONTAINERS) ids.set(container.name, await pods.startContainer(pod, container));
          if (layout === 'hybrid') await writeCounted(machine, cgroupOf(wanted, idOf('quiet')));
        });

        test('is named on every page: itself, its sandbox, its containers', async () => {
          const id = idOf('app');
          const own = { ...inPod, container: 'app', id: cgroupOf(wanted, id), image: APP, name: id };
          const family = 'container_memory_working_set_bytes';
          await soon('all names on /metrics/cadvisor', async () => matching(await page('/metrics/cadvisor'), family, inPod).length === ids.size + 2);
          assert.deepEqual(
            matching(await page('/metrics/cadvisor'), family, inPod)
              .map(({ labels }) => labels)
              .filter(({ container }) => container === 'app' || container === '')
              .sort(byText),
            [
              own,
              { ...inPod, container: '', id: wanted.parent, image: '', name: '' },
              { ...inPod, container: '', id: cgroupOf(wanted, pod.sandbox), image: APP, name: pod.sandbox },
            ].sort(byText),
          );
          // Every part comes to know of it in a run of its own.
          await soon('its start', async () => {
            const started = sampleOf(await page('/metrics/cadvisor'), 'container_start_time_seconds', own) ?? 0;
            const now = Number(await machine.run('date', '+%s'));
            return started > now - 300 && started <= now + 1;
          });

          const standalone = matching(await page('/metrics/container'), family, {});
          const labels = standalone.find((sample) => sample.labels['id'] === own.id)?.labels;
          assert.deepEqual(labels, { container_label_team: 'x', id: own.id, image: APP, name: id });
          assert.equal(new Set(standalone.map((sample) => sample.labels['id'])).size, standalone.length, 'no cgroup twice');

          await soon('the container on /metrics/resource', async () => matching(await page('/metrics/resource'), family, inPod).length === ids.size);
          const resource = await page('/metrics/resource');
          assert.ok((sampleOf(resource, family, { ...inPod, container: 'app' }) ?? 0) > 0);
          assert.ok((sampleOf(resource, 'pod_memory_working_set_bytes', inPod) ?? 0) > 0);
          assert.ok((sampleOf(resource, 'pod_cpu_usage_seconds_total', inPod) ?? 0) > 0);
        });

        for (const [container, what, isEnough] of CHECKS)
          test(what, async () => checkNumbers(cgroupOf(wanted, idOf(container)), { ...inPod, container }, isEnough));

        test("the pod's network is shown once, under its sandbox", async () => {
          const folder = layout === 'unified' ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory';
          const device = async (): Promise<number[]> => {
            const text = await machine.run('sh', '-c', `cat /proc/$(head -n 1 ${folder}${cgroupOf(wanted, pod.sandbox)}/cgroup.procs)/net/dev`);
            return (/eth0:\s*(.*)/.exec(text)?.[1] ?? '').split(/\s+/).map(Number);
          };
          await soon('its traffic', async () => ((await device())[0] ?? 0) > PINGS * 1000);
          const families = ['receive_bytes', 'receive_packets', 'receive_errors', 'receive_packets_dropped', 'transmit_bytes', 'transmit_packets'];
          await soon('its counters', async () => {
            const read = await device();
            const samples = await page('/metrics/cadvisor');
            const shown = families.map((name) => sampleOf(samples, `container_network_${name}_total`, { ...inPod, interface: 'eth0' }));
            return shown.join() === [0, 1, 2, 3, 8, 9].map((column) => read[column]).join();
          });
          const [sample] = matching(await page('/metrics/cadvisor'), 'container_network_receive_bytes_total', { ...inPod, interface: 'eth0' });
          assert.equal(sample?.labels['id'], cgroupOf(wanted, pod.sandbox));
        });

        test('its end leaves no series and no open file', async () => {
          const folder = wanted.parent.slice(wanted.parent.lastIndexOf('/'));
          assert.ok((await openFiles(folder)) > ids.size, 'files are kept open');
          await pods.removePod(pod);
          await removePodCgroup(machine, wanted);
          const all = async (): Promise<string> =>
            (await Promise.all(['cadvisor', 'container', 'resource'].map((name) => machine.page(`/metrics/${name}`)))).join();
          await soon('it is gone', async () => !(await all()).includes(folder));
          assert.ok(!(await all()).includes(wanted.name));
          await soon('its files are closed', async () => (await openFiles(folder)) === 0);
        });
      });
    }

    test('Docker: names, images and the allowed labels of containers', async () => {
      await machine.run('docker', 'load', '--input', APP_ARCHIVE);
      const run = ['docker', 'run', '--detach', '--name=web', '--label=team=y', '--label=secret=s', '--memory=64m', '--pids-limit=50', 'demo/app:1'];
      const id = (await machine.run(...run)).trim();
      const cgroup = layout === 'unified' ? `/system.slice/docker-${id}.scope` : `/docker/${id}`;
      const labels = { container_label_team: 'y', id: cgroup, image: 'demo/app:1', name: 'web' };
      await soon('its name', async () => sampleOf(await page('/metrics/container'), 'container_spec_memory_limit_bytes', labels) === 64 * MIB);
      await soon('its limit', async () => sampleOf(await page('/metrics/container'), 'container_threads_max', labels) === 50);
      await soon('its network', async () => {
        return sampleOf(await page('/metrics/container'), 'container_network_receive_bytes_total', { ...labels, interface: 'eth0' }) !== undefined;
      });
      assert.doesNotMatch(await machine.page('/metrics/container'), /secret/);
      await machine.run('docker', 'rm', '--force', 'web');
      await soon('its end', async () => !(await machine.page('/metrics/container')).includes(id));
    });

    test('the machine', async () => {
      const samples = await page('/metrics/cadvisor');
      assert.equal(sampleOf(samples, 'machine_cpu_cores', {}), 2);
      const total = Number(/^MemTotal:\s+(\d+)/m.exec(await machine.run('cat', '/proc/meminfo'))?.[1]) * 1024;
      assert.equal(sampleOf(samples, 'machine_memory_bytes', {}), total);
      const { machine_id, boot_id } = matching(samples, 'machine_memory_bytes', {})[0]?.labels ?? {};
      assert.equal(`${machine_id}\n`, await machine.run('cat', '/etc/machine-id'));
      assert.equal(`${boot_id}\n`, await machine.run('cat', '/proc/sys/kernel/random/boot_id'));
      const units = matching(await page('/metrics/container'), 'container_memory_usage_bytes', {}).map(({ labels }) => labels['id']);
      for (const id of ['/', '/system.slice', '/system.slice/exporterd.service', '/system.slice/containerd.service', '/system.slice/docker.service'])
        assert.ok(units.includes(id), id);
    });

    test('nothing was complained about', async () => {
      assert.deepEqual(await complaints(), []);
    });

    test('names that arrive late: none, then from the logs, then from containerd; never a series twice', async () => {
      const wanted = podOf('systemd', 6);
      const pod = await pods.startPod(wanted);
      const id = await pods.startContainer(pod, { name: 'late', script: 'exec sleep 1000000' });
      const cgroup = cgroupOf(wanted, id);
      // Containers live on without it.
      await machine.run('systemctl', 'stop', 'docker.service', 'docker.socket', 'containerd.service');
      await startDaemon();
      const seen = async (path: string): Promise<Sample[]> => matching(await page(path), 'container_last_seen', { id: cgroup });
      await soon('the nameless cgroup', async () => (await seen('/metrics/container')).length === 1);
      assert.deepEqual((await seen('/metrics/container'))[0]?.labels, { id: cgroup });
      assert.equal((await seen('/metrics/cadvisor'))[0]?.labels['container'], '');

      await machine.run('sh', '-c', `mkdir -p /var/log/containers && ln -s /nowhere /var/log/containers/${wanted.name}_web_late-${id}.log`);
      const fromLogs = { container: 'late', id: cgroup, image: '', name: id, namespace: 'web', pod: wanted.name };
      await soon('names from the logs', async () => (await seen('/metrics/cadvisor'))[0]?.labels['container'] === 'late');
      assert.deepEqual(
        (await seen('/metrics/cadvisor')).map(({ labels }) => labels),
        [fromLogs],
      );

      await machine.run('systemctl', 'start', 'containerd.service');
      await soon('names from containerd', async () => (await seen('/metrics/cadvisor'))[0]?.labels['image'] === APP);
      assert.deepEqual(
        (await seen('/metrics/cadvisor')).map(({ labels }) => labels),
        [{ ...fromLogs, image: APP }],
      );
      assert.deepEqual(
        (await seen('/metrics/container')).map(({ labels }) => labels),
        [{ container_label_team: '', id: cgroup, image: APP, name: id }],
      );
    });

    more(() => machine);
  });
}

/** Once `ask` has an answer. */
function soon<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  return until(SOON_MS, what, ask, ASK_EVERY_MS);
}

/** The kubelet's part of a pod's end: a runtime removes the cgroups it has made, not the one it was told to make them in. */
async function removePodCgroup(machine: Machine, { parent, handler }: PodWanted): Promise<void> {
  if (handler === HANDLERS.systemd) await machine.run('systemctl', 'stop', parent.slice(parent.lastIndexOf('/') + 1));
  // In the v1 hierarchies that systemd does not manage the runtime has made it by itself. In the others systemd may be first.
  await machine.attempt('find', '/sys/fs/cgroup', '-depth', '-type', 'd', '-path', `*${parent}`, '-exec', 'rmdir', '{}', '+');
}

/**
 * Writes 8 MiB in a v1 cgroup so that they are counted as its own: v1 does not know whose pages are written back later, and newer
 * kernels count only where there is a limit.
 */
async function writeCounted(machine: Machine, id: string): Promise<void> {
  const device = (await machine.run('cat', '/sys/block/vda/dev')).trim();
  const script = `cd "$1" && echo ${device} ${1024 * MIB} > blkio.throttle.write_bps_device && echo $$ > cgroup.procs &&
    dd if=/dev/zero of=/var/tmp/direct bs=1M count=8 oflag=direct && rm /var/tmp/direct`;
  await machine.run('sh', '-c', script, 'sh', `/sys/fs/cgroup/blkio${id}`);
}

/** What a page says otherwise than the files did before it, or before and after it for what rises. */
function differences(samples: readonly Sample[], labels: Readonly<Record<string, string>>, low: CgroupNumbers, high: CgroupNumbers): string[] {
  const wrong: string[] = [];
  for (const [family, value] of Object.entries(low.gauges)) {
    const shown = sampleOf(samples, family, labels);
    if (shown !== value) wrong.push(`${family}: ${shown}, the files say ${value}`);
  }
  for (const [family, value] of Object.entries(low.counters)) {
    const shown = sampleOf(samples, family, family === 'container_cpu_usage_seconds_total' ? { ...labels, cpu: 'total' } : labels) ?? Number.NaN;
    const end = high.counters[family] ?? Number.NaN;
    if (!(value <= shown && shown <= end)) wrong.push(`${family}: ${shown}, the files say ${value} to ${end}`);
  }
  for (const operation of ['Read', 'Write'] as const) {
    const shown = matching(samples, 'container_blkio_device_usage_total', { ...labels, operation });
    const total = shown.reduce((sum, { value }) => sum + value, 0);
    if (total !== low.blockBytes[operation]) wrong.push(`${operation}: ${total}, the files say ${low.blockBytes[operation]}`);
    if (total > 0 && !shown.some(({ labels: { device } }) => device === '/dev/vda')) wrong.push(`no device /dev/vda: ${JSON.stringify(shown)}`);
  }
  return wrong;
}

/** The program that a variable names, if it does. */
function program(variable: string, name: string): Record<string, string> {
  const path = process.env[variable] ?? '';
  return path === '' ? {} : { [name]: path };
}

function byText(a: unknown, b: unknown): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
