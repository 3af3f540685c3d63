/** A tree of kernel files of a test's own, below the system's folder for such things. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Readers } from '../../src/readers/readers.ts';
import { addonPath, nativeReaders } from '../../src/readers/native.ts';
import { referenceReaders } from '../../src/readers/reference.ts';
import type { NodeOptions } from '../../src/collectors/node/options.ts';
import { comparable } from './node-fixtures.ts';
import { type NodePages, nodePages, rootsIn } from './node-page.ts';

export interface Tree {
  readonly folder: string;
  readonly path: (name: string) => string;
  /** Writes in place, as a kernel file changes: a kept descriptor sees it. */
  write(name: string, content: string | Buffer): void;
  /** Writes beside and renames, as udev does. */
  replace(name: string, content: string): void;
  remove(name: string): void;
}

export function temporaryTree(context: Pick<TestContext, 'after'>, files: Readonly<Record<string, string>> = {}): Tree {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-node-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, name);
  const write = (name: string, content: string | Buffer): void => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), content);
  };
  for (const [name, content] of Object.entries(files)) write(name, content);
  return {
    folder,
    path,
    write,
    replace(name, content) {
      write(`${name}.new`, content);
      renameSync(path(`${name}.new`), path(name));
    },
    remove: (name) => rmSync(path(name), { recursive: true, force: true }),
  };
}

/** Both implementations where the addon is built. */
export function bothReaders(): readonly (readonly [name: string, readers: Readers])[] {
  const reference = ['reference', referenceReaders()] as const;
  return addonPath() === undefined ? [reference] : [reference, ['native', nativeReaders()]];
}

export interface TreePages {
  readonly tree: Tree;
  readonly pages: NodePages;
  /** One run: the page without HELP. Throws what the part threw. */
  run(): string;
  /** Milliseconds, which only tests move. */
  clock: { nowMs: number };
  readonly warnings: string[];
}

/** One part on a tree of its own. */
export function partOn(
  context: Pick<TestContext, 'after'>,
  part: string,
  files: Readonly<Record<string, string>>,
  more: { readonly readers?: Readers; readonly options?: NodeOptions; readonly parts?: readonly string[] } = {},
): TreePages {
  const tree = temporaryTree(context, files);
  const clock = { nowMs: 0 };
  const warnings: string[] = [];
  const pages = nodePages({
    readers: more.readers ?? bothReaders().at(-1)?.[1] ?? referenceReaders(),
    roots: rootsIn(tree.folder),
    options: more.options ?? {},
    parts: more.parts ?? [part],
    monotonicMs: () => clock.nowMs,
    warn: (message) => warnings.push(message),
  });
  context.after(() => pages.close());
  return {
    tree,
    pages,
    clock,
    warnings,
    run() {
      const { page, error } = pages.run(part);
      if (error !== undefined) throw error;
      return comparable(page);
    },
  };
}
