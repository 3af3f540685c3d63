import type { CollectorDefinition } from '../../collect/contract.ts';
import type { Field } from '../../config/fields.ts';
import type { Meaning, Persona, PersonaFlag } from '../persona.ts';

/** Collectors of node_exporter 1.12.1 on Linux, as `--collector.NAME` spells them. */
const COLLECTORS = (
  'arp bcache bcachefs bonding btrfs buddyinfo cgroups conntrack cpu cpu_vulnerabilities cpufreq diskstats dmi dmmultipath drbd drm edac entropy ' +
  'ethtool fibrechannel filefd filesystem hwmon infiniband interrupts ipvs kernel_hung ksmd lnstat loadavg logind mdadm meminfo meminfo_numa ' +
  'mountstats netclass netdev netstat network_route nfs nfsd ntp nvme nvmesubsystem os pcidevice perf powersupplyclass pressure processes qdisc ' +
  'rapl runit schedstat selinux slabinfo sockstat softirqs softnet stat supervisord swap sysctl systemd tapestats tcpstat textfile thermal_zone ' +
  'time timex udp_queues uname vmstat watchdog wifi xfrm xfs zfs zoneinfo'
).split(' ');

/** switch: with a --no- form. many: may be repeated. */
type Shape = 'switch' | 'value' | 'many';

interface OptionRow {
  /** Behind `collector.`. */
  readonly name: string;
  readonly shape: Shape;
  readonly metavar: string;
  readonly help: string;
  readonly isHidden?: true;
  readonly replacedBy?: string;
  readonly variable?: string;
  /** Why it has no effect, where there is nothing here that it could change. */
  readonly why?: string;
}

function option(name: string, metavar: string, help: string, more: Omit<Partial<OptionRow>, 'name' | 'metavar' | 'help'> = {}): OptionRow {
  return { name, metavar, help, shape: metavar === '' ? 'switch' : 'value', ...more };
}

function hidden(name: string, metavar: string, help: string, why?: string): OptionRow {
  return option(name, metavar, help, { isHidden: true, ...(why === undefined ? {} : { why }) });
}

function former(name: string, replacedBy: string): OptionRow {
  return option(name, 'REGEXP', `former name of --collector.${replacedBy}`, { isHidden: true, replacedBy });
}

const ONLY = 'only those that match';
const NOT = 'leave out those that match';
const TEST_HOOK = 'it is a hook of the tests of node_exporter, whose recordings nothing here reads';

