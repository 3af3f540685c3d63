import type { Readers } from '../../readers/readers.ts';
import { errnoOf } from './file-error.ts';
import { GENERIC_BYTES, genericFamily, NETLINK_GENERIC } from './generic-netlink.ts';
import { attribute, attributesOf, dumpRequest, nestedAttribute, payloads, textOf, u32, u32Bytes } from './netlink.ts';

/** ETHTOOL_MSG_LINKMODES_GET (Documentation/networking/ethtool-netlink.rst). */
const LINKMODES_GET = 4;
const HEADER = 1;
const SPEED = 5;
const DUPLEX = 6;
const HEADER_NAME = 2;
const HEADER_FLAGS = 3;
/** Modes as bits instead of names: they are not looked at. */
const COMPACT_BITSETS = 1;
const SPEED_UNKNOWN = 0xffff_ffff;

export interface LinkMode {
  /** Undefined where the driver does not know. */
  readonly megabits: number | undefined;
  /** 0 half, 1 full, 255 unknown. */
  readonly duplex: number;
}

function questionTo(family: number): Buffer {
  const header = nestedAttribute(HEADER, attribute(HEADER_FLAGS, u32Bytes(COMPACT_BITSETS)));
  return dumpRequest(family, Buffer.concat([Buffer.from([LINKMODES_GET, 1, 0, 0]), header]));
}

/** Speed and duplex of the network devices, asked all at once by ethtool's netlink family. */
export class LinkModes {
  readonly #readers: Pick<Readers, 'netlink'>;
  /** Number of the family; undefined until it was asked for. */
  #family: number | 'none' | undefined;
  #question: Buffer | undefined;
  /** Answers of equal bytes say the same. */
  #answer: Buffer | undefined;
  #modes: ReadonlyMap<string, LinkMode> | undefined;

  constructor(readers: Pick<Readers, 'netlink'>) {
    this.#readers = readers;
  }

  /** By name. Undefined for kernels before 5.6, which lack the family. Throws ReaderError and CollectError. */
  read(): ReadonlyMap<string, LinkMode> | undefined {
    this.#family ??= this.#find();
    if (this.#family === 'none') return undefined;
    this.#question ??= questionTo(this.#family);
    const answer = this.#readers.netlink(NETLINK_GENERIC, this.#question) ?? Buffer.alloc(0);
    if (this.#answer?.equals(answer) === true) return this.#modes;
    this.#answer = undefined;
    const modes = new Map<string, LinkMode>();
    for (const payload of payloads(answer, this.#family, GENERIC_BYTES)) {
      const mode = attributesOf(payload.subarray(GENERIC_BYTES));
      const name = textOf(attributesOf(mode.get(HEADER) ?? Buffer.alloc(0)).get(HEADER_NAME));
      const speed = mode.get(SPEED);
      const megabits = speed === undefined || speed.length < 4 ? 0 : u32(speed, 0);
      modes.set(name, { megabits: megabits === SPEED_UNKNOWN ? undefined : megabits, duplex: mode.get(DUPLEX)?.[0] ?? 0 });
    }
    this.#modes = modes;
    this.#answer = answer;
    return modes;
  }

  #find(): number | 'none' {
    try {
      return genericFamily(this.#readers, 'ethtool') ?? 'none';
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return 'none';
    }
  }
}
