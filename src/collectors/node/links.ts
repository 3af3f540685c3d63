import type { Readers } from '../../readers/readers.ts';
import { attributesOf, dumpRequest, payloads, textOf, u32 } from './netlink.ts';

export const NETLINK_ROUTE = 0;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const IFINFO_BYTES = 16;
const INDEX_AT = 4;
const IFLA_IFNAME = 3;
const REQUEST = dumpRequest(RTM_GETLINK, Buffer.alloc(IFINFO_BYTES));

/** Names of the network devices by number; undefined without the native readers. Throws ReaderError and CollectError. */
export function linkNames(readers: Readers): ReadonlyMap<number, string> | undefined {
  const answer = readers.netlink(NETLINK_ROUTE, REQUEST);
  if (answer === undefined) return undefined;
  const names = new Map<number, string>();
  for (const link of payloads(answer, RTM_NEWLINK, IFINFO_BYTES)) {
    names.set(u32(link, INDEX_AT), textOf(attributesOf(link.subarray(IFINFO_BYTES)).get(IFLA_IFNAME)));
  }
  return names;
}
