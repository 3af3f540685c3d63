import { OK, type Outcome } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import type { Family } from '../../../model/family.ts';
import type { ReplaySteps, Token } from '../../../readers/readers.ts';
import { readAttribute } from '../attribute.ts';
import type { Attribute, AttributeSet } from '../attribute-set.ts';
import type { BoundSource, SeriesLayout } from '../bound-source.ts';
import type { Filter } from '../filter.ts';
import { ADDRESS, InterfaceAddresses } from '../interface-addresses.ts';
import { LINK_STATISTICS, type LinkStatistic, networkCounter } from '../link-statistics.ts';
import type { NodePart, PartReader, PartScope } from '../part.ts';

/** A column of net/dev; `detailed` where the option enable-detailed-metrics gives it another name. */
interface Column {
  readonly family: Family;
  readonly detailed?: Family;
}

/** The family of a column that is a field of the structure as well. */
function shared(name: string): Family {
  const found = LINK_STATISTICS.find(({ family }) => family.name === `node_network_${name}_total`);
  if (found === undefined) throw new Error(`the kernel has no counter ${name}`);
  return found.family;
}

const COLUMNS: readonly Column[] = [
  { family: shared('receive_bytes') },
  { family: shared('receive_packets') },
  { family: networkCounter('receive_errs', 'Packets that arrived damaged.'), detailed: shared('receive_errors') },
  {
    family: networkCounter('receive_drop', 'Packets that arrived and were dropped, by the kernel or for want of room in the device.'),
    detailed: shared('receive_dropped'),
  },
  { family: networkCounter('receive_fifo', 'Packets lost because the receive queue was full.') },
  { family: networkCounter('receive_frame', 'Packets with a wrong length, frame or checksum.') },
  { family: shared('receive_compressed') },
  { family: networkCounter('receive_multicast', 'Multicast packets received.') },
  { family: shared('transmit_bytes') },
  { family: shared('transmit_packets') },
  { family: networkCounter('transmit_errs', 'Packets that could not be sent.'), detailed: shared('transmit_errors') },
  {
    family: networkCounter('transmit_drop', 'Packets dropped before they were sent.'),
    detailed: shared('transmit_dropped'),
  },
  { family: networkCounter('transmit_fifo', 'Packets lost because the send queue was full.') },
  { family: networkCounter('transmit_colls', 'Collisions while sending.') },
  { family: networkCounter('transmit_carrier', 'Packets lost to carrier, heartbeat or window errors, or aborted.') },
  { family: shared('transmit_compressed') },
];

/** What net/dev lacks of what netlink has. */
const NO_HANDLER: readonly LinkStatistic[] = LINK_STATISTICS.filter(({ file }) => file === 'rx_nohandler');

/** What the options ask for. */
interface Wanted {
  readonly isDetailed: boolean;
  readonly isNetlink: boolean;
}

/** Families that stand for the columns of net/dev; none where sysfs has the same counters, and finer ones. */
function columnFamilies({ isDetailed, isNetlink }: Wanted): readonly Family[] {
  if (isDetailed && isNetlink) return [];
  return COLUMNS.map(({ family, detailed }) => (isDetailed ? (detailed ?? family) : family));
}

function statistics({ isDetailed, isNetlink }: Wanted): readonly LinkStatistic[] {
  if (!isNetlink) return [];
  return isDetailed ? LINK_STATISTICS : NO_HANDLER;
}

/** Names of the families that are printed: netclass leaves them to this part. */
export function netdevFamilies(wanted: Wanted): ReadonlySet<string> {
  return new Set([...columnFamilies(wanted), ...statistics(wanted).map(({ family }) => family)].map(({ name }) => name));
}

/** How long aliases are believed, milliseconds: nothing tells of their change. */
const ALIAS_MS = 60_000;

class NetDevices implements PartReader {
  readonly #scope: PartScope;
  readonly #filter: Filter;
  readonly #columns: readonly Family[];
  readonly #wanted: readonly LinkStatistic[];
  readonly #withAlias: boolean;
  readonly #addresses: InterfaceAddresses | undefined;
  readonly #table: BoundSource;
  readonly #statistics: AttributeSet;
  #readAliasesMs = 0;

