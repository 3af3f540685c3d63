import { OK, type Outcome } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { type Family, family } from '../../model/family.ts';
import { type DeviceFile, DeviceFiles } from './device-files.ts';
import type { Filter } from './filter.ts';
import { KeptSeries } from './kept-series.ts';
import { type LinkMode, LinkModes } from './link-modes.ts';
import { LINK_STATISTICS, type LinkStatistic } from './link-statistics.ts';
import { hardwareAddress, NETLINK_ROUTE } from './links.ts';
import { ATTRIBUTES, BYTES_PER_MEGABIT, INFO, isUntold, SPEED, UP } from './net-attributes.ts';
import { attribute, attributesIn, dumpRequest, payloads, textOf, u16, u32, u32Bytes, u64 } from './netlink.ts';
import type { PartReader, PartScope } from './part.ts';

/** Netlink does not tell apart what the administrator wants from what is. */
const LINK_INFO: Family = { ...INFO, labels: INFO.labels.filter((label) => label !== 'adminstate') };
export const ALTERNATIVE_NAME = family('node_network_altnames_info', 'gauge', 'Another name of a network device.', ['altname', 'device']);

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
/** struct ifinfomsg: family, type, number, flags, mask. */
const MESSAGE_BYTES = 16;
const TYPE_AT = 2;
const INDEX_AT = 4;
const FLAGS_AT = 8;
const IFLA = {
  address: 1,
  broadcast: 2,
  name: 3,
  mtu: 4,
  link: 5,
  queueLength: 13,
  operstate: 16,
  linkMode: 17,
  alias: 20,
  statistics: 23,
  group: 27,
  extensions: 29,
  carrier: 33,
  carrierChanges: 35,
  properties: 52,
  alternativeName: 53,
  carrierUp: 47,
  carrierDown: 48,
} as const;
/** Bit of IFLA_EXT_MASK: the counters are not wanted. */
const SKIP_STATISTICS = 8;
const OPERSTATES = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'];
const OPERSTATE_DORMANT = 5;
const OPERSTATE_UP = 6;
/** By the value of ETHTOOL_A_LINKMODES_DUPLEX, as the peer spells it. */
const DUPLEXES: ReadonlyMap<number, string> = new Map([
  [0, 'Half'],
  [1, 'Full'],
  [255, 'Unknown'],
]);

/** What netlink does not tell; these files take no lock that others wait for. */
const FILES = ['addr_assign_type', 'dev_id', 'name_assign_type'];

/** What a message says of a link. Numbers by the sysfs attribute that has the same; those that it does not say are missing. */
interface Link {
  readonly name: string;
  readonly isUp: boolean;
  readonly address: string;
  readonly broadcast: string;
  readonly alias: string;
  readonly operstate: string;
  readonly alternativeNames: readonly string[];
  readonly numbers: ReadonlyMap<string, number>;
  /** struct rtnl_link_stats64, which is shorter on older kernels. */
  readonly statistics: Buffer | undefined;
}

function number8(bytes: Buffer | undefined): number | undefined {
  return bytes?.[0];
}

function number32(bytes: Buffer | undefined): number | undefined {
  return bytes === undefined || bytes.length < 4 ? undefined : u32(bytes, 0);
}

function linkOf(message: Buffer): Link {
  const attributes = new Map(attributesIn(message.subarray(MESSAGE_BYTES)));
  const operstate = number8(attributes.get(IFLA.operstate)) ?? 0;
  const index = u32(message, INDEX_AT);
  const numbers = new Map<string, number>();
  const add = (file: string, value: number | undefined): void => {
    if (value !== undefined) numbers.set(file, value);
  };
  add('carrier', number8(attributes.get(IFLA.carrier)));
  add('carrier_changes', number32(attributes.get(IFLA.carrierChanges)));
  add('carrier_up_count', number32(attributes.get(IFLA.carrierUp)));
  add('carrier_down_count', number32(attributes.get(IFLA.carrierDown)));
  add('dormant', operstate === OPERSTATE_DORMANT ? 1 : 0);
  add('flags', u32(message, FLAGS_AT));
  add('ifindex', index);
  // Left out by the kernel where a device is stacked on none.
  add('iflink', number32(attributes.get(IFLA.link)) || index);
  add('link_mode', number8(attributes.get(IFLA.linkMode)));
  add('mtu', number32(attributes.get(IFLA.mtu)) ?? 0);
  add('netdev_group', number32(attributes.get(IFLA.group)));
  add('tx_queue_len', number32(attributes.get(IFLA.queueLength)));
  add('type', u16(message, TYPE_AT));
  return {
    name: textOf(attributes.get(IFLA.name)),
    isUp: operstate === OPERSTATE_UP,
    address: hardwareAddress(attributes.get(IFLA.address)),
    broadcast: hardwareAddress(attributes.get(IFLA.broadcast)),
    alias: textOf(attributes.get(IFLA.alias)),
    operstate: OPERSTATES[operstate] ?? 'unknown',
    alternativeNames: [...attributesIn(attributes.get(IFLA.properties) ?? Buffer.alloc(0))]
      .filter(([type]) => type === IFLA.alternativeName)
      .map(([, name]) => textOf(name))
      .filter((name) => name !== ''),
    numbers,
    statistics: attributes.get(IFLA.statistics),
  };
}

