import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { addressText } from '../ip-address.ts';
import { LINKS_QUESTION, linksAnswer, looseInLinks, namesIn, NETLINK_ROUTE } from '../links.ts';
import { attributesOf, dumpRequest, looseAttributes, payloads, u16, u32 } from '../netlink.ts';
import type { NodePart } from '../part.ts';

const INFO = family('node_network_route_info', 'gauge', 'A route, as labels.', ['device', 'src', 'dest', 'gw', 'priority', 'proto', 'weight']);
const ROUTES = family('node_network_routes', 'gauge', 'Routes by device.', ['device']);

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
/** struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags. */
const MESSAGE_BYTES = 12;
const PREFIX_AT = 1;
const PROTOCOL_AT = 5;
const TYPE_AT = 7;
const RTN_UNICAST = 1;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
/** Timers of a route. */
const RTA_CACHEINFO = 12;
/** struct rtnexthop: length, flags, hops, device number. */
const HOP_BYTES = 8;

/** By number (include/uapi/linux/rtnetlink.h). */
const PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'unspec',
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  8: 'gated',
  9: 'ra',
  10: 'mrt',
  11: 'zebra',
  12: 'bird',
  13: 'dnrouted',
  14: 'xorp',
  15: 'ntk',
  16: 'dhcp',
  17: 'mrouted',
  42: 'babel',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
};

const NOTHING = Buffer.alloc(0);

/** '' where there is no address. */
function ipText(bytes: Buffer): string {
  return addressText(bytes) ?? '';
}

interface Hop {
  readonly device: number;
  readonly gateway: Buffer;
  /** '' where there is one way only. */
  readonly weight: string;
}

function hopsOf(bytes: Buffer): Hop[] {
  const hops: Hop[] = [];
  for (let at = 0; at + HOP_BYTES <= bytes.length; ) {
    const length = u16(bytes, at);
    if (length < HOP_BYTES || at + length > bytes.length) break;
    const gateway = attributesOf(bytes.subarray(at + HOP_BYTES, at + length)).get(RTA_GATEWAY) ?? NOTHING;
    hops.push({ device: u32(bytes, at + 4), gateway, weight: String((bytes[at + 3] ?? 0) + 1) });
    at += (length + 3) & ~3;
  }
  return hops;
}

/**
 * Unicast routes of all tables of this network namespace, by rtnetlink(7). Routes that differ in their table alone are one
 * series, as in the peer; they are counted each.
 */
export const part: NodePart = {
  name: 'network_route',
  enabledByDefault: false,
  families: [INFO, ROUTES],
  open(scope) {
    const question = dumpRequest(RTM_GETROUTE, Buffer.alloc(MESSAGE_BYTES));
    let links: Buffer | undefined;
    let answer: Buffer | undefined;
    return {
      collect(sheet) {
        links = linksAnswer(scope.readers);
        answer = scope.readers.netlink(NETLINK_ROUTE, question);
        if (links === undefined || answer === undefined) return absent('the native readers are not built: node has no netlink sockets');
        const names = namesIn(links);
        const counts = new Map<string, number>();
        for (const route of payloads(answer, RTM_NEWROUTE, MESSAGE_BYTES)) {
          if (route[TYPE_AT] !== RTN_UNICAST) continue;
          const attributes = attributesOf(route.subarray(MESSAGE_BYTES));
          const of = (type: number): Buffer => attributes.get(type) ?? NOTHING;
          const numberOf = (type: number): number => (of(type).length === 4 ? u32(of(type), 0) : 0);
          const several = hopsOf(of(RTA_MULTIPATH));
          const hops = several.length > 0 ? several : [{ device: numberOf(RTA_OIF), gateway: of(RTA_GATEWAY), weight: '' }];
          const prefix = route[PREFIX_AT] ?? 0;
          const destination = prefix === 0 ? 'default' : `${ipText(of(RTA_DST))}/${prefix}`;
          const protocol = PROTOCOLS[route[PROTOCOL_AT] ?? 0] ?? 'unknown';
          for (const { device, gateway, weight } of hops) {
            const name = names.get(device) ?? '';
            // Labels in wire order: dest, device, gw, priority, proto, src, weight.
            const slot = sheet.slot(INFO, [destination, name, ipText(gateway), String(numberOf(RTA_PRIORITY)), protocol, ipText(of(RTA_PREFSRC)), weight]);
            if (sheet.stamps[slot] !== sheet.run) sheet.set(slot, 1);
            counts.set(name, (counts.get(name) ?? 0) + 1);
          }
        }
        for (const [device, count] of counts) sheet.sample(ROUTES, [device], count);
        return OK;
      },
      replay(_, steps) {
        if (links === undefined || answer === undefined) return;
        steps.answer(LINKS_QUESTION, links, looseInLinks(links));
        const loose = looseAttributes(answer, RTM_NEWROUTE, MESSAGE_BYTES, (type) => type === RTA_CACHEINFO);
        steps.answer({ protocol: NETLINK_ROUTE, request: question }, answer, loose);
      },
    };
  },
};
