/** What the fixtures of these parts cannot show: damaged files that must be named, and what happens between two runs. */
import assert from 'node:assert/strict';
import { existsSync, symlinkSync } from 'node:fs';
import { test } from 'node:test';
import { fixtures } from '../../../test/compare/node-fixtures.ts';
import { partOn } from '../../../test/compare/node-tree.ts';
import { CollectError } from '../../collect/contract.ts';
import { ReaderError } from '../../readers/readers.ts';
import { ABSENCE_MS } from './absence.ts';
import { floatOf } from './go-float.ts';
import { addressText } from './ip-address.ts';
import { legalRun } from './legal-run.ts';

type Files = Readonly<Record<string, string>>;

function value(page: string, series: string): number | undefined {
  const line = page.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1).replace('Inf', 'Infinity'));
}

const CONNTRACK: Files = { 'proc/sys/net/netfilter/nf_conntrack_count': '31\n', 'proc/sys/net/netfilter/nf_conntrack_max': '262144\n' };
const IPVS_STATISTICS = ' Total Incoming\n Conns Packets\n 1 2 3 4 5\n\n';
const BCACHE = 'sys/fs/bcache/dead-beef';
const BCACHEFS = 'sys/fs/bcachefs/dead-beef';
const EDAC = 'sys/devices/system/edac/mc/mc0';
const INFINIBAND = 'sys/class/infiniband/mlx5_0';
const INFINIBAND_PORT: Files = {
  [`${INFINIBAND}/fw_ver`]: '1\n',
  [`${INFINIBAND}/ports/1/link_layer`]: 'Ethernet\n',
  [`${INFINIBAND}/ports/1/state`]: '4: ACTIVE\n',
  [`${INFINIBAND}/ports/1/phys_state`]: '5: LinkUp\n',
  [`${INFINIBAND}/ports/1/rate`]: '100 Gb/sec (4X EDR)\n',
};
const CPU = 'sys/devices/system/cpu';
const DM: Files = {
  'sys/block/dm-0/dm/uuid': 'mpath-1\n',
  'sys/block/dm-0/dm/name': 'a\n',
  'sys/block/dm-0/dm/suspended': '0\n',
  'sys/block/dm-0/size': '8\n',
};

