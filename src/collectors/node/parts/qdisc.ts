import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { linkNames, NETLINK_ROUTE } from '../links.ts';
import { attributesOf, dumpRequest, payloads, textOf, u32, u64 } from '../netlink.ts';
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
const TCA_STATS2 = 7;
const TCA_STATS_BASIC = 1;
const TCA_STATS_QUEUE = 3;
const NOTHING = Buffer.alloc(0);

/** Field `i` of 32 bits; 0 for one that an older kernel does not have. */
function field(bytes: Buffer, at: number): number {
  return bytes.length >= at + 4 ? u32(bytes, at) : 0;
}

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
    return {
      collect(sheet) {
        const answer = scope.readers.netlink(NETLINK_ROUTE, question, true);
        const names = linkNames(scope.readers);
        if (names === undefined || answer === undefined) return absent('the native readers are not built: node has no netlink sockets');
        for (const message of payloads(answer, RTM_NEWQDISC, MESSAGE_BYTES)) {
          const parent = u32(message, PARENT_AT);
          const device = names.get(u32(message, DEVICE_AT)) ?? '';
          if ((parent !== TC_H_ROOT && parent !== 0) || !filter.keeps(device)) continue;
          const attributes = attributesOf(message.subarray(MESSAGE_BYTES));
          const statistics = attributesOf(attributes.get(TCA_STATS2) ?? NOTHING);
          const basic = statistics.get(TCA_STATS_BASIC) ?? NOTHING;
          // qlen, backlog, drops, requeues, overlimits
          const queue = statistics.get(TCA_STATS_QUEUE) ?? NOTHING;
          const labels = [device, textOf(attributes.get(TCA_KIND))];
          const values: readonly (readonly [Family, number])[] = [
            [BYTES, basic.length >= 8 ? u64(basic, 0) : 0],
            [PACKETS, field(basic, 8)],
            [DROPS, field(queue, 8)],
            [REQUEUES, field(queue, 12)],
            [OVERLIMITS, field(queue, 16)],
            [LENGTH, field(queue, 0)],
            [BACKLOG, field(queue, 4)],
          ];
          for (const [of, value] of values) {
            const slot = sheet.slot(of, labels);
            if (sheet.stamps[slot] !== sheet.run) sheet.set(slot, value);
          }
        }
        return OK;
      },
    };
  },
};
