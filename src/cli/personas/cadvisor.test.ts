import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discoverCollectors } from '../../collect/discover.ts';
import { loadConfig } from '../load.ts';
import { CADVISOR } from './cadvisor.ts';
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

/** Flags of release 0.60 by the packages that register them: cmd, lib/manager, the runtimes, the storage drivers, klog. */
const PEER = [
  'version listen_ip port prometheus_endpoint url_base_prefix max_procs profiling disable_metrics enable_metrics store_container_labels',
  'whitelisted_container_labels env_metadata_whitelist raw_cgroup_prefix_whitelist perf_events_config resctrl_interval collector_cert collector_key',
  'http_auth_file http_auth_realm http_digest_file http_digest_realm max_housekeeping_interval allow_dynamic_housekeeping housekeeping_interval',
  'global_housekeeping_interval update_machine_info_interval initial_splay_factor jitter_factor log_cadvisor_usage event_storage_age_limit',
  'event_storage_event_limit application_metrics_count_limit machine_id_file boot_id_file enable_load_reader referenced_reset_interval container_hints',
  'docker docker-tls docker-tls-cert docker-tls-key docker-tls-ca docker_root docker_only docker_env_metadata_whitelist disable_root_cgroup_stats',
  'containerd containerd-namespace containerd_env_metadata_whitelist crio_client_timeout podman mesos_agent mesos_agent_timeout',
  'storage_duration storage_driver storage_driver_host storage_driver_user storage_driver_password storage_driver_db storage_driver_table',
  'storage_driver_secure storage_driver_buffer_duration storage_driver_influxdb_retention_policy storage_driver_es_host storage_driver_es_index',
  'storage_driver_es_type storage_driver_es_enable_sniffer storage_driver_kafka_broker_list storage_driver_kafka_topic storage_driver_kafka_ssl_cert',
  'storage_driver_kafka_ssl_key storage_driver_kafka_ssl_ca storage_driver_kafka_ssl_verify bq_id bq_secret bq_project_id bq_account bq_credentials_file',
  'add_dir_header alsologtostderr log_backtrace_at log_dir log_file log_file_max_size logtostderr one_output skip_headers skip_log_headers',
  'stderrthreshold legacy_stderr_threshold_behavior v vmodule',
].flatMap((line) => line.split(' '));

test("every flag of the peer's has a meaning", () => {
  const known = new Set(CADVISOR.flags(definitions, []).map(({ name }) => name));
  assert.deepEqual(
    PEER.filter((name) => !known.has(name)),
    [],
  );
});

test('what would close something or holds a secret is refused; values that ask for nothing are not', async () => {
  for (const given of [
    'docker-tls',
    'docker-tls-ca=/etc/ca.pem',
    'storage_driver_password=hunter2',
    'storage_driver_secure',
    'storage_driver_kafka_ssl_key=/k',
    'bq_credentials_file=/c.pem',
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
