import { OK, type Outcome } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { ReplaySteps, Token } from '../../../readers/readers.ts';
import { readAttribute } from '../attribute.ts';
import type { Attribute, AttributeSet } from '../attribute-set.ts';
import type { BoundSource, SeriesLayout } from '../bound-source.ts';
import type { Filter } from '../filter.ts';
import type { NodePart, PartReader, PartScope } from '../part.ts';

function counter(name: string, help: string): Family {
  return family(`node_network_${name}_total`, 'counter', help, ['device']);
}

/** A column of net/dev; `detailed` where the option enable-detailed-metrics gives it another name. */
interface Column {
  readonly family: Family;
  readonly detailed?: Family;
}

const COLUMNS: readonly Column[] = [
  { family: counter('receive_bytes', 'Bytes received.') },
  { family: counter('receive_packets', 'Packets received.') },
  { family: counter('receive_errs', 'Packets that arrived damaged.'), detailed: counter('receive_errors', 'Packets that arrived damaged.') },
  {
    family: counter('receive_drop', 'Packets that arrived and were dropped, by the kernel or for want of room in the device.'),
    detailed: counter('receive_dropped', 'Packets that arrived and were dropped by the kernel.'),
  },
  { family: counter('receive_fifo', 'Packets lost because the receive queue was full.') },
  { family: counter('receive_frame', 'Packets with a wrong length, frame or checksum.') },
  { family: counter('receive_compressed', 'Compressed packets received.') },
  { family: counter('receive_multicast', 'Multicast packets received.') },
  { family: counter('transmit_bytes', 'Bytes sent.') },
  { family: counter('transmit_packets', 'Packets sent.') },
  { family: counter('transmit_errs', 'Packets that could not be sent.'), detailed: counter('transmit_errors', 'Packets that could not be sent.') },
  {
    family: counter('transmit_drop', 'Packets dropped before they were sent.'),
    detailed: counter('transmit_dropped', 'Packets dropped before they were sent.'),
  },
  { family: counter('transmit_fifo', 'Packets lost because the send queue was full.') },
  { family: counter('transmit_colls', 'Collisions while sending.') },
  { family: counter('transmit_carrier', 'Packets lost to carrier, heartbeat or window errors, or aborted.') },
  { family: counter('transmit_compressed', 'Compressed packets sent.') },
];

/** A file below <sysfs>/class/net/DEVICE/statistics: the fields of struct rtnl_link_stats64, which is what netlink brings. */
interface Statistic {
  readonly file: string;
  readonly family: Family;
}

const NO_HANDLER: Statistic = { file: 'rx_nohandler', family: counter('receive_nohandler', 'Packets received that nobody in the kernel wanted.') };

function columnFamily(name: string): Family {
  const found = COLUMNS.map(({ family, detailed }) => detailed ?? family).find((row) => row.name === `node_network_${name}_total`);
  if (found === undefined) throw new Error(`net/dev has no column ${name}`);
  return found;
}

