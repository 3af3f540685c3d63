/**
 * Drivers that no machine of ours has: a mock in place of the kernel answers commands from tables. What real drivers here say
 * is compared with the peer in test/compare/node-kernel.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partOn } from '../../../../test/compare/node-tree.ts';
import { CollectError } from '../../../collect/contract.ts';
import { addonPath, nativeReaders } from '../../../readers/native.ts';
import type { Readers } from '../../../readers/readers.ts';
import { referenceReaders } from '../../../readers/reference.ts';
import { Filter } from '../filter.ts';
import { u32 } from '../netlink.ts';
import { sanitized, statisticFamilies, statisticSuffix } from './ethtool.ts';

const EIO = 5;
const ENODEV = 19;
const EOPNOTSUPP = 95;

interface Mock {
  /** supported, advertised, autoneg; an errno where the driver refuses. */
  link: readonly [number, number, number] | number;
  driver: string | number;
  names: readonly string[] | number;
  values: readonly bigint[] | number;
  /** What the driver says of its number of statistics, when that is not the number of its names. */
  claimed?: number;
}

const PLAIN: Mock = { link: EOPNOTSUPP, driver: 'veth', names: [], values: [] };

/** Writes of an answer only what fits, as the native call does. */
function put(into: Uint8Array, answer: Buffer): number {
  into.set(answer.subarray(0, into.length));
  return 0;
}

function numbersOf(...values: readonly number[]): Buffer {
  return Buffer.from(new Uint32Array(values).buffer);
}

function answer(mock: Mock, command: Uint8Array): number {
  const number = u32(Buffer.from(command), 0);
  const count = mock.claimed ?? (typeof mock.names === 'number' ? 1 : mock.names.length);
  switch (number) {
    case 0x01: {
      if (typeof mock.link === 'number') return mock.link;
      const [supported, advertised, autoneg] = mock.link;
      const settings = Buffer.concat([numbersOf(number, supported, advertised), Buffer.alloc(32)]);
      settings[18] = autoneg;
      return put(command, settings);
    }
    case 0x03: {
      if (typeof mock.driver === 'number') return mock.driver;
      const texts = ['', '1.0', 'fw 2', '0000:01:00.0', ''].map((text) => Buffer.from(text.padEnd(32, '\0')));
      texts[0] = Buffer.from(mock.driver.padEnd(32, '\0'), 'latin1');
      return put(command, Buffer.concat([numbersOf(number), ...texts, Buffer.alloc(16), numbersOf(count, 0, 0, 0)]));
    }
    case 0x1b: {
      if (typeof mock.names === 'number') return mock.names;
      const names = mock.names.map((name) => Buffer.from(name.padEnd(32, '\0').slice(0, 32), 'latin1'));
      return put(command, Buffer.concat([numbersOf(number, 1, names.length), ...names]));
    }
    case 0x1d: {
      if (typeof mock.values === 'number') return mock.values;
      return put(command, Buffer.concat([numbersOf(number, mock.values.length), Buffer.from(new BigUint64Array(mock.values).buffer)]));
    }
    default:
      return EOPNOTSUPP;
  }
}

/** Readers whose devices are these; `calls` says how often each command was given. */
function machine(devices: Record<string, Mock | undefined>): { readers: Readers; calls: Map<number, number> } {
  const calls = new Map<number, number>();
  const ask = (device: string, command: Uint8Array): number => {
    const number = u32(Buffer.from(command), 0);
    calls.set(number, (calls.get(number) ?? 0) + 1);
    const mock = devices[device];
    return mock === undefined ? ENODEV : answer(mock, command);
  };
  return { readers: Object.assign(Object.create(referenceReaders()) as Readers, { ethtool: () => ({ ask, close: () => undefined }) }), calls };
}

function filesOf(...devices: readonly string[]): Record<string, string> {
  return Object.fromEntries(devices.map((device) => [`sys/class/net/${device}/address`, '']));
}

