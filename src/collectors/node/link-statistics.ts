import { type Family, family } from '../../model/family.ts';

/** A field of struct rtnl_link_stats64 (include/uapi/linux/if_link.h), which netlink and sysfs both have. */
export interface LinkStatistic {
  /** Below <sysfs>/class/net/DEVICE/statistics. */
  readonly file: string;
  /** Place in the structure, counted in fields of eight bytes. */
  readonly field: number;
  readonly family: Family;
}

export function networkCounter(name: string, help: string): Family {
  return family(`node_network_${name}_total`, 'counter', help, ['device']);
}

function statistic(field: number, file: string, name: string, help: string): LinkStatistic {
  return { file, field, family: networkCounter(name, help) };
}

/** Families of net/dev's columns are the same where they count the same. */
export const LINK_STATISTICS: readonly LinkStatistic[] = [
  statistic(0, 'rx_packets', 'receive_packets', 'Packets received.'),
  statistic(1, 'tx_packets', 'transmit_packets', 'Packets sent.'),
  statistic(2, 'rx_bytes', 'receive_bytes', 'Bytes received.'),
  statistic(3, 'tx_bytes', 'transmit_bytes', 'Bytes sent.'),
  statistic(4, 'rx_errors', 'receive_errors', 'Packets that arrived damaged.'),
  statistic(5, 'tx_errors', 'transmit_errors', 'Packets that could not be sent.'),
  statistic(6, 'rx_dropped', 'receive_dropped', 'Packets that arrived and were dropped by the kernel.'),
  statistic(7, 'tx_dropped', 'transmit_dropped', 'Packets dropped before they were sent.'),
  statistic(8, 'multicast', 'multicast', 'Multicast packets received, as the device counts them.'),
  statistic(9, 'collisions', 'collisions', 'Collisions while sending, as the device counts them.'),
  statistic(10, 'rx_length_errors', 'receive_length_errors', 'Packets received with a wrong length.'),
  statistic(11, 'rx_over_errors', 'receive_over_errors', 'Packets received that did not fit a buffer.'),
  statistic(12, 'rx_crc_errors', 'receive_crc_errors', 'Packets received with a wrong checksum.'),
  statistic(13, 'rx_frame_errors', 'receive_frame_errors', 'Packets received with a wrong frame.'),
  statistic(14, 'rx_fifo_errors', 'receive_fifo_errors', 'Packets lost because a receive queue was full.'),
  statistic(15, 'rx_missed_errors', 'receive_missed_errors', 'Packets lost for want of room in the device.'),
  statistic(16, 'tx_aborted_errors', 'transmit_aborted_errors', 'Packets whose sending was broken off.'),
  statistic(17, 'tx_carrier_errors', 'transmit_carrier_errors', 'Packets lost because the carrier was.'),
  statistic(18, 'tx_fifo_errors', 'transmit_fifo_errors', 'Packets lost because a send queue was full.'),
  statistic(19, 'tx_heartbeat_errors', 'transmit_heartbeat_errors', 'Packets after which the heartbeat was missing.'),
  statistic(20, 'tx_window_errors', 'transmit_window_errors', 'Packets that collided too late.'),
  statistic(21, 'rx_compressed', 'receive_compressed', 'Compressed packets received.'),
  statistic(22, 'tx_compressed', 'transmit_compressed', 'Compressed packets sent.'),
  statistic(23, 'rx_nohandler', 'receive_nohandler', 'Packets received that nobody in the kernel wanted.'),
];
