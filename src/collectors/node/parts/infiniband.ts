import { CollectError, OK } from '../../../collect/contract.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import { ABSENCE_MS } from '../absence.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { parseProblem } from '../file-error.ts';
import { checkFigures, type Figure, followed, setFigure } from '../figures.ts';
import { integerOf } from '../go-integer.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

const PORT = ['device', 'port'];
const INFO = family('node_infiniband_info', 'gauge', 'What an InfiniBand device is, as labels.', ['board_id', 'device', 'firmware_version', 'hca_type']);

function ofPort(name: string, help: string, type: MetricType = 'counter'): Family {
  return family(`node_infiniband_${name}`, type, help, PORT);
}

const STATE = ofPort('state_id', 'State of a port: 1 down, 2 initialising, 3 armed, 4 active, 5 active with deferred errors.', 'gauge');
const PHYSICAL_STATE = ofPort(
  'physical_state_id',
  'State of the wire of a port: 1 asleep, 2 polling, 3 disabled, 4 training, 5 up, 6 recovering, 7 test.',
  'gauge',
);
const RATE = ofPort('rate_bytes_per_second', 'Highest rate of a port, in bytes a second.', 'gauge');

interface Counter {
  readonly file: string;
  readonly family: Family;
  readonly times?: number;
  readonly convert?: (value: number) => number;
}

/** Data is counted in words. */
const WORD_BYTES = 4;

/** Files of `counters` below a port. */
const COUNTERS: readonly Counter[] = [
  {
    file: 'excessive_buffer_overrun_errors',
    family: ofPort('excessive_buffer_overrun_errors_total', 'How often buffers overran in consecutive periods of flow control.'),
  },
  { file: 'link_downed', family: ofPort('link_downed_total', 'How often a link did not recover from an error and went down.') },
  { file: 'link_error_recovery', family: ofPort('link_error_recovery_total', 'How often a link recovered from an error.') },
  {
    file: 'local_link_integrity_errors',
    family: ofPort('local_link_integrity_errors_total', 'How often there were more errors of the wire than the threshold allows.'),
  },
  { file: 'multicast_rcv_packets', family: ofPort('multicast_packets_received_total', 'Multicast packets received, damaged ones included.') },
  { file: 'multicast_xmit_packets', family: ofPort('multicast_packets_transmitted_total', 'Multicast packets sent, damaged ones included.') },
  { file: 'port_rcv_constraint_errors', family: ofPort('port_constraint_errors_received_total', 'Packets received and dropped by a rule of the port.') },
  { file: 'port_xmit_constraint_errors', family: ofPort('port_constraint_errors_transmitted_total', 'Packets not sent because of a rule of the port.') },
  { file: 'port_rcv_data', family: ofPort('port_data_received_bytes_total', 'Bytes received on all lanes.'), times: WORD_BYTES },
  { file: 'port_xmit_data', family: ofPort('port_data_transmitted_bytes_total', 'Bytes sent on all lanes.'), times: WORD_BYTES },
  { file: 'port_rcv_discards', family: ofPort('port_discards_received_total', 'Packets received and dropped because the port was down or congested.') },
  { file: 'port_xmit_discards', family: ofPort('port_discards_transmitted_total', 'Packets not sent because the port was down or congested.') },
  { file: 'port_rcv_errors', family: ofPort('port_errors_received_total', 'Packets received with an error.') },
  { file: 'port_rcv_packets', family: ofPort('port_packets_received_total', 'Packets received, damaged ones included.') },
  { file: 'port_xmit_packets', family: ofPort('port_packets_transmitted_total', 'Packets sent, damaged ones included.') },
  { file: 'port_xmit_wait', family: ofPort('port_transmit_wait_total', 'Ticks in which there was something to send and nothing could be sent.') },
  {
    file: 'port_rcv_remote_physical_errors',
    family: ofPort('port_receive_remote_physical_errors_total', 'Packets received that another port had marked as bad.'),
  },
  { file: 'port_rcv_switch_relay_errors', family: ofPort('port_receive_switch_relay_errors_total', 'Packets that the switch could not forward.') },
  { file: 'symbol_error', family: ofPort('symbol_error_total', 'Small errors of the wire.') },
  { file: 'unicast_rcv_packets', family: ofPort('unicast_packets_received_total', 'Unicast packets received, damaged ones included.') },
  { file: 'unicast_xmit_packets', family: ofPort('unicast_packets_transmitted_total', 'Unicast packets sent, damaged ones included.') },
  { file: 'VL15_dropped', family: ofPort('vl15_dropped_total', 'Management packets received and dropped for want of room.') },
];