function samples(page: string): string[] {
  return page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('names of statistics become names of families', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['rx_packets', 'received_packets'],
    ['tx_tx_timeouts', 'transmitted_tx_timeouts'],
    ['[3]: tx_bytes', '3_transmitted_bytes'],
    ['rx0_drops', 'rx0_drops'],
    ['port.rx_bytes', 'port_received_bytes'],
    ['_  Rx', 'received'],
    ['a__b', 'a__b'],
    ['a_-_b', 'a_b'],
    ['alloc rx/tx', 'alloc_received_transmitted'],
    ['***', ''],
    ['', ''],
    ['\u00ff\u00fe', ''],
    ['x\u00e4\u00f6y', 'x_y'],
  ];
  for (const [name, suffix] of cases) assert.equal(statisticSuffix(name), suffix, name);
  assert.equal(sanitized('[3]: Tx'), '_3_Tx');
});

test('of names that come to one family none is kept; of equal names the last', () => {
  const all = new Filter('', '.*');
  const namesOf = (...names: readonly string[]): [number, string][] => [...statisticFamilies(names, all)].map(([i, { name }]) => [i, name]);
  assert.deepEqual(namesOf('rx_bytes', 'tx_bytes'), [
    [0, 'node_ethtool_received_bytes_total'],
    [1, 'node_ethtool_transmitted_bytes_total'],
  ]);
  assert.deepEqual(namesOf('rx_bytes', 'rx-bytes', 'received.bytes', 'kept'), [[3, 'node_ethtool_kept']]);
  assert.deepEqual(namesOf('same', 'other', 'same'), [
    [2, 'node_ethtool_same'],
    [1, 'node_ethtool_other'],
  ]);
  assert.deepEqual(namesOf('', '!', 'info'), []);
  // The filter sees the name before rx and tx are written out.
  assert.deepEqual([...statisticFamilies(['rx_a', 'received_b'], new Filter('', '^rx_')).keys()], [0]);
});

test('a driver that tells everything, one that tells nothing', (context) => {
  const { readers } = machine({
    // 10baseT_Half, 1000baseT_Full, Autoneg, TP, FIBRE, Pause, 25000baseCR; half of it offered.
    eth0: { link: [0x8000_24e1, 0x4020, 1], driver: 'igb\u00ff', names: ['rx_packets', 'rx_queue_0_drops', ''], values: [7n, 2n ** 64n - 1n, 3n] },
    lo: { ...PLAIN, driver: EOPNOTSUPP },
  });
  const { run } = partOn(context, 'ethtool', { ...filesOf('eth0', 'lo'), 'sys/class/net/bonding_masters': '' }, { readers });
  assert.deepEqual(samples(run()), [
    'node_ethtool_info{bus_info="0000:01:00.0",device="eth0",driver="igb\ufffd",expansion_rom_version="",firmware_version="fw 2",version="1.0"} 1',
    'node_ethtool_received_packets_total{device="eth0"} 7',
    'node_ethtool_received_queue_0_drops{device="eth0"} 1.8446744073709552e+19',
    'node_network_advertised_speed_bytes{device="eth0",duplex="full",mode="1000baseT"} 1.25e+08',
    'node_network_asymmetricpause_advertised{device="eth0"} 1',
    'node_network_asymmetricpause_supported{device="eth0"} 0',
    'node_network_autonegotiate{device="eth0"} 1',
    'node_network_autonegotiate_advertised{device="eth0"} 0',
    'node_network_autonegotiate_supported{device="eth0"} 1',
    'node_network_pause_advertised{device="eth0"} 0',
    'node_network_pause_supported{device="eth0"} 1',
    'node_network_supported_port_info{device="eth0",type="FIBRE"} 1',
    'node_network_supported_port_info{device="eth0",type="TP"} 1',
    'node_network_supported_speed_bytes{device="eth0",duplex="full",mode="1000baseT"} 1.25e+08',
    'node_network_supported_speed_bytes{device="eth0",duplex="full",mode="25000baseCR"} 3.125e+09',
    'node_network_supported_speed_bytes{device="eth0",duplex="half",mode="10baseT"} 1.25e+06',
  ]);
});

