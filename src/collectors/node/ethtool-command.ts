import { endianness } from 'node:os';
import type { BoundNumber, EthtoolCalls, ReplaySteps } from '../../readers/readers.ts';
import { textOf, u32, u32Bytes } from './netlink.ts';

/**
 * Commands of include/uapi/linux/ethtool.h that tell of a network device. Each returns an errno where the driver refuses:
 * most drivers lack most of them (EOPNOTSUPP), and a device may be gone (ENODEV).
 */
const GSET = 1;
const GDRVINFO = 3;
const GSTRINGS = 0x1b;
const GSTATS = 0x1d;
const SS_STATS = 1;

/** struct ethtool_cmd */
const LINK_BYTES = 44;
const SUPPORTED_AT = 4;
const ADVERTISED_AT = 8;
const AUTONEG_AT = 18;
/** struct ethtool_drvinfo: five texts, then numbers. */
const DRIVER_BYTES = 196;
const DRIVER_AT = 4;
const TEXT_BYTES = 32;
const STATISTICS_AT = 180;
/** struct ethtool_gstrings in front of its names. */
const NAMES_AT = 12;
const NAME_BYTES = 32;
/** struct ethtool_stats in front of its numbers. */
const NUMBERS_AT = 8;
/** More than any driver has; the peer's library stops there too. */
const MOST_STATISTICS = 32_768;
const EFBIG = 27;
const TWO_32 = 2 ** 32;
const LOW = endianness() === 'LE' ? 0 : 1;

/** What a command gave, or why it gave nothing: an errno. */
export type Answer<T> = T | number;

export interface LinkSettings {
  /** Bits of what the device can do (ethtool_link_mode_bit_indices, the first 32 of them). */
  readonly supported: number;
  /** Bits of what it offers to the other side. */
  readonly advertised: number;
  readonly autoneg: number;
}

export interface Driver {
  readonly driver: string;
  readonly version: string;
  readonly firmware: string;
  readonly bus: string;
  readonly rom: string;
  readonly statistics: number;
}

type Caller = Pick<EthtoolCalls, 'ask'>;

function ask(calls: Caller, device: string, command: Buffer): Answer<Buffer> {
  const error = calls.ask(device, command);
  return error === 0 ? command : error;
}

function commandOf(number: number, bytes: number): Buffer {
  const command = Buffer.alloc(bytes);
  u32Bytes(number).copy(command);
  return command;
}

export function linkSettings(calls: Caller, device: string): Answer<LinkSettings> {
  const answer = ask(calls, device, commandOf(GSET, LINK_BYTES));
  if (typeof answer !== 'object') return answer;
  return { supported: u32(answer, SUPPORTED_AT), advertised: u32(answer, ADVERTISED_AT), autoneg: answer[AUTONEG_AT] ?? 0 };
}

export function driverOf(calls: Caller, device: string): Answer<Driver> {
  const answer = ask(calls, device, commandOf(GDRVINFO, DRIVER_BYTES));
  if (typeof answer !== 'object') return answer;
  const text = (i: number): string => textOf(answer.subarray(DRIVER_AT + i * TEXT_BYTES, DRIVER_AT + (i + 1) * TEXT_BYTES));
  return { driver: text(0), version: text(1), firmware: text(2), bus: text(3), rom: text(4), statistics: u32(answer, STATISTICS_AT) };
}

/** Names of the statistics in the order of their numbers, one character per byte; '' for one without a name. */
export function statisticNames(calls: Caller, device: string, count: number): Answer<readonly string[]> {
  if (count === 0) return [];
  if (count > MOST_STATISTICS) return EFBIG;
  const command = commandOf(GSTRINGS, NAMES_AT + count * NAME_BYTES);
  u32Bytes(SS_STATS).copy(command, 4);
  u32Bytes(count).copy(command, 8);
  const answer = ask(calls, device, command);
  if (typeof answer !== 'object') return answer;
  // A driver that has become smaller leaves the rest empty.
  return Array.from({ length: count }, (_, i) => {
    const name = answer.toString('latin1', NAMES_AT + i * NAME_BYTES, NAMES_AT + (i + 1) * NAME_BYTES);
    const end = name.indexOf('\0');
    return end < 0 ? name : name.slice(0, end);
  });
}

/** The numbers of a device's statistics; the room for them is kept from run to run. */
export class StatisticNumbers {
  readonly #device: string;
  readonly #count: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** What the last read returned. */
  #error = 0;

  constructor(device: string, count: number) {
    this.#device = device;
    this.#count = count;
    this.#bytes = new Uint8Array(NUMBERS_AT + count * 8);
    this.#words = new Uint32Array(this.#bytes.buffer);
  }

  /** 0, or an errno; -1 when the driver has another number of statistics than it had: the names are other ones. */
  read(calls: Caller): number {
    this.#words[0] = GSTATS;
    this.#words[1] = this.#count;
    this.#error = calls.ask(this.#device, this.#bytes);
    if (this.#error === 0 && this.#words[1] !== this.#count) this.#error = -1;
    return this.#error;
  }

  /** What `read` of the next runs will do. @param bounds of numbers by position; without effect after a read that failed */
  replay(calls: EthtoolCalls, steps: ReplaySteps, bounds: readonly BoundNumber[]): void {
    steps.statistics(calls, this.#device, this.#count, this.#error, this.#error === 0 ? bounds : []);
  }

  value(i: number): number {
    const at = NUMBERS_AT / 4 + 2 * i;
    return (this.#words[at + 1 - LOW] ?? 0) * TWO_32 + (this.#words[at + LOW] ?? 0);
  }
}