/** Files of `counters_ext`, of kernels before 4.5. */
const LEGACY_COUNTERS: readonly Counter[] = [
  { file: 'port_multicast_rcv_packets', family: ofPort('legacy_multicast_packets_received_total', 'Multicast packets received, as old kernels count them.') },
  { file: 'port_multicast_xmit_packets', family: ofPort('legacy_multicast_packets_transmitted_total', 'Multicast packets sent, as old kernels count them.') },
  { file: 'port_rcv_data_64', family: ofPort('legacy_data_received_bytes_total', 'Bytes received, as old kernels count them.'), times: WORD_BYTES },
  { file: 'port_rcv_packets_64', family: ofPort('legacy_packets_received_total', 'Packets received, as old kernels count them.') },
  { file: 'port_unicast_rcv_packets', family: ofPort('legacy_unicast_packets_received_total', 'Unicast packets received, as old kernels count them.') },
  { file: 'port_unicast_xmit_packets', family: ofPort('legacy_unicast_packets_transmitted_total', 'Unicast packets sent, as old kernels count them.') },
  { file: 'port_xmit_data_64', family: ofPort('legacy_data_transmitted_bytes_total', 'Bytes sent, as old kernels count them.'), times: WORD_BYTES },
  { file: 'port_xmit_packets_64', family: ofPort('legacy_packets_transmitted_total', 'Packets sent, as old kernels count them.') },
];