/** Options of the peer's collectors, hidden ones included (kingpin tables of release 1.12.1). */
const OPTIONS: readonly OptionRow[] = [
  option('arp.device-include', 'REGEXP', `devices: ${ONLY}`),
  option('arp.device-exclude', 'REGEXP', `devices: ${NOT}`),
  option('arp.netlink', '', 'ask the kernel by netlink instead of reading net/arp'),
  option('bcache.priorityStats', '', 'read the priority statistics, which are costly'),
  option('cpu.guest', '', 'print the time spent for guests'),
  option('cpu.info', '', 'print what cpuinfo says of each CPU'),
  option('cpu.info.flags-include', 'REGEXP', `CPU flags: ${ONLY}`),
  option('cpu.info.bugs-include', 'REGEXP', `CPU bugs: ${ONLY}`),
  option('diskstats.device-exclude', 'REGEXP', `disks: ${NOT}`),
  option('diskstats.device-include', 'REGEXP', `disks: ${ONLY}`),
  former('diskstats.ignored-devices', 'diskstats.device-exclude'),
  option('ethtool.device-include', 'REGEXP', `devices: ${ONLY}`),
  option('ethtool.device-exclude', 'REGEXP', `devices: ${NOT}`),
  option('ethtool.metrics-include', 'REGEXP', `statistics: ${ONLY}`),
  option('filesystem.mount-points-exclude', 'REGEXP', `mount points: ${NOT}`),
  option('filesystem.mount-points-include', 'REGEXP', `mount points: ${ONLY}`),
  option('filesystem.fs-types-exclude', 'REGEXP', `types of file systems: ${NOT}`),
  option('filesystem.fs-types-include', 'REGEXP', `types of file systems: ${ONLY}`),
  hidden('filesystem.mount-timeout', 'DURATION', 'how long statfs may take before a mount counts as stuck', 'all mounts together are waited for 100 ms'),
  hidden('filesystem.stat-workers', 'NUMBER', 'mounts asked at the same time', 'a mount that hangs keeps no other from being asked'),
  former('filesystem.ignored-mount-points', 'filesystem.mount-points-exclude'),
  former('filesystem.ignored-fs-types', 'filesystem.fs-types-exclude'),
  option('hwmon.chip-include', 'REGEXP', `chips: ${ONLY}`),
  option('hwmon.chip-exclude', 'REGEXP', `chips: ${NOT}`),
  option('hwmon.sensor-include', 'REGEXP', `sensors, as chip;sensor: ${ONLY}`),
  option('hwmon.sensor-exclude', 'REGEXP', `sensors, as chip;sensor: ${NOT}`),
  option('infiniband.device-include', 'REGEXP', `devices: ${ONLY}`),
  option('infiniband.device-exclude', 'REGEXP', `devices: ${NOT}`),
  option('interrupts.name-include', 'REGEXP', `interrupts: ${ONLY}`),
  option('interrupts.name-exclude', 'REGEXP', `interrupts: ${NOT}`),
  option('interrupts.include-zeros', '', 'print interrupts that never came'),
  option('ipvs.backend-labels', 'LIST', 'labels of back ends, separated by commas'),
  option('netclass.ignored-devices', 'REGEXP', `devices: ${NOT}`),
  option('netclass.ignore-invalid-speed', '', 'leave out speeds that the driver does not know'),
  option('netclass.netlink', '', 'ask the kernel by netlink instead of reading sysfs'),
  option('netclass_rtnl.with-stats', '', 'print the counters of each device as well'),
  option('netdev.device-include', 'REGEXP', `devices: ${ONLY}`),
  option('netdev.device-exclude', 'REGEXP', `devices: ${NOT}`),
  former('netdev.device-whitelist', 'netdev.device-include'),
  former('netdev.device-blacklist', 'netdev.device-exclude'),
  option('netdev.address-info', '', 'print the addresses of each device'),
  option('netdev.enable-detailed-metrics', '', 'one family per kernel counter, under other names'),
  option('netdev.netlink', '', 'ask the kernel by netlink instead of reading net/dev'),
  option('netdev.label-ifalias', '', 'add the alias of a device as a label'),
  option('netstat.fields', 'REGEXP', `fields: ${ONLY}`),
  option('ntp.server', 'HOST', 'NTP server to ask'),
  option('ntp.server-port', 'PORT', 'UDP port of the NTP server'),
  option('ntp.protocol-version', 'NUMBER', 'version of NTP to speak'),
  option('ntp.server-is-local', '', 'states that the NTP server is not a public one'),
  option('ntp.ip-ttl', 'NUMBER', 'time to live of the packets sent'),
  option('ntp.max-distance', 'DURATION', 'largest distance to the root that is trusted'),
  option('ntp.local-offset-tolerance', 'DURATION', 'offset between the clocks that is tolerated'),
  option('pcidevice.idsfile', 'PATH', 'where pci.ids is'),
  option('pcidevice.names', '', 'print the names that pci.ids knows'),
  option('perf.cpus', 'LIST', 'CPUs to measure'),
  option('perf.tracepoint', 'TRACEPOINT', 'tracepoint to count', { shape: 'many' }),
  option('perf.disable-hardware-profilers', '', 'no hardware events'),
  option('perf.hardware-profilers', 'NAME', 'hardware event to count', { shape: 'many' }),
  option('perf.disable-software-profilers', '', 'no software events'),
  option('perf.software-profilers', 'NAME', 'software event to count', { shape: 'many' }),
  option('perf.disable-cache-profilers', '', 'no cache events'),
  option('perf.cache-profilers', 'NAME', 'cache event to count', { shape: 'many' }),
  option('powersupply.ignored-supplies', 'REGEXP', `power supplies: ${NOT}`),
  option('qdisc.fixtures', 'PATH', 'read recorded answers instead of the kernel', { why: TEST_HOOK }),
  option('qdisc.device-include', 'REGEXP', `devices: ${ONLY}`),
  option('qdisc.device-exclude', 'REGEXP', `devices: ${NOT}`),
  former('qdisk.device-include', 'qdisc.device-include'),
  former('qdisk.device-exclude', 'qdisc.device-exclude'),
  option('rapl.enable-zone-label', '', 'add the zone as a label'),
  option('runit.servicedir', 'PATH', 'where the services of runit are'),
  option('slabinfo.slabs-include', 'REGEXP', `slabs: ${ONLY}`),
  option('slabinfo.slabs-exclude', 'REGEXP', `slabs: ${NOT}`),
  option('stat.softirq', '', 'print soft interrupts by kind'),
  option('supervisord.url', 'URL', 'where supervisord answers XML-RPC', { variable: 'SUPERVISORD_URL' }),
  option('sysctl.include', 'NAME', 'sysctl to print', { shape: 'many' }),
  option('sysctl.include-info', 'NAME', 'sysctl to print as text', { shape: 'many' }),
  option('systemd.unit-include', 'REGEXP', `units: ${ONLY}`),
  option('systemd.unit-exclude', 'REGEXP', `units: ${NOT}`),
  former('systemd.unit-whitelist', 'systemd.unit-include'),
  former('systemd.unit-blacklist', 'systemd.unit-exclude'),
  hidden('systemd.private', '', 'speak to systemd directly, past the bus'),
  option('systemd.enable-task-metrics', '', 'print the tasks of units'),
  option('systemd.enable-restarts-metrics', '', 'print the restarts of services'),
  option('systemd.enable-start-time-metrics', '', 'print when units were started'),
  option('tapestats.ignored-devices', 'REGEXP', `tapes: ${NOT}`),
  option('textfile.directory', 'PATH', 'folder with *.prom files, may be a glob', { shape: 'many' }),
  option('vmstat.fields', 'REGEXP', `fields: ${ONLY}`),
  option('wifi.fixtures', 'PATH', 'read recorded answers instead of the kernel', { why: TEST_HOOK }),
];

