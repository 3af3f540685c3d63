import { type Family, family, type MetricType } from '../../model/family.ts';
import type { DeviceFile } from './device-files.ts';

export const UP = family('node_network_up', 'gauge', 'Whether a device can pass packets: its operstate is up.', ['device']);
export const TEXTS = ['address', 'broadcast', 'duplex', 'ifalias', 'operstate'] as const;
export const INFO = family('node_network_info', 'gauge', 'What sysfs says of a network device, as labels.', [...TEXTS, 'adminstate', 'device']);

export interface NetAttribute {
  readonly file: string;
  readonly family: Family;
  /** The link itself changes it. What only the administrator changes is read less often where there are many devices. */
  readonly isLive: boolean;
}

function attribute(file: string, name: string, help: string, isLive = false, type: MetricType = 'gauge'): NetAttribute {
  return { file, family: family(`node_network_${name}`, type, help, ['device']), isLive };
}

export const FLAGS = 'flags';
export const SPEED = 'speed';
/** ABI/testing/sysfs-class-net. */
export const ATTRIBUTES: readonly NetAttribute[] = [
  attribute('addr_assign_type', 'address_assign_type', 'Where the address comes from: 0 the device, 1 chance, 2 another device, 3 the administrator.'),
  attribute('carrier', 'carrier', 'Whether there is a carrier.', true),
  attribute('carrier_changes', 'carrier_changes_total', 'Times that the carrier came or went.', true, 'counter'),
  attribute('carrier_up_count', 'carrier_up_changes_total', 'Times that the carrier came.', true, 'counter'),
  attribute('carrier_down_count', 'carrier_down_changes_total', 'Times that the carrier went.', true, 'counter'),
  attribute('dev_id', 'device_id', 'Number that tells apart devices which share an address.'),
  attribute('dormant', 'dormant', 'Whether a device waits for something else, such as a login, before it passes packets.', true),
  attribute(FLAGS, 'flags', 'Flags of a device (IFF_*).', true),
  attribute('ifindex', 'iface_id', 'Number of a device.', true),
  attribute('iflink', 'iface_link', 'Number of the device that this one is stacked on, or its own.'),
  attribute('link_mode', 'iface_link_mode', 'Whether operstate follows the carrier alone (0) or is set by a program as well (1).'),
  attribute('mtu', 'mtu_bytes', 'Largest packet that a device sends, in bytes.', true),
  attribute('name_assign_type', 'name_assign_type', 'Where the name comes from: 1 the kernel, 2 predictable, 3 a program, 4 renamed.'),
  attribute('netdev_group', 'net_dev_group', 'Group that a device is in.'),
  attribute(SPEED, 'speed_bytes', 'Speed of the link, in bytes per second; -125000 where it is unknown.', true),
  attribute('tx_queue_len', 'transmit_queue_length', 'Packets that fit into the send queue.'),
  attribute('type', 'protocol_type', 'Kind of the hardware (ARPHRD_*).'),
];
export const LIVE_TEXTS: ReadonlySet<string> = new Set(['duplex', 'operstate']);

export const BYTES_PER_MEGABIT = 125_000;

const EPERM = 1;
const EACCES = 13;
const EINVAL = 22;
const EOPNOTSUPP = 95;

/** Drivers answer so for what a device does not have, or has not while it is down. */
export function isUntold(file: DeviceFile): boolean {
  return file.isMissing() || [EPERM, EACCES, EINVAL, EOPNOTSUPP].includes(file.errno);
}