/** Files of `hw_counters`, by drivers of the mlx family. */
const HARDWARE_COUNTERS: readonly Counter[] = [
  { file: 'duplicate_request', family: ofPort('duplicate_requests_packets_total', 'Requests received that had been carried out before.') },
  {
    file: 'implied_nak_seq_err',
    family: ofPort('implied_nak_seq_errors_total', 'Acknowledgements with a later sequence number than a read or response expected.'),
  },
  // In whole seconds, as in the peer.
  {
    file: 'lifespan',
    family: ofPort('lifespan_seconds', 'How long the hardware counters may stay as they are between two reads, in seconds.', 'gauge'),
    convert: (milliseconds) => Math.floor(milliseconds / 1000),
  },
  {
    file: 'local_ack_timeout_err',
    family: ofPort('local_ack_timeout_errors_total', 'How often a sender waited in vain for an acknowledgement and could try again.'),
  },
  { file: 'np_cnp_sent', family: ofPort('np_cnp_packets_sent_total', 'Congestion notices sent after marked packets had arrived.') },
  { file: 'np_ecn_marked_roce_packets', family: ofPort('np_ecn_marked_roce_packets_received_total', 'RoCEv2 packets received with a mark of congestion.') },
  { file: 'out_of_buffer', family: ofPort('out_of_buffer_drops_total', 'Packets dropped because a queue had no work request for them.') },
  { file: 'out_of_sequence', family: ofPort('out_of_sequence_packets_received_total', 'Packets received out of order.') },
  { file: 'packet_seq_err', family: ofPort('packet_sequence_errors_total', 'Refusals received because of a wrong sequence number.') },
  { file: 'req_cqe_error', family: ofPort('req_cqes_errors_total', 'Completions with an error on the requesting side.') },
  { file: 'req_cqe_flush_error', family: ofPort('req_cqes_flush_errors_total', 'Completions flushed with an error on the requesting side.') },
  { file: 'req_remote_access_errors', family: ofPort('req_remote_access_errors_total', 'Accesses that the other side forbade, on the requesting side.') },
  { file: 'req_remote_invalid_request', family: ofPort('req_remote_invalid_request_errors_total', 'Requests that the other side called invalid.') },
  { file: 'resp_cqe_error', family: ofPort('resp_cqes_errors_total', 'Completions with an error on the responding side.') },
  { file: 'resp_cqe_flush_error', family: ofPort('resp_cqes_flush_errors_total', 'Completions flushed with an error on the responding side.') },
  { file: 'resp_local_length_error', family: ofPort('resp_local_length_errors_total', 'Wrong lengths found on the responding side.') },
  { file: 'resp_remote_access_errors', family: ofPort('resp_remote_access_errors_total', 'Forbidden accesses found on the responding side.') },
  { file: 'rnr_nak_retry_err', family: ofPort('rnr_nak_retry_packets_received_total', 'Refusals received because the other side was not ready.') },
  { file: 'roce_adp_retrans', family: ofPort('roce_adp_retransmits_total', 'Adaptive retransmissions of RoCE traffic.') },
  { file: 'roce_adp_retrans_to', family: ofPort('roce_adp_retransmits_timeout_total', 'Timeouts of RoCE traffic because of adaptive retransmission.') },
  { file: 'roce_slow_restart', family: ofPort('roce_slow_restart_used_total', 'How often RoCE slow restart was used.') },
  { file: 'roce_slow_restart_cnps', family: ofPort('roce_slow_restart_cnps_total', 'Congestion notices that RoCE slow restart made.') },
  { file: 'roce_slow_restart_trans', family: ofPort('roce_slow_restart_total', 'How often RoCE went into slow restart.') },
  { file: 'rp_cnp_handled', family: ofPort('rp_cnp_packets_handled_total', 'Congestion notices received and heeded.') },
  { file: 'rp_cnp_ignored', family: ofPort('rp_cnp_ignored_packets_received_total', 'Congestion notices received and ignored.') },
  { file: 'rx_atomic_requests', family: ofPort('rx_atomic_requests_total', 'Atomic requests received.') },
  { file: 'rx_dct_connect', family: ofPort('rx_dct_connect_requests_total', 'Requests received to connect dynamically.') },
  { file: 'rx_read_requests', family: ofPort('rx_read_requests_total', 'Read requests received.') },
  { file: 'rx_write_requests', family: ofPort('rx_write_requests_total', 'Write requests received.') },
  { file: 'rx_icrc_encapsulated', family: ofPort('rx_icrc_encapsulated_errors_total', 'RoCE packets with a wrong invariant checksum.') },
];

/** A port whose hardware does not count says so. */
function parseCounter(text: string): number | undefined {
  return text.includes('N/A (no PMA)') ? undefined : (integerOf(text, false) ?? Number.NaN);
}

interface Port {
  readonly port: string;
  readonly linkLayer: DeviceFile;
  readonly state: DeviceFile;
  readonly physicalState: DeviceFile;
  readonly rate: DeviceFile;
}

interface Device {
  readonly name: string;
  readonly firmware: DeviceFile;
  readonly board: DeviceFile;
  readonly type: DeviceFile;
  readonly ports: readonly Port[];
}

function mustRead(file: DeviceFile): string {
  if (file.errno !== 0) throw file.problem();
  return file.text;
}

function mayRead(file: DeviceFile): string {
  return file.isMissing() ? '' : mustRead(file);
}

/** `4: ACTIVE`. Throws CollectError. */
function stateOf(file: DeviceFile): number {
  const found = /^\s*([0-9]+)\s*:[^:]*$/.exec(mustRead(file));
  if (found === null) throw parseProblem(file.path, 1, `"NUMBER: NAME", not ${JSON.stringify(file.text)}`);
  return Number(found[1]);
}

/** `40 Gb/sec (4X QDR)`, in bytes a second. Throws CollectError. */
function rateOf(file: DeviceFile): number {
  const found = /^([0-9.]+) /.exec(`${mustRead(file)} `);
  const gigabits = Number(found?.[1]);
  if (found === null || !Number.isFinite(gigabits) || !file.text.includes(' '))
    throw parseProblem(file.path, 1, `"NUMBER Gb/sec", not ${JSON.stringify(file.text)}`);
  // The peer reads a number of single precision.
  return Math.trunc(Math.fround(gigabits) * 125_000_000);
}

