/**
 * Collectors that ask the kernel by other means than files, against the real node_exporter (TEST_NODE_EXPORTER, release
 * 1.12.1), in network and mount namespaces of their own: devices and file systems made here disturb nobody and go with them.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { NodeOptions } from '../../src/collectors/node/options.ts';
import { addonPath, nativeReaders } from '../../src/readers/native.ts';
import { startPeer } from './node-exporter.ts';
import { comparable } from './node-fixtures.ts';
import { LIVE_ROOTS, nodePages } from './node-page.ts';

const INSIDE = 'NODE_KERNEL_TEST_INSIDE';
const program = process.env['TEST_NODE_EXPORTER'] ?? '';

/** Mounts are read from the table of process 1, so that must be in the namespace as well. */
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--mount-proc'];
/** sysfs shows the devices of the namespace that it was mounted in. */
const SETUP = 'mount -t sysfs sysfs /sys && ip link set lo up && exec "$@"';

function unusable(): string | false {
  if (program === '') return 'TEST_NODE_EXPORTER does not name a node_exporter';
  if (addonPath() === undefined) return 'the addon is not built';
  const { status } = spawnSync('unshare', [...NAMESPACES, 'sh', '-c', SETUP, 'sh', 'true']);
  return status === 0 ? false : 'no namespaces of our own: that needs root, unshare(1) and ip(8)';
}

if (process.env[INSIDE] === '1') runInside();
else {
  test('what no file shows gives the page of the peer', { skip: unusable() }, () => {
    // NODE_TEST_CONTEXT: else the child takes itself for a part of this run and reports in another form.
    const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
    const env = { ...rest, [INSIDE]: '1' };
    const child = spawnSync('unshare', [...NAMESPACES, 'sh', '-c', SETUP, 'sh', process.execPath, '--test-reporter=tap', fileURLToPath(import.meta.url)], {
      env,
      encoding: 'utf8',
      timeout: 120_000,
    });
    assert.equal(child.status, 0, `${child.stdout}${child.stderr}`);
    const [, passed = '0'] = /^# pass (\d+)$/m.exec(child.stdout) ?? [];
    assert.ok(Number(passed) >= 4, child.stdout);
  });
}

