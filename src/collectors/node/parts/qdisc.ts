import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { BoundField } from '../../../readers/readers.ts';
import { LINKS_QUESTION, linksAnswer, looseInLinks, namesIn, NETLINK_ROUTE } from '../links.ts';
import { attributesOf, dumpRequest, looseAttributes, payloads, rangeIn, textOf, u32, u64 } from '../netlink.ts';
import type { NodePart } from '../part.ts';

const LABELS = ['device', 'kind'];

function counter(name: string, help: string): Family {
  return family(`node_qdisc_${name}_total`, 'counter', help, LABELS);
}

const BYTES = counter('bytes', 'Bytes that a queue has sent.');
const PACKETS = counter('packets', 'Packets that a queue has sent.');
const DROPS = counter('drops', 'Packets that a queue has dropped.');
const REQUEUES = counter('requeues', 'Packets that a device did not take and that went back into the queue.');
const OVERLIMITS = counter('overlimits', 'Times that a queue was over its limit.');
const LENGTH = family('node_qdisc_current_queue_length', 'gauge', 'Packets that wait in a queue.', LABELS);
const BACKLOG = family('node_qdisc_backlog', 'gauge', 'Bytes that wait in a queue.', LABELS);

const RTM_NEWQDISC = 36;
const RTM_GETQDISC = 38;
/** struct tcmsg: family, pads, device number, handle, parent, info. */
const MESSAGE_BYTES = 20;
const DEVICE_AT = 4;
const PARENT_AT = 12;
const TC_H_ROOT = 0xffffffff;
const TCA_KIND = 1;
const TCA_STATS = 3;
const TCA_XSTATS = 4;
const TCA_STATS2 = 7;
const TCA_STATS_BASIC = 1;
const TCA_STATS_QUEUE = 3;
const NOTHING = Buffer.alloc(0);

/** Where a figure is in its attribute, and of how many bytes. */
interface Figure {
  readonly family: Family;
  readonly attribute: number;
  readonly at: number;
  readonly bytes: 4 | 8;
}

/** struct gnet_stats_basic and gnet_stats_queue. */
const FIGURES: readonly Figure[] = [
  { family: BYTES, attribute: TCA_STATS_BASIC, at: 0, bytes: 8 },
  { family: PACKETS, attribute: TCA_STATS_BASIC, at: 8, bytes: 4 },
  { family: DROPS, attribute: TCA_STATS_QUEUE, at: 8, bytes: 4 },
  { family: REQUEUES, attribute: TCA_STATS_QUEUE, at: 12, bytes: 4 },
  { family: OVERLIMITS, attribute: TCA_STATS_QUEUE, at: 16, bytes: 4 },
  { family: LENGTH, attribute: TCA_STATS_QUEUE, at: 0, bytes: 4 },
  { family: BACKLOG, attribute: TCA_STATS_QUEUE, at: 4, bytes: 4 },
];

/** Attributes that are figures, which move from run to run. */
const LOOSE: ReadonlySet<number> = new Set([TCA_STATS, TCA_XSTATS, TCA_STATS2]);

/** Queueing disciplines of this network namespace, by rtnetlink(7): the root of each device. */
export const part: NodePart = {
  name: 'qdisc',
  enabledByDefault: false,
  families: [BYTES, PACKETS, DROPS, REQUEUES, OVERLIMITS, LENGTH, BACKLOG],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match', excludes: 'device-exclude' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match', excludes: 'device-include' },
  ],
  open(scope) {
    const filter = scope.options.filter('device-exclude', 'device-include');
    const question = dumpRequest(RTM_GETQDISC, Buffer.alloc(MESSAGE_BYTES));
    let links: Buffer | undefined;
    let answer: Buffer | undefined;
    let bounds: BoundField[] = [];
    return {
      collect(sheet) {
        bounds = [];
        answer = scope.readers.netlink(NETLINK_ROUTE, question, true);
        links = linksAnswer(scope.readers);
        if (links === undefined || answer === undefined) return absent('the native readers are not built: node has no netlink sockets');
        const names = namesIn(links);
        for (const message of payloads(answer, RTM_NEWQDISC, MESSAGE_BYTES)) {
          const parent = u32(message, PARENT_AT);
          const device = names.get(u32(message, DEVICE_AT)) ?? '';
          if ((parent !== TC_H_ROOT && parent !== 0) || !filter.keeps(device)) continue;
          const attributes = attributesOf(message.subarray(MESSAGE_BYTES));
          const statistics = attributesOf(attributes.get(TCA_STATS2) ?? NOTHING);
          const labels = [device, textOf(attributes.get(TCA_KIND))];
          for (const { family, attribute, at, bytes } of FIGURES) {
            const slot = sheet.slot(family, labels);
            if (slot < 0 || sheet.stamps[slot] === sheet.run) continue;
            const figures = statistics.get(attribute) ?? NOTHING;
            // An older kernel may not have it.
            const isThere = figures.length >= at + bytes;
            if (isThere) bounds.push({ at: rangeIn(answer, figures)[0] + at, bytes, slot });
            sheet.set(slot, !isThere ? 0 : bytes === 8 ? u64(figures, at) : u32(figures, at));
          }
        }
        return OK;
      },
      replay(_, steps) {
        if (links === undefined || answer === undefined) return;
        const loose = looseAttributes(answer, RTM_NEWQDISC, MESSAGE_BYTES, (type) => LOOSE.has(type));
        steps.answer({ protocol: NETLINK_ROUTE, request: question, isStrict: true }, answer, loose, bounds);
        steps.answer(LINKS_QUESTION, links, looseInLinks(links));
      },
    };
  },
};
