import type { Readers } from '../../readers/readers.ts';
import { attribute, attributesOf, dumpRequest, payloads, textOf, u32, u32Bytes } from './netlink.ts';

export const NETLINK_ROUTE = 0;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const IFINFO_BYTES = 16;
const INDEX_AT = 4;
const IFLA_IFNAME = 3;
const IFLA_EXT_MASK = 29;
/** Not the counters, which are most of an answer. */
const RTEXT_FILTER_SKIP_STATS = 8;
const REQUEST = dumpRequest(RTM_GETLINK, Buffer.concat([Buffer.alloc(IFINFO_BYTES), attribute(IFLA_EXT_MASK, u32Bytes(RTEXT_FILTER_SKIP_STATS))]));

/** `02:fc:00:00:00:01`, of as many bytes as there are; '' where there are none. */
export function hardwareAddress(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Names of the network devices by number; undefined without the native readers. Throws ReaderError and CollectError. */
export function linkNames(readers: Pick<Readers, 'netlink'>): ReadonlyMap<number, string> | undefined {
  const answer = linksAnswer(readers);
  return answer === undefined ? undefined : namesIn(answer);
}

/** The devices as the kernel tells of them, without their counters: equal bytes say the same. Undefined without the native readers. Throws ReaderError. */
export function linksAnswer(readers: Pick<Readers, 'netlink'>): Buffer | undefined {
  return readers.netlink(NETLINK_ROUTE, REQUEST);
}

/** Names by number in such an answer. Throws CollectError. */
export function namesIn(answer: Buffer): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const link of payloads(answer, RTM_NEWLINK, IFINFO_BYTES)) {
    names.set(u32(link, INDEX_AT), textOf(attributesOf(link.subarray(IFINFO_BYTES)).get(IFLA_IFNAME)));
  }
  return names;
}
