/**
 * netclass by netlink. A mock in place of the kernel answers with messages made here, for devices that no machine of ours has;
 * the answers of a real kernel are compared with the peer in test/compare/node-kernel.test.ts.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { partOn } from '../../../../test/compare/node-tree.ts';
import { CollectError } from '../../../collect/contract.ts';
import { ReaderError, type Readers } from '../../../readers/readers.ts';
import { referenceReaders } from '../../../readers/reference.ts';
import { attribute, dumpRequest, nestedAttribute, u16 } from '../netlink.ts';
import type { NodeOptions } from '../options.ts';

const ROUTE = 0;
const GENERIC = 16;
const CONTROL = 16;
const ETHTOOL = 21;

function message(type: number, payload: Buffer): Buffer {
  const bytes = dumpRequest(type, payload);
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function words(...numbers: readonly number[]): Buffer {
  return Buffer.from(new Uint32Array(numbers).buffer);
}

function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`, 'latin1'));
}

/** struct ifinfomsg of kind 1 (Ethernet) and attributes. */
function link(index: number, flags: number, ...attributes: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(16);
  Buffer.from(new Uint16Array([1]).buffer).copy(head, 2);
  words(index, flags).copy(head, 4);
  return message(16, Buffer.concat([head, ...attributes]));
}

/** rtnl_link_stats64 whose n-th field is n + 1. */
function statistics(fields: number): Buffer {
  return attribute(23, Buffer.from(new BigUint64Array(Array.from({ length: fields }, (_, i) => BigInt(i + 1))).buffer));
}

const ETH0 = link(
  2,
  0x11043,
  text(3, 'eth0'),
  attribute(1, Buffer.from([2, 0, 0, 0, 0, 0xab])),
  attribute(2, Buffer.alloc(6, 0xff)),
  text(20, 'up "link"\u00ff'),
  attribute(4, words(1500)),
  attribute(5, words(7)),
  attribute(13, words(1000)),
  attribute(16, Buffer.from([6])),
  attribute(17, Buffer.from([1])),
  attribute(27, words(3)),
  attribute(33, Buffer.from([1])),
  attribute(35, words(4)),
  attribute(47, words(2)),
  attribute(48, words(2)),
  nestedAttribute(52, Buffer.concat([text(53, 'enp1s0'), text(53, ''), text(54, 'no name'), text(53, 'lan\u00fe')])),
  statistics(24),
);
/** What an old kernel says of a device that is down. */
const BARE = link(3, 0, text(3, 'bare'), attribute(16, Buffer.from([99])));

function modes(...devices: readonly (readonly [name: string, speed: number, duplex: number])[]): Buffer {
  return Buffer.concat(
    devices.map(([name, speed, duplex]) =>
      message(
        ETHTOOL,
        Buffer.concat([Buffer.from([4, 1, 0, 0]), nestedAttribute(1, text(2, name)), attribute(5, words(speed)), attribute(6, Buffer.from([duplex]))]),
      ),
    ),
  );
}

const FAMILY = message(CONTROL, Buffer.concat([Buffer.from([1, 1, 0, 0]), attribute(1, Buffer.from(new Uint16Array([ETHTOOL]).buffer))]));

interface Answers {
  links: Buffer | Error;
  family: Buffer | Error;
  modes: Buffer | Error;
}