/** /sys/class/infiniband/DEVICE and ports/N below it. All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'infiniband',
  enabledByDefault: true,
  families: [INFO, STATE, PHYSICAL_STATE, RATE, ...[...COUNTERS, ...LEGACY_COUNTERS, ...HARDWARE_COUNTERS].map(({ family }) => family)],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match' },
  ],
  open(scope) {
    const root = scope.sys('class/infiniband');
    const folder = scope.directory(root);
    const folders = scope.folders();
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    const filter = scope.options.filter('device-exclude', 'device-include');
    let devices: readonly Device[] = [];
    let figures: readonly Figure[] = [];
    let lookAgainMs = Number.NEGATIVE_INFINITY;

    const countersIn = (path: string, table: readonly Counter[], names: readonly string[], device: string, port: string): Figure[] =>
      table
        .filter(({ file }) => names.includes(file))
        .map(({ file, family, times, convert }) => ({
          file: files.number(`${path}/${file}`),
          series: new KeptSeries(family, [device, port]),
          rule: 'may',
          parse: parseCounter,
          ...(times === undefined ? {} : { times }),
          ...(convert === undefined ? {} : { convert }),
        }));
    const portOf = (path: string, port: string): Port => ({
      port,
      linkLayer: files.text(`${path}/link_layer`),
      state: files.text(`${path}/state`),
      physicalState: files.text(`${path}/phys_state`),
      rate: files.text(`${path}/rate`),
    });
    const look = (): void => {
      lookAgainMs = Number.NEGATIVE_INFINITY;
      const found: Figure[] = [];
      devices = files.rebuild(() => {
        let made: Device[] = [];
        folders.look((list) => {
          made = folder.names
            .filter((name) => filter.keeps(name))
            .map((name) => {
              const path = `${root}/${name}`;
              const ports = list(`${path}/ports`).map((number) => {
                if (!/^[0-9]+$/.test(number)) throw new CollectError('parse', `${path}/ports/${number}`, 'expected a number of a port');
                const port = String(Number(number));
                const below = `${path}/ports/${number}`;
                const counted = list(`${below}/counters`);
                found.push(...countersIn(`${below}/counters`, COUNTERS, counted, name, port));
                if (counted.length > 0) found.push(...countersIn(`${below}/counters_ext`, LEGACY_COUNTERS, list(`${below}/counters_ext`), name, port));
                found.push(...countersIn(`${below}/hw_counters`, HARDWARE_COUNTERS, list(`${below}/hw_counters`), name, port));
                return portOf(below, port);
              });
              return { name, firmware: files.text(`${path}/fw_ver`), board: files.text(`${path}/board_id`), type: files.text(`${path}/hca_type`), ports };
            });
        });
        return made;
      });
      figures = found;
      lookAgainMs = scope.monotonicMs() + ABSENCE_MS;
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed' || scope.monotonicMs() >= lookAgainMs) look();
        files.scan();
        const found = devices.map(({ name, firmware, board, type, ports }) => ({
          info: [mayRead(board), name, mustRead(firmware), mayRead(type)],
          ports: ports.map(({ port, linkLayer, state, physicalState, rate }) => {
            mustRead(linkLayer);
            return { labels: [name, port], state: stateOf(state), physicalState: stateOf(physicalState), rate: rateOf(rate) };
          }),
        }));
        checkFigures(figures);
        for (const { info, ports } of found) {
          sheet.sample(INFO, info, 1);
          for (const { labels, state, physicalState, rate } of ports) {
            sheet.sample(STATE, labels, state);
            sheet.sample(PHYSICAL_STATE, labels, physicalState);
            sheet.sample(RATE, labels, rate);
          }
        }
        for (const figure of figures) setFigure(figure, sheet);
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        if (lookAgainMs > Number.NEGATIVE_INFINITY) steps.until(lookAgainMs);
        files.replay(sheet, steps, followed(figures));
      },
      close: () => files.close(),
    };
  },
};
