import { lstatSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { absent, CollectError, OK, type Outcome } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { BoundNumber, EthtoolCalls, ReplaySteps } from '../../../readers/readers.ts';
import type { Directory } from '../directory.ts';
import { type Answer, driverOf, linkSettings, statisticNames, StatisticNumbers } from '../ethtool-command.ts';
import type { Filter } from '../filter.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart, PartReader, PartScope } from '../part.ts';

const INFO = family('node_ethtool_info', 'gauge', 'A network device, with its driver and firmware as labels.', [
  'bus_info',
  'device',
  'driver',
  'expansion_rom_version',
  'firmware_version',
  'version',
]);
const PORT = family('node_network_supported_port_info', 'gauge', 'A kind of port that a device has.', ['device', 'type']);
const AUTONEG = family('node_network_autonegotiate', 'gauge', 'Whether a device agrees on speed and duplex with the other side.', ['device']);

/** What `supported` and `advertised` are said of. */
interface Capabilities {
  readonly speed: Family;
  readonly bits: readonly (readonly [bit: number, family: Family])[];
}

const AUTONEG_BIT = 6;
const PAUSE_BIT = 13;
const ASYMMETRIC_PAUSE_BIT = 14;

function capabilities(which: 'supported' | 'advertised', verb: string): Capabilities {
  const able = (name: string, help: string): Family => family(`node_network_${name}_${which}`, 'gauge', help, ['device']);
  return {
    speed: family(`node_network_${which}_speed_bytes`, 'gauge', `A speed that a device ${verb}, in bytes per second.`, ['device', 'duplex', 'mode']),
    bits: [
      [AUTONEG_BIT, able('autonegotiate', `Whether a device ${verb} autonegotiation.`)],
      [PAUSE_BIT, able('pause', `Whether a device ${verb} pause frames.`)],
      [ASYMMETRIC_PAUSE_BIT, able('asymmetricpause', `Whether a device ${verb} pause frames in one direction.`)],
    ],
  };
}

const SUPPORTED = capabilities('supported', 'supports');
const ADVERTISED = capabilities('advertised', 'offers');

/** By bit of ethtool_link_mode_bit_indices. */
const PORTS: readonly (readonly [bit: number, type: string])[] = [
  [7, 'TP'],
  [8, 'AUI'],
  [9, 'MII'],
  [10, 'FIBRE'],
  [11, 'BNC'],
  [16, 'Backplane'],
];
/** Speeds of the first 32 bits, which is all that ETHTOOL_GSET tells; 15 (2500baseX) is left out, as in the peer. */
const SPEEDS: readonly (readonly [bit: number, megabits: number, duplex: string, medium: string])[] = [
  [0, 10, 'half', 'T'],
  [1, 10, 'full', 'T'],
  [2, 100, 'half', 'T'],
  [3, 100, 'full', 'T'],
  [4, 1000, 'half', 'T'],
  [5, 1000, 'full', 'T'],
  [12, 10_000, 'full', 'T'],
  [17, 1000, 'full', 'KX'],
  [18, 10_000, 'full', 'KX4'],
  [19, 10_000, 'full', 'KR'],
  [20, 10_000, 'full', 'R_FEC'],
  [21, 20_000, 'full', 'MLD2'],
  [22, 20_000, 'full', 'KR2'],
  [23, 40_000, 'full', 'KR4'],
  [24, 40_000, 'full', 'CR4'],
  [25, 40_000, 'full', 'SR4'],
  [26, 40_000, 'full', 'LR4'],
  [27, 56_000, 'full', 'KR4'],
  [28, 56_000, 'full', 'CR4'],
  [29, 56_000, 'full', 'SR4'],
  [30, 56_000, 'full', 'LR4'],
  [31, 25_000, 'full', 'CR'],
];
const BYTES_PER_MEGABIT = 125_000;

/** Statistics whose families have names of their own. */
const NAMED: ReadonlyMap<string, Family> = new Map(
  (
    [
      ['rx_bytes', 'received_bytes', 'Bytes that the driver has received.'],
      ['rx_dropped', 'received_dropped', 'Packets that the driver has received and dropped.'],
      ['rx_errors', 'received_errors', 'Damaged packets that the driver has received.'],
      ['rx_packets', 'received_packets', 'Packets that the driver has received.'],
      ['tx_bytes', 'transmitted_bytes', 'Bytes that the driver has sent.'],
      ['tx_errors', 'transmitted_errors', 'Packets that the driver could not send.'],
      ['tx_packets', 'transmitted_packets', 'Packets that the driver has sent.'],
    ] as const
  ).map(([name, suffix, help]) => [name, family(`node_ethtool_${suffix}_total`, 'untyped', help, ['device'])]),
);

/** How long settings, drivers and names of statistics are believed, milliseconds: some drivers ask the hardware for them. */
const SETTINGS_MS = 60_000;
const ENODEV = 19;
const EOPNOTSUPP = 95;

/** A name as far as it may stand in a family's: what must not be there is one underscore, blanks and all. */
export function sanitized(name: string): string {
  return name.replace(/_*[^0-9A-Za-z_]+_*/g, '_');
}

/** `rx0_bytes` stays, `[3]: tx_bytes` is 3_transmitted_bytes. '' for a name of which nothing is left. */
export function statisticSuffix(name: string): string {
  return sanitized(name)
    .toLowerCase()
    .replace(/^_+/, '')
    .replace(/(^|_)rx(_|$)/g, '$1received$2')
    .replace(/(^|_)tx(_|$)/g, '$1transmitted$2');
}

/** Families of a device's statistics by position; of names that come to the same family none is kept, since no one is the right one. */
export function statisticFamilies(names: readonly string[], filter: Pick<Filter, 'keeps'>): Map<number, Family> {
  const bySuffix = new Map<string, { position: number; family: Family } | undefined>();
  // Of equal names the last counts.
  for (const [name, position] of new Map(names.map((name, i) => [name, i]))) {
    if (name === '' || !filter.keeps(sanitized(name))) continue;
    const suffix = statisticSuffix(name);
    // Nothing is left of the name, or it is that of the info series.
    if (suffix === '' || suffix === 'info') continue;
    const made = NAMED.get(sanitized(name)) ?? family(`node_ethtool_${suffix}`, 'untyped', `Statistic ${suffix} of the driver.`, ['device']);
    bySuffix.set(suffix, bySuffix.has(suffix) ? undefined : { position, family: made });
  }
  return new Map([...bySuffix.values()].flatMap((kept) => (kept === undefined ? [] : [[kept.position, kept.family] as const])));
}

interface Device {
  readonly name: string;
  /** Series whose values stay until the settings are looked at again. */
  readonly constants: readonly (readonly [series: KeptSeries, value: number])[];
  /** Undefined for a driver without statistics. */
  readonly numbers: StatisticNumbers | undefined;
  readonly statistics: readonly (readonly [series: KeptSeries, position: number])[];
}

function linkSeries(device: string, { speed, bits }: Capabilities, modes: number): (readonly [KeptSeries, number])[] {
  const has = (bit: number): boolean => ((modes >>> bit) & 1) === 1;
  return [
    ...SPEEDS.filter(([bit]) => has(bit)).map(
      ([, megabits, duplex, medium]) => [new KeptSeries(speed, [device, duplex, `${megabits}base${medium}`]), megabits * BYTES_PER_MEGABIT] as const,
    ),
    ...bits.map(([bit, of]) => [new KeptSeries(of, [device]), has(bit) ? 1 : 0] as const),
  ];
}

/** A network device per name in class/net below the sysfs root, asked by ioctl(2) in this network namespace. */
class EthtoolDevices implements PartReader {
  readonly #scope: PartScope;
  readonly #calls: EthtoolCalls;
  readonly #folder: Directory;
  readonly #deviceFilter: Filter;
  readonly #statisticFilter: Filter;
  #devices: readonly Device[] = [];
  #lookAgainMs = Number.NEGATIVE_INFINITY;
  /** What was said last, by device. */
  readonly #told = new Map<string, string>();

  constructor(scope: PartScope, calls: EthtoolCalls) {
    this.#scope = scope;
    this.#calls = calls;
    this.#folder = scope.directory(scope.sys('class/net'));
    this.#deviceFilter = scope.options.filter('device-exclude', 'device-include');
    this.#statisticFilter = scope.options.filter('', 'metrics-include');
  }

  collect(sheet: Sheet): Outcome {
    const scan = this.#folder.scan();
    if (scan === 'absent') return this.#scope.missing(this.#folder);
    const now = this.#scope.monotonicMs();
    if (scan === 'changed' || now >= this.#lookAgainMs) {
      const names = this.#names();
      if (names.length === 0) throw new CollectError('read', this.#folder.path, 'no network devices in it');
      this.#devices = names.filter((name) => this.#deviceFilter.keeps(name)).map((name) => this.#follow(name));
      this.#lookAgainMs = now + SETTINGS_MS;
    }
    for (const device of this.#devices) this.#show(device, sheet);
    return OK;
  }

  replay(sheet: Sheet, steps: ReplaySteps): void {
    this.#folder.replay(steps);
    steps.until(this.#lookAgainMs);
    for (const { numbers, statistics } of this.#devices) {
      const bounds = statistics.map(([series, at]): BoundNumber => ({ at, slot: series.slotIn(sheet) }));
      numbers?.replay(this.#calls, steps, bounds);
    }
  }

  close(): void {
    this.#calls.close();
  }

  /** Files such as bonding_masters stand among the links. */
  #names(): string[] {
    return this.#folder.names.filter((name) => lstatSync(`${this.#folder.path}/${name}`, { throwIfNoEntry: false })?.isFile() === false);
  }

  #follow(name: string): Device {
    const link = linkSettings(this.#calls, name);
    const driver = driverOf(this.#calls, name);
    const constants: (readonly [KeptSeries, number])[] = [];
    if (this.#isThere(name, 'link settings', link)) {
      constants.push(...linkSeries(name, SUPPORTED, link.supported), ...linkSeries(name, ADVERTISED, link.advertised));
      for (const [bit, type] of PORTS) if (((link.supported >>> bit) & 1) === 1) constants.push([new KeptSeries(PORT, [name, type]), 1]);
      constants.push([new KeptSeries(AUTONEG, [name]), link.autoneg]);
    }
    if (!this.#isThere(name, 'driver', driver)) return { name, constants, numbers: undefined, statistics: [] };
    constants.push([new KeptSeries(INFO, [driver.bus, name, driver.driver, driver.rom, driver.firmware, driver.version]), 1]);
    const names = statisticNames(this.#calls, name, driver.statistics);
    if (!this.#isThere(name, 'names of statistics', names) || names.length === 0) return { name, constants, numbers: undefined, statistics: [] };
    const families = statisticFamilies(names, this.#statisticFilter);
    return {
      name,
      constants,
      numbers: new StatisticNumbers(name, names.length),
      statistics: [...families].map(([position, of]) => [new KeptSeries(of, [name]), position] as const),
    };
  }

  #show(known: Device, sheet: Sheet): void {
    let device = known;
    let error = this.#read(device);
    if (error === -1) {
      // Queues were added or taken away: other names. Only this device is looked at again.
      device = this.#follow(known.name);
      this.#devices = this.#devices.map((other) => (other === known ? device : other));
      error = this.#read(device);
    }
    const { numbers, statistics } = device;
    // A device that has just gone has no series at all.
    if (error === ENODEV) return;
    for (const [series, value] of device.constants) series.set(sheet, value);
    if (error === 0 && numbers !== undefined) for (const [series, position] of statistics) series.set(sheet, numbers.value(position));
    else if (error > 0) this.#tell(device.name, 'statistics', error);
  }

  #read({ numbers }: Device): number {
    return numbers === undefined ? EOPNOTSUPP : numbers.read(this.#calls);
  }

  #isThere<T extends object>(device: string, what: string, answer: Answer<T>): answer is T {
    if (typeof answer === 'number') this.#tell(device, what, answer);
    return typeof answer === 'object';
  }

  /** Says once what failed otherwise than by not being there; the part goes on, as in the peer. */
  #tell(device: string, what: string, errno: number): void {
    if (errno === EOPNOTSUPP || errno === ENODEV) return;
    const text = `${what}: ${getSystemErrorName(-errno)}`;
    if (this.#told.get(device) !== text) this.#scope.warn(`ethtool ${device}: ${text}`);
    this.#told.set(device, text);
  }
}

/**
 * What drivers of network devices say by SIOCETHTOOL (include/uapi/linux/ethtool.h): settings of the link, the driver, and its
 * statistics, whose names are the driver's own.
 */
export const part: NodePart = {
  name: 'ethtool',
  enabledByDefault: false,
  families: [INFO, PORT, AUTONEG, ...[SUPPORTED, ADVERTISED].flatMap(({ speed, bits }) => [speed, ...bits.map(([, family]) => family)]), ...NAMED.values()],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match' },
    { flag: 'metrics-include', kind: 'regexp', default: '.*', help: 'statistics: only those that match, by the name that the driver gives them' },
  ],
  open(scope) {
    const calls = scope.readers.ethtool();
    if (calls === undefined) return { collect: () => absent('the native readers are not built: node has no ioctl(2)') };
    return new EthtoolDevices(scope, calls);
  },
};