/** Part, tree, and what the error must say. */
const FAILURES: readonly (readonly [part: string, files: Files, message: RegExp])[] = [
  ['arp', { 'proc/net/arp': 'IP address HW type Flags HW address Mask Device\n192.0.2.1 0x1 0x2\n' }, /net\/arp:2: expected 6 words/],
  ['bcache', { [`${BCACHE}/tree_depth`]: '\n' }, /tree_depth:1: expected a whole number/],
  ['bcache', { [`${BCACHE}/bdev0/dirty_data`]: '1.1M\n' }, /writeback_rate_debug: missing/],
  ['bcache', { [`${BCACHE}/bdev0/writeback_rate_debug`]: 'rate:\t\tfast/sec\n' }, /writeback_rate_debug:1: expected a number such as 1.1M, not "fast"/],
  ['bcachefs', { [`${BCACHEFS}/counters/odd`]: '\n' }, /counters\/odd:1: expected a line "since filesystem creation/],
  ['bcachefs', { [`${BCACHEFS}/dev-0/nbuckets`]: 'x\n' }, /nbuckets:1: expected a whole number/],
  ['bcachefs', { [`${BCACHEFS}/errors`]: 'a 1 2\nb -1\n' }, /errors:2: expected a whole number, not "-1"/],
  ['btrfs', { 'sys/fs/btrfs/dead-beef/commit_stats': 'commits 1\nlast_commit_ms\n' }, /commit_stats:2: expected "NAME NUMBER"/],
  ['buddyinfo', { 'proc/buddyinfo': 'Node 0, zone DMA 1 2\nNode 0, zone Normal 1\n' }, /buddyinfo:2: expected "Node N, zone NAME"/],
  ['cgroups', { 'proc/cgroups': '#subsys_name\ncpu 1\n' }, /cgroups:2: expected a number/],
  ['conntrack', { ...CONNTRACK, 'proc/net/stat/nf_conntrack': 'entries\n1 2 3\n' }, /nf_conntrack:2: expected 16 or 17 hexadecimal numbers/],
  ['conntrack', { ...CONNTRACK, 'proc/sys/net/netfilter/nf_conntrack_max': '' }, /nf_conntrack_max/],
  ['cpufreq', { [`${CPU}/offline`]: '1-\n' }, /offline: expected a list of processors/],
  ['cpufreq', { [`${CPU}/offline`]: '\n', [`${CPU}/cpu0/cpufreq/scaling_cur_freq`]: '1\n' }, /scaling_governor: ENOENT/],
  ['dmmultipath', { ...DM, 'sys/block/dm-0/dm/suspended': 'no\n' }, /suspended:1: expected a whole number, not "no"/],
  ['dmmultipath', { ...DM, 'sys/block/dm-0/slaves/sda/x': '' }, /sda\/device\/state: ENOENT/],
  ['drbd', { 'proc/drbd': ' 0: cs:Connected ro:Primary\n' }, /drbd:1: expected "ro:LOCAL\/REMOTE"/],
  ['drm', { 'sys/class/drm/card0/dev': '1\n' }, /uevent: ENOENT/],
  ['edac', { [`${EDAC}/ce_count`]: '1\n', [`${EDAC}/ce_noinfo_count`]: '\n' }, /ce_noinfo_count:1: expected a whole number/],
  ['entropy', { 'proc/sys/kernel/random/entropy_avail': 'much\n', 'proc/sys/kernel/random/poolsize': '256\n' }, /entropy_avail:1: expected a number/],
  ['fibrechannel', { 'sys/class/fc_host/host0/statistics/rx_frames': '0x\n' }, /rx_frames:1: expected a whole number, not "0x"/],
  ['infiniband', { ...INFINIBAND_PORT, [`${INFINIBAND}/ports/1/state`]: 'ACTIVE\n' }, /state:1: expected "NUMBER: NAME"/],
  ['infiniband', { ...INFINIBAND_PORT, [`${INFINIBAND}/ports/1/rate`]: 'fast\n' }, /rate:1: expected "NUMBER Gb\/sec"/],
  ['infiniband', { ...INFINIBAND_PORT, [`${INFINIBAND}/ports/one/state`]: '\n' }, /ports\/one: expected a number of a port/],
  ['interrupts', { 'proc/interrupts': '' }, /interrupts:1: expected a line of processors/],
  ['interrupts', { 'proc/interrupts': ' CPU0 CPU1\n 0: 1 many IO-APIC timer\n' }, /interrupts:2: expected a number for processor 1, not "many"/],
  ['ipvs', { 'proc/net/ip_vs_stats': 'Total\n' }, /ip_vs_stats:3: expected 5 hexadecimal numbers/],
  ['ipvs', { 'proc/net/ip_vs_stats': IPVS_STATISTICS }, /ip_vs: missing beside ip_vs_stats/],
  ['ipvs', { 'proc/net/ip_vs_stats': IPVS_STATISTICS, 'proc/net/ip_vs': 'TCP  C0A80016 wlc\n' }, /ip_vs:1: expected an address and a port/],
  [
    'ipvs',
    { 'proc/net/ip_vs_stats': IPVS_STATISTICS, 'proc/net/ip_vs': '  -> C0A80016:0050 Route 1 x 0\n' },
    /ip_vs:1: expected a number for node_ipvs_backend_connections_active/,
  ],
  ['kernel_hung', { 'proc/sys/kernel/hung_task_detect_count': '' }, /hung_task_detect_count:1: expected a number/],
  ['ksmd', { 'sys/kernel/mm/ksm/full_scans': '\n' }, /full_scans:1: expected a whole number/],
  ['lnstat', { 'proc/net/stat/arp_cache': 'entries\n1 2\n' }, /arp_cache:2: expected at most 1 numbers/],
  ['lnstat', { 'proc/net/stat/arp_cache': 'a-b\n1\n' }, /arp_cache:1: expected names of letters/],
  ['mdadm', { 'proc/mdstat': 'md0 : active raid1 sda[0]\n      what\n\n\n' }, /mdstat:1: expected a number of blocks/],
  ['mdadm', { 'proc/mdstat': 'md0 :\n' }, /mdstat:1: expected "NAME : STATE/],
  ['meminfo_numa', { 'sys/devices/system/node/node0/meminfo': 'Node 0 MemTotal: 1 kB\n' }, /numastat: missing/],
  [
    'meminfo_numa',
    { 'sys/devices/system/node/node0/meminfo': 'Node 0\n', 'sys/devices/system/node/node0/numastat': '' },
    /meminfo:1: expected "Node N NAME: NUMBER"/,
  ],
  ['mountstats', { 'proc/self/mountinfo': '', 'proc/self/mountstats': 'device a on /\n' }, /mountstats:1: expected "device NAME mounted on FOLDER/],
  [
    'mountstats',
    { 'proc/self/mountinfo': '', 'proc/self/mountstats': 'device a mounted on / with fstype nfs statvers=1.1\n xprt: local 1\n' },
    /mountstats:2: expected a transport/,
  ],
  [
    'mountstats',
    { 'proc/self/mountinfo': '', 'proc/self/mountstats': 'device a mounted on / with fstype nfs statvers=1.1\n bytes: 1 2\n' },
    /mountstats:2: expected 8 numbers/,
  ],
];

for (const [part, files, message] of FAILURES) {
  test(`${part} says what is wrong: ${message.source}`, (context) => {
    const { run, pages } = partOn(context, part, files);
    const check = (error: unknown): boolean => {
      assert.ok(error instanceof CollectError || error instanceof ReaderError, String(error));
      assert.match(error.message, message);
      return true;
    };
    assert.throws(run, check);
    // The next run finds the same text and must not take it for a good one.
    assert.throws(run, check);
    pages.close();
  });
}

/** Parts of this file that say so when nothing is there; the others are silent, success 1. */
const ABSENT = [
  'arp',
  'bcachefs',
  'bonding',
  'buddyinfo',
  'cgroups',
  'conntrack',
  'cpufreq',
  'dmi',
  'dmmultipath',
  'drbd',
  'entropy',
  'fibrechannel',
  'hwmon',
  'infiniband',
  'interrupts',
  'ipvs',
  'kernel_hung',
  'ksmd',
  'mdadm',
  'mountstats',
];
const EMPTY = ['bcache', 'btrfs', 'cpu_vulnerabilities', 'drm', 'edac', 'lnstat', 'meminfo_numa'];

for (const part of [...ABSENT, ...EMPTY]) {
  test(`${part} where there is nothing of its kind, and a minute later there is`, (context) => {
    const plain = fixtures().find(({ name }) => name === `${part}.plain`);
    assert.ok(plain !== undefined);
    const { tree, clock, pages } = partOn(context, part, {});
    const first = pages.run(part);
    assert.deepEqual([first.outcome?.kind, first.error, first.page], [ABSENT.includes(part) ? 'absent' : 'ok', undefined, '']);
    for (const root of ['proc', 'sys']) if (existsSync(`${plain.folder}/${root}`)) symlinkSync(`${plain.folder}/${root}`, tree.path(root));
    clock.nowMs += ABSENCE_MS - 1;
    assert.equal(pages.run(part).page, '', 'looked for before a minute has passed');
    clock.nowMs += 1;
    const { page, error, outcome } = pages.run(part);
    assert.deepEqual([error, outcome?.kind], [undefined, 'ok']);
    assert.notEqual(page, '');
  });
}

test('bonding: a slave that joins, a link that goes down, a bond that goes', (context) => {
  const net = 'sys/class/net';
  const { tree, run } = partOn(context, 'bonding', {
    [`${net}/bonding_masters`]: 'bond0 bond1\n',
    [`${net}/bond0/bonding/slaves`]: 'eth0\n',
    [`${net}/bond0/lower_eth0/bonding_slave/mii_status`]: 'up\n',
    [`${net}/bond1/bonding/slaves`]: '\n',
  });
  const counts = (): (number | undefined)[] => {
    const page = run();
    return ['slaves', 'active'].flatMap((what) => ['bond0', 'bond1'].map((master) => value(page, `node_bonding_${what}{master="${master}"}`)));
  };
  assert.deepEqual(counts(), [1, 0, 1, 0]);
  tree.write(`${net}/bond0/lower_eth1/bonding_slave/mii_status`, 'up\n');
  tree.write(`${net}/bond0/bonding/slaves`, 'eth0 eth1\n');
  assert.deepEqual(counts(), [2, 0, 2, 0]);
  tree.write(`${net}/bond0/lower_eth0/bonding_slave/mii_status`, 'down\n');
  assert.deepEqual(counts(), [2, 0, 1, 0]);
  tree.write(`${net}/bonding_masters`, 'bond0\n');
  assert.deepEqual(counts(), [2, undefined, 1, undefined]);
});

test('bonding: a state that cannot be found is looked for again, and then every bond is there', (context) => {
  const net = 'sys/class/net';
  const { tree, pages, clock, run } = partOn(context, 'bonding', { [`${net}/bonding_masters`]: 'bond0\n', [`${net}/bond0/bonding/slaves`]: 'eth0\n' });
  assert.equal(pages.run('bonding').outcome?.kind, 'absent');
  tree.write(`${net}/bond0/slave_eth0/bonding_slave/mii_status`, 'up\n');
  clock.nowMs += ABSENCE_MS;
  assert.equal(value(run(), 'node_bonding_active{master="bond0"}'), 1);
});

test('btrfs: a file system is labelled by its metadata UUID from the first run on', (context) => {
  const { run } = partOn(context, 'btrfs', { 'sys/fs/btrfs/dead-beef/metadata_uuid': 'cafe-1\n', 'sys/fs/btrfs/dead-beef/label': 'x\n' });
  assert.match(run(), /node_btrfs_info\{label="x",uuid="cafe-1"\} 1/);
});

test('conntrack: a processor that comes adds its row', (context) => {
  const row = '1 2 3 4 5 6 7 8 9 a b c d e f 10 11\n';
  const { tree, run } = partOn(context, 'conntrack', { ...CONNTRACK, 'proc/net/stat/nf_conntrack': `entries\n${row}` });
  assert.equal(value(run(), 'node_nf_conntrack_stat_search_restart'), 17);
  tree.write('proc/net/stat/nf_conntrack', `entries\n${row}${row}`);
  assert.equal(value(run(), 'node_nf_conntrack_stat_search_restart'), 34);
});

test('cpufreq: a processor that goes offline is gone, another governor shows', (context) => {
  const files = (cpu: number): Files => ({
    [`${CPU}/cpu${cpu}/cpufreq/scaling_governor`]: 'powersave\n',
    [`${CPU}/cpu${cpu}/cpufreq/scaling_available_governors`]: 'performance powersave \n',
    [`${CPU}/cpu${cpu}/cpufreq/scaling_cur_freq`]: '800000\n',
  });
  const { tree, run } = partOn(context, 'cpufreq', { [`${CPU}/offline`]: '\n', ...files(0), ...files(1) });
  assert.equal(value(run(), 'node_cpu_scaling_frequency_hertz{cpu="1"}'), 8e8);
  tree.write(`${CPU}/offline`, '1\n');
  tree.write(`${CPU}/cpu0/cpufreq/scaling_governor`, 'performance\n');
  tree.write(`${CPU}/cpu0/cpufreq/scaling_cur_freq`, '<unknown>\n');
  const page = run();
  assert.equal(value(page, 'node_cpu_scaling_frequency_hertz{cpu="1"}'), undefined);
  assert.equal(value(page, 'node_cpu_scaling_frequency_hertz{cpu="0"}'), undefined);
  assert.equal(value(page, 'node_cpu_scaling_governor{cpu="0",governor="performance"}'), 1);
  tree.write(`${CPU}/cpu0/cpufreq/scaling_cur_freq`, '900000\n');
  assert.equal(value(run(), 'node_cpu_scaling_frequency_hertz{cpu="0"}'), 9e8);
});

test('dmmultipath: a path that fails, a path that comes, a device that is renamed', (context) => {
  const { tree, run } = partOn(context, 'dmmultipath', { ...DM, 'sys/block/dm-0/slaves/sda/x': '', 'sys/block/sda/device/state': 'running\n' });
  assert.match(run(), /path_state\{device="a",path="sda",state="running"\} 1/);
  tree.write('sys/block/sda/device/state', 'offline\n');
  const failed = run();
  assert.match(failed, /path_state\{device="a",path="sda",state="offline"\} 1/);
  assert.doesNotMatch(failed, /running/);
  assert.equal(value(failed, 'node_dmmultipath_device_paths_failed{device="a",sysfs_name="dm-0"}'), 1);
  tree.write('sys/block/sdb/device/state', 'live\n');
  tree.write('sys/block/dm-0/slaves/sdb/x', '');
  assert.equal(value(run(), 'node_dmmultipath_device_paths{device="a",sysfs_name="dm-0"}'), 2);
  tree.write('sys/block/dm-0/dm/name', 'b\n');
  assert.equal(value(run(), 'node_dmmultipath_device_paths_active{device="b",sysfs_name="dm-0"}'), 1);
});

test('edac: labels of modules from the first run on; a row that comes', (context) => {
  const counts: Files = { [`${EDAC}/ce_count`]: '1\n', [`${EDAC}/ce_noinfo_count`]: '0\n', [`${EDAC}/ue_count`]: '0\n', [`${EDAC}/ue_noinfo_count`]: '0\n' };
  const row = (n: number): Files => ({
    [`${EDAC}/csrow${n}/ce_count`]: '1\n',
    [`${EDAC}/csrow${n}/ue_count`]: '0\n',
    [`${EDAC}/csrow${n}/ch0_ce_count`]: '5\n',
    [`${EDAC}/csrow${n}/ch0_dimm_label`]: `mc#0csrow#${n}channel#0\n`,
  });
  const { tree, run } = partOn(context, 'edac', { ...counts, ...row(0) });
  const series = (n: number): string =>
    `node_edac_channel_correctable_errors_total{channel="0",controller="0",csrow="${n}",dimm_label="mc0_csrow${n}_channel0"}`;
  assert.equal(value(run(), series(0)), 5);
  for (const [path, text] of Object.entries(row(1))) tree.write(path, text);
  tree.write(`${EDAC}/csrow0/ch0_ce_count`, '6\n');
  const page = run();
  assert.deepEqual([value(page, series(0)), value(page, series(1))], [6, 5]);
});

test('hwmon: a chip that comes, a label that changes with its blanks, a sensor that cannot be read for a while', (context) => {
  const chip = 'sys/class/hwmon/hwmon0';
  const { tree, run, clock } = partOn(context, 'hwmon', {
    [`${chip}/name`]: 'one\n',
    [`${chip}/temp1_input`]: '1000\n',
    [`${chip}/temp1_label`]: 'Left  \n',
    [`${chip}/temp2_input`]: '3000\n',
  });
  assert.match(run(), /sensor_label\{chip="one",label="Left {2}",sensor="temp1"\} 1/);
  tree.write(`${chip}/temp1_label`, 'Right\n');
  tree.remove(`${chip}/temp2_input`);
  const page = run();
  assert.match(page, /sensor_label\{chip="one",label="Right",sensor="temp1"\} 1/);
  assert.equal(value(page, 'node_hwmon_temp_celsius{chip="one",sensor="temp2"}'), undefined);
  tree.write(`${chip}/temp2_input`, '4000\n');
  tree.write('sys/class/hwmon/hwmon1/name', 'two\n');
  tree.write('sys/class/hwmon/hwmon1/fan1_input', '900\n');
  clock.nowMs += ABSENCE_MS;
  const later = run();
  assert.equal(value(later, 'node_hwmon_temp_celsius{chip="one",sensor="temp2"}'), 4);
  assert.equal(value(later, 'node_hwmon_fan_rpm{chip="two",sensor="fan1"}'), 900);
});

test('interrupts: numbers in labels, zeros left out for a hundred runs, a line that goes', (context) => {
  const table = (hardware: number, count: number): string => `  CPU0 CPU1\n 30: ${count} 0 GICv3 ${hardware} Level timer\nNMI: 1 2 Non-maskable interrupts\n`;
  const { tree, run } = partOn(context, 'interrupts', { 'proc/interrupts': table(27, 5) }, { options: { interrupts: { include_zeros: false } } });
  const series = (cpu: number, hardware: number): string => `node_interrupts_total{cpu="${cpu}",devices="${hardware} Level timer",info="GICv3",type="30"}`;
  assert.deepEqual([value(run(), series(0, 27)), value(run(), series(1, 27))], [5, undefined]);
  tree.write('proc/interrupts', table(28, 6));
  const page = run();
  assert.deepEqual([value(page, series(0, 27)), value(page, series(0, 28))], [undefined, 6]);
  for (let i = 0; i < 150; i++) {
    tree.write('proc/interrupts', table(28, i % 150 < 140 ? 0 : i));
    const now = run();
    assert.equal(value(now, series(0, 28)), i < 140 ? undefined : i);
    assert.equal(value(now, 'node_interrupts_total{cpu="1",devices="",info="Non-maskable interrupts",type="NMI"}'), 2);
  }
  tree.write('proc/interrupts', '  CPU0 CPU1\nNMI: 1 2 Non-maskable interrupts\n');
  assert.equal(value(run(), series(0, 28)), undefined);
});

test('ipvs: marks are labels, and a mark that changes is seen', (context) => {
  const table = (mark: string, active: number): string => `FWM  ${mark} wlc\n  -> C0A8321A:0050      Route   1      ${active}          0\n`;
  const { tree, run } = partOn(context, 'ipvs', { 'proc/net/ip_vs_stats': IPVS_STATISTICS, 'proc/net/ip_vs': table('10001000', 4) });
  const series = (mark: string): string =>
    `node_ipvs_backend_connections_active{local_address="",local_mark="${mark}",local_port="0",proto="FWM",remote_address="192.168.50.26",remote_port="80"}`;
  assert.equal(value(run(), series('10001000')), 4);
  tree.write('proc/net/ip_vs', table('20002000', 5));
  const page = run();
  assert.deepEqual([value(page, series('10001000')), value(page, series('20002000'))], [undefined, 5]);
});

test('ipvs refuses labels that there are not', (context) => {
  const { run } = partOn(context, 'ipvs', {}, { options: { ipvs: { backend_labels: 'proto,port' } } });
  assert.throws(run, /backend-labels of ipvs: expected labels of .*, not port/);
});

test('mdadm: a resync moves, an array comes', (context) => {
  const array = (name: string, progress: string): string => `${name} : active raid1 sda[0] sdb[1]\n      100 blocks [2/2] [UU]\n${progress}\n\n`;
  const syncing = (done: number): string => `      [=>..]  resync = 8.5% (${done}/100) finish=1.0min speed=25K/sec`;
  const { tree, run } = partOn(context, 'mdadm', { 'proc/mdstat': array('md0', syncing(7)), 'sys/block/sda/size': '1\n' });
  const states = (page: string): (number | undefined)[] => ['active', 'resync'].map((state) => value(page, `node_md_state{device="md0",state="${state}"}`));
  const before = run();
  assert.deepEqual([value(before, 'node_md_blocks_synced{device="md0"}'), ...states(before)], [7, 0, 1]);
  tree.write('proc/mdstat', array('md0', syncing(8)));
  assert.equal(value(run(), 'node_md_blocks_synced{device="md0"}'), 8);
  tree.write('proc/mdstat', array('md0', '') + array('md1', ''));
  for (const [file, text] of [
    ['level', 'raid1\n'],
    ['raid_disks', '3 (2)\n'],
    ['degraded', '1\n'],
  ] as const)
    tree.write(`sys/block/md1/md/${file}`, text);
  const after = run();
  assert.deepEqual([value(after, 'node_md_blocks_synced{device="md0"}'), ...states(after)], [100, 1, 0]);
  assert.deepEqual([value(after, 'node_md_raid_disks{device="md1"}'), value(after, 'node_md_degraded{device="md1"}')], [3, 1]);
});

test('mountstats: times beyond 2^53 are taken modulo 2^53 exactly, and a server that moves is seen', (context) => {
  const statistics = (milliseconds: string): string =>
    `device s:/e mounted on /mnt with fstype nfs statvers=1.1\n\tage:\t5\n\txprt:\ttcp 1 2 3 4 5 6 7 8 9 10 11 12 13\n\tper-op statistics\n\t READ: 1 2 3 4 5 ${milliseconds} 7 8\n`;
  const mountinfo = (address: string): string => `36 35 0:1 / /mnt rw - nfs s:/e rw,addr=${address}\n`;
  const { tree, run } = partOn(context, 'mountstats', { 'proc/self/mountstats': statistics('6'), 'proc/self/mountinfo': mountinfo('192.0.2.1') });
  const queue = (address: string): string =>
    `node_mountstats_nfs_operations_queue_time_seconds_total{export="s:/e",mountaddr="${address}",operation="READ",protocol="tcp"}`;
  assert.equal(value(run(), queue('192.0.2.1')), 0.006);
  tree.write('proc/self/mountstats', statistics('18446744073709551615'));
  assert.equal(value(run(), queue('192.0.2.1')), 9007199254740991 / 1000);
  tree.write('proc/self/mountinfo', mountinfo('192.0.2.2'));
  const moved = run();
  assert.deepEqual([value(moved, queue('192.0.2.1')), value(moved, queue('192.0.2.2'))], [undefined, 9007199254740991 / 1000]);
});

test('addresses as Go writes them', () => {
  const text = (hex: string): string | undefined => addressText(Buffer.from(hex, 'hex'));
  assert.equal(text('c0a80016'), '192.168.0.22');
  assert.equal(text('00000000000000000000000000000000'), '::');
  assert.equal(text('00000000000000000000000000000001'), '::1');
  assert.equal(text('20010db8000000010000000000000001'), '2001:db8:0:1::1');
  assert.equal(text('20010000000000010000000000010001'), '2001::1:0:0:1:1');
  assert.equal(text('20010db8000100020003000400050000'), '2001:db8:1:2:3:4:5:0');
  assert.equal(text('00000000000000000000ffffc0a80016'), '192.168.0.22');
  assert.equal(text('0000'), undefined);
});

test('numbers as Go reads them', () => {
  assert.deepEqual(['1', '-1.5e3', '.5', '+2.', 'inf', '-Inf'].map(floatOf), [1, -1500, 0.5, 2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  assert.deepEqual(['', ' 1', '0x10', '1,5', '.', '+nan', '1_0'].map(floatOf), [undefined, undefined, undefined, undefined, undefined, undefined, undefined]);
  assert.ok(Number.isNaN(floatOf('NaN')));
});

test('runs of other characters become one underscore', () => {
  assert.deepEqual(['a.b', 'a_ . _b', 'btree_node_read', '-x-'].map(legalRun), ['a_b', 'a_b', 'btree_node_read', '_x_']);
});
