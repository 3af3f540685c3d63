import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discoverCollectors } from '../../collect/discover.ts';
import { loadConfig } from '../load.ts';
import type { Config } from '../../config/schema.ts';

const definitions = await discoverCollectors();

async function load(...flags: readonly string[]): Promise<{ config: Config; warnings: readonly string[] }> {
  const loaded = await loadConfig({
    argv: ['cadvisor', ...flags],
    env: {},
    cwd: '/',
    definitions,
    readFile: () => assert.fail('no file is read'),
    version: '1.0.0',
  });
  return 'config' in loaded ? loaded : assert.fail(loaded.text);
}

const container = (config: Config) => config.collectors['container'] ?? assert.fail('the collector is configured');
const options = (config: Config) => container(config).options as Readonly<Record<string, unknown>>;

test("without flags: port 8080, the container role alone, the peer's default groups", async () => {
  const { config, warnings } = await load();
  assert.equal(config.web.listenAddresses[0]?.port, 8080);
  assert.deepEqual(config.roles, ['container']);
  assert.equal(container(config).parts['process'], false);
  assert.equal(options(config)['kubelet_pages'], false);
  assert.deepEqual(warnings, []);
});

test('address and port are two flags of the peer and one key of ours', async () => {
  const at = async (...flags: readonly string[]) => {
    const { config } = await load(...flags);
    assert.equal(config.web.listenAddresses.length, 1);
    return config.web.listenAddresses[0];
  };
  assert.deepEqual(await at('-port=9090', '--listen_ip', '127.0.0.1'), { host: '127.0.0.1', port: 9090 });
  assert.deepEqual(await at('-listen_ip=127.0.0.1'), { host: '127.0.0.1', port: 8080 });
  assert.equal((await at('-port', '9091'))?.port, 9091);
  assert.deepEqual(await at('-listen_ip=::1', '-port=1', '-port=2'), { host: '::1', port: 2 }, 'the last of a repeated flag counts');
});

test('groups: the list that is given takes the place of the default list', async () => {
  const parts = async (...flags: readonly string[]) => container((await load(...flags)).config).parts;
  const without = await parts('-disable_metrics=percpu,cpu');
  assert.deepEqual(
    [without['cpu'], without['process'], without['memory_numa'], without['memory']],
    [false, true, true, true],
    'the rest is on, what is off by default too',
  );
  const only = await parts('-enable_metrics=cpu,memory', '-disable_metrics=cpu');
  assert.deepEqual([only['cpu'], only['memory'], only['oom_event'], only['base']], [true, true, false, true]);
  assert.equal(options((await load('-disable_metrics=percpu')).config)['percpu'], false);
  await assert.rejects(load('-disable_metrics=cpu,accelerator'), /disable_metrics/);
});

test('options of the collector, and flags without effect', async () => {
  const { config, warnings } = await load(
    '-docker_only',
    '-whitelisted_container_labels=a.b, c',
    '-docker=unix:///x.sock',
    '-housekeeping_interval=10s',
    '-store_container_labels=false',
    '-disable_root_cgroup_stats=true',
  );
  const { docker_only, container_labels, docker, disable_root_cgroup_stats } = options(config);
  assert.deepEqual([docker_only, container_labels, docker, disable_root_cgroup_stats], [true, 'a.b, c', 'unix:///x.sock', true]);
  assert.deepEqual(warnings, [
    '--housekeeping_interval has no effect: every cgroup is read in every run, whose rhythm is that of the scrapes; container.interval sets it',
  ]);
  await assert.rejects(load('-no_such_flag'), /no_such_flag/);
});

test('what would close something or holds a secret is refused; values that ask for nothing are not', async () => {
  for (const given of [
    'docker-tls',
    'docker-tls-ca=/etc/ca.pem',
    'storage_driver_password=hunter2',
    'storage_driver_secure',
    'collector_key=/k',
    'http_auth_file=/htpasswd',
  ]) {
    await assert.rejects(load(`-${given}`), (error) => {
      const [name = '', value = ''] = given.split('=');
      return error instanceof Error && error.message.includes(name) && (value === '' || !error.message.includes(value));
    });
  }
  const { warnings } = await load('-docker-tls=false', '-docker-tls-cert=cert.pem', '-storage_driver_password=root', '-http_digest_file=');
  assert.deepEqual(warnings, []);
});

test('paths, sockets and groups that are not one key of ours', async () => {
  const path = async (...flags: readonly string[]) => (await load(...flags)).config.web.telemetryPath;
  assert.equal(await path('-url_base_prefix=/cadvisor/'), '/cadvisor/metrics');
  assert.equal(await path('-url_base_prefix=x', '-prometheus_endpoint=/m'), '/x/m');
  assert.equal(await path('-url_base_prefix=', '-prometheus_endpoint=/m'), '/m');
  assert.equal(options((await load('-containerd=/run/c.sock')).config)['cri'], '/run/c.sock,/var/run/crio/crio.sock');
  await assert.rejects(load('-docker=tcp://10.0.0.1:2375'), /docker.*unix/s);
  const loaded = await load('-enable_metrics=advtcp,cpu_topology,referenced_memory,app', '-enable_load_reader', '-referenced_reset_interval=3');
  const { parts } = container(loaded.config);
  assert.deepEqual([parts['advtcp'], parts['cpu_topology'], parts['referenced_memory'], parts['memory']], [true, true, true, false]);
  assert.deepEqual(loaded.warnings, ['--enable_metrics: app shows nothing, since metrics of applications are for Prometheus to scrape']);
  assert.deepEqual([options(loaded.config)['enable_load_reader'], options(loaded.config)['referenced_reset_interval']], [true, 3]);
});

test('each group of the peer switches a part of its name, or says why it shows nothing', async () => {
  const groups =
    'advtcp app cpu cpuLoad cpu_topology cpuset disk diskIO hugetlb memory memory_numa network oom_event percpu perf_event pressure process ' +
    'referenced_memory resctrl sched tcp udp';
  for (const group of groups.split(' ')) {
    const [on, off] = [await load(`-enable_metrics=${group}`), await load(`-disable_metrics=${group}`)];
    if (group === 'app') assert.match(on.warnings.join(), /app shows nothing/);
    else if (group === 'percpu') assert.deepEqual([options(on.config)['percpu'], options(off.config)['percpu']], [true, false]);
    else assert.deepEqual([container(on.config).parts[group], container(off.config).parts[group], on.warnings], [true, false, []], group);
  }
});
