import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';

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
