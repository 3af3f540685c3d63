/** Collectors n to z: what fixture trees cannot show, such as changes between runs, parsers on single lines, answers of the kernel. */
import assert from 'node:assert/strict';
import { chmodSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { bothReaders, partOn, temporaryTree } from '../../../test/compare/node-tree.ts';
import { comparable } from '../../../test/compare/node-fixtures.ts';
import { CollectError } from '../../collect/contract.ts';
import { ReaderError, type Readers } from '../../readers/readers.ts';
import { referenceReaders } from '../../readers/reference.ts';
import { addonPath, nativeReaders } from '../../readers/native.ts';
import { ABSENCE_MS } from './absence.ts';
import { DeviceFiles } from './device-files.ts';
import { ExpositionError, floatOf, parseExposition } from './exposition.ts';
import { globbed } from './glob.ts';
import { decimalOf, integerOf } from './go-integer.ts';
import { attribute, attributesOf, dumpRequest, payloads, textOf, u16 } from './netlink.ts';
import { parseOsRelease } from './os-release.ts';
import { className, NO_PCI_IDS, parsePciIds, readPciIds } from './pci-ids.ts';
import { indexedName } from './parts/rapl.ts';
import { parseStatus } from './parts/runit.ts';
import { configuredMode, selinuxMount } from './parts/selinux.ts';

test('integers as Go reads them', () => {
  const cases: [string, number | undefined][] = [
    ['12', 12],
    ['-7', -7],
    ['+7', 7],
    ['0x1003', 4099],
    ['-0x10', -16],
    ['010', 8],
    ['0o17', 15],
    ['0b101', 5],
    ['0', 0],
    ['09', undefined],
    ['1.5', undefined],
    ['', undefined],
    ['12 ', undefined],
    ['9223372036854775807', 2 ** 63],
    ['9223372036854775808', undefined],
  ];
  for (const [text, value] of cases) assert.equal(integerOf(text), value, text);
  assert.equal(integerOf('18446744073709551615', false), 2 ** 64);
  assert.equal(integerOf('-1', false), undefined);
  assert.equal(decimalOf('010'), 10);
  assert.equal(decimalOf('0x10'), undefined);
});

test('numbers of the text format', () => {
  const good: [string, number][] = [
    ['1', 1],
    ['+1.5e3', 1500],
    ['.5', 0.5],
    ['5.', 5],
    ['-Inf', Number.NEGATIVE_INFINITY],
    ['+infinity', Number.POSITIVE_INFINITY],
    ['NaN', Number.NaN],
  ];
  for (const [text, value] of good) assert.equal(floatOf(text), value, text);
  for (const text of ['', '.', '1e', '0x1p3', '0x10', '1_000', '+NaN', '1e999', '1,5', ' 1']) assert.equal(floatOf(text), undefined, text);
});

test('textfiles are refused whole', () => {
  const bad: [string, number][] = [
    ['a 1', 1],
    ['a 1\nb', 2],
    ['a 1\r\n', 1],
    ['\r\n', 1],
    ['a\n', 1],
    ['a 1 2\n', 1],
    ['a 1 \n', 1],
    ['1a 1\n', 1],
    ['# TYPE a gauge\n# TYPE a gauge\n', 2],
    ['a 1\n# TYPE a gauge\n', 2],
    ['# HELP a x\n# HELP a x\n', 2],
    ['# TYPE a info\n', 1],
    ['# TYPE a gaugehistogram\n', 1],
    ['# HELP 1a x\n', 1],
    ['# HELP a \\x\n', 1],
    ['# HELP a x\\\n', 1],
    ['a{b="c",b="d"} 1\n', 1],
    ['a{__name__="b"} 1\n', 1],
    ['a{1="b"} 1\n', 1],
    ['a{b="c} 1\n', 1],
    ['a{b="\\t"} 1\n', 1],
    ['a{b=c} 1\n', 1],
    ['a{b} 1\n', 1],
    ['a{b="c" d="e"} 1\n', 1],
    ['{b="c"} 1\n', 1],
    ['{"a","b"} 1\n', 1],
    ['# TYPE a histogram\na_bucket{le="x"} 1\n', 2],
    ['# TYPE a histogram\na_count -1\n', 2],
  ];
  for (const [text, line] of bad) {
    assert.throws(
      () => parseExposition(Buffer.from(text)),
      (error) => error instanceof ExpositionError && error.line === line,
      JSON.stringify(text),
    );
  }
  assert.throws(() => parseExposition(Buffer.from('a{b="\xff"} 1\n', 'latin1')), ExpositionError);
  // Every cut of a good file is refused, or lacks lines at its end.
  const whole = '# HELP a x\n# TYPE a counter\na{b="c"} 1\na 2\n';
  for (let end = 0; end < whole.length; end++) {
    const text = whole.slice(0, end);
    if (text === '' || text.endsWith('\n')) assert.ok(parseExposition(Buffer.from(text)).length <= 1, JSON.stringify(text));
    else assert.throws(() => parseExposition(Buffer.from(text)), ExpositionError, JSON.stringify(text));
  }
});

test('textfiles that are read', () => {
  const read = (text: string) => parseExposition(Buffer.from(text)).map(({ name, type, help, metrics }) => [name, type, help, metrics.length]);
  assert.deepEqual(read(''), []);
  assert.deepEqual(read('# EOF\n#\n# HELP a\n# TYPE a\n'), []);
  assert.deepEqual(read('\t a \t 1\n'), [['a', 'untyped', undefined, 1]]);
  assert.deepEqual(read('# HELP a \\\\ \\n \\"\n#TYPE a Gauge\na 1\na 2\n'), [['a', 'gauge', '\\ \n "', 2]]);
  assert.deepEqual(read('# TYPE a summary\na_sum 1\na_count 2\na{quantile="0.5"} 3\na_bucket 4\n'), [
    ['a', 'summary', undefined, 1],
    ['a_bucket', 'untyped', undefined, 1],
  ]);
  assert.deepEqual(read('{"a",b="c"} 1\n{a} 2\n'), [['a', 'untyped', undefined, 2]]);
});

test('textfile: only changed files are read again, HELP and TYPE may change, files may go', (context) => {
  const folder = temporaryTree(context, { 'd/a.prom': '# TYPE a gauge\na 1\n', 'd/b.prom': 'b 1\n' });
  const { pages, warnings } = partOn(context, 'textfile', {}, { options: { textfile: { directory: [folder.path('d')] } } });
  const run = (): string => pages.run('textfile').page;
  assert.match(run(), /# TYPE a gauge\na 1\n/);
  // Same size and times: not looked at again.
  folder.write('d/a.prom', '# TYPE a counter\n# HELP a b\na 2\n');
  assert.match(run(), /# HELP a b\n# TYPE a counter\na 2\n/);
  folder.write('d/b.prom', 'b x\n');
  const refused = run();
  assert.doesNotMatch(refused, /^b /m);
  assert.match(refused, /node_textfile_scrape_error 1/);
  assert.ok(
    warnings.some((warning) => warning.startsWith(`${folder.path('d/b.prom')}:1: `)),
    warnings.join(),
  );
  folder.write('d/b.prom', 'b{c="d"} 5\n');
  utimesSync(folder.path('d/b.prom'), 1_600_000_000, 1_600_000_000);
  const again = run();
  assert.match(again, /b\{c="d"\} 5\n/);
  assert.match(again, /node_textfile_mtime_seconds\{file="[^"]*b\.prom"\} 1\.6e\+09/);
  assert.match(again, /node_textfile_scrape_error 0/);
  folder.remove('d/b.prom');
  assert.doesNotMatch(run(), /^b\{|b\.prom/m);
  folder.remove('d');
  assert.match(run(), /^# HELP node_textfile_scrape_error .*\n# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error 1\n$/);
});

test('patterns of folders', (context) => {
  const tree = temporaryTree(context, { 'a1/x': '', 'a2/x': '', '.a3/x': '', 'b/c/x': '' });
  const found = (pattern: string) => globbed(`${tree.folder}/${pattern}`).map((path) => path.slice(tree.folder.length + 1));
  assert.deepEqual(found('*'), ['.a3', 'a1', 'a2', 'b']);
  assert.deepEqual(found('a?'), ['a1', 'a2']);
  assert.deepEqual(found('a[2-9]'), ['a2']);
  assert.deepEqual(found('a[^2]'), ['a1']);
  assert.deepEqual(found('*/c'), ['b/c']);
  assert.deepEqual(found('\\a1'), ['a1']);
  for (const literal of ['nothing*', 'a[', 'a[]', 'plain', 'a\\']) assert.deepEqual(found(literal), [literal], literal);
});

test('device files: bases, texts, absence, replacement', (context) => {
  const tree = temporaryTree(context, { n: '12\n', h: '0x10\n', t: ' two words \n', g: '1 2\n' });
  const clock = { nowMs: 0 };
  for (const [, readers] of bothReaders()) {
    const files = new DeviceFiles(readers, () => clock.nowMs);
    const [n, h, t, g, late] = files.rebuild(() => [
      files.number(tree.path('n')),
      files.number(tree.path('h')),
      files.text(tree.path('t')),
      files.number(tree.path('g')),
      files.number(tree.path('late')),
    ]);
    assert.equal(files.scan(), true);
    assert.deepEqual([n?.value, h?.value, t?.text, g?.value, late?.isMissing()], [12, 16, 'two words', Number.NaN, true]);
    assert.match(g?.problem().message ?? '', /a whole number, not "1 2"/);
    tree.write('n', '13\n');
    assert.equal(files.scan(), false);
    assert.equal(n?.value, 13);
    tree.write('h', '0x11\n');
    tree.write('late', '7\n');
    assert.equal(files.scan(), true);
    assert.deepEqual([h?.value, late?.isMissing()], [17, true]);
    clock.nowMs += ABSENCE_MS;
    assert.equal(files.scan(), true);
    assert.equal(late?.value, 7);
    tree.write('n', 'x\n');
    assert.equal(files.scan(), true);
    assert.ok(Number.isNaN(n?.value));
    tree.write('n', '010\n');
    files.scan();
    assert.equal(n?.value, 8);
    tree.write('n', '011\n');
    files.scan();
    assert.equal(n?.value, 9);
    tree.write('n', '12\n');
    tree.write('h', '0x10\n');
    files.scan();
    assert.equal(n?.value, 12);
    tree.remove('late');
    files.close();
  }
});

test('netclass: a device that comes, changes, goes and is made anew', (context) => {
  const device = (name: string, index: number, more: Readonly<Record<string, string>> = {}): Record<string, string> =>
    Object.fromEntries(
      Object.entries({ ifindex: `${index}`, operstate: 'up', flags: '0x1003', mtu: '1500', type: '1', ...more }).map(([file, text]) => [
        `sys/class/net/${name}/${file}`,
        `${text}\n`,
      ]),
    );
  const { tree, run, clock } = partOn(context, 'netclass', device('eth0', 2));
  assert.match(run(), /node_network_info\{address="",adminstate="up",broadcast="",device="eth0",duplex="",ifalias="",operstate="up"\} 1\n/);
  for (const [file, text] of Object.entries(device('eth1', 3, { address: 'aa' }))) tree.write(file, text);
  assert.match(run(), /node_network_iface_id\{device="eth1"\} 3\n/);
  tree.write('sys/class/net/eth1/operstate', 'down\n');
  tree.write('sys/class/net/eth1/flags', '0x1002\n');
  const down = run();
  assert.match(down, /adminstate="down",broadcast="",device="eth1",duplex="",ifalias="",operstate="down"\} 1\n/);
  assert.match(down, /node_network_up\{device="eth1"\} 0\n/);
  tree.remove('sys/class/net/eth1');
  assert.doesNotMatch(run(), /eth1/);
  // Many devices: settings are read once a minute, what the link does at once.
  for (let i = 0; i < 70; i++) for (const [file, text] of Object.entries(device(`veth${i}`, 100 + i, { tx_queue_len: '1' }))) tree.write(file, text);
  run();
  tree.write('sys/class/net/veth1/tx_queue_len', '2\n');
  tree.write('sys/class/net/veth1/mtu', '9000\n');
  const soon = run();
  assert.match(soon, /transmit_queue_length\{device="veth1"\} 1\n/);
  assert.match(soon, /mtu_bytes\{device="veth1"\} 9000\n/);
  clock.nowMs += 60_000;
  assert.match(run(), /transmit_queue_length\{device="veth1"\} 2\n/);
  tree.write('sys/class/net/veth1/tx_queue_len', '3\n');
  tree.write('sys/class/net/veth1/ifindex', '999\n');
  assert.match(run(), /transmit_queue_length\{device="veth1"\} 3\n/);
});

const RAPL = {
  'sys/class/powercap/intel-rapl/enabled': '1\n',
  'sys/class/powercap/intel-rapl:0/name': 'package-10\n',
  'sys/class/powercap/intel-rapl:0/max_energy_range_uj': '262143328850\n',
  'sys/class/powercap/intel-rapl:0/energy_uj': '240422366267\n',
  'sys/class/powercap/intel-rapl:0:0/name': 'dram\n',
  'sys/class/powercap/intel-rapl:0:0/max_energy_range_uj': '1\n',
  'sys/class/powercap/intel-rapl:0:0/energy_uj': '7\n',
  'sys/class/powercap/intel-rapl:1:0/name': 'dram\n',
  'sys/class/powercap/intel-rapl:1:0/max_energy_range_uj': '1\n',
  'sys/class/powercap/intel-rapl:1:0/energy_uj': '8\n',
};

test('rapl: families by zone, or one family', (context) => {
  const { tree, run, pages } = partOn(context, 'rapl', RAPL);
  const base = `${tree.folder}/sys/class/powercap`;
  const expected = [
    '# TYPE node_rapl_dram_joules_total counter',
    `node_rapl_dram_joules_total{index="0",path="${base}/intel-rapl:0:0"} 7e-06`,
    `node_rapl_dram_joules_total{index="1",path="${base}/intel-rapl:1:0"} 8e-06`,
    '# TYPE node_rapl_package_joules_total counter',
    `node_rapl_package_joules_total{index="10",path="${base}/intel-rapl:0"} 240422.366267`,
    '',
  ].join('\n');
  assert.equal(run(), expected);
  tree.write('sys/class/powercap/intel-rapl:0:0/energy_uj', '9000000\n');
  assert.match(run(), /intel-rapl:0:0"\} 9\n/);
  tree.write('sys/class/powercap/intel-rapl:1:0/energy_uj', 'much\n');
  assert.throws(run, CollectError);
  rmSync(`${base}/intel-rapl:1:0`, { recursive: true });
  assert.match(run(), /node_rapl_dram_joules_total\{index="0"/);
  tree.remove('sys/class/powercap');
  assert.equal(pages.run('rapl').outcome?.kind, 'absent');
  const one = partOn(context, 'rapl', RAPL, { options: { rapl: { enable_zone_label: true } } });
  assert.match(one.run(), /node_rapl_joules_total\{index="10",path="[^"]*intel-rapl:0",rapl_zone="package"\} 240422\.366267\n/);
});

test('rapl: only root may read the energy', { skip: process.getuid?.() === 0 ? 'root may read everything' : false }, (context) => {
  const { tree, pages } = partOn(context, 'rapl', RAPL);
  chmodSync(tree.path('sys/class/powercap/intel-rapl:0/energy_uj'), 0);
  assert.equal(pages.run('rapl').outcome?.kind, 'absent');
});

test('rapl: numbers within names', () => {
  const used = new Map<string, number>();
  const names = ['package-0', 'core', 'core', 'package-0-die-1', 'psys', 'package-0', 'a-b'].map((text) => indexedName(text, used));
  assert.deepEqual(names, [
    ['package', 0],
    ['core', 0],
    ['core', 1],
    ['package-0-die-1', 0],
    ['psys', 0],
    ['package', 0],
    ['a-b', 0],
  ]);
});

test('power supplies: ignored ones, labels that come and go', (context) => {
  const { tree, run } = partOn(
    context,
    'powersupplyclass',
    { 'sys/class/power_supply/BAT0/status': 'Full\n', 'sys/class/power_supply/AC/online': '1\n' },
    { options: { powersupplyclass: { ignored_supplies: '^AC$' } } },
  );
  assert.equal(run(), '# TYPE node_power_supply_info gauge\nnode_power_supply_info{power_supply="BAT0",status="Full"} 1\n');
  tree.write('sys/class/power_supply/BAT0/status', '\n');
  assert.equal(run(), '# TYPE node_power_supply_info gauge\nnode_power_supply_info{power_supply="BAT0"} 1\n');
});

test('softnet: another processor on the same line', (context) => {
  const line = (cpu: number): string => `${'00000001 '.repeat(12)}${cpu.toString(16).padStart(8, '0')} 00000000 00000000\n`;
  const { tree, run } = partOn(context, 'softnet', { 'proc/net/softnet_stat': line(0) + line(1) });
  assert.match(run(), /node_softnet_processed_total\{cpu="1"\} 1\n/);
  tree.write('proc/net/softnet_stat', line(0) + line(2));
  const moved = run();
  assert.match(moved, /node_softnet_processed_total\{cpu="2"\} 1\n/);
  assert.doesNotMatch(moved, /cpu="1"/);
});

test('processes: those that end between two runs', (context) => {
  const stat = (pid: number, state: string, threads: number): string => `${pid} (a b) ${state} ${'1 '.repeat(16)}${threads} ${'0 '.repeat(32)}\n`;
  const limits = { 'proc/sys/kernel/threads-max': '10\n', 'proc/sys/kernel/pid_max': '20\n' };
  const { tree, run } = partOn(context, 'processes', {
    ...limits,
    'proc/1/stat': stat(1, 'S', 1),
    'proc/2/stat': stat(2, 'R', 2),
    'proc/2/task/2/stat': stat(2, 'R', 2),
    'proc/2/task/3/stat': stat(3, 'D', 2),
  });
  assert.match(run(), /node_processes_threads 3\n.*\nnode_processes_threads_state\{thread_state="D"\} 1\n/);
  tree.write('proc/1/stat', stat(1, 'Z', 1));
  tree.remove('proc/2');
  const after = run();
  assert.match(after, /node_processes_pids 1\n/);
  assert.match(after, /node_processes_state\{state="Z"\} 1\n/);
  assert.doesNotMatch(after, /state="[RSD]"/);
  tree.write('proc/1/stat', '1 (a\n');
  assert.throws(run, (error) => error instanceof CollectError && error.code === 'parse');
});

test('nvme: a namespace that is added later', (context) => {
  const base = 'sys/class/nvme/nvme0';
  const info = Object.fromEntries(['cntlid', 'firmware_rev', 'model', 'serial', 'state'].map((file) => [`${base}/${file}`, `${file}\n`]));
  const { tree, run } = partOn(context, 'nvme', info);
  assert.doesNotMatch(run(), /namespace/);
  for (const [file, text] of [
    ['nuse', '1'],
    ['size', '2'],
    ['queue/logical_block_size', '512'],
  ] as const)
    tree.write(`${base}/nvme0n1/${file}`, `${text}\n`);
  assert.match(run(), /node_nvme_namespace_used_bytes\{device="nvme0",nsid="1"\} 512\n/);
});

test('os-release', () => {
  const read = (text: string) => Object.fromEntries(parseOsRelease('os-release', text));
  assert.deepEqual(read('A=b # c\n B = "c d" \nC=\'e"f\'g\n\n#x\nD=\nE="\\u00e4\\$"\nexport F=1\n'), { A: 'b', B: 'c d', C: 'e"fg', D: '', E: 'ä$', F: '1' });
  for (const [text, line] of [
    ['A', 1],
    ['A=1\n=2', 2],
    ['1A=2', 1],
    ['A="b', 1],
    ["A='b", 1],
    ['A="\\q"', 1],
    ['A="\\u12"', 1],
    ['A=b\u0001c', 1],
  ] as const) {
    assert.throws(
      () => parseOsRelease('os-release', text),
      (error) => error instanceof CollectError && error.place === `os-release:${line}`,
      text,
    );
  }
});

test('pci.ids', () => {
  const ids = parsePciIds(
    '# c\n8086  Intel\n\t1533  I210\n\t\t15d9 1533  Card\nC 01  Storage\n\t08  NVM\n\t\t02  Express\nC 06  Bridge\n\t\tff  Orphan\nnonsense\n',
  );
  assert.equal(ids.vendors.get('8086'), 'Intel');
  assert.equal(ids.devices.get('8086:1533'), 'I210');
  assert.equal(ids.subsystems.get('8086:1533:15d9:1533'), 'Card');
  assert.deepEqual(
    ['010802', '010803', '01ff00', '060000', '110000'].map((digits) => className(ids, digits)),
    ['Express', 'NVM', 'Storage', 'Bridge', 'Unknown class (110000)'],
  );
  assert.equal(readPciIds('/nowhere/pci.ids'), NO_PCI_IDS);
});

test('pcidevice: an odd entry does not take the others along', (context) => {
  const files = Object.fromEntries(
    ['class', 'vendor', 'device', 'subsystem_vendor', 'subsystem_device', 'revision'].map((file) => [`sys/devices/pci0000:00/0000:00:01.0/${file}`, '0x1\n']),
  );
  const { tree, pages } = partOn(context, 'pcidevice', { ...files, 'sys/bus/pci/devices/odd': '' });
  symlinkSync('../../../devices/pci0000:00/0000:00:01.0', tree.path('sys/bus/pci/devices/0000:00:01.0'));
  const { page, error } = pages.run('pcidevice');
  assert.ok(error instanceof CollectError && error.place.includes(dirname(tree.path('sys/bus/pci/devices/odd'))), String(error));
  assert.match(page, /node_pcidevice_info\{bus="00",class_id="0x000001",device="01"/);
});

test('xfs, zfs: a file that cannot be understood does not take the others along, and a run with it fails', (context) => {
  const kstat = (row: string): string => `13 1 0x01 1 272 4 5\nname type data\n${row}`;
  const cases: [part: string, files: Record<string, string>, shown: RegExp[]][] = [
    [
      'xfs',
      { 'sys/fs/xfs/dm-0/stats/stats': 'vnodes x\n', 'sys/fs/xfs/sda1/stats/stats': 'vnodes 92447 0 0 0 92063 92063 92063 0\n' },
      [/^node_xfs_vnode_active_total\{device="sda1"\} 92447$/m],
    ],
    [
      'zfs',
      {
        'proc/spl/kstat/zfs/arcstats': kstat('hits 4 x\n'),
        'proc/spl/kstat/zfs/zil': kstat('zil_commit_count 4 10\n'),
        'proc/spl/kstat/zfs/tank/objset-0x36': kstat('dataset_name 7 tank/home\nreads 4 28\n'),
      },
      [/^node_zfs_zil_zil_commit_count 10$/m, /^node_zfs_zpool_dataset_reads\{dataset="tank\/home",zpool="tank"\} 28$/m],
    ],
  ];
  for (const [part, files, shown] of cases) {
    const { pages } = partOn(context, part, files);
    const { page, error } = pages.run(part);
    assert.ok(error instanceof CollectError, part);
    for (const pattern of shown) assert.match(page, pattern);
  }
});

test('selinux', () => {
  assert.equal(selinuxMount('25 22 0:23 / /sys/fs/selinux rw,relatime - selinuxfs selinuxfs rw\n'), '/sys/fs/selinux');
  assert.equal(selinuxMount('25 22 0:23 / /sys/fs/selinux ro,relatime - selinuxfs selinuxfs rw\n'), undefined);
  assert.equal(selinuxMount('25 22 0:23 / /x rw - tmpfs selinuxfs rw\n'), undefined);
  assert.deepEqual(['SELINUX=enforcing\n', '# SELINUX=enforcing\nSELINUX=Permissive', 'SELINUX=disabled', ''].map(configuredMode), [1, 0, -1, -1]);
});

test('runit status', () => {
  const bytes = Buffer.alloc(20);
  bytes.writeBigUInt64BE(4611686018427387914n + 1_700_000_000n, 0);
  bytes.write('u', 17);
  bytes[19] = 2;
  assert.deepEqual(parseStatus(bytes), { changedSeconds: 1_700_000_000, isWanted: true, state: 2 });
  assert.deepEqual(parseStatus(bytes.subarray(0, 12)), { changedSeconds: 1_700_000_000, isWanted: false, state: 0 });
});

/** A message as the kernel sends it; tests build them in the byte order of this machine by the request builder. */
function message(type: number, payload: Buffer): Buffer {
  const bytes = dumpRequest(type, payload);
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function words(...numbers: readonly number[]): Buffer {
  return Buffer.from(new Uint32Array(numbers).buffer);
}

/** Readers whose kernel answers by the type of the request. */
function answering(answers: Readonly<Record<number, Buffer | Error>>): Readers {
  const readers = referenceReaders();
  return Object.assign(Object.create(readers) as Readers, {
    netlink(_protocol: number, request: Uint8Array): Buffer {
      const answer = answers[u16(Buffer.from(request), 4)];
      if (answer instanceof Error) throw answer;
      return answer ?? Buffer.alloc(0);
    },
  });
}

const LINKS = Buffer.concat([
  message(16, Buffer.concat([words(0, 2, 0, 0), attribute(3, Buffer.from('eth0\0'))])),
  message(16, Buffer.concat([words(0, 3, 0, 0), attribute(3, Buffer.from('eth1\0'))])),
]);

test('network_route: several ways, no way, tables that differ alone', (context) => {
  const route = (bytes: readonly number[], ...attributes: readonly Buffer[]): Buffer =>
    message(24, Buffer.concat([Buffer.from([...bytes, 0, 0, 0, 0]), ...attributes]));
  const address = (...bytes: readonly number[]): Buffer => Buffer.from(bytes);
  const hop = (device: number, hops: number, gateway: Buffer): Buffer => {
    const more = attribute(5, gateway);
    return Buffer.concat([Buffer.from(new Uint16Array([8 + more.length]).buffer), Buffer.from([0, hops]), words(device), more]);
  };
  const plain = route(
    [2, 24, 0, 0, 254, 2, 0, 1],
    attribute(1, address(10, 0, 0, 0)),
    attribute(4, words(2)),
    attribute(7, address(10, 0, 0, 9)),
    attribute(6, words(100)),
  );
  const answers = {
    18: LINKS,
    26: Buffer.concat([
      plain,
      plain,
      route([2, 0, 0, 0, 254, 200, 0, 1], attribute(9, Buffer.concat([hop(2, 0, address(10, 0, 0, 1)), hop(3, 4, address(10, 1, 0, 1))]))),
      route([2, 8, 0, 0, 255, 2, 0, 2], attribute(1, address(127, 0, 0, 0))),
    ]),
  };
  const { run } = partOn(context, 'network_route', {}, { readers: answering(answers) });
  const expected = [
    '# TYPE node_network_route_info gauge',
    'node_network_route_info{dest="10.0.0.0/24",device="eth0",gw="",priority="100",proto="kernel",src="10.0.0.9",weight=""} 1',
    'node_network_route_info{dest="default",device="eth0",gw="10.0.0.1",priority="0",proto="unknown",src="",weight="1"} 1',
    'node_network_route_info{dest="default",device="eth1",gw="10.1.0.1",priority="0",proto="unknown",src="",weight="5"} 1',
    '# TYPE node_network_routes gauge',
    'node_network_routes{device="eth0"} 3',
    'node_network_routes{device="eth1"} 1',
    '',
  ].join('\n');
  assert.equal(run(), expected);
  assert.throws(partOn(context, 'network_route', {}, { readers: answering({ 18: LINKS, 26: plain.subarray(0, 20) }) }).run, CollectError);
  assert.throws(partOn(context, 'network_route', {}, { readers: answering({ 18: new ReaderError('EPERM', 'netlink 0') }) }).run, ReaderError);
});

test('qdisc: roots only, filtered', (context) => {
  const statistics = attribute(7, Buffer.concat([attribute(1, words(1000, 0, 7, 0)), attribute(3, words(1, 2, 3, 4, 5))]));
  const qdisc = (device: number, parent: number): Buffer =>
    message(36, Buffer.concat([words(0, device, 0, parent, 0), attribute(1, Buffer.from('fq\0')), statistics]));
  const readers = answering({ 18: LINKS, 38: Buffer.concat([qdisc(2, 0xffffffff), qdisc(2, 5), qdisc(3, 0xffffffff)]) });
  const page = partOn(context, 'qdisc', {}, { readers, options: { qdisc: { device_exclude: 'eth1' } } }).run();
  assert.doesNotMatch(page, /eth1/);
  const values = Object.fromEntries(
    [...page.matchAll(/^node_qdisc_(\w+)\{device="eth0",kind="fq"\} (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  assert.deepEqual(values, {
    backlog: 2,
    bytes_total: 1000,
    current_queue_length: 1,
    drops_total: 3,
    overlimits_total: 5,
    packets_total: 7,
    requeues_total: 4,
  });
});

test('tcpstat: states of both families of addresses', (context) => {
  const socket = (state: number, received: number, transmitted: number, type = 20): Buffer => {
    const bytes = Buffer.alloc(72);
    bytes[1] = state;
    words(received, transmitted).copy(bytes, 56);
    return message(type, bytes);
  };
  const answer = Buffer.concat([socket(1, 10, 20), socket(10, 0, 128), socket(1, 1, 0)]);
  const { run } = partOn(context, 'tcpstat', {}, { readers: answering({ 20: answer }) });
  assert.equal(
    run(),
    [
      '# TYPE node_tcp_connection_states gauge',
      ...['established"} 2', 'listen"} 1', 'rx_queued_bytes"} 11', 'tx_queued_bytes"} 148'].map((end) => `node_tcp_connection_states{state="${end}`),
      '',
    ].join('\n'),
  );
  // With IPv6 both families come in one answer, where the kernel knows how.
  const one = { readers: answering({ 18: Buffer.concat([socket(1, 1, 2, 18), socket(6, 0, 0, 18)]), 20: answer }) };
  assert.match(partOn(context, 'tcpstat', { 'proc/net/tcp6': '' }, one).run(), /"established"\} 1\n.*\n.*"time_wait"\} 1\n/);
  const older = answering({ 18: new ReaderError('EINVAL', 'netlink 4'), 20: answer });
  assert.match(partOn(context, 'tcpstat', { 'proc/net/tcp6': '' }, { readers: older }).run(), /state="established"\} 4\n/);
  assert.equal(partOn(context, 'tcpstat', {}, { readers: answering({}) }).run(), '');
});

test('wifi: a client with one station', (context) => {
  const id = 30;
  const generic = (type: number, ...attributes: readonly Buffer[]): Buffer => message(type, Buffer.concat([Buffer.alloc(4), ...attributes]));
  const mac = Buffer.from([2, 0, 0, 0, 0, 0xab]);
  const station = Buffer.concat([
    attribute(1, words(300)),
    attribute(2, words(7)),
    attribute(3, words(8)),
    attribute(24, words(0, 1)),
    attribute(7, Buffer.from([0xc4])),
    attribute(14, attribute(1, Buffer.from(new Uint16Array([650]).buffer))),
    attribute(8, Buffer.concat([attribute(1, Buffer.from([1, 0])), attribute(5, words(1300))])),
    attribute(16, words(60)),
    attribute(18, words(2)),
  ]);
  const answers = new Map([
    [
      5,
      Buffer.concat([
        generic(id, attribute(3, words(4)), attribute(4, Buffer.from('wlan0\0')), attribute(38, words(2412))),
        generic(id, attribute(3, words(5))),
      ]),
    ],
    [17, generic(id, attribute(6, mac), attribute(21, station))],
    [
      32,
      generic(
        id,
        attribute(47, Buffer.concat([attribute(1, mac), attribute(6, Buffer.from([1, 1, 9, 0, 4, 0x48, 0x6f, 0x6d, 0x65])), attribute(9, words(1))])),
      ),
    ],
  ]);
  const readers = Object.assign(Object.create(referenceReaders()) as Readers, {
    netlink: (_protocol: number, request: Uint8Array): Buffer =>
      u16(Buffer.from(request), 4) === 16
        ? generic(16, attribute(1, Buffer.from(new Uint16Array([id]).buffer)))
        : (answers.get(request[16] ?? 0) ?? Buffer.alloc(0)),
  });
  const page = partOn(context, 'wifi', {}, { readers }).run();
  assert.match(page, /node_wifi_interface_frequency_hertz\{device="wlan0"\} 2\.412e\+09\n/);
  assert.match(page, /node_wifi_station_info\{bssid="02:00:00:00:00:ab",device="wlan0",mode="client",ssid="Home"\} 1\n/);
  const values = Object.fromEntries(
    [...page.matchAll(/^node_wifi_station_(\w+)\{device="wlan0",mac_address="02:00:00:00:00:ab"\} (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  assert.deepEqual(values, {
    beacon_loss_total: 2,
    connected_seconds_total: 60,
    inactive_seconds: 0.3,
    receive_bits_per_second: 65e6,
    receive_bytes_total: 7,
    received_packets_total: 0,
    signal_dbm: -60,
    transmit_bits_per_second: 130e6,
    transmit_bytes_total: 2 ** 32,
    transmit_failed_total: 0,
    transmit_retries_total: 0,
    transmitted_packets_total: 0,
  });
  const without = Object.assign(Object.create(referenceReaders()) as Readers, {
    netlink: (): Buffer => {
      throw new ReaderError('ENOENT', 'netlink 16');
    },
  });
  assert.equal(partOn(context, 'wifi', {}, { readers: without }).pages.run('wifi').outcome?.kind, 'absent');
});

test('netlink messages that are cut', () => {
  const whole = message(16, words(1, 2, 3, 4));
  assert.equal([...payloads(whole, 16, 16)].length, 1);
  assert.equal([...payloads(whole, 17, 16)].length, 0);
  for (let end = 17; end < whole.length; end++) assert.throws(() => [...payloads(whole.subarray(0, end), 16, 16)], CollectError);
  assert.throws(() => [...payloads(whole, 16, 17)], CollectError);
  assert.throws(() => attributesOf(attribute(1, words(1, 2)).subarray(0, 8)), CollectError);
  assert.equal(textOf(Buffer.from('eth0\0\0')), 'eth0');
});

test('native calls, and what is said without them', { skip: addonPath() === undefined ? 'the native readers are not built' : false }, (context) => {
  const readers = nativeReaders();
  const clock = readers.clock();
  assert.ok(clock !== undefined && clock.state >= 0 && clock.state <= 5 && clock.tick > 0);
  const answer = readers.netlink(0, dumpRequest(18, Buffer.alloc(16)));
  assert.ok(answer !== undefined && [...payloads(answer, 16, 16)].length > 0);
  // The kernel's own refusal: no such message.
  assert.throws(
    () => readers.netlink(0, dumpRequest(9999, Buffer.alloc(16))),
    (error) => error instanceof ReaderError && (error.code === 'EOPNOTSUPP' || error.code === 'ENOTSUP'),
  );
  assert.throws(() => readers.netlink(0, Buffer.alloc(0)), ReaderError);
  for (const part of ['timex', 'tcpstat', 'network_route', 'qdisc']) {
    const { outcome, page } = partOn(context, part, {}, { readers: referenceReaders() }).pages.run(part);
    assert.deepEqual([outcome?.kind, comparable(page)], ['absent', ''], part);
  }
});

test('timex: nanoseconds, and a container that may not ask', (context) => {
  const clock = {
    state: 5,
    offset: 1500,
    freq: 65536,
    maxerror: 16,
    esterror: 8,
    status: 0x2000,
    constant: 2,
    tick: 10000,
    ppsfreq: 0,
    jitter: 3000,
    shift: 1,
    stabil: 65536,
    jitcnt: 1,
    calcnt: 2,
    errcnt: 3,
    stbcnt: 4,
    tai: 37,
  };
  const withClock = (answer: () => typeof clock): Readers => Object.assign(Object.create(referenceReaders()) as Readers, { clock: answer });
  const page = partOn(context, 'timex', {}, { readers: withClock(() => clock) }).run();
  for (const line of [
    'sync_status 0',
    'offset_seconds 1.5e-06',
    'pps_jitter_seconds 3e-06',
    'frequency_adjustment_ratio 1.000001',
    'tick_seconds 0.01',
    'tai_offset_seconds 37',
    'pps_stability_hertz 1e-06',
    'status 8192',
  ]) {
    assert.ok(page.includes(`node_timex_${line}\n`), line);
  }
  const micro = partOn(context, 'timex', {}, { readers: withClock(() => ({ ...clock, state: 0, status: 1 })) }).run();
  assert.match(micro, /offset_seconds 0\.0015\n/);
  assert.match(micro, /sync_status 1\n/);
  const forbidden = withClock(() => {
    throw new ReaderError('EPERM', 'adjtimex');
  });
  assert.equal(partOn(context, 'timex', {}, { readers: forbidden }).pages.run('timex').outcome?.kind, 'absent');
});
