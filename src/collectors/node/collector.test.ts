import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { LIVE_ROOTS, nodePages } from '../../../test/compare/node-page.ts';
import { bothReaders } from '../../../test/compare/node-tree.ts';
import { compareBytes } from '../../model/escape.ts';
import nodeCollector from './collector.ts';
import { partNames, serviceNames } from './discover.ts';
import { LINK_STATISTICS } from './link-statistics.ts';

const definition = await nodeCollector;

/** Collectors of node_exporter 1.12.1 on Linux that are on without being asked for. */
const ON = new Set(
  (
    'arp bcache bcachefs bonding btrfs conntrack cpu cpufreq diskstats dmi dmmultipath edac entropy fibrechannel filefd filesystem hwmon infiniband ipvs ' +
    'kernel_hung loadavg mdadm meminfo netclass netdev netstat nfs nfsd nvme os powersupplyclass pressure rapl schedstat selinux sockstat softnet stat ' +
    'tapestats textfile thermal_zone time timex udp_queues uname vmstat watchdog xfs zfs'
  ).split(' '),
);
const OFF = new Set(
  (
    'buddyinfo cgroups cpu_vulnerabilities drbd drm ethtool interrupts ksmd lnstat logind meminfo_numa mountstats network_route ntp nvmesubsystem pcidevice perf ' +
    'processes qdisc runit slabinfo softirqs supervisord swap sysctl systemd tcpstat wifi xfrm zoneinfo'
  ).split(' '),
);

test('the files are the parts, on and off as in the peer', () => {
  assert.deepEqual(
    definition.parts.map(({ name }) => name),
    [...partNames(), ...serviceNames()].sort(compareBytes),
  );
  for (const { name, enabledByDefault } of definition.parts) {
    assert.ok(ON.has(name) || OFF.has(name), `${name} is no collector of the peer`);
    assert.equal(enabledByDefault, ON.has(name), name);
  }
});

test('families: of one part each, with help in a sentence and labels in wire order', () => {
  const owners = new Map<string, string>();
  for (const part of definition.parts) {
    for (const { name, help, labels, type } of part.families) {
      if (name.startsWith('node_scrape_collector_')) continue;
      // Parts of the peer share these families; which of ours prints them is decided by what is on.
      const isShared = name === 'node_cpu_frequency_hertz' || LINK_STATISTICS.some(({ family }) => family.name === name);
      if (!isShared) assert.equal(owners.get(name), undefined, `${name} is of ${owners.get(name)} and ${part.name}`);
      owners.set(name, part.name);
      assert.match(name, /^node_[a-zA-Z0-9_]+$/);
      assert.match(help, /^\S.*[^ .]\.$/s, name);
      assert.deepEqual([...labels].sort(compareBytes), labels, name);
      assert.ok(type === 'counter' || type === 'gauge' || type === 'untyped', name);
    }
  }
});

test('one target, on without any configuration', () => {
  assert.equal(definition.enabledByDefault, true);
  assert.deepEqual(
    definition.targets(definition.options.parse({}), {}, () => '').map(({ name }) => name),
    ['local'],
  );
});

/** Sockets to the kernel stay with the thread, and there is a descriptor for each task of the machine, of which others may begin any. */
function isCounted(descriptor: string): boolean {
  try {
    return !/^socket:|^\/proc\/\d+\/(task\/\d+\/)?stat$/.test(readlinkSync(`/proc/self/fd/${descriptor}`));
  } catch {
    return false; // that of the listing itself
  }
}

for (const [name, readers] of bothReaders()) {
  test(`on this machine every part runs again and again, keeps its descriptors, and gives them back (${name})`, () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').filter(isCounted).length;
    const names = partNames();
    const before = descriptors();
    const pages = nodePages({ readers, roots: LIVE_ROOTS, parts: names, monotonicMs: () => performance.now() });
    const run = (): void => {
      for (const part of names) pages.run(part);
    };
    for (let i = 0; i < 3; i++) run();
    const kept = descriptors();
    for (let i = 0; i < 20; i++) run();
    assert.ok(descriptors() <= kept, `${descriptors()} descriptors after ${kept}`);
    for (const part of names) assert.equal(pages.sheet(part).counts.duplicates, 0, `${part} sets a series twice`);
    pages.close();
    assert.ok(descriptors() <= before, `${descriptors()} descriptors after ${before}`);
  });
}
