import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HostSession, Outcome, Roots, Scope } from '../../collect/contract.ts';
import { Sheet } from '../../collect/sheet.ts';
import type { Readers } from '../../readers/readers.ts';
import { loadReaders } from '../../readers/load.ts';
import { open } from './collect.ts';
import { containerOptions } from './options.ts';
import { report } from './report.ts';

/** Where the sources lie, wherever this runs from: fixtures are not copied beside the compiled files. */
const SOURCES = import.meta.dirname.replace(/\/dist\/src\/collectors\/container$/, '/src/collectors/container');

export function fixture(name: string): string {
  return readFileSync(join(SOURCES, 'fixtures', name), 'utf8');
}

/** A directory tree of its own, removed by `remove`. */
export interface TestTree {
  readonly path: string;
  readonly roots: Roots;
  write(path: string, content: string): void;
  remove(): void;
}

/** Lays out a tree from text: `== path` begins a file, the lines up to the next are its content. */
export function plant(text: string): TestTree {
  const path = mkdtempSync(join(tmpdir(), 'exporterd-cgroups-'));
  const tree: TestTree = {
    path,
    roots: { procfs: `${path}/proc`, sysfs: `${path}/sys`, rootfs: `${path}/root`, udevData: '' },
    write(name, content) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), content);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
  for (const section of text.split(/^== /m).slice(1)) {
    const end = section.indexOf('\n');
    tree.write(section.slice(0, end), section.slice(end + 1));
  }
  return tree;
}

/** The tree of a fixture, for as long as `body` runs. */
export function withTree(name: string, body: (tree: TestTree) => void): void {
  const tree = plant(fixture(`${name}.tree`));
  try {
    body(tree);
  } finally {
    tree.remove();
  }
}

/** A session under test, with time in its hands. */
export class Bench {
  readonly warnings: string[] = [];
  readonly sheets = new Map<string, Sheet>();
  readonly session: HostSession;
  monotonicMs = 1_000_000;
  wallMs = 1_700_000_030_500;
  readonly #readers: Readers;

  constructor(roots: Roots, parts: readonly string[], options: unknown = {}, readers = loadReaders(), board?: SharedArrayBuffer) {
    this.#readers = readers;
    const scope: Scope = {
      options: containerOptions.parse(options),
      roots,
      target: { name: 'local', settings: {}, address: '' },
      parts,
      ...(board === undefined ? {} : { board }),
      readers,
      monotonicMs: () => this.monotonicMs,
      wallMs: () => this.wallMs,
      warn: (message) => this.warnings.push(message),
    };
    this.session = open(scope);
  }

  sheet(part: string): Sheet {
    let sheet = this.sheets.get(part);
    if (sheet === undefined) this.sheets.set(part, (sheet = new Sheet(this.#readers, { maxSeries: 200_000, maxBytes: 1 << 28 })));
    return sheet;
  }

  /** One run of a part; `text()` of its sheet is the page then. */
  run(part: string): Outcome {
    const sheet = this.sheet(part);
    sheet.begin();
    return this.session.collect(part, sheet);
  }

  /** One run of a part as the daemon makes it, and its page. */
  page(part: string, variant = ''): string {
    this.monotonicMs += 1000;
    this.run(part);
    report(part, 'ok', 0, this.sheet(part));
    return this.sheet(part).text({ name: variant, labels: [] });
  }
}

/** Samples of a page by series text. */
export function samples(page: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of page.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    found.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return found;
}
