import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import type { Readers } from '../../readers/readers.ts';
import type { Filter } from './filter.ts';
import { addressText } from './ip-address.ts';
import { KeptSeries } from './kept-series.ts';
import { linksAnswer, namesIn, NETLINK_ROUTE } from './links.ts';
import { attributesOf, dumpRequest, payloads, u32 } from './netlink.ts';

export const ADDRESS = family('node_network_address_info', 'gauge', 'An address of a network device, with its prefix length as netmask.', [
  'address',
  'device',
  'netmask',
  'scope',
]);

const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
/** struct ifaddrmsg: family, length of the prefix, flags, scope, number of the device. */
const MESSAGE_BYTES = 8;
const PREFIX_AT = 1;
const INDEX_AT = 4;
const IFA_ADDRESS = 1;
/** Where there is one, IFA_ADDRESS is the other end of the link. */
const IFA_LOCAL = 2;
const REQUEST = dumpRequest(RTM_GETADDR, Buffer.alloc(MESSAGE_BYTES));

/** What the peer calls the reach of an address: its own reading of the bits, not the kernel's scope. */
export function scopeOf(address: Uint8Array): string {
  const [first = 0, second = 0, third = 0] = address;
  if (address.length === 4) {
    if (first === 127 || (first === 169 && second === 254) || (first === 224 && second === 0 && third === 0)) return 'link-local';
    return (first & 0xf0) === 0xe0 || isFilled(address, 0) || isFilled(address, 0xff) ? '' : 'global';
  }
  // An IPv4 address in the form of IPv6 is one of IPv4.
  if (address.length === 16 && isFilled(address.subarray(0, 10), 0) && isFilled(address.subarray(10, 12), 0xff)) return scopeOf(address.subarray(12));
  const isLoopback = isFilled(address.subarray(0, 15), 0) && address[15] === 1;
  if (isLoopback || (first === 0xfe && (second & 0xc0) === 0x80)) return 'link-local';
  if (first !== 0xff) return isFilled(address, 0) ? '' : 'global';
  if ((second & 0x0f) === 2) return 'link-local';
  return (second & 0x0f) === 1 ? 'interface-local' : '';
}

function isFilled(bytes: Uint8Array, value: number): boolean {
  return bytes.every((byte) => byte === value);
}

/** Addresses of this network namespace. */
export class InterfaceAddresses {
  readonly #readers: Pick<Readers, 'netlink'>;
  readonly #filter: Filter;
  #links: Buffer | undefined;
  #addresses: Buffer | undefined;
  #series: readonly KeptSeries[] = [];

  constructor(readers: Pick<Readers, 'netlink'>, filter: Filter) {
    this.#readers = readers;
    this.#filter = filter;
  }

  /** Sets a series for each. False without the native readers. Throws ReaderError and CollectError. */
  collect(sheet: Sheet): boolean {
    const addresses = this.#readers.netlink(NETLINK_ROUTE, REQUEST);
    const links = linksAnswer(this.#readers);
    if (addresses === undefined || links === undefined) return false;
    if (this.#addresses?.equals(addresses) !== true || this.#links?.equals(links) !== true) {
      this.#addresses = undefined;
      this.#series = this.#seriesOf(addresses, namesIn(links));
      this.#links = links;
      this.#addresses = addresses;
    }
    for (const series of this.#series) series.set(sheet, 1);
    return true;
  }

  #seriesOf(answer: Buffer, names: ReadonlyMap<number, string>): readonly KeptSeries[] {
    // By labels: two links of one address to several ends are one series.
    const found = new Map<string, KeptSeries>();
    for (const message of payloads(answer, RTM_NEWADDR, MESSAGE_BYTES)) {
      const attributes = attributesOf(message.subarray(MESSAGE_BYTES));
      const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? Buffer.alloc(0);
      const text = addressText(address);
      // Removed since, or of a family without such addresses.
      const device = names.get(u32(message, INDEX_AT));
      if (text === undefined || device === undefined || !this.#filter.keeps(device)) continue;
      const labels = [text, device, String(message[PREFIX_AT] ?? 0), scopeOf(address)];
      found.set(labels.join(), new KeptSeries(ADDRESS, labels));
    }
    return [...found.values()];
  }
}
