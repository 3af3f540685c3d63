import type { Readers } from '../../readers/readers.ts';
import { errnoOf } from './file-error.ts';
import { GENERIC_BYTES, genericFamily, NETLINK_GENERIC } from './generic-netlink.ts';
import { hardwareAddress } from './links.ts';
import { attribute, attributesOf, dumpRequest, payloads, textOf, u16, u32, u32Bytes, u64 } from './netlink.ts';

/** Wireless devices as nl80211 tells of them (include/uapi/linux/nl80211.h), over generic netlink. */
const GET_INTERFACE = 5;
const GET_STATION = 17;
const GET_SCAN = 32;
const ATTR_IFINDEX = 3;
const ATTR_IFNAME = 4;
const ATTR_MAC = 6;
const ATTR_STA_INFO = 21;
const ATTR_WIPHY_FREQ = 38;
const ATTR_BSS = 47;
const BSS_BSSID = 1;
const BSS_INFORMATION_ELEMENTS = 6;
const BSS_STATUS = 9;
const ELEMENT_SSID = 0;
const STA = {
  inactive: 1,
  rxBytes: 2,
  txBytes: 3,
  signal: 7,
  txRate: 8,
  rxPackets: 9,
  txPackets: 10,
  txRetries: 11,
  txFailed: 12,
  rxRate: 14,
  connected: 16,
  beaconLoss: 18,
  rxBytes64: 23,
  txBytes64: 24,
};
const RATE_16 = 1;
const RATE_32 = 5;
/** Rates are told in units of 100 kbit/s. */
const RATE_UNIT = 100_000;
/** By status: authenticated, associated, joined an independent network. */
const MODES = ['client', 'client', 'ad-hoc'];

export interface WirelessDevice {
  readonly name: string;
  readonly index: number;
  /** 0 without a channel. */
  readonly megahertz: number;
}

export interface WirelessNetwork {
  readonly bssid: string;
  readonly ssid: string;
  readonly mode: string;
}

export interface Station {
  readonly address: string;
  readonly connectedSeconds: number;
  readonly inactiveSeconds: number;
  readonly receiveBitsPerSecond: number;
  readonly transmitBitsPerSecond: number;
  readonly receiveBytes: number;
  readonly transmitBytes: number;
  readonly signalDbm: number;
  readonly transmitRetries: number;
  readonly transmitFailed: number;
  readonly beaconLoss: number;
  readonly transmittedPackets: number;
  readonly receivedPackets: number;
}

type Attributes = ReadonlyMap<number, Buffer>;

function number32(attributes: Attributes, type: number): number {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 4 ? 0 : u32(bytes, 0);
}

function rateOf(bytes: Buffer | undefined): number {
  const rate = attributesOf(bytes ?? Buffer.alloc(0));
  const short = rate.get(RATE_16);
  return (number32(rate, RATE_32) || (short === undefined || short.length < 2 ? 0 : u16(short, 0))) * RATE_UNIT;
}

function bytesOf(station: Attributes, wide: number, narrow: number): number {
  const bytes = station.get(wide);
  return bytes === undefined || bytes.length < 8 ? number32(station, narrow) : u64(bytes, 0);
}

function ssidOf(elements: Buffer | undefined): string {
  for (let at = 0; elements !== undefined && at + 2 <= elements.length; at += 2 + (elements[at + 1] ?? 0)) {
    if (elements[at] === ELEMENT_SSID) return elements.toString('utf8', at + 2, at + 2 + (elements[at + 1] ?? 0));
  }
  return '';
}

/** A conversation with the wireless part of the kernel. */
export class Nl80211 {
  readonly #readers: Readers;
  readonly #id: number;

  constructor(readers: Readers, id: number) {
    this.#readers = readers;
    this.#id = id;
  }

  devices(): WirelessDevice[] {
    return this.#ask(GET_INTERFACE).map((device) => ({
      name: textOf(device.get(ATTR_IFNAME)),
      index: number32(device, ATTR_IFINDEX),
      megahertz: number32(device, ATTR_WIPHY_FREQ),
    }));
  }

  /** The network that a device belongs to; undefined when it belongs to none. */
  network({ index }: WirelessDevice): WirelessNetwork | undefined {
    for (const found of this.#ask(GET_SCAN, index)) {
      const bss = attributesOf(found.get(ATTR_BSS) ?? Buffer.alloc(0));
      if (!bss.has(BSS_STATUS)) continue;
      return {
        bssid: hardwareAddress(bss.get(BSS_BSSID)),
        ssid: ssidOf(bss.get(BSS_INFORMATION_ELEMENTS)),
        mode: MODES[number32(bss, BSS_STATUS)] ?? 'unknown',
      };
    }
    return undefined;
  }

  stations({ index }: WirelessDevice): Station[] {
    return this.#ask(GET_STATION, index).map((found) => {
      const station = attributesOf(found.get(ATTR_STA_INFO) ?? Buffer.alloc(0));
      return {
        address: hardwareAddress(found.get(ATTR_MAC)),
        connectedSeconds: number32(station, STA.connected),
        inactiveSeconds: number32(station, STA.inactive) / 1000,
        receiveBitsPerSecond: rateOf(station.get(STA.rxRate)),
        transmitBitsPerSecond: rateOf(station.get(STA.txRate)),
        receiveBytes: bytesOf(station, STA.rxBytes64, STA.rxBytes),
        transmitBytes: bytesOf(station, STA.txBytes64, STA.txBytes),
        signalDbm: station.get(STA.signal)?.readInt8(0) ?? 0,
        transmitRetries: number32(station, STA.txRetries),
        transmitFailed: number32(station, STA.txFailed),
        beaconLoss: number32(station, STA.beaconLoss),
        transmittedPackets: number32(station, STA.txPackets),
        receivedPackets: number32(station, STA.rxPackets),
      };
    });
  }

  #ask(command: number, index?: number): Attributes[] {
    const about = index === undefined ? Buffer.alloc(0) : attribute(ATTR_IFINDEX, u32Bytes(index));
    const answer = this.#readers.netlink(NETLINK_GENERIC, dumpRequest(this.#id, Buffer.concat([Buffer.from([command, 1, 0, 0]), about]))) ?? Buffer.alloc(0);
    return [...payloads(answer, this.#id, GENERIC_BYTES)].map((payload) => attributesOf(payload.subarray(GENERIC_BYTES)));
  }
}

/** Undefined without the native readers, and on a kernel without wireless devices. Throws ReaderError and CollectError. */
export function openNl80211(readers: Readers): Nl80211 | undefined {
  try {
    const id = genericFamily(readers, 'nl80211');
    return id === undefined ? undefined : new Nl80211(readers, id);
  } catch (error) {
    if (!['ENOENT', 'EPERM', 'EACCES', 'EPROTONOSUPPORT'].includes(errnoOf(error))) throw error;
    return undefined;
  }
}
