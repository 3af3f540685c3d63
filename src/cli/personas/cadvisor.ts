import type { CollectorDefinition } from '../../collect/contract.ts';
import { type Field, flagName } from '../../config/fields.ts';
import type { GivenFlag } from '../args.ts';
import type { Meaning, Persona, PersonaFlag } from '../persona.ts';

/** Metric groups of cAdvisor 0.60. */
const GROUPS = (
  'advtcp app cpu cpuLoad cpu_topology cpuset disk diskIO hugetlb memory memory_numa network oom_event percpu perf_event pressure process ' +
  'referenced_memory resctrl sched tcp udp'
).split(' ');

const COLLECTORS = 'container.collectors.';

const CRIO = '/var/run/crio/crio.sock';

const isOff = (value: string | boolean): boolean => value === false || value === '';

function flag(name: string, metavar: string, help: string, meaning: Meaning, more: Partial<PersonaFlag> = {}): PersonaFlag {
  return { name, metavar, help, meaning, isSwitch: metavar === '', isRepeatable: false, isHidden: false, ...more };
}

function sets(key: string): Meaning {
  return { kind: 'key', key };
}

/** Asking for what the program does anyway is no reason for a warning. */
function ignored(why: string, isNoOp: (value: string | boolean) => boolean = isOff): Meaning {
  return { kind: 'ignored', why, isNoOp };
}

const NO_OWN_CLOCK = 'every cgroup is read in every run, whose rhythm is that of the scrapes; container.interval sets it';
const NO_STORAGE = 'samples are not kept: Prometheus does that';
const NO_GLOG = 'there is one log, on standard error; --log.level says how much';

