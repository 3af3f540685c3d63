/** Runs parts of the node collector on given roots and gives their pages as text. */
import type { Outcome, Roots } from '../../src/collect/contract.ts';
import { Sheet } from '../../src/collect/sheet.ts';
import { open, prepare } from '../../src/collectors/node/collect.ts';
import { partNames } from '../../src/collectors/node/discover.ts';
import type { NodeOptions } from '../../src/collectors/node/options.ts';
import type { Readers } from '../../src/readers/readers.ts';

await prepare(partNames());

export const LIVE_ROOTS: Roots = { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '/run/udev/data' };

/** A fixture tree: `proc`, `sys`, `udev` and `root` below one folder, each of which may be missing. */
export function rootsIn(folder: string): Roots {
  return { procfs: `${folder}/proc`, sysfs: `${folder}/sys`, rootfs: `${folder}/root`, udevData: `${folder}/udev` };
}

export interface PageRun {
  readonly page: string;
  /** Undefined when the part threw. */
  readonly outcome: Outcome | undefined;
  readonly error: unknown;
}

export interface NodePages {
  /** One run of a part on its own sheet, which is kept from run to run. */
  run(part: string): PageRun;
  sheet(part: string): Sheet;
  close(): void;
}

export interface NodePagesInputs {
  readonly readers: Readers;
  readonly roots: Roots;
  readonly options?: NodeOptions;
  readonly parts?: readonly string[];
  readonly monotonicMs?: () => number;
  readonly wallMs?: () => number;
  readonly warn?: (message: string) => void;
}

export function nodePages(inputs: NodePagesInputs): NodePages {
  const { readers, roots, options = {}, parts = [], monotonicMs = () => 0, wallMs = () => Date.now(), warn = () => undefined } = inputs;
  const target = { name: 'local', settings: undefined, address: 'local' };
  const session = open({ options, roots, target, parts, readers, monotonicMs, wallMs, warn });
  const sheets = new Map<string, Sheet>();
  const sheetOf = (part: string): Sheet => {
    let sheet = sheets.get(part);
    if (sheet === undefined) sheets.set(part, (sheet = new Sheet(readers, { maxSeries: 1_000_000, maxBytes: 64 << 20 })));
    return sheet;
  };
  return {
    run(part) {
      const sheet = sheetOf(part);
      sheet.begin();
      let outcome: Outcome | undefined;
      let error: unknown;
      try {
        outcome = session.collect(part, sheet);
      } catch (thrown) {
        error = thrown;
      }
      return { page: sheet.text(), outcome, error };
    },
    sheet: sheetOf,
    close: () => session.close(),
  };
}
