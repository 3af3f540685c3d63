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