const SWITCH_OFF: readonly (readonly [name: string, metavar: string, help: string, why: string])[] = [
  ['housekeeping_interval', 'DURATION', 'how often a cgroup is read', NO_OWN_CLOCK],
  ['max_housekeeping_interval', 'DURATION', 'how seldom an idle cgroup is read', NO_OWN_CLOCK],
  ['allow_dynamic_housekeeping', '', 'read idle cgroups less often', NO_OWN_CLOCK],
  ['initial_splay_factor', 'NUMBER', 'spread of the first reading', NO_OWN_CLOCK],
  ['jitter_factor', 'NUMBER', 'spread of the readings', NO_OWN_CLOCK],
  ['global_housekeeping_interval', 'DURATION', 'how often all cgroups are looked for', NO_OWN_CLOCK],
  ['update_machine_info_interval', 'DURATION', 'how often the machine is described', 'the machine is described every five minutes'],
  ['storage_duration', 'DURATION', 'how long samples are kept', NO_STORAGE],
  ['storage_driver', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_host', 'ADDRESS', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_db', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_table', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_buffer_duration', 'DURATION', 'how long samples wait to be pushed', NO_STORAGE],
  ['storage_driver_influxdb_retention_policy', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_kafka_broker_list', 'LIST', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_kafka_topic', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_kafka_ssl_ca', 'PATH', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_kafka_ssl_verify', '', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_es_host', 'ADDRESS', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_es_index', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_es_type', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['storage_driver_es_enable_sniffer', '', 'where samples are pushed', NO_STORAGE],
  ['bq_id', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['bq_project_id', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['bq_account', 'NAME', 'where samples are pushed', NO_STORAGE],
  ['event_storage_age_limit', 'LIST', 'how long events are kept', 'there is no events API'],
  ['event_storage_event_limit', 'LIST', 'how many events are kept', 'there is no events API'],
  ['containerd-namespace', 'NAME', 'namespace of containerd', 'containers are asked for by the CRI, whose namespace is its own'],
  ['crio_client_timeout', 'DURATION', "patience with CRI-O's socket", 'container.deadline bounds every call'],
  ['mesos_agent', 'ADDRESS', 'agent of Mesos', 'containers of Mesos have no names here'],
  ['mesos_agent_timeout', 'DURATION', 'patience with the agent of Mesos', 'containers of Mesos have no names here'],
  ['docker_root', 'PATH', "Docker's folder", "what is below Docker's folder is not looked at"],
  ['env_metadata_whitelist', 'LIST', 'variables of containers that become labels', 'variables of containers are not printed: they hold secrets'],
  ['docker_env_metadata_whitelist', 'LIST', 'variables of containers that become labels', 'variables of containers are not printed: they hold secrets'],
  ['containerd_env_metadata_whitelist', 'LIST', 'variables of containers that become labels', 'variables of containers are not printed: they hold secrets'],
  ['resctrl_interval', 'DURATION', 'how often resctrl is read', 'monitoring groups are looked for in every run, and never made'],
  ['application_metrics_count_limit', 'NUMBER', 'most metrics of applications', 'metrics of applications are for Prometheus to scrape'],
  ['container_hints', 'PATH', 'mounts of plain cgroups', 'this release has no hints'],
  ['max_procs', 'NUMBER', 'CPUs to use', 'there is no Go runtime here; collecting takes one thread'],
  ['profiling', '', 'pages of the Go profiler', 'there is no Go runtime here'],
  ['enable_profiling', '', 'pages of the Go profiler', 'there is no Go runtime here'],
  ['disable_host_network', '', 'no network of the machine', 'network families of / are always shown'],
  ['log_cadvisor_usage', '', 'log own use', 'exporterd_* say what collecting costs'],
  ['logtostderr', '', 'log to standard error', NO_GLOG],
  ['alsologtostderr', '', 'log to standard error too', NO_GLOG],
  ['stderrthreshold', 'LEVEL', 'least level on standard error', NO_GLOG],
  ['legacy_stderr_threshold_behavior', '', 'everything on standard error', NO_GLOG],
  ['log_dir', 'PATH', 'folder of log files', NO_GLOG],
  ['log_file', 'PATH', 'log file', NO_GLOG],
  ['log_file_max_size', 'NUMBER', 'largest log file', NO_GLOG],
  ['log_backtrace_at', 'PLACE', 'stack traces of a line', NO_GLOG],
  ['add_dir_header', '', 'folders in log lines', NO_GLOG],
  ['one_output', '', 'each line to one level', NO_GLOG],
  ['skip_headers', '', 'log lines without a header', NO_GLOG],
  ['skip_log_headers', '', 'log files without a header', NO_GLOG],
  ['v', 'NUMBER', 'how much is logged', NO_GLOG],
  ['vmodule', 'LIST', 'how much is logged, by file', NO_GLOG],
];

const NO_TLS = 'Docker is asked on its unix socket, never over the network';
const NO_PUSH = 'samples are not pushed anywhere, so no secret is taken for that';
const NO_APPLICATIONS = 'metrics of applications are not asked for, so no certificate is used';
const NO_UI = 'there is no user interface to protect, and it never protected /metrics; put a proxy in front of what must be closed';

/** Flags that keep something closed or hold a secret, the values with which they ask for nothing, and why they are refused. */
const REFUSED: readonly (readonly [name: string, metavar: string, help: string, nothing: readonly string[], why: string])[] = [
  ['docker-tls', '', "TLS to Docker's socket", [], NO_TLS],
  ['docker-tls-cert', 'PATH', "TLS to Docker's socket", ['cert.pem'], NO_TLS],
  ['docker-tls-key', 'PATH', "TLS to Docker's socket", ['key.pem'], NO_TLS],
  ['docker-tls-ca', 'PATH', "TLS to Docker's socket", ['ca.pem'], NO_TLS],
  ['storage_driver_user', 'NAME', 'where samples are pushed', ['root'], NO_PUSH],
  ['storage_driver_password', 'TEXT', 'where samples are pushed', ['root'], NO_PUSH],
  ['storage_driver_secure', '', 'where samples are pushed', [], NO_PUSH],
  ['storage_driver_kafka_ssl_cert', 'PATH', 'where samples are pushed', [], NO_PUSH],
  ['storage_driver_kafka_ssl_key', 'PATH', 'where samples are pushed', [], NO_PUSH],
  ['bq_secret', 'TEXT', 'where samples are pushed', ['notasecret'], NO_PUSH],
  ['bq_credentials_file', 'PATH', 'where samples are pushed', [], NO_PUSH],
  ['collector_cert', 'PATH', 'certificate for metrics of applications', [], NO_APPLICATIONS],
  ['collector_key', 'PATH', 'key for metrics of applications', [], NO_APPLICATIONS],
  ['http_auth_file', 'PATH', "protects the peer's user interface", [], NO_UI],
  ['http_digest_file', 'PATH', "protects the peer's user interface", [], NO_UI],
];

/** Groups that show nothing here, and why. */
const EMPTY_GROUPS: Readonly<Record<string, string>> = {
  app: 'metrics of applications are for Prometheus to scrape',
};

const groupsOf = (text: string): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

const areGroups = (value: string | boolean): boolean => groupsOf(String(value)).every((name) => GROUPS.includes(name));

/** The first name that is no group. */
function strangerIn(value: string | boolean): string | undefined {
  const stranger = groupsOf(String(value)).find((name) => !GROUPS.includes(name));
  return stranger === undefined ? undefined : `${stranger} is no group of metrics; there are ${GROUPS.join(', ')}`;
}

function emptyIn(value: string | boolean): string | undefined {
  const empty = groupsOf(String(value)).filter((name) => name in EMPTY_GROUPS);
  return empty.length === 0 ? undefined : empty.map((name) => `${name} shows nothing, since ${EMPTY_GROUPS[name]}`).join('; ');
}

function flags(_definitions: readonly CollectorDefinition[], fields: readonly Field[]): PersonaFlag[] {
  const keys = new Set(fields.map(({ key }) => key));
  const own = (name: string, key: string, metavar: string, help: string): PersonaFlag =>
    flag(name, metavar, help, keys.has(key) ? sets(key) : ignored('this build has no container collector'));
  return [
    flag('help', '', 'print this', { kind: 'help' }, { short: 'h' }),
    flag('version', '', 'print the version', { kind: 'version' }),
    flag('listen_ip', 'ADDRESS', 'address to listen on, all when empty', sets('web.listen_address')),
    flag('port', 'PORT', 'port to listen on', sets('web.listen_address')),
    flag('prometheus_endpoint', 'PATH', 'path of the metrics page', sets('web.telemetry_path')),
    flag('url_base_prefix', 'PATH', 'what stands before the path of the metrics page', { kind: 'translated', sets: 'web.telemetry_path' }),
    flag('disable_metrics', 'LIST', 'groups of families to leave out, in place of the default list', {
      kind: 'translated',
      sets: 'container.collectors',
      problem: strangerIn,
    }),
    flag('enable_metrics', 'LIST', 'the only groups of families to show', {
      kind: 'translated',
      sets: 'container.collectors',
      problem: strangerIn,
      warning: emptyIn,
    }),
    own('docker_only', 'container.docker_only', '', 'leave out cgroups that are no containers'),
    own('raw_cgroup_prefix_whitelist', 'container.raw_cgroup_prefix_whitelist', 'LIST', 'prefixes of the plain cgroups to show'),
    own('disable_root_cgroup_stats', 'container.disable_root_cgroup_stats', '', 'leave out the cgroup /'),
    own('whitelisted_container_labels', 'container.container_labels', 'LIST', 'labels of containers to print'),
    flag('store_container_labels', '', 'print every label of containers', ignored('labels are printed when --whitelisted_container_labels names them')),
    own('docker', 'container.docker', 'ADDRESS', "Docker's socket"),
    flag('containerd', 'ADDRESS', "containerd's socket, asked by the CRI", { kind: 'translated', sets: 'container.cri' }),
    own('podman', 'container.podman', 'ADDRESS', "Podman's socket"),
    own('machine_id_file', 'container.machine_id_file', 'LIST', 'files that may hold the machine id'),
    own('boot_id_file', 'container.boot_id_file', 'LIST', 'files that may hold the boot id'),
    ...SWITCH_OFF.map(([name, metavar, help, why]) => flag(name, metavar, help, ignored(why))),
    own('enable_load_reader', 'container.enable_load_reader', '', 'tasks of cgroups by state, and their load'),
    own('perf_events_config', 'container.perf_events_config', 'PATH', 'perf events to count'),
    own('referenced_reset_interval', 'container.referenced_reset_interval', 'NUMBER', 'in which runs touched pages are forgotten; 0 never'),
    ...REFUSED.map(([name, metavar, help, nothing, why]) =>
      flag(name, metavar, help, { kind: 'refused', isNoOp: (value) => isOff(value) || nothing.includes(String(value)), why }),
    ),
    ...['http_auth_realm', 'http_digest_realm'].map((name) => flag(name, 'TEXT', "protects the peer's user interface", ignored(NO_UI))),
  ];
}

/** What a group is here; groups that this release does not have are no key. */
function keysOf(group: string): string[] {
  if (group === 'percpu') return ['container.percpu'];
  return group === 'process' ? [`${COLLECTORS}process`, `${COLLECTORS}process_files`] : [COLLECTORS + group];
}

/** Joins address and port, and turns groups into parts, where one flag is not one key. */
function translate(given: readonly GivenFlag[]): GivenFlag[] {
  const last = (name: string): GivenFlag | undefined => given.findLast((one) => one.name === name);
  const [ip, port, enabled, disabled] = [last('listen_ip'), last('port'), last('enable_metrics'), last('disable_metrics')];
  const added: GivenFlag[] = [];
  const address = port ?? ip;
  if (address !== undefined) {
    const host = String(ip?.value ?? '');
    added.push({ name: 'web.listen-address', value: `${host.includes(':') ? `[${host}]` : host}:${String(port?.value ?? '8080')}`, written: address.written });
  }
  const [prefix, endpoint, containerd] = [last('url_base_prefix'), last('prometheus_endpoint'), last('containerd')];
  if (prefix !== undefined && prefix.value !== '') {
    const path = `${String(prefix.value).replace(/\/$/, '')}${String(endpoint?.value ?? '/metrics')}`;
    added.push({ name: 'web.telemetry-path', value: path.startsWith('/') ? path : `/${path}`, written: prefix.written });
  }
  // The peer asks CRI-O too, whatever it is told of containerd.
  if (containerd !== undefined) {
    const value = [containerd.value, CRIO].filter((socket) => socket !== '').join(',');
    added.push({ name: flagName(['container', 'cri']), value, written: containerd.written });
  }
  const groups = enabled !== undefined && enabled.value !== '' ? enabled : disabled;
  if (groups !== undefined && areGroups(groups.value)) {
    const named = groupsOf(String(groups.value));
    const isOn = (name: string): boolean => (groups === enabled ? named.includes(name) : !named.includes(name));
    for (const name of GROUPS) {
      for (const key of keysOf(name)) added.push({ name: flagName(key.split('.')), value: isOn(name), written: groups.written });
    }
  }
  const joined = ['listen_ip', 'port', ...(prefix === undefined || prefix.value === '' ? [] : ['prometheus_endpoint'])];
  return [...given.filter(({ name }) => !joined.includes(name)), ...added];
}

/** google/cadvisor, standalone. */
export const CADVISOR: Persona = {
  name: 'cadvisor',
  version: '0.60.5',
  dialect: 'go',
  defaults: {
    'web.listen_address': [':8080'],
    'log.format': 'logfmt',
    roles: ['container'],
    'container.kubelet_pages': false,
    // On by default here, and off in the peer.
    [`${COLLECTORS}process`]: false,
  },
  page: { roles: ['container'], buildInfo: 'cadvisor_version_info', hasProcessMetrics: true },
  flags,
  translate,
};