test('each command may fail by itself; what is not "not supported" is told once', (context) => {
  const { readers } = machine({
    a: { link: EIO, driver: 'a', names: ['n'], values: [1n] },
    b: { link: [0, 0, 0], driver: EIO, names: ['n'], values: [2n] },
    c: { link: EOPNOTSUPP, driver: 'c', names: EIO, values: [3n] },
    d: { link: EOPNOTSUPP, driver: 'd', names: ['n'], values: EIO },
    e: { link: EOPNOTSUPP, driver: 'e', names: ['n'], values: EOPNOTSUPP },
    f: undefined,
  });
  const one = partOn(context, 'ethtool', filesOf('a', 'b', 'c', 'd', 'e', 'f'), { readers });
  const page = one.run();
  assert.deepEqual(
    samples(page).filter((line) => line.startsWith('node_ethtool_n')),
    ['node_ethtool_n{device="a"} 1'],
  );
  assert.deepEqual(
    samples(page).flatMap((line) => /^node_ethtool_info\{.*device="(.)"/.exec(line)?.[1] ?? []),
    ['a', 'c', 'd', 'e'],
  );
  assert.equal(samples(page).filter((line) => line.includes('autonegotiate{device="b"}')).length, 1);
  assert.equal(one.run(), page);
  assert.deepEqual(one.warnings.sort(), [
    'ethtool a: link settings: EIO',
    'ethtool b: driver: EIO',
    'ethtool c: names of statistics: EIO',
    'ethtool d: statistics: EIO',
  ]);
});

test('statistics are read in each run, the rest once a minute and when their number changes', (context) => {
  const eth0: Mock = { link: [1, 1, 0], driver: 'd', names: ['a', 'b'], values: [1n, 2n] };
  const devices: Record<string, Mock | undefined> = { eth0 };
  const { readers, calls } = machine(devices);
  const { run, clock, tree } = partOn(context, 'ethtool', filesOf('eth0'), { readers });
  const statistics = (): string[] => samples(run()).filter((line) => /^node_ethtool_[a-z]\{/.test(line));
  assert.deepEqual(statistics(), ['node_ethtool_a{device="eth0"} 1', 'node_ethtool_b{device="eth0"} 2']);
  eth0.values = [3n, 4n];
  assert.deepEqual(statistics(), ['node_ethtool_a{device="eth0"} 3', 'node_ethtool_b{device="eth0"} 4']);
  assert.deepEqual([calls.get(0x01), calls.get(0x03), calls.get(0x1b), calls.get(0x1d)], [1, 1, 1, 2]);
  // A queue more.
  eth0.names = ['a', 'b', 'c'];
  eth0.values = [5n, 6n, 7n];
  assert.deepEqual(statistics(), ['node_ethtool_a{device="eth0"} 5', 'node_ethtool_b{device="eth0"} 6', 'node_ethtool_c{device="eth0"} 7']);
  assert.equal(calls.get(0x1b), 2);
  // And none: the driver was put away.
  eth0.names = [];
  eth0.values = [];
  assert.deepEqual(statistics(), []);
  eth0.driver = 'other';
  assert.match(run(), /driver="d"/);
  clock.nowMs += 60_000;
  assert.match(run(), /driver="other"/);
  // Gone from the kernel before it is gone from the folder.
  eth0.names = ['a'];
  eth0.values = [1n];
  clock.nowMs += 60_000;
  assert.deepEqual(statistics(), ['node_ethtool_a{device="eth0"} 1']);
  devices['eth0'] = undefined;
  assert.equal(run(), '');
  tree.write('sys/class/net/eth1/address', '');
  devices['eth1'] = eth0;
  assert.deepEqual(statistics(), ['node_ethtool_a{device="eth1"} 1']);
});

test('drivers that lie: more statistics than names, a number that keeps changing, too many, garbage', (context) => {
  const lying: Mock = { link: EOPNOTSUPP, driver: 'd', names: ['a'], values: [1n, 2n], claimed: 2 };
  const { readers } = machine({
    lying,
    many: { link: EOPNOTSUPP, driver: 'd', names: ['a'], values: [1n], claimed: 0xffff_ffff },
    shaky: { link: EOPNOTSUPP, driver: 'd', names: ['a'], values: [1n, 2n], claimed: 1 },
  });
  const { run, warnings } = partOn(context, 'ethtool', filesOf('lying', 'many', 'shaky'), { readers });
  assert.deepEqual(
    samples(run()).filter((line) => !line.startsWith('node_ethtool_info')),
    ['node_ethtool_a{device="lying"} 1'],
  );
  assert.deepEqual(warnings, ['ethtool many: names of statistics: EFBIG']);
  const ask = (_device: string, command: Uint8Array): number => {
    for (let i = 4; i < command.length; i++) command[i] = (i * 151 + 7) & 0xff;
    // Few enough statistics that they are asked for.
    if (command.length === 196) command.set([5, 0, 0, 0], 180);
    return 0;
  };
  const noise = Object.assign(Object.create(referenceReaders()) as Readers, { ethtool: () => ({ ask, close: () => undefined }) });
  const page = partOn(context, 'ethtool', filesOf('eth0'), { readers: noise }).run();
  for (const line of samples(page)) assert.match(line, /^node_[a-z0-9_]+\{.*\} \S+$/);
});

test('filters; no folder; an empty folder; no native readers', (context) => {
  const devices = { eth0: { ...PLAIN }, eth1: { ...PLAIN }, lo: { ...PLAIN } };
  const shown = (options: Record<string, string>): string[] =>
    samples(partOn(context, 'ethtool', filesOf('eth0', 'eth1', 'lo'), { readers: machine(devices).readers, options: { ethtool: options } }).run()).flatMap(
      (line) => /device="(\w+)"/.exec(line)?.[1] ?? [],
    );
  assert.deepEqual(shown({}), ['eth0', 'eth1', 'lo']);
  assert.deepEqual(shown({ device_include: '^eth' }), ['eth0', 'eth1']);
  assert.deepEqual(shown({ device_exclude: '^eth' }), ['lo']);
  // Both together, as in the peer.
  assert.deepEqual(shown({ device_include: '^eth', device_exclude: '1' }), ['eth0']);
  const { readers } = machine(devices);
  const missing = partOn(context, 'ethtool', {}, { readers });
  assert.equal(missing.pages.run('ethtool').outcome?.kind, 'absent');
  const empty = partOn(context, 'ethtool', { 'sys/class/net/bonding_masters': '' }, { readers });
  assert.throws(empty.run, (error) => error instanceof CollectError && error.code === 'read' && error.message.includes('sys/class/net'));
  const without = partOn(context, 'ethtool', filesOf('eth0'), { readers: referenceReaders() });
  assert.equal(without.pages.run('ethtool').outcome?.kind, 'absent');
});

test('the kernel itself: lo has a link; answers keep to the room they are given', {
  skip: addonPath() === undefined ? 'the addon is not built' : false,
}, () => {
  const readers = nativeReaders();
  const link = Buffer.alloc(8);
  link[0] = 0x0a;
  const calls = readers.ethtool();
  assert.ok(calls !== undefined);
  assert.equal(calls.ask('lo', link), 0);
  assert.ok((link[4] ?? 9) <= 1);
  assert.equal(calls.ask('no such device', link), ENODEV);
  assert.equal(calls.ask('x'.repeat(1000), link), ENODEV);
  assert.equal(calls.ask('lo', Buffer.from([0xff, 0xff, 0, 0])), EOPNOTSUPP);
  assert.equal(calls.ask('lo', Buffer.alloc(0)), 22);
  assert.equal(calls.ask('lo', new Uint8Array(1 << 21)), 27);
  calls.close();
  calls.close();
  assert.equal(calls.ask('lo', link), 0);
  calls.close();
  assert.equal(readers.askFolder('/nonexistent/folder', 'read', 0x94, 31, Buffer.alloc(16)), 2);
  assert.equal(readers.askFolder('/proc/self/status', 'both', 0x94, 31, Buffer.alloc(16)), 20);
  assert.equal(readers.askFolder('/', 'write', 0x94, 31, new Uint8Array(1 << 16)), 27);
});