function machine(answers: Answers): { readers: Readers; asked: Buffer[] } {
  const asked: Buffer[] = [];
  const netlink = (protocol: number, bytes: Uint8Array): Buffer => {
    const request = Buffer.from(bytes);
    asked.push(request);
    const answer = protocol === ROUTE ? answers.links : u16(request, 4) === CONTROL ? answers.family : answers.modes;
    assert.ok(protocol === ROUTE || protocol === GENERIC);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { readers: Object.assign(Object.create(referenceReaders()) as Readers, { native: true, netlink }), asked };
}

function start(context: TestContext, answers: Answers, options: NodeOptions[string] = {}, parts: readonly string[] = ['netclass'], netdev = {}) {
  const files = { 'sys/class/net/eth0/addr_assign_type': '3\n', 'sys/class/net/eth0/dev_id': '0x1f\n', 'sys/class/net/bare/dev_id': 'x\n' };
  return partOn(context, 'netclass', files, { readers: machine(answers).readers, options: { netclass: { netlink: true, ...options }, netdev }, parts });
}

function samples(page: string): string[] {
  return page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

const PLAIN: Answers = { links: Buffer.concat([ETH0, BARE]), family: FAMILY, modes: modes(['eth0', 1000, 1], ['gone', 10, 0]) };

test('what netlink tells of a device, and what sysfs alone knows', (context) => {
  const page = start(context, PLAIN).run();
  assert.deepEqual(
    samples(page).filter((line) => line.includes('device="eth0"')),
    [
      'node_network_address_assign_type{device="eth0"} 3',
      'node_network_altnames_info{altname="enp1s0",device="eth0"} 1',
      'node_network_altnames_info{altname="lan\ufffd",device="eth0"} 1',
      'node_network_carrier{device="eth0"} 1',
      'node_network_carrier_changes_total{device="eth0"} 4',
      'node_network_carrier_down_changes_total{device="eth0"} 2',
      'node_network_carrier_up_changes_total{device="eth0"} 2',
      'node_network_device_id{device="eth0"} 31',
      'node_network_dormant{device="eth0"} 0',
      'node_network_flags{device="eth0"} 69699',
      'node_network_iface_id{device="eth0"} 2',
      'node_network_iface_link{device="eth0"} 7',
      'node_network_iface_link_mode{device="eth0"} 1',
      'node_network_info{address="02:00:00:00:00:ab",broadcast="ff:ff:ff:ff:ff:ff",device="eth0",duplex="Full",ifalias="up \\"link\\"\ufffd",operstate="up"} 1',
      'node_network_mtu_bytes{device="eth0"} 1500',
      'node_network_net_dev_group{device="eth0"} 3',
      'node_network_protocol_type{device="eth0"} 1',
      'node_network_speed_bytes{device="eth0"} 1.25e+08',
      'node_network_transmit_queue_length{device="eth0"} 1000',
      'node_network_up{device="eth0"} 1',
    ],
  );
  assert.deepEqual(
    samples(page).filter((line) => line.includes('device="bare"')),
    [
      'node_network_device_id{device="bare"} 0',
      'node_network_dormant{device="bare"} 0',
      'node_network_flags{device="bare"} 0',
      'node_network_iface_id{device="bare"} 3',
      'node_network_iface_link{device="bare"} 3',
      'node_network_info{address="",broadcast="",device="bare",duplex="",ifalias="",operstate="unknown"} 1',
      'node_network_mtu_bytes{device="bare"} 0',
      'node_network_protocol_type{device="bare"} 1',
      'node_network_up{device="bare"} 0',
    ],
  );
});

test('devices come, go, and change; the rest of the page stays', (context) => {
  const answers = { ...PLAIN };
  const { run } = start(context, answers);
  const names = (): string[] => samples(run()).flatMap((line) => /^node_network_up\{device="(.*)"\} (.)/.exec(line)?.slice(1, 3).join(' ') ?? []);
  assert.deepEqual(names(), ['bare 0', 'eth0 1']);
  assert.deepEqual(names(), ['bare 0', 'eth0 1']);
  answers.links = Buffer.concat([BARE, link(9, 0, text(3, 'wg0'), attribute(16, Buffer.from([6])))]);
  assert.deepEqual(names(), ['bare 0', 'wg0 1']);
  answers.links = link(9, 0, text(3, 'wg0'), attribute(16, Buffer.from([5])));
  const page = run();
  assert.match(page, /node_network_dormant\{device="wg0"\} 1/);
  assert.match(page, /operstate="dormant"/);
  answers.links = Buffer.alloc(0);
  assert.deepEqual(names(), []);
});

test('speeds and duplex: unknown ones, a driver that does not say, a kernel without the family', (context) => {
  const shown = (answers: Partial<Answers>): string[] =>
    samples(start(context, { ...PLAIN, ...answers }).run()).flatMap((line) =>
      line.startsWith('node_network_speed_bytes') ? line : (/device="eth0",(duplex="[^"]*")/.exec(line)?.[1] ?? []),
    );
  assert.deepEqual(shown({ modes: modes(['eth0', 0xffff_ffff, 255]) }), ['duplex="Unknown"']);
  assert.deepEqual(shown({ modes: modes(['eth0', 10, 0]) }), ['duplex="Half"', 'node_network_speed_bytes{device="eth0"} 1.25e+06']);
  assert.deepEqual(shown({ modes: modes(['eth0', 0, 7]) }), ['duplex="Duplex(7)"', 'node_network_speed_bytes{device="eth0"} 0']);
  assert.deepEqual(shown({ modes: Buffer.alloc(0) }), ['duplex=""']);
  assert.deepEqual(shown({ family: new ReaderError('ENOENT', 'netlink 16') }), ['duplex=""']);
  assert.deepEqual(shown({ family: Buffer.alloc(0) }), ['duplex=""']);
});

test('counters: all of them alone, what netdev leaves beside it, none of an older kernel', (context) => {
  const counters = (page: string): string[] =>
    samples(page)
      .flatMap((line) => /^node_network_(\w+_total|\w+)\{device="eth0"\} (\d+)$/.exec(line)?.[1] ?? [])
      .filter((name) => /^(receive|transmit|multicast|collisions)/.test(name) && name !== 'transmit_queue_length');
  const run = (parts: readonly string[], netdev = {}): string[] => counters(start(context, PLAIN, { rtnl_with_stats: true }, parts, netdev).run());
  assert.equal(run(['netclass']).length, 24);
  assert.match(start(context, PLAIN, { rtnl_with_stats: true }).run(), /node_network_receive_nohandler_total\{device="eth0"\} 24\n/);
  assert.deepEqual(counters(start(context, PLAIN).run()), []);
  const beside = run(['netclass', 'netdev']);
  for (const name of ['receive_bytes_total', 'transmit_packets_total', 'receive_compressed_total', 'receive_nohandler_total'])
    assert.ok(!beside.includes(name), name);
  for (const name of ['receive_errors_total', 'collisions_total', 'transmit_window_errors_total']) assert.ok(beside.includes(name), name);
  assert.equal(beside.length, 17);
  assert.deepEqual(run(['netclass', 'netdev'], { enable_detailed_metrics: true }), []);
  assert.equal(run(['netclass', 'netdev'], { netlink: false }).length, 18);
  const old = start(context, { ...PLAIN, links: link(2, 0, text(3, 'eth0'), statistics(23)) }, { rtnl_with_stats: true }).run();
  assert.match(old, /node_network_transmit_compressed_total\{device="eth0"\} 23\n/);
  assert.match(old, /node_network_receive_nohandler_total\{device="eth0"\} 0\n/);
});

test('the counters are asked for only where they are wanted; devices that are left out', (context) => {
  const { readers, asked } = machine(PLAIN);
  const lengths = (options: NodeOptions[string]): (number | undefined)[] => {
    asked.length = 0;
    partOn(context, 'netclass', {}, { readers, options: { netclass: { netlink: true, ...options } } }).run();
    return asked.filter((request) => u16(request, 4) === 18).map((request) => request.length);
  };
  assert.deepEqual(lengths({}), [40]);
  assert.deepEqual(lengths({ rtnl_with_stats: true }), [32]);
  const page = start(context, PLAIN, { ignored_devices: '^eth' }).run();
  assert.ok(!page.includes('eth0') && page.includes('bare'));
});

test('answers that are cut, refused, or noise', (context) => {
  const fails = (answers: Partial<Answers>, wanted: typeof CollectError | typeof ReaderError): void => {
    const { run } = start(context, { ...PLAIN, ...answers });
    assert.throws(run, (error) => error instanceof wanted);
  };
  for (let end = 1; end < ETH0.length; end += 7) {
    const { pages } = start(context, { ...PLAIN, links: ETH0.subarray(0, end) });
    const { error } = pages.run('netclass');
    assert.ok(error === undefined || error instanceof CollectError, String(error));
  }
  fails({ links: ETH0.subarray(0, 60) }, CollectError);
  fails({ modes: modes(['eth0', 1, 1]).subarray(0, 30) }, CollectError);
  fails({ links: new ReaderError('EPERM', 'netlink 0') }, ReaderError);
  fails({ modes: new ReaderError('EOPNOTSUPP', 'netlink 16') }, ReaderError);
  fails({ family: new ReaderError('EACCES', 'netlink 16') }, ReaderError);
  const noise = Buffer.alloc(400, 0xa5);
  const { error } = start(context, { ...PLAIN, links: noise }).pages.run('netclass');
  assert.ok(error instanceof CollectError);
});

test('a file of sysfs that cannot be read is a failure, and the rest is printed', (context) => {
  const one = start(context, PLAIN);
  one.tree.remove('sys/class/net/eth0/dev_id');
  // A folder in place of a file: EISDIR.
  one.tree.write('sys/class/net/eth0/dev_id/x', '');
  const { page, error } = one.pages.run('netclass');
  assert.ok(error instanceof CollectError && error.message.includes('eth0/dev_id'));
  assert.match(page, /node_network_up\{device="eth0"\} 1/);
});

test('without native readers sysfs is read, and that is told', (context) => {
  const one = partOn(
    context,
    'netclass',
    { 'sys/class/net/eth0/operstate': 'up\n', 'sys/class/net/eth0/flags': '0x1\n' },
    { readers: referenceReaders(), options: { netclass: { netlink: true } } },
  );
  assert.match(one.run(), /adminstate="up"/);
  assert.match(one.warnings.join(), /netclass: .*sysfs is read instead/);
});
