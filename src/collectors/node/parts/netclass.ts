import { lstatSync } from 'node:fs';
import { OK } from '../../../collect/contract.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

const UP = family('node_network_up', 'gauge', 'Whether a device can pass packets: its operstate is up.', ['device']);
const TEXTS = ['address', 'broadcast', 'duplex', 'ifalias', 'operstate'] as const;
const INFO = family('node_network_info', 'gauge', 'What sysfs says of a network device, as labels.', [...TEXTS, 'adminstate', 'device']);

interface Attribute {
  readonly file: string;
  readonly family: Family;
  /** The link itself changes it. What only the administrator changes is read less often where there are many devices. */
  readonly isLive: boolean;
}

function attribute(file: string, name: string, help: string, isLive = false, type: MetricType = 'gauge'): Attribute {
  return { file, family: family(`node_network_${name}`, type, help, ['device']), isLive };
}

const FLAGS = 'flags';
const SPEED = 'speed';
/** ABI/testing/sysfs-class-net. */
const ATTRIBUTES: readonly Attribute[] = [
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
const LIVE_TEXTS: ReadonlySet<string> = new Set(['duplex', 'operstate']);

const BYTES_PER_MEGABIT = 125_000;
const IFF_UP = 1;
/** With more devices than this, what only the administrator changes is read once a minute. */
const FEW_DEVICES = 64;
const SETTINGS_MS = 60_000;

const EPERM = 1;
const EACCES = 13;
const EINVAL = 22;
const EOPNOTSUPP = 95;

interface Device {
  readonly name: string;
  readonly numbers: readonly { readonly file: DeviceFile; readonly isSpeed: boolean; readonly series: KeptSeries }[];
  readonly texts: Readonly<Record<(typeof TEXTS)[number], DeviceFile>>;
  readonly flags: DeviceFile;
  readonly index: DeviceFile;
  readonly up: KeptSeries;
  info: KeptSeries | undefined;
  /** What `info` was made from. */
  isUp: boolean | undefined;
}

/** Drivers answer so for what a device does not have, or has not while it is down. */
function isUntold(file: DeviceFile): boolean {
  return file.isMissing() || [EPERM, EACCES, EINVAL, EOPNOTSUPP].includes(file.errno);
}

/**
 * class/net/DEVICE below the sysfs root: one small file per attribute. Two native calls read them all; text is looked at only
 * where it has changed.
 */
export const part: NodePart = {
  name: 'netclass',
  enabledByDefault: true,
  families: [UP, INFO, ...ATTRIBUTES.map(({ family }) => family)],
  options: [
    { flag: 'ignored-devices', kind: 'regexp', default: '^$', help: 'devices: leave out those that match' },
    { flag: 'ignore-invalid-speed', kind: 'boolean', default: false, help: 'leave out speeds that the driver does not know' },
  ],
  open(scope) {
    const filter = scope.options.filter('ignored-devices', '');
    const withoutInvalid = scope.options.isOn('ignore-invalid-speed');
    const folder = scope.directory(scope.sys('class/net'));
    const live = new DeviceFiles(scope.readers, scope.monotonicMs);
    const settings = new DeviceFiles(scope.readers, scope.monotonicMs);
    let devices: readonly Device[] = [];
    let settingsDueMs = Number.NEGATIVE_INFINITY;

    const follow = (name: string): Device => {
      const number = (file: string): DeviceFile => {
        const isLive = ATTRIBUTES.some((row) => row.file === file && row.isLive);
        return (isLive ? live : settings).number(`${folder.path}/${name}/${file}`);
      };
      const text = (file: string): DeviceFile => (LIVE_TEXTS.has(file) ? live : settings).text(`${folder.path}/${name}/${file}`);
      return {
        name,
        numbers: ATTRIBUTES.map(({ file, family }) => ({ file: number(file), isSpeed: file === SPEED, series: new KeptSeries(family, [name]) })),
        texts: { address: text('address'), broadcast: text('broadcast'), duplex: text('duplex'), ifalias: text('ifalias'), operstate: text('operstate') },
        flags: number(FLAGS),
        index: number('ifindex'),
        up: new KeptSeries(UP, [name]),
        info: undefined,
        isUp: undefined,
      };
    };
    const rebuild = (): void => {
      // Files such as bonding_masters stand among the links.
      const names = folder.names.filter((name) => filter.keeps(name) && lstatSync(`${folder.path}/${name}`, { throwIfNoEntry: false })?.isFile() === false);
      settings.rebuild(() => live.rebuild(() => (devices = names.map(follow))));
      settingsDueMs = Number.NEGATIVE_INFINITY;
    };
    /** A device made anew under its old name has another number. */
    const isReplaced = (before: readonly number[]): boolean => devices.some(({ index }, i) => index.value !== before[i]);
    const read = (): boolean => {
      const before = devices.map(({ index }) => index.value);
      let hasChanged = live.scan();
      const now = scope.monotonicMs();
      if (devices.length <= FEW_DEVICES || now >= settingsDueMs || isReplaced(before)) {
        if (settings.scan()) hasChanged = true;
        settingsDueMs = now + SETTINGS_MS;
      }
      return hasChanged;
    };
    const describe = (device: Device, isUp: boolean | undefined): KeptSeries => {
      const { address, broadcast, duplex, ifalias, operstate } = device.texts;
      const adminstate = isUp === undefined ? 'unknown' : isUp ? 'up' : 'down';
      return new KeptSeries(INFO, [address.text, adminstate, broadcast.text, device.name, duplex.text, ifalias.text, operstate.text]);
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') rebuild();
        const hasChanged = read();
        let problem: Error | undefined;
        for (const device of devices) {
          const { numbers, texts, flags, up } = device;
          const isUp = flags.errno !== 0 ? undefined : (flags.value & IFF_UP) !== 0;
          if (hasChanged || device.info === undefined || isUp !== device.isUp) {
            device.info = describe(device, isUp);
            device.isUp = isUp;
          }
          for (const name of TEXTS) if (texts[name].errno !== 0 && !isUntold(texts[name])) problem ??= texts[name].problem();
          up.set(sheet, texts.operstate.text === 'up' ? 1 : 0);
          device.info.set(sheet, 1);
          for (const { file, isSpeed, series } of numbers) {
            if (file.errno !== 0) {
              if (!isUntold(file)) problem ??= file.problem();
              continue;
            }
            // What is no number counts as 0, as in the peer.
            const value = Number.isNaN(file.value) ? 0 : file.value;
            if (!isSpeed) series.set(sheet, value);
            else if (value >= 0 || !withoutInvalid) series.set(sheet, value * BYTES_PER_MEGABIT);
          }
        }
        if (problem !== undefined) throw problem;
        return OK;
      },
      close() {
        live.close();
        settings.close();
      },
    };
  },
};
