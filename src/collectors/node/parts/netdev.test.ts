import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootsIn } from '../../../../test/compare/node-page.ts';
import { bothReaders, partOn, temporaryTree } from '../../../../test/compare/node-tree.ts';
import { CollectError } from '../../../collect/contract.ts';
import { Sheet } from '../../../collect/sheet.ts';
import { ReaderError, type Readers, type ReplaySteps } from '../../../readers/readers.ts';
import { referenceReaders } from '../../../readers/reference.ts';
import { open, prepare } from '../collect.ts';
import { scopeOf } from '../interface-addresses.ts';
import { attribute, dumpRequest, u16 } from '../netlink.ts';

const HEAD =
  'Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
const LINE = (name: string, bytes: number): string => `${name.padStart(6)}: ${bytes} 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n`;

for (const [name, readers] of bothReaders()) {
  test(`an interface that comes shows in the next run, one that goes is gone (${name})`, (context) => {
    const { tree, run } = partOn(
      context,
      'netdev',
      { 'proc/net/dev': HEAD + LINE('eth0', 5), 'sys/class/net/eth0/statistics/rx_nohandler': '7\n' },
      { readers },
    );
    assert.match(run(), /node_network_receive_nohandler_total\{device="eth0"\} 7\n/);
    tree.write('sys/class/net/wg0/statistics/rx_nohandler', '1\n');
    tree.write('sys/class/net/eth0/statistics/rx_nohandler', '8\n');
    tree.write('proc/net/dev', HEAD + LINE('eth0', 6) + LINE('wg0', 9));
    const page = run();
    assert.match(page, /node_network_receive_bytes_total\{device="eth0"\} 6\nnode_network_receive_bytes_total\{device="wg0"\} 9\n/);
    assert.match(page, /node_network_receive_nohandler_total\{device="eth0"\} 8\nnode_network_receive_nohandler_total\{device="wg0"\} 1\n/);
    tree.write('proc/net/dev', HEAD + LINE('wg0', 10));
    assert.doesNotMatch(run(), /eth0/);
  });
}

test('an interface without the attribute (another namespace, an old kernel) is shown without it', (context) => {
  assert.doesNotMatch(partOn(context, 'netdev', { 'proc/net/dev': HEAD + LINE('eth0', 5) }).run(), /nohandler/);
});

test('no interfaces is a page without any', (context) => {
  assert.equal(partOn(context, 'netdev', { 'proc/net/dev': HEAD }).run(), '');
});

test('a line that was cut is named', (context) => {
  const { tree, run } = partOn(context, 'netdev', { 'proc/net/dev': `${HEAD}${LINE('lo', 1)}  eth0: 5 2 0\n` });
  assert.throws(run, { name: 'CollectError', message: `${tree.path('proc/net/dev')}:4: expected a name and 16 numbers` });
});

test('detailed counters are those of sysfs, as netlink has them', (context) => {
  const statistics = { rx_bytes: 11, rx_crc_errors: 12, tx_window_errors: 13, collisions: 14, rx_missed_errors: 15 };
  const files = Object.fromEntries(Object.entries(statistics).map(([file, value]) => [`sys/class/net/eth0/statistics/${file}`, `${value}\n`]));
  const page = partOn(
    context,
    'netdev',
    { ...files, 'proc/net/dev': HEAD + LINE('eth0', 5) },
    { options: { netdev: { enable_detailed_metrics: true } } },
  ).run();
  const found = [...page.matchAll(/^node_network_(\w+)\{device="eth0"\} (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]);
  assert.deepEqual(found, [
    ['collisions_total', 14],
    ['receive_bytes_total', 11],
    ['receive_crc_errors_total', 12],
    ['receive_missed_errors_total', 15],
    ['transmit_window_errors_total', 13],
  ]);
});

test('an alias that is changed shows within a minute', (context) => {
  const files = { 'proc/net/dev': HEAD + LINE('eth0', 5) + LINE('wg0', 6), 'sys/class/net/eth0/ifalias': 'one\n' };
  const { tree, run, clock } = partOn(context, 'netdev', files, { options: { netdev: { label_ifalias: true } } });
  assert.match(run(), /receive_bytes_total\{device="wg0"\} 6\nnode_network_receive_bytes_total\{device="eth0",ifalias="one"\} 5\n/);
  tree.write('sys/class/net/eth0/ifalias', 'two\n');
  clock.nowMs += 59_999;
  assert.match(run(), /device="eth0",ifalias="one"/);
  clock.nowMs += 1;
  const page = run();
  assert.match(page, /device="eth0",ifalias="two"/);
  assert.doesNotMatch(page, /ifalias="one"/);
});

/** A mock in place of the kernel, for addresses that no machine has; those of this one are compared in test/compare/node-kernel.test.ts. */
function addressed(...messages: readonly Buffer[]): Readers {
  const message = (type: number, payload: Buffer): Buffer => {
    const bytes = dumpRequest(type, payload);
    return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  };
  const name = (index: number, text: string): Buffer =>
    message(16, Buffer.concat([Buffer.from(new Uint32Array([0, index, 0, 0]).buffer), attribute(3, Buffer.from(`${text}\0`))]));
  const netlink = (_protocol: number, request: Uint8Array): Buffer =>
    u16(Buffer.from(request), 4) === 18 ? Buffer.concat([name(1, 'lo'), name(2, 'eth0')]) : Buffer.concat(messages.map((payload) => message(20, payload)));
  return Object.assign(Object.create(referenceReaders()) as Readers, { native: true, netlink });
}

function address(index: number, prefix: number, ...attributes: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([0, prefix, 0, 0]), Buffer.from(new Uint32Array([index]).buffer), ...attributes]);
}

