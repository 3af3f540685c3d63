import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { family } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import type { Filter } from '../filter.ts';
import type { OptionalSource } from '../optional-source.ts';
import { wordsOf } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';
import { RunChain } from '../run-chain.ts';

const INTERRUPTS = family('node_interrupts_total', 'counter', 'Interrupts of a line served by a processor.', ['cpu', 'devices', 'info', 'type']);

function stillAt(at: number, value: number): BoundNumber {
  return { at, slot: 0, mode: 'still', times: value };
}

/** Labels of a row: what stands in front of the colon, and the text behind the numbers. */
function labelsOf(line: string, processors: number): { type: string; info: string; devices: string } {
  const colon = line.indexOf(':');
  const type = line.slice(0, colon).replace(/^ +/, '');
  const text = wordsOf(line.slice(colon + 1)).slice(processors);
  // A line of the interrupt controller has a number, and in front of its devices the name of the controller.
  return /^[+-]?[0-9]+$/.test(type) ? { type, info: text[0] ?? '', devices: text.slice(1).join(' ') } : { type, info: text.join(' '), devices: '' };
}

/**
 * A row per line of interrupts, a column per processor: `  0:   36   0  IO-APIC   2-edge  timer`. Arm leaves no blank between
 * the colon and a large number. The label cpu is the column, as in the peer.
 */
class Interrupts {
  readonly #source: OptionalSource;
  readonly #filter: Filter;
  readonly #withZeros: boolean;
  readonly #chain = new RunChain();
  /** Ordinals in the scan and labels of each series. */
  #at: number[] = [];
  #labels: string[][] = [];
  #slots = new Int32Array(0);
  /** Numbers that stand in labels, and what they were: the scanner does not see a change of those. */
  #fixed: { at: number; value: number }[] = [];
  #isBound = false;

  constructor(source: OptionalSource, filter: Filter, withZeros: boolean) {
    this.#source = source;
    this.#filter = filter;
    this.#withZeros = withZeros;
  }

  get path(): string {
    return this.#source.path;
  }

  collect(sheet: Sheet): boolean {
    const scan = this.#source.scan();
    if (scan === 'absent') return false;
    const { numbers } = this.#source;
    if (scan === 'changed' || !this.#isBound || this.#fixed.some(({ at, value }) => numbers[at] !== value)) this.#bind();
    else if (!this.#chain.continues(sheet)) this.#slots.fill(-1);
    this.#chain.continues(sheet);
    for (let i = 0; i < this.#at.length; i++) {
      const value = numbers[this.#at[i] ?? 0] ?? 0;
      if (value === 0 && !this.#withZeros) {
        // The slot of a series that is not set may be given to another one.
        this.#slots[i] = -1;
        continue;
      }
      let slot = this.#slots[i] ?? -1;
      if (slot < 0) this.#slots[i] = slot = sheet.slot(INTERRUPTS, this.#labels[i] ?? []);
      sheet.set(slot, value);
    }
    return true;
  }

  /** What `collect` of the next runs will do. */
  replay(steps: ReplaySteps): void {
    const bounds = this.#fixed.map(({ at, value }) => stillAt(at, value));
    for (const [i, at] of this.#at.entries()) {
      const slot = this.#slots[i] ?? -1;
      bounds.push(slot < 0 ? stillAt(at, 0) : { at, slot });
    }
    this.#source.replay(steps, bounds);
  }

  close(): void {
    this.#source.close();
  }

  #bind(): void {
    this.#isBound = false;
    this.#at = [];
    this.#labels = [];
    this.#fixed = [];
    const rows = this.#source.rows();
    const lines = this.#source
      .text()
      .split('\n')
      .filter((line) => line.trim() !== '');
    const processors = rows[0]?.length;
    if (processors === undefined) throw parseProblem(this.path, 1, 'a line of processors');
    const { numbers } = this.#source;
    const seen = new Set<string>();
    for (const [i, words] of rows.entries()) {
      const line = lines[i] ?? '';
      // ERR and MIS have a number and nothing behind it.
      if (i === 0 || !line.includes(':') || wordsOf(line.slice(line.indexOf(':') + 1)).length <= processors) continue;
      const { type, info, devices } = labelsOf(line, processors);
      if (seen.has(type) || !this.#filter.keeps(`${type};${info};${devices}`)) continue;
      seen.add(type);
      for (let cpu = 0; cpu < processors; cpu++) {
        const word = words[cpu + 1];
        if (word === undefined || word.at < 0) throw parseProblem(this.path, i + 1, `a number for processor ${cpu}, not ${JSON.stringify(word?.text)}`);
        this.#at.push(word.at);
        this.#labels.push([String(cpu), devices, info, type]);
      }
      for (const { at } of words.slice(processors + 1)) if (at >= 0) this.#fixed.push({ at, value: numbers[at] ?? 0 });
    }
    this.#slots = new Int32Array(this.#at.length).fill(-1);
    this.#isBound = true;
  }
}

/** /proc/interrupts. */
export const part: NodePart = {
  name: 'interrupts',
  enabledByDefault: false,
  families: [INTERRUPTS],
  options: [
    { flag: 'name-include', kind: 'regexp', default: '', help: 'interrupts, written type;info;devices: only those that match' },
    { flag: 'name-exclude', kind: 'regexp', default: '', help: 'interrupts, written type;info;devices: leave out those that match' },
    { flag: 'include-zeros', kind: 'boolean', default: true, help: 'print interrupts that a processor has never served' },
  ],
  open(scope) {
    const source = scope.source(scope.proc('interrupts'), { keys: 1, delimiters: ':' });
    const interrupts = new Interrupts(source, scope.options.filter('name-exclude', 'name-include'), scope.options.isOn('include-zeros'));
    return {
      collect: (sheet) => (interrupts.collect(sheet) ? OK : scope.missing(interrupts)),
      replay: (_, steps) => interrupts.replay(steps),
      close: () => interrupts.close(),
    };
  },
};
