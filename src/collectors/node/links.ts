import type { NetlinkQuestion, Readers } from '../../readers/readers.ts';
import { attribute, attributesOf, type ByteRange, dumpRequest, looseAttributes, payloads, textOf, u32, u32Bytes } from './netlink.ts';

export const NETLINK_ROUTE = 0;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const IFINFO_BYTES = 16;
const INDEX_AT = 4;
const IFLA_IFNAME = 3;
const IFLA_EXT_MASK = 29;
/** Not the counters, which are most of an answer. */
const RTEXT_FILTER_SKIP_STATS = 8;
/** What `linksAnswer` asks. */
export const LINKS_QUESTION: NetlinkQuestion = {
  protocol: NETLINK_ROUTE,
  request: dumpRequest(RTM_GETLINK, Buffer.concat([Buffer.alloc(IFINFO_BYTES), attribute(IFLA_EXT_MASK, u32Bytes(RTEXT_FILTER_SKIP_STATS))])),
};

/** `02:fc:00:00:00:01`, of as many bytes as there are; '' where there are none. */
export function hardwareAddress(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The devices as the kernel tells of them, without their counters: equal bytes say the same. Undefined without the native readers. Throws ReaderError. */
export function linksAnswer(readers: Pick<Readers, 'netlink'>): Buffer | undefined {
  return readers.netlink(LINKS_QUESTION.protocol, LINKS_QUESTION.request);
}

/** Names by number in such an answer. Throws CollectError. */
export function namesIn(answer: Buffer): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const link of payloads(answer, RTM_NEWLINK, IFINFO_BYTES)) {
    names.set(u32(link, INDEX_AT), textOf(attributesOf(link.subarray(IFINFO_BYTES)).get(IFLA_IFNAME)));
  }
  return names;
}

/** What is no name in such an answer: figures and timers move from run to run. */
export function looseInLinks(answer: Buffer): readonly ByteRange[] {
  return looseAttributes(answer, RTM_NEWLINK, IFINFO_BYTES, (type) => type !== IFLA_IFNAME);
}