function made(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Those that this kernel has; their names say what they are. */
function makeDevices(): void {
  for (const type of ['dummy', 'ifb', 'bridge']) made('ip', 'link', 'add', `x${type}`, 'type', type);
  made('ip', 'link', 'add', 'xveth', 'type', 'veth', 'peer', 'name', 'yveth');
  made('ip', 'tuntap', 'add', 'xtap', 'mode', 'tap');
  for (const name of ['xdummy', 'xifb', 'xveth', 'yveth', 'xbridge']) made('ip', 'link', 'set', name, 'up');
  made('ip', 'link', 'set', 'lo', 'alias', 'an "alias" \\ of lo');
  made('ip', 'link', 'property', 'add', 'dev', 'lo', 'altname', 'the-other-lo', 'altname', 'a-third-name');
  made('ip', 'addr', 'add', '10.11.12.13/24', 'dev', 'xbridge');
  made('ip', 'addr', 'add', '10.0.0.1', 'peer', '10.0.0.2', 'dev', 'lo');
  made('ip', 'addr', 'add', '2001:db8::1/64', 'dev', 'xbridge', 'nodad');
}

interface Pages {
  readonly ours: string[];
  readonly theirs: string[];
}

/** Lines of both, without HELP and without `leftOut`; the last error of ours is thrown. */
async function pagesOf(
  context: TestContext,
  part: string,
  flags: readonly string[],
  options: NodeOptions[string],
  leftOut: readonly string[] = [],
): Promise<Pages> {
  const peer = await startPeer(program, [part], LIVE_ROOTS, flags);
  context.after(() => peer.stop());
  const pages = nodePages({ readers: nativeReaders(), roots: LIVE_ROOTS, parts: [part], options: { [part]: options } });
  context.after(() => pages.close());
  const { page, error } = pages.run(part);
  assert.equal(error, undefined);
  const theirs = await peer.page();
  assert.match(theirs, new RegExp(`node_scrape_collector_success\\{collector="${part}"\\} 1\n`));
  const lines = (text: string): string[] =>
    comparable(text, [], ['node_scrape_collector_', ...leftOut])
      .split('\n')
      .filter((line) => line !== '');
  return { ours: lines(page), theirs: lines(theirs) };
}

function withoutValues(lines: readonly string[]): string[] {
  return lines.map((line) => (line.startsWith('#') ? line : line.replace(/ [^ ]*$/, '')));
}

function runInside(): void {
  makeDevices();

  test('ethtool', async (context) => {
    const { ours, theirs } = await pagesOf(context, 'ethtool', [], {});
    assert.deepEqual(ours, theirs);
  });

  test('ethtool: filters', async (context) => {
    const flags = ['--collector.ethtool.device-exclude=^lo$', '--collector.ethtool.metrics-include=^(rx|tx)_'];
    const { ours, theirs } = await pagesOf(context, 'ethtool', flags, { device_exclude: '^lo$', metrics_include: '^(rx|tx)_' });
    assert.deepEqual(ours, theirs);
  });

  test('netclass by netlink', async (context) => {
    // Unknown speeds are 5e14 bytes per second there and left out here.
    const { ours, theirs } = await pagesOf(context, 'netclass', ['--collector.netclass.netlink'], { netlink: true }, ['node_network_speed_bytes']);
    assert.deepEqual(ours, theirs);
    assert.ok(ours.includes('node_network_altnames_info{altname="the-other-lo",device="lo"} 1'));
  });

  test('netclass by netlink: counters', async (context) => {
    const flags = ['--collector.netclass.netlink', '--collector.netclass_rtnl.with-stats'];
    const { ours, theirs } = await pagesOf(context, 'netclass', flags, { netlink: true, rtnl_with_stats: true }, ['node_network_speed_bytes']);
    // Counters are of type gauge there, and lo counts the scrape itself.
    const series = (lines: readonly string[]): string[] => withoutValues(lines).filter((line) => !line.startsWith('#'));
    assert.deepEqual(series(ours), series(theirs));
    const quiet = (lines: readonly string[]): string[] =>
      lines.filter((line) => !line.startsWith('#') && !line.includes('device="lo"') && !/_(bytes|packets)_total/.test(line));
    assert.deepEqual(quiet(ours), quiet(theirs));
  });

  test('netdev: addresses', async (context) => {
    const { ours, theirs } = await pagesOf(context, 'netdev', ['--collector.netdev.address-info'], { address_info: true });
    const addresses = (lines: readonly string[]): string[] => lines.filter((line) => line.includes('node_network_address_info'));
    assert.deepEqual(addresses(ours), addresses(theirs));
    assert.ok(addresses(ours).includes('node_network_address_info{address="10.0.0.1",device="lo",netmask="32",scope="global"} 1'));
  });

  test('perf: the same counters on the same processors', async (context) => {
    for (const [flags, options] of [
      [[], {}],
      [['--collector.perf.cpus=0', '--collector.perf.software-profilers=PageFault'], { cpus: '0', software_profilers: ['PageFault'] }],
    ] as const) {
      const { ours, theirs } = await pagesOf(context, 'perf', flags, options);
      assert.deepEqual(withoutValues(ours), withoutValues(theirs));
    }
  });

  test('perf: tracepoints', { skip: !made('mount', '-t', 'tracefs', 'tracefs', '/sys/kernel/tracing') && 'no tracefs' }, async (context) => {
    const flags = ['--collector.perf.cpus=0', '--collector.perf.tracepoint=sched:sched_switch', '--collector.perf.tracepoint=sched:sched_process_fork'];
    const options = { cpus: '0', tracepoint: ['sched:sched_switch', 'sched:sched_process_fork'] };
    const { ours, theirs } = await pagesOf(context, 'perf', flags, options);
    assert.deepEqual(withoutValues(ours), withoutValues(theirs));
    assert.ok(ours.some((line) => line.startsWith('node_perf_sched_sched_switch{cpu="0"} ')));
  });

  test('devices of a btrfs of two disks', { skip: noBtrfs() }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'exporterd-btrfs-'));
    const point = join(folder, 'mount point');
    const loops: string[] = [];
    context.after(() => {
      made('umount', point);
      for (const loop of loops) made('losetup', '-d', loop);
      rmSync(folder, { recursive: true, force: true });
    });
    const disks = ['one', 'two'].map((name) => {
      const path = join(folder, name);
      writeFileSync(path, '');
      truncateSync(path, 256 << 20);
      return path;
    });
    for (const path of disks) loops.push(spawnSync('losetup', ['-f', '--show', path], { encoding: 'utf8' }).stdout.trim());
    const isMounted =
      made('mkfs.btrfs', '-q', '-f', '-L', 'a pool', '-d', 'raid1', '-m', 'raid1', ...loops) &&
      made('mkdir', point) &&
      made('btrfs', 'device', 'scan', ...loops) &&
      made('mount', '-t', 'btrfs', loops[0] ?? '', point);
    if (!isMounted) return context.skip('it cannot be made or mounted');
    const { ours, theirs } = await pagesOf(context, 'btrfs', [], {});
    assert.deepEqual(ours, theirs);
    assert.equal(ours.filter((line) => line.startsWith('node_btrfs_device_errors_total{')).length, 10);
  });
}

function noBtrfs(): string | false {
  return made('mkfs.btrfs', '--version') && made('losetup', '--version') ? false : 'no mkfs.btrfs, or no losetup';
}