const isOff = (value: string | boolean): boolean => value === false || value === '';

function flag(name: string, metavar: string, help: string, meaning: Meaning, more: Partial<PersonaFlag> = {}): PersonaFlag {
  return { name, metavar, help, meaning, isSwitch: metavar === '', isRepeatable: false, isHidden: false, ...more };
}

function sets(key: string): Meaning {
  return { kind: 'key', key };
}

/** Flags that are not about one collector. */
const PROGRAM: readonly PersonaFlag[] = [
  flag('help', '', 'print this', { kind: 'help' }, { short: 'h' }),
  flag('help-long', '', 'print this', { kind: 'help' }, { isHidden: true }),
  flag('help-man', '', 'print this', { kind: 'help' }, { isHidden: true }),
  flag('version', '', 'print the version', { kind: 'version' }),
  flag('web.listen-address', 'ADDRESS', 'address to listen on', sets('web.listen_address'), { isRepeatable: true }),
  flag('web.telemetry-path', 'PATH', 'path of the metrics page', sets('web.telemetry_path')),
  flag('web.disable-exporter-metrics', '', 'leave out process_*', sets('web.disable_exporter_metrics')),
  flag('web.max-requests', 'NUMBER', 'pages sent at the same time; 0 is no limit', {
    kind: 'key',
    key: 'web.max_requests',
    // The peer takes any negative number for "no limit".
    convert: (text) => (/^-\d+$/.test(text) ? '0' : text),
  }),
  flag('web.config.file', 'PATH', 'TLS and authentication', { kind: 'refused', isNoOp: isOff }),
  flag('web.systemd-socket', '', 'listen on sockets that systemd hands over', { kind: 'refused', isNoOp: isOff }),
  flag('path.procfs', 'PATH', 'where procfs is mounted', sets('path.procfs')),
  flag('path.sysfs', 'PATH', 'where sysfs is mounted', sets('path.sysfs')),
  flag('path.rootfs', 'PATH', 'where the root file system of the host is mounted', sets('path.rootfs')),
  flag('path.udev.data', 'PATH', 'database of udev', sets('path.udev.data')),
  flag('log.level', 'LEVEL', 'debug, info, warn or error', { kind: 'key', key: 'log.level', convert: (text) => text.toLowerCase() }),
  flag('log.format', 'FORMAT', 'logfmt or json', sets('log.format')),
  flag('runtime.gomaxprocs', 'NUMBER', 'no effect', { kind: 'ignored', why: 'there is no Go runtime here; reading the kernel takes one thread' }),
  flag('collector.disable-defaults', '', 'only collectors that are named', sets('node.disable_defaults')),
];

