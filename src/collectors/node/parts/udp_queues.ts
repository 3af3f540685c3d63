import { absent, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { family } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import { KeptSeries } from '../kept-series.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart } from '../part.ts';

const QUEUES = family('node_udp_queues', 'gauge', 'Bytes that wait in the queues of all UDP sockets.', ['queue', 'ip']);

/** `sl`, and two pairs of address and port. */
const KEYS = 5;
/** Numbers of a socket behind them: st, tx_queue, rx_queue, tr, tm->when, retrnsmt, uid, timeout, inode, ref, pointer, drops. */
const NUMBERS = 12;
const TX = 1;
const RX = 2;

class SocketTable {
  readonly source: OptionalSource;
  readonly #transmit: KeptSeries;
  readonly #receive: KeptSeries;

  constructor(source: OptionalSource, ip: 'v4' | 'v6') {
    this.source = source;
    // Labels in wire order: ip, queue.
    this.#transmit = new KeptSeries(QUEUES, [ip, 'tx']);
    this.#receive = new KeptSeries(QUEUES, [ip, 'rx']);
  }

  collect(sheet: Sheet): boolean {
    const scan = this.source.scan();
    if (scan === 'absent') return false;
    if (this.source.count % NUMBERS !== 0) throw this.#problem();
    let transmit = 0;
    let receive = 0;
    const { numbers, count } = this.source;
    for (let at = 0; at < count; at += NUMBERS) {
      transmit += numbers[at + TX] ?? 0;
      receive += numbers[at + RX] ?? 0;
    }
    this.#transmit.set(sheet, transmit);
    this.#receive.set(sheet, receive);
    return true;
  }

  /** What `collect` of the next runs will do; a table of another width is left to it. */
  replay(sheet: Sheet, steps: ReplaySteps): void {
    const sum = (series: KeptSeries, at: number): BoundNumber => ({ at, slot: series.slotIn(sheet), mode: 'sum', by: NUMBERS });
    this.source.replayTable(steps, [sum(this.#transmit, TX), sum(this.#receive, RX)]);
  }

  #problem(): Error {
    const rows = this.source.rows();
    const line = rows.findIndex((words, i) => i > 0 && words.filter(({ at }) => at >= 0).length !== NUMBERS);
    return parseProblem(this.source.path, line + 1, `${NUMBERS} numbers behind two addresses`);
  }
}

/**
 * net/udp and net/udp6 below the procfs root, a line per socket:
 * `  521: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 101 0 2740 2 0000000041b6dbf3 0`.
 * The sums are made from the numbers alone; sockets come and go too often to look at the text.
 */
export const part: NodePart = {
  name: 'udp_queues',
  enabledByDefault: true,
  families: [QUEUES],
  open(scope) {
    const format = { keys: KEYS, delimiters: ':', hex: true };
    const four = new SocketTable(scope.source(scope.proc('net/udp'), format), 'v4');
    const six = new SocketTable(scope.source(scope.proc('net/udp6'), format), 'v6');
    return {
      collect(sheet) {
        const hasFour = four.collect(sheet);
        const hasSix = six.collect(sheet);
        return hasFour || hasSix ? OK : absent(`${four.source.path} and ${six.source.path} are missing`);
      },
      replay(sheet, steps) {
        four.replay(sheet, steps);
        six.replay(sheet, steps);
      },
      close() {
        four.source.close();
        six.source.close();
      },
    };
  },
};