const WITH_ADDRESSES = { netdev: { address_info: true } };

test('addresses: the own end of a link, one series for several ends, other families, devices that are gone or left out', (context) => {
  const readers = addressed(
    address(1, 8, attribute(1, Buffer.from([127, 0, 0, 1])), attribute(2, Buffer.from([127, 0, 0, 1]))),
    address(2, 32, attribute(1, Buffer.from([10, 0, 0, 2])), attribute(2, Buffer.from([10, 0, 0, 1]))),
    address(2, 32, attribute(1, Buffer.from([10, 0, 0, 3])), attribute(2, Buffer.from([10, 0, 0, 1]))),
    address(2, 64, attribute(1, Buffer.from('20010db8000000000000000000000001', 'hex'))),
    address(9, 24, attribute(2, Buffer.from([10, 9, 9, 9]))),
    address(2, 24),
    address(2, 24, attribute(2, Buffer.from([1, 2]))),
  );
  const { run, pages } = partOn(context, 'netdev', { 'proc/net/dev': HEAD }, { readers, options: WITH_ADDRESSES });
  const lines = run().split('\n');
  assert.deepEqual(lines, [
    '# TYPE node_network_address_info gauge',
    'node_network_address_info{address="10.0.0.1",device="eth0",netmask="32",scope="global"} 1',
    'node_network_address_info{address="127.0.0.1",device="lo",netmask="8",scope="link-local"} 1',
    'node_network_address_info{address="2001:db8::1",device="eth0",netmask="64",scope="global"} 1',
    '',
  ]);
  assert.equal(pages.sheet('netdev').counts.duplicates, 0);
  const filtered = partOn(context, 'netdev', { 'proc/net/dev': HEAD }, { readers, options: { netdev: { address_info: true, device_exclude: '^eth' } } });
  assert.doesNotMatch(filtered.run(), /eth0/);
  assert.equal(partOn(context, 'netdev', { 'proc/net/dev': HEAD }, { readers }).run(), '');
});

test('addresses that come, change and go', (context) => {
  const own = (last: number): Buffer => address(2, 24, attribute(2, Buffer.from([10, 0, 0, last])));
  let readers = addressed(own(1));
  const changing = Object.assign(Object.create(readers) as Readers, {
    netlink: (protocol: number, request: Uint8Array, isStrict?: boolean) => readers.netlink(protocol, request, isStrict),
  });
  const { run } = partOn(context, 'netdev', { 'proc/net/dev': HEAD }, { readers: changing, options: WITH_ADDRESSES });
  const shown = (): string[] => [...run().matchAll(/address="([^"]*)"/g)].map(([, text = '']) => text);
  assert.deepEqual(shown(), ['10.0.0.1']);
  assert.deepEqual(shown(), ['10.0.0.1']);
  readers = addressed(own(1), own(2));
  assert.deepEqual(shown(), ['10.0.0.1', '10.0.0.2']);
  readers = addressed(own(2).subarray(0, 3));
  assert.throws(run, CollectError);
  readers = addressed(own(1), own(2));
  assert.deepEqual(shown(), ['10.0.0.1', '10.0.0.2']);
  readers = addressed();
  assert.deepEqual(shown(), []);
});

