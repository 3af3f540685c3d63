import { absent, OK, type Outcome } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { ReplaySteps } from '../../../readers/readers.ts';
import { errnoOf, parseProblem } from '../file-error.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart, PartScope } from '../part.ts';

const CPU_WAITING = family('node_pressure_cpu_waiting_seconds_total', 'counter', 'Time in which some task waited for a processor, in seconds.');
const IO_WAITING = family('node_pressure_io_waiting_seconds_total', 'counter', 'Time in which some task waited for a disk, in seconds.');
const IO_STALLED = family('node_pressure_io_stalled_seconds_total', 'counter', 'Time in which every task that had work waited for a disk, in seconds.');
const MEMORY_WAITING = family('node_pressure_memory_waiting_seconds_total', 'counter', 'Time in which some task waited for memory, in seconds.');
const MEMORY_STALLED = family('node_pressure_memory_stalled_seconds_total', 'counter', 'Time in which every task that had work waited for memory, in seconds.');
const IRQ_STALLED = family('node_pressure_irq_stalled_seconds_total', 'counter', 'Time in which tasks waited for interrupts to be served, in seconds.');

interface Resource {
  readonly name: string;
  readonly families: readonly { readonly line: 'some' | 'full'; readonly family: Family }[];
}

/** In the peer's order, which says what stays when one of them gives nothing. The line `full` of cpu is not printed. */
const RESOURCES: readonly Resource[] = [
  { name: 'cpu', families: [{ line: 'some', family: CPU_WAITING }] },
  {
    name: 'io',
    families: [
      { line: 'some', family: IO_WAITING },
      { line: 'full', family: IO_STALLED },
    ],
  },
  {
    name: 'memory',
    families: [
      { line: 'some', family: MEMORY_WAITING },
      { line: 'full', family: MEMORY_STALLED },
    ],
  },
  { name: 'irq', families: [{ line: 'full', family: IRQ_STALLED }] },
];

const TOTAL_WORD = 8;

/** One file: `some avg10=0.00 avg60=0.00 avg300=0.00 total=21199744`, microseconds. */
class PressureFile {
  readonly #source: OptionalSource;
  readonly #resource: Resource;
  /** Ordinals of the totals, undefined for a line that the file lacks or before the first good scan. */
  #totals: ReadonlyMap<string, number> | undefined;

  constructor(scope: PartScope, resource: Resource) {
    this.#source = scope.source(scope.proc(`pressure/${resource.name}`), { delimiters: '=' });
    this.#resource = resource;
  }

  get path(): string {
    return this.#source.path;
  }

  /** missing: no such file. off: there, but psi=0. incomplete: a line is not there. */
  collect(sheet: Sheet): 'ok' | 'missing' | 'off' | 'incomplete' {
    const scan = this.#scan();
    if (scan === 'absent') return 'missing';
    if (scan === 'off') return 'off';
    if (scan === 'changed' || this.#totals === undefined) this.#totals = this.#find();
    for (const { line } of this.#resource.families) if (!this.#totals.has(line)) return 'incomplete';
    for (const { line, family } of this.#resource.families) {
      const microseconds = this.#source.numbers[this.#totals.get(line) ?? -1] ?? 0;
      // Two divisions, as in the peer: one by a million rounds differently.
      sheet.sample(family, [], microseconds / 1000 / 1000);
    }
    return 'ok';
  }

  replay(sheet: Sheet, steps: ReplaySteps): void {
    const bounds = this.#resource.families.map(({ line, family }) => ({
      at: this.#totals?.get(line) ?? -1,
      slot: sheet.slot(family),
      over: 1000,
      again: 1000,
    }));
    // A file that lacks lines, or is not there, has no numbers to follow.
    this.#source.replay(
      steps,
      bounds.filter(({ at }) => at >= 0),
    );
  }

  close(): void {
    this.#source.close();
  }

  #scan(): 'absent' | 'same' | 'changed' | 'off' {
    try {
      return this.#source.scan();
    } catch (error) {
      this.#totals = undefined;
      if (errnoOf(error) === 'ENOTSUP' || errnoOf(error) === 'EOPNOTSUPP') return 'off';
      throw error;
    }
  }

  #find(): ReadonlyMap<string, number> {
    this.#totals = undefined;
    const totals = new Map<string, number>();
    for (const [line, words] of this.#source.rows().entries()) {
      const kind = words[0]?.text;
      if (kind !== 'some' && kind !== 'full') continue;
      const total = words[TOTAL_WORD];
      if (words[TOTAL_WORD - 1]?.text !== 'total' || total === undefined || total.at < 0) {
        throw parseProblem(this.path, line + 1, `"${kind} avg10=N avg60=N avg300=N total=N"`);
      }
      totals.set(kind, total.at);
    }
    return totals;
  }
}

/** /proc/pressure/cpu, io, memory and irq (the last from Linux 6.1 on). */
export const part: NodePart = {
  name: 'pressure',
  enabledByDefault: true,
  families: [CPU_WAITING, IO_WAITING, IO_STALLED, MEMORY_WAITING, MEMORY_STALLED, IRQ_STALLED],
  open(scope) {
    const files = RESOURCES.map((resource) => new PressureFile(scope, resource));
    return {
      collect(sheet): Outcome {
        let found = 0;
        for (const file of files) {
          const state = file.collect(sheet);
          if (state === 'off') return absent(`${file.path}: the kernel keeps no pressure figures (boot it with psi=1)`);
          if (state === 'incomplete') return absent(`${file.path} lacks a line`);
          if (state === 'ok') found += 1;
        }
        return found > 0 ? OK : absent(`${scope.proc('pressure')} is missing (Linux 4.20 or later with CONFIG_PSI has it)`);
      },
      replay(sheet, steps) {
        for (const file of files) file.replay(sheet, steps);
      },
      close() {
        for (const file of files) file.close();
      },
    };
  },
};