const STATISTICS: readonly Statistic[] = [
  NO_HANDLER,
  { file: 'rx_bytes', family: columnFamily('receive_bytes') },
  { file: 'rx_packets', family: columnFamily('receive_packets') },
  { file: 'rx_errors', family: columnFamily('receive_errors') },
  { file: 'rx_dropped', family: columnFamily('receive_dropped') },
  { file: 'rx_compressed', family: columnFamily('receive_compressed') },
  { file: 'tx_bytes', family: columnFamily('transmit_bytes') },
  { file: 'tx_packets', family: columnFamily('transmit_packets') },
  { file: 'tx_errors', family: columnFamily('transmit_errors') },
  { file: 'tx_dropped', family: columnFamily('transmit_dropped') },
  { file: 'tx_compressed', family: columnFamily('transmit_compressed') },
  { file: 'multicast', family: counter('multicast', 'Multicast packets received, as the device counts them.') },
  { file: 'collisions', family: counter('collisions', 'Collisions while sending, as the device counts them.') },
  { file: 'rx_length_errors', family: counter('receive_length_errors', 'Packets received with a wrong length.') },
  { file: 'rx_over_errors', family: counter('receive_over_errors', 'Packets received that did not fit a buffer.') },
  { file: 'rx_crc_errors', family: counter('receive_crc_errors', 'Packets received with a wrong checksum.') },
  { file: 'rx_frame_errors', family: counter('receive_frame_errors', 'Packets received with a wrong frame.') },
  { file: 'rx_fifo_errors', family: counter('receive_fifo_errors', 'Packets lost because a receive queue was full.') },
  { file: 'rx_missed_errors', family: counter('receive_missed_errors', 'Packets lost for want of room in the device.') },
  { file: 'tx_aborted_errors', family: counter('transmit_aborted_errors', 'Packets whose sending was broken off.') },
  { file: 'tx_carrier_errors', family: counter('transmit_carrier_errors', 'Packets lost because the carrier was.') },
  { file: 'tx_fifo_errors', family: counter('transmit_fifo_errors', 'Packets lost because a send queue was full.') },
  { file: 'tx_heartbeat_errors', family: counter('transmit_heartbeat_errors', 'Packets after which the heartbeat was missing.') },
  { file: 'tx_window_errors', family: counter('transmit_window_errors', 'Packets that collided too late.') },
];

/** How long aliases are believed, milliseconds: nothing tells of their change. */
const ALIAS_MS = 60_000;

class NetDevices implements PartReader {
  readonly #scope: PartScope;
  readonly #filter: Filter;
  readonly #isNetlink: boolean;
  readonly #isDetailed: boolean;
  readonly #withAlias: boolean;
  readonly #table: BoundSource;
  readonly #statistics: AttributeSet;
  #readAliasesMs = 0;

  constructor(scope: PartScope) {
    const { options } = scope;
    this.#scope = scope;
    this.#filter = options.filter('device-exclude', 'device-include');
    this.#isNetlink = options.isOn('netlink');
    this.#isDetailed = options.isOn('enable-detailed-metrics');
    this.#withAlias = options.isOn('label-ifalias');
    this.#statistics = scope.attributes();
    this.#table = scope.bound(scope.proc('net/dev'), { keys: 1, delimiters: ':|' }, (rows, series) => this.#lay(rows, series));
  }

  collect(sheet: Sheet): Outcome {
    if (this.#withAlias && this.#scope.monotonicMs() >= this.#readAliasesMs + ALIAS_MS) this.#table.forget();
    if (!this.#table.collect(sheet)) return this.#scope.missing(this.#table);
    this.#statistics.collect(sheet);
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
      // The counters of both sources would be the same; those of sysfs are the finer ones.
      if (!this.#isDetailed || !this.#isNetlink) this.#layColumns(series, line, words.slice(first), device, alias);
      for (const { file, family } of this.#wanted()) {
        attributes.push({ path: this.#scope.sys(`class/net/${device}/statistics/${file}`), ...named(family, device, alias) });
      }
    }
    this.#statistics.follow(attributes);
  }

  #layColumns(series: SeriesLayout, line: number, numbers: readonly Token[], device: string, alias: string | undefined): void {
    for (const [i, { family: usual, detailed }] of COLUMNS.entries()) {
      const { family, labels } = named(this.#isDetailed ? (detailed ?? usual) : usual, device, alias);
      series.number(line, numbers[i], family, labels);
    }
  }

  #wanted(): readonly Statistic[] {
    if (!this.#isNetlink) return [];
    return this.#isDetailed ? STATISTICS : [NO_HANDLER];
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
      ...STATISTICS.map(({ family }) => family),
    ]),
  ],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match', excludes: 'device-exclude' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match', excludes: 'device-include' },
    { flag: 'netlink', kind: 'boolean', default: true, help: 'print counters that net/dev does not have; they come from sysfs' },
    { flag: 'enable-detailed-metrics', kind: 'boolean', default: false, help: 'one family per kernel counter, under other names' },
    { flag: 'label-ifalias', kind: 'boolean', default: false, help: 'add the alias of a device as a label' },
  ],
  open: (scope) => new NetDevices(scope),
};