test('how far an address reaches, as the peer sees it', () => {
  const cases: readonly (readonly [hex: string, scope: string])[] = [
    ['7f000001', 'link-local'],
    ['7fffffff', 'link-local'],
    ['a9fe0101', 'link-local'],
    ['a9fd0101', 'global'],
    ['e0000001', 'link-local'],
    ['e0000101', ''],
    ['ef000001', ''],
    ['00000000', ''],
    ['ffffffff', ''],
    ['0a000001', 'global'],
    ['f0000001', 'global'],
    ['00000000000000000000000000000001', 'link-local'],
    ['00000000000000000000000000000000', ''],
    ['fe800000000000000000000000000001', 'link-local'],
    ['febf0000000000000000000000000001', 'link-local'],
    ['fec00000000000000000000000000001', 'global'],
    ['fd000000000000000000000000000001', 'global'],
    ['ff010000000000000000000000000001', 'interface-local'],
    ['ff020000000000000000000000000001', 'link-local'],
    ['ff120000000000000000000000000001', 'link-local'],
    ['ff050000000000000000000000000001', ''],
    ['00000000000000000000ffff7f000001', 'link-local'],
    ['00000000000000000000ffff0a000001', 'global'],
  ];
  for (const [hex, scope] of cases) assert.equal(scopeOf(Buffer.from(hex, 'hex')), scope, hex);
});

test('addresses that are cut, refused, or cannot be asked for', (context) => {
  const files = { 'proc/net/dev': HEAD + LINE('eth0', 5) };
  const cut = addressed(Buffer.concat([Buffer.from([0, 24, 0, 0, 2, 0, 0, 0]), Buffer.from([200, 0, 1, 0])]));
  assert.throws(partOn(context, 'netdev', files, { readers: cut, options: WITH_ADDRESSES }).run, CollectError);
  const short = addressed(Buffer.from([0, 24, 0]));
  assert.throws(partOn(context, 'netdev', files, { readers: short, options: WITH_ADDRESSES }).run, CollectError);
  const refusing = Object.assign(Object.create(referenceReaders()) as Readers, {
    netlink: (): Buffer => {
      throw new ReaderError('EPERM', 'netlink 0');
    },
  });
  const refused = partOn(context, 'netdev', files, { readers: refusing, options: WITH_ADDRESSES });
  const { page, error } = refused.pages.run('netdev');
  assert.ok(error instanceof ReaderError);
  assert.match(page, /node_network_receive_bytes_total\{device="eth0"\} 5/);
  const without = partOn(context, 'netdev', files, { readers: referenceReaders(), options: WITH_ADDRESSES });
  assert.match(without.run(), /node_network_receive_bytes_total\{device="eth0"\} 5/);
  assert.match(without.warnings.join(), /addresses are left out/);
});

test('runs with addresses are not replayed: they are asked for each time', async (context) => {
  await prepare(['netdev']);
  const tree = temporaryTree(context, { 'proc/net/dev': HEAD + LINE('eth0', 5) });
  const readers = addressed(address(2, 24, attribute(2, Buffer.from([10, 0, 0, 1]))));
  // What is replayed otherwise is not looked at here.
  const steps = new Proxy({}, { get: () => () => undefined }) as ReplaySteps;
  for (const withAddresses of [false, true]) {
    const options = { netdev: { address_info: withAddresses } };
    const target = { name: 'local', settings: undefined, address: 'local' };
    const session = open({
      options,
      roots: rootsIn(tree.folder),
      target,
      parts: ['netdev'],
      readers,
      monotonicMs: () => 0,
      wallMs: () => 0,
      warn: () => undefined,
    });
    const sheet = new Sheet(readers, { maxSeries: 1000, maxBytes: 1 << 20 });
    sheet.begin();
    session.collect('netdev', sheet);
    assert.equal(session.replay?.('netdev', sheet, steps), !withAddresses);
    session.close();
  }
});
