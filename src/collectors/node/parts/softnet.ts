import { Binding } from '../../../collect/binding.ts';
import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart } from '../part.ts';
import { RunChain } from '../run-chain.ts';

const PROCESSED = family('node_softnet_processed_total', 'counter', 'Packets taken from the backlog of a processor.', ['cpu']);
const DROPPED = family('node_softnet_dropped_total', 'counter', 'Packets dropped because the backlog of a processor was full.', ['cpu']);
const SQUEEZED = family(
  'node_softnet_times_squeezed_total',
  'counter',
  'Times that the receive loop of a processor ran out of budget or time with packets left.',
  ['cpu'],
);
const COLLISION = family('node_softnet_cpu_collision_total', 'counter', 'Times that a processor found the lock of a device taken while sending.', ['cpu']);
const RPS = family('node_softnet_received_rps_total', 'counter', 'Times that another processor woke this one to receive packets.', ['cpu']);
const FLOW_LIMIT = family('node_softnet_flow_limit_count_total', 'counter', 'Packets of a flow dropped because it took too much of a backlog.', ['cpu']);
const BACKLOG = family('node_softnet_backlog_len', 'gauge', 'Packets in the backlog of a processor.', ['cpu']);

/** By column; columns that older kernels do not have are shown as 0. */
const COLUMNS: readonly (readonly [column: number, family: Family])[] = [
  [0, PROCESSED],
  [1, DROPPED],
  [2, SQUEEZED],
  [8, COLLISION],
  [9, RPS],
  [10, FLOW_LIMIT],
  [11, BACKLOG],
];
const FEWEST_COLUMNS = 9;
/** Column of the processor's number, since Linux 5.14. */
const CPU_COLUMN = 12;
const MOST = 0xffffffff;

/** Ties lines to processors. A line without a number of its processor is that of the processor with the line's number. */
class Softnet {
  readonly source: OptionalSource;
  readonly #binding = new Binding();
  readonly #chain = new RunChain();
  #zeros: number[] = [];
  /** Ordinals of the processors' numbers, and what they were when the series were bound. */
  #cpus: { at: number; cpu: number }[] = [];

  constructor(source: OptionalSource) {
    this.source = source;
  }

  collect(sheet: Sheet): boolean {
    const scan = this.source.scan();
    if (scan === 'absent') return false;
    const { numbers, count } = this.source;
    for (let i = 0; i < count; i++) if ((numbers[i] ?? 0) > MOST) throw parseProblem(this.source.path, 1, 'numbers of 32 bits');
    // One processor off and another on leaves as many lines as before: only the numbers tell.
    const isMoved = this.#cpus.some(({ at, cpu }) => numbers[at] !== cpu);
    if (!this.#chain.continues(sheet) || scan === 'changed' || isMoved) this.#bind(sheet);
    this.#binding.apply(numbers, sheet);
    for (const slot of this.#zeros) sheet.set(slot, 0);
    return true;
  }

  /** What `collect` of the next runs will do. The kernel prints no number of more than 32 bits. */
  replay(steps: ReplaySteps): void {
    const stills = this.#cpus.map(({ at, cpu }): BoundNumber => ({ at, slot: 0, mode: 'still', times: cpu }));
    this.source.replay(steps, [...stills, ...this.#binding.bounds()]);
  }

  #bind(sheet: Sheet): void {
    this.#binding.clear();
    this.#zeros = [];
    this.#cpus = [];
    this.#chain.break();
    const taken = new Set<string>();
    for (const [line, words] of this.source.rows().entries()) {
      if (words.length < FEWEST_COLUMNS || words.some(({ at }) => at < 0))
        throw parseProblem(this.source.path, line + 1, `at least ${FEWEST_COLUMNS} hexadecimal numbers`);
      const own = words[CPU_COLUMN];
      const cpu = own === undefined ? String(line) : String(this.source.numbers[own.at] ?? line);
      if (own !== undefined) this.#cpus.push({ at: own.at, cpu: Number(cpu) });
      if (taken.has(cpu)) continue;
      taken.add(cpu);
      for (const [column, family] of COLUMNS) {
        const slot = sheet.slot(family, [cpu]);
        // The length of the backlog came together with the number of the processor.
        const word = column === 11 && own === undefined ? undefined : words[column];
        if (word === undefined) this.#zeros.push(slot);
        else this.#binding.add(word.at, slot);
      }
    }
    this.#chain.continues(sheet);
  }
}

/** net/softnet_stat below the procfs root: a line per processor, `00015c73 00020e76 f0000769 00000000 ...` in hexadecimal. */
export const part: NodePart = {
  name: 'softnet',
  enabledByDefault: true,
  families: COLUMNS.map(([, family]) => family),
  open(scope) {
    const softnet = new Softnet(scope.source(scope.proc('net/softnet_stat'), { hex: true }));
    return {
      collect: (sheet) => (softnet.collect(sheet) ? OK : scope.missing(softnet.source)),
      replay: (_, steps) => softnet.replay(steps),
      close: () => softnet.source.close(),
    };
  },
};
