import type { HostSession, Outcome, Scope } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { ReplaySteps } from '../../readers/readers.ts';
import { discoverParts, partNames } from './discover.ts';
import { type HasOptions, type NodeOptions, PartOptions } from './options.ts';
import { type NodePart, type PartReader, PartScope } from './part.ts';
import { durationSlot, reportNode } from './report.ts';

const PARTS = new Map<string, NodePart>();
const NAMES: ReadonlySet<string> = new Set(partNames());

/** Loads the files of these parts and no others: half of them are off by default. */
export async function prepare(parts: readonly string[]): Promise<void> {
  const missing = parts.filter((name) => NAMES.has(name) && !PARTS.has(name));
  for (const part of await discoverParts(missing)) PARTS.set(part.name, part);
}

/** Options left out are the peer's defaults. The parts must have been prepared. */
export function open(scope: Scope): HostSession {
  return new NodeSession(scope);
}

export const report = reportNode;

/** Parts are opened by their first collect and kept; one that cannot be opened is tried again in its next run. */
class NodeSession implements HostSession {
  readonly #scope: Scope;
  readonly #open = new Map<string, { readonly reader: PartReader; readonly scope: PartScope }>();

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  collect(part: string, sheet: Sheet): Outcome {
    return this.#reader(part).collect(sheet);
  }

  replay(part: string, sheet: Sheet, steps: ReplaySteps): boolean {
    const reader = this.#open.get(part)?.reader;
    if (reader?.replay === undefined) return false;
    reader.replay(sheet, steps);
    steps.duration(durationSlot(part, sheet));
    return true;
  }

  close(): void {
    for (const { reader, scope } of this.#open.values()) {
      reader.close?.();
      scope.close();
    }
    this.#open.clear();
  }

  #reader(name: string): PartReader {
    const known = this.#open.get(name);
    if (known !== undefined) return known.reader;
    const part = PARTS.get(name);
    if (part === undefined) throw new Error(`node has no part ${name}`);
    const { readers, roots, monotonicMs, wallMs, warn, parts } = this.#scope;
    // The main thread has checked the options against the schema made from the same table.
    const optionsOf = (of: HasOptions): PartOptions => new PartOptions(of, (this.#scope.options ?? {}) as NodeOptions);
    const isPartOn = (other: string): boolean => parts.includes(other);
    const scope = new PartScope({ readers, roots, options: optionsOf(part), isPartOn, optionsOf, monotonicMs, wallMs, warn });
    const reader = part.open(scope);
    this.#open.set(name, { reader, scope });
    return reader;
  }
}
