import { existsSync } from 'node:fs';
import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type BoundNumber, ReaderError } from '../../../readers/readers.ts';
import { ABSENCE_MS } from '../absence.ts';
import { dumpRequest, payloads, u32, u32Bytes } from '../netlink.ts';
import type { NodePart } from '../part.ts';

const STATES_FAMILY = family('node_tcp_connection_states', 'gauge', 'TCP sockets by state; rx_queued_bytes and tx_queued_bytes are bytes that wait in them.', [
  'state',
]);

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const TCPDIAG_GETSOCK = 18;
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
/** States 0 to 11: what came later (TCP_NEW_SYN_RECV) counts as SYN_RECV. */
const ALL_STATES = 0xfff;
/** Bytes of struct inet_diag_sockid, all 0: any socket. */
const SOCKET_BYTES = 48;
/** Bytes of struct inet_diag_msg, and where its fields are. */
const MESSAGE_BYTES = 72;
const STATE_AT = 1;
const RECEIVE_AT = 56;
const TRANSMIT_AT = 60;

/** By number (include/net/tcp_states.h). */
const NAMES = ['unknown', 'established', 'syn_sent', 'syn_recv', 'fin_wait1', 'fin_wait2', 'time_wait', 'close', 'close_wait', 'last_ack', 'listen', 'closing'];

function request(addressFamily: number): Buffer {
  return dumpRequest(SOCK_DIAG_BY_FAMILY, Buffer.concat([Buffer.from([addressFamily, IPPROTO_TCP, 0, 0]), u32Bytes(ALL_STATES), Buffer.alloc(SOCKET_BYTES)]));
}

/** The older question (struct inet_diag_req), whose answer has both families: the kernel walks its table of all sockets once, not twice. */
function requestForBoth(): Buffer {
  return dumpRequest(TCPDIAG_GETSOCK, Buffer.concat([Buffer.from([AF_INET, 0, 0, 0]), Buffer.alloc(SOCKET_BYTES), u32Bytes(ALL_STATES), u32Bytes(0)]));
}

/** sock_diag(7): every TCP socket of this network namespace. States without a socket are left out. */
export const part: NodePart = {
  name: 'tcpstat',
  enabledByDefault: false,
  families: [STATES_FAMILY],
  open(scope) {
    const four = request(AF_INET);
    const six = request(AF_INET6);
    const both = requestForBoth();
    /** A kernel may have done away with the older question. */
    let knowsBoth = true;
    const counts = new Float64Array(NAMES.length);
    /** Whether the kernel has IPv6; it may be loaded later. */
    let hasSix = false;
    let lookAgainMs = Number.NEGATIVE_INFINITY;

    const askBoth = (): Buffer | undefined => {
      try {
        return scope.readers.netlink(NETLINK_SOCK_DIAG, both);
      } catch (error) {
        if (!(error instanceof ReaderError) || !['ENOENT', 'EINVAL', 'EOPNOTSUPP'].includes(error.code)) throw error;
        knowsBoth = false;
        return undefined;
      }
    };
    return {
      collect(sheet) {
        counts.fill(0);
        let received = 0;
        let transmitted = 0;
        let sockets = 0;
        if (scope.monotonicMs() >= lookAgainMs) {
          hasSix = existsSync(scope.proc('net/tcp6'));
          lookAgainMs = scope.monotonicMs() + ABSENCE_MS;
        }
        const answers: { readonly answer: Buffer | undefined; readonly type: number }[] = [];
        const answer = hasSix && knowsBoth ? askBoth() : undefined;
        if (answer !== undefined) answers.push({ answer, type: TCPDIAG_GETSOCK });
        else
          for (const question of hasSix ? [four, six] : [four])
            answers.push({ answer: scope.readers.netlink(NETLINK_SOCK_DIAG, question), type: SOCK_DIAG_BY_FAMILY });
        for (const { answer, type } of answers) {
          if (answer === undefined) return absent('the native readers are not built: node has no netlink sockets');
          for (const message of payloads(answer, type, MESSAGE_BYTES)) {
            const state = message[STATE_AT] ?? 0;
            const index = state < NAMES.length ? state : 0;
            counts[index] = (counts[index] ?? 0) + 1;
            received += u32(message, RECEIVE_AT);
            transmitted += u32(message, TRANSMIT_AT);
            sockets += 1;
          }
        }
        if (sockets === 0) return OK;
        for (const [i, name] of NAMES.entries()) if ((counts[i] ?? 0) > 0) sheet.sample(STATES_FAMILY, [name], counts[i] ?? 0);
        sheet.sample(STATES_FAMILY, ['rx_queued_bytes'], received);
        sheet.sample(STATES_FAMILY, ['tx_queued_bytes'], transmitted);
        return OK;
      },
      replay(sheet, steps) {
        const bound = (state: string, at: number, mode: 'present' | 'scaled'): BoundNumber => ({ at, slot: sheet.slot(STATES_FAMILY, [state]), mode });
        const states = NAMES.map((name, at) => bound(name, at, 'present'));
        const queues = [bound('rx_queued_bytes', NAMES.length, 'scaled'), bound('tx_queued_bytes', NAMES.length + 1, 'scaled')];
        steps.until(lookAgainMs);
        if (hasSix && knowsBoth) steps.sockets({ protocol: NETLINK_SOCK_DIAG, request: both }, TCPDIAG_GETSOCK, [...states, ...queues]);
        // Two answers are added up by each run.
        else if (hasSix) steps.until(Number.NEGATIVE_INFINITY);
        else steps.sockets({ protocol: NETLINK_SOCK_DIAG, request: four }, SOCK_DIAG_BY_FAMILY, [...states, ...queues]);
      },
    };
  },
};