/** Names without what separates words, so that `cpu.info.flags-include` finds `cpu.info_flags_include`. */
function squeezed(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Where our collector has another name for what the option is about. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'powersupply.ignored-supplies': 'powersupplyclass.ignored-supplies',
  'netclass_rtnl.with-stats': 'netclass.rtnl-with-stats',
};

function optionFlag(row: OptionRow, keys: ReadonlyMap<string, string>): PersonaFlag {
  const target = row.replacedBy ?? row.name;
  const key = keys.get(squeezed(target)) ?? keys.get(squeezed(ELSEWHERE[target] ?? target));
  const { why = 'this release has nothing that the option could change' } = row;
  const meaning: Meaning = key === undefined ? { kind: 'ignored', why, isNoOp: isOff } : sets(key);
  return {
    name: `collector.${row.name}`,
    metavar: row.metavar,
    help: row.help,
    meaning,
    isSwitch: row.shape === 'switch',
    isRepeatable: row.shape === 'many',
    isHidden: row.isHidden === true,
    ...(row.variable === undefined ? {} : { variable: row.variable }),
    ...(row.replacedBy === undefined ? {} : { replacedBy: `collector.${row.replacedBy}` }),
  };
}

function toggle(name: string, keys: ReadonlySet<string>): PersonaFlag {
  const key = `node.collectors.${name}`;
  const meaning: Meaning = keys.has(key) ? sets(key) : { kind: 'ignored', why: `this release does not have the collector ${name}`, isNoOp: isOff };
  return flag(`collector.${name}`, '', `collect ${name}`, meaning);
}

function flags(_definitions: readonly CollectorDefinition[], fields: readonly Field[]): PersonaFlag[] {
  const own = fields.filter((field) => field.path[0] === 'node');
  const keys = new Set(own.map((field) => field.key));
  const options = new Map(own.filter((field) => field.path[1] !== 'collectors').map((field) => [squeezed(field.path.slice(1).join('.')), field.key]));
  const program = PROGRAM.map((row) =>
    row.meaning.kind === 'key' && row.meaning.key.startsWith('node.') && !keys.has(row.meaning.key)
      ? { ...row, meaning: { kind: 'ignored', why: 'this build has no node collector' } as const }
      : row,
  );
  return [...program, ...OPTIONS.map((row) => optionFlag(row, options)), ...COLLECTORS.map((name) => toggle(name, keys))];
}

/** prometheus/node_exporter on Linux. */
export const NODE_EXPORTER: Persona = {
  name: 'node_exporter',
  version: '1.12.1',
  dialect: 'kingpin',
  defaults: { 'web.listen_address': [':9100'], 'log.format': 'logfmt', roles: ['node'] },
  page: { roles: ['node'], buildInfo: 'node_exporter_build_info', hasProcessMetrics: true },
  flags,
};