/** A device and its series; made anew when a device comes or goes. */
interface Device {
  readonly name: string;
  readonly files: ReadonlyMap<string, DeviceFile>;
  readonly up: KeptSeries;
  readonly numbers: readonly (readonly [file: string, series: KeptSeries])[];
  readonly speed: KeptSeries;
  readonly statistics: readonly (readonly [field: number, series: KeptSeries])[];
}

/** Network devices as rtnetlink(7) and ethtool's netlink family tell of them: two questions instead of files for each device. */
export class NetclassNetlink implements PartReader {
  readonly #scope: PartScope;
  readonly #filter: Filter;
  readonly #statistics: readonly LinkStatistic[];
  readonly #question: Buffer;
  readonly #modes: LinkModes;
  readonly #files: DeviceFiles;
  /** Answers of equal bytes say the same. */
  #answer: Buffer | undefined;
  #links: readonly Link[] = [];
  #devices = new Map<string, Device>();

  /** @param statistics counters to print besides */
  constructor(scope: PartScope, filter: Filter, statistics: readonly LinkStatistic[]) {
    this.#scope = scope;
    this.#filter = filter;
    this.#statistics = statistics;
    const wanted = statistics.length === 0 ? attribute(IFLA.extensions, u32Bytes(SKIP_STATISTICS)) : Buffer.alloc(0);
    this.#question = dumpRequest(RTM_GETLINK, Buffer.concat([Buffer.alloc(MESSAGE_BYTES), wanted]));
    this.#modes = new LinkModes(scope.readers);
    this.#files = new DeviceFiles(scope.readers, scope.monotonicMs);
  }

  collect(sheet: Sheet): Outcome {
    const modes = this.#modes.read();
    this.#ask();
    this.#files.scan();
    let problem: Error | undefined;
    for (const link of this.#links) {
      const device = this.#devices.get(link.name);
      if (device === undefined) continue;
      this.#show(link, device, modes?.get(link.name), sheet);
      for (const file of device.files.values()) if (file.errno !== 0 && !isUntold(file)) problem ??= file.problem();
    }
    if (problem !== undefined) throw problem;
    return OK;
  }

  close(): void {
    this.#files.close();
  }

  #ask(): void {
    const answer = this.#scope.readers.netlink(NETLINK_ROUTE, this.#question) ?? Buffer.alloc(0);
    if (this.#answer?.equals(answer) === true) return;
    this.#answer = undefined;
    const links: Link[] = [];
    for (const message of payloads(answer, RTM_NEWLINK, MESSAGE_BYTES)) {
      const link = linkOf(message);
      if (link.name !== '' && this.#filter.keeps(link.name)) links.push(link);
    }
    const isSame = links.length === this.#devices.size && links.every(({ name }) => this.#devices.has(name));
    if (!isSame) this.#devices = this.#files.rebuild(() => new Map(links.map(({ name }) => [name, this.#follow(name)])));
    this.#links = links;
    this.#answer = answer;
  }

  #follow(name: string): Device {
    const files = new Map(FILES.map((file) => [file, this.#files.number(this.#scope.sys(`class/net/${name}/${file}`))]));
    const plain = ATTRIBUTES.filter(({ file }) => file !== SPEED);
    const speed = ATTRIBUTES.find(({ file }) => file === SPEED)?.family ?? UP;
    return {
      name,
      files,
      up: new KeptSeries(UP, [name]),
      numbers: plain.map(({ file, family }) => [file, new KeptSeries(family, [name])] as const),
      speed: new KeptSeries(speed, [name]),
      statistics: this.#statistics.map(({ field, family }) => [field, new KeptSeries(family, [name])] as const),
    };
  }

  #show(link: Link, device: Device, mode: LinkMode | undefined, sheet: Sheet): void {
    const duplex = mode === undefined ? '' : (DUPLEXES.get(mode.duplex) ?? `Duplex(${mode.duplex})`);
    // Labels in wire order: address, broadcast, device, duplex, ifalias, operstate.
    sheet.sample(LINK_INFO, [link.address, link.broadcast, link.name, duplex, link.alias, link.operstate], 1);
    for (const name of link.alternativeNames) sheet.sample(ALTERNATIVE_NAME, [name, link.name], 1);
    device.up.set(sheet, link.isUp ? 1 : 0);
    if (mode?.megabits !== undefined) device.speed.set(sheet, mode.megabits * BYTES_PER_MEGABIT);
    for (const [file, series] of device.numbers) {
      const value = link.numbers.get(file) ?? numberIn(device.files.get(file));
      if (value !== undefined) series.set(sheet, value);
    }
    const { statistics } = link;
    if (statistics === undefined) return;
    for (const [field, series] of device.statistics) series.set(sheet, statistics.length >= 8 * field + 8 ? u64(statistics, 8 * field) : 0);
  }
}

/** What is no number counts as 0, as in the peer. */
function numberIn(file: DeviceFile | undefined): number | undefined {
  if (file === undefined || file.errno !== 0) return undefined;
  return Number.isNaN(file.value) ? 0 : file.value;
}

/** What may be printed besides with the option rtnl-with-stats. */
export const NETLINK_FAMILIES: readonly Family[] = [ALTERNATIVE_NAME, ...LINK_STATISTICS.map(({ family }) => family)];
