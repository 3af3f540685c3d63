import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

function counter(name: string, help: string): Family {
  return family(`node_network_${name}_total`, 'counter', help, ['device']);
}

/** In the order of the columns of net/dev. */
const COLUMNS = [
  counter('receive_bytes', 'Bytes received.'),
  counter('receive_packets', 'Packets received.'),
  counter('receive_errs', 'Packets that arrived damaged.'),
  counter('receive_drop', 'Packets that arrived and were dropped, by the kernel or for want of room in the device.'),
  counter('receive_fifo', 'Packets lost because the receive queue was full.'),
  counter('receive_frame', 'Packets with a wrong length, frame or checksum.'),
  counter('receive_compressed', 'Compressed packets received.'),
  counter('receive_multicast', 'Multicast packets received.'),
  counter('transmit_bytes', 'Bytes sent.'),
  counter('transmit_packets', 'Packets sent.'),
  counter('transmit_errs', 'Packets that could not be sent.'),
  counter('transmit_drop', 'Packets dropped before they were sent.'),
  counter('transmit_fifo', 'Packets lost because the send queue was full.'),
  counter('transmit_colls', 'Collisions while sending.'),
  counter('transmit_carrier', 'Packets lost to carrier, heartbeat or window errors, or aborted.'),
  counter('transmit_compressed', 'Compressed packets sent.'),
];
const NO_HANDLER = counter('receive_nohandler', 'Packets received that nobody in the kernel wanted.');

/**
 * net/dev below the procfs root (there a link to self/net: the network namespace of this process):
 * `  eth0: 306903636    8818    0    0 ...`, sixteen numbers. The kernel sums the finer counters that netlink has into these
 * columns (net/core/net-procfs.c); only rx_nohandler is not among them and comes from sysfs.
 */
export const part: NodePart = {
  name: 'netdev',
  enabledByDefault: true,
  families: [...COLUMNS, NO_HANDLER],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match', excludes: 'device-exclude' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match', excludes: 'device-include' },
    { flag: 'netlink', kind: 'boolean', default: true, help: 'print receive_nohandler, which net/dev does not have' },
  ],
  open(scope) {
    const filter = scope.options.filter('device-exclude', 'device-include');
    const withNoHandler = scope.options.isOn('netlink');
    const unwanted = scope.attributes();

    const table = scope.bound(scope.proc('net/dev'), { keys: 1, delimiters: ':|' }, (rows, series) => {
      if (rows.length < 2) throw series.problem(rows.length, 'two lines of headings');
      const devices: string[] = [];
      for (const [line, words] of rows.entries()) {
        if (line < 2) continue;
        const first = words.length - COLUMNS.length;
        if (first < 1) throw series.problem(line, `a name and ${COLUMNS.length} numbers`);
        // Names of former kernels' aliases hold a colon, eth0:1.
        const device = words
          .slice(0, first)
          .map(({ text }) => text)
          .join(':');
        if (!filter.keeps(device)) continue;
        devices.push(device);
        for (const [i, family] of COLUMNS.entries()) series.number(line, words[first + i], family, [device]);
      }
      if (!withNoHandler) return;
      unwanted.follow(devices.map((device) => ({ path: scope.sys(`class/net/${device}/statistics/rx_nohandler`), family: NO_HANDLER, labels: [device] })));
    });

    return {
      collect(sheet) {
        if (!table.collect(sheet)) return scope.missing(table);
        unwanted.collect(sheet);
        return OK;
      },
      close() {
        table.close();
        unwanted.close();
      },
    };
  },
};