  constructor(scope: PartScope) {
    const { options } = scope;
    this.#scope = scope;
    this.#filter = options.filter('device-exclude', 'device-include');
    const wanted = { isNetlink: options.isOn('netlink'), isDetailed: options.isOn('enable-detailed-metrics') };
    this.#columns = columnFamilies(wanted);
    this.#wanted = statistics(wanted);
    this.#withAlias = options.isOn('label-ifalias');
    this.#addresses = options.isOn('address-info') ? new InterfaceAddresses(scope.readers, this.#filter) : undefined;
    this.#statistics = scope.attributes();
    this.#table = scope.bound(scope.proc('net/dev'), { keys: 1, delimiters: ':|' }, (rows, series) => this.#lay(rows, series));
  }

  collect(sheet: Sheet): Outcome {
    if (this.#withAlias && this.#scope.monotonicMs() >= this.#readAliasesMs + ALIAS_MS) this.#table.forget();
    if (!this.#table.collect(sheet)) return this.#scope.missing(this.#table);
    this.#statistics.collect(sheet);
    if (this.#addresses?.collect(sheet) === false) {
      this.#scope.warn('netdev: the native readers are not built and node has no netlink sockets; addresses are left out');
    }
    return OK;
  }

  replay(_: Sheet, steps: ReplaySteps): void {
    if (this.#withAlias) steps.until(this.#readAliasesMs + ALIAS_MS);
    this.#table.replay(steps);
    this.#statistics.replay(steps);
  }

  close(): void {
    this.#table.close();
    this.#statistics.close();
  }

  #lay(rows: Token[][], series: SeriesLayout): void {
    if (rows.length < 2) throw series.problem(rows.length, 'two lines of headings');
    this.#readAliasesMs = this.#scope.monotonicMs();
    const attributes: Attribute[] = [];
    for (const [line, words] of rows.entries()) {
      if (line < 2) continue;
      const first = words.length - COLUMNS.length;
      if (first < 1) throw series.problem(line, `a name and ${COLUMNS.length} numbers`);
      // Names of former kernels' aliases hold a colon, eth0:1.
      const device = words
        .slice(0, first)
        .map(({ text }) => text)
        .join(':');
      if (!this.#filter.keeps(device)) continue;
      const alias = this.#aliasOf(device);
      const numbers = words.slice(first);
      for (const [i, plain] of this.#columns.entries()) {
        const { family, labels } = named(plain, device, alias);
        series.number(line, numbers[i], family, labels);
      }
      for (const { file, family } of this.#wanted) {
        attributes.push({ path: this.#scope.sys(`class/net/${device}/statistics/${file}`), ...named(family, device, alias) });
      }
    }
    this.#statistics.follow(attributes);
  }

  /** Undefined when the label is not wanted, or sysfs does not know the device: as in the peer it then has no such label. */
  #aliasOf(device: string): string | undefined {
    if (!this.#withAlias) return undefined;
    const attribute = (file: string): string | undefined => readAttribute(this.#scope.sys(`class/net/${device}/${file}`));
    return attribute('ifalias') ?? (attribute('ifindex') === undefined ? undefined : '');
  }
}

function named(plain: Family, device: string, alias: string | undefined): Pick<Attribute, 'family' | 'labels'> {
  if (alias === undefined) return { family: plain, labels: [device] };
  return { family: { ...plain, labels: ['device', 'ifalias'] }, labels: [device, alias] };
}

/**
 * net/dev below the procfs root (there a link to self/net: the network namespace of this process):
 * `  eth0: 306903636    8818    0    0 ...`, sixteen numbers. The kernel sums the finer counters that netlink has into these
 * columns (net/core/net-procfs.c) as the peer does; what is not among them comes from sysfs.
 */
export const part: NodePart = {
  name: 'netdev',
  enabledByDefault: true,
  families: [
    ...new Set([
      ...COLUMNS.flatMap(({ family, detailed }) => (detailed === undefined ? [family] : [family, detailed])),
      ...LINK_STATISTICS.map(({ family }) => family),
      ADDRESS,
    ]),
  ],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match', excludes: 'device-exclude' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match', excludes: 'device-include' },
    { flag: 'netlink', kind: 'boolean', default: true, help: 'print counters that net/dev does not have; they come from sysfs' },
    { flag: 'enable-detailed-metrics', kind: 'boolean', default: false, help: 'one family per kernel counter, under other names' },
    { flag: 'address-info', kind: 'boolean', default: false, help: 'print the addresses of each device' },
    { flag: 'label-ifalias', kind: 'boolean', default: false, help: 'add the alias of a device as a label' },
  ],
  open(scope) {
    const devices = new NetDevices(scope);
    // Addresses are asked for in each run: such runs cannot be replayed.
    return scope.options.isOn('address-info') ? { collect: (sheet) => devices.collect(sheet), close: () => devices.close() } : devices;
  },
};
