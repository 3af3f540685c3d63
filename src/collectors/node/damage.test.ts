/** Every fixture, damaged: a part may fail, but by naming the file, and must give its whole page again afterwards. */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { comparable, type Fixture, fixtures, optionsFrom } from '../../../test/compare/node-fixtures.ts';
import { nodePages, rootsIn } from '../../../test/compare/node-page.ts';
import { bothReaders, temporaryTree, type Tree } from '../../../test/compare/node-tree.ts';
import { diceFrom } from '../../../test/support/random.ts';
import { CollectError } from '../../collect/contract.ts';
import { ReaderError, type Readers } from '../../readers/readers.ts';
import { ABSENCE_MS } from './absence.ts';

/** Cuts per file, spread over it. */
const CUTS = 12;
/** Larger files are damaged less often than they are worth. */
const LARGEST_BYTES = 16 * 1024;

function filesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = join(prefix, entry.name);
    return entry.isDirectory() ? filesBelow(folder, name) : entry.isFile() ? [name] : [];
  });
}

function damages(content: Buffer): Buffer[] {
  const roll = diceFrom(content.length + 1);
  const cuts = Array.from({ length: CUTS }, (_, i) => content.subarray(0, Math.floor((content.length * i) / CUTS)));
  const mutated = Array.from({ length: CUTS }, () => {
    const copy = Buffer.from(content);
    if (copy.length > 0) for (let i = 0; i < 3; i++) copy[roll(copy.length)] = roll(256);
    return copy;
  });
  return [...cuts, ...mutated, Buffer.from('\n\n\n'), Buffer.from('\u0000\u0001\u00ff garbage : = 1 2 3\n'), Buffer.concat([content, content])];
}

function checkFailure(error: unknown, tree: Tree): void {
  if (error === undefined) return;
  assert.ok(error instanceof CollectError || error instanceof ReaderError, error instanceof Error ? error.stack : String(error));
  assert.ok(error.message.includes(tree.folder), `names no file: ${error.message}`);
  if (error instanceof CollectError) assert.ok(error.code === 'read' || error.code === 'parse', error.code);
}

async function checkFixture(fixture: Fixture, readers: Readers, tree: Tree): Promise<void> {
  cpSync(fixture.folder, tree.folder, { recursive: true, verbatimSymlinks: true });
  const clock = { nowMs: 0 };
  const pages = nodePages({
    readers,
    roots: rootsIn(tree.folder),
    options: await optionsFrom(fixture.flags),
    parts: [fixture.part],
    monotonicMs: () => clock.nowMs,
  });
  const page = (): string => {
    const { page: text, error } = pages.run(fixture.part);
    checkFailure(error, tree);
    return error === undefined ? comparable(text, fixture.volatile) : 'failed';
  };
  const whole = page();
  const roots = ['proc', 'sys', 'udev'].filter((root) => statSync(tree.path(root), { throwIfNoEntry: false })?.isDirectory() === true);
  for (const file of roots.flatMap((root) => filesBelow(tree.folder, root))) {
    const content = readFileSync(tree.path(file));
    if (content.length > LARGEST_BYTES) continue;
    for (const damaged of damages(content)) {
      tree.write(file, damaged);
      page();
      tree.write(file, content);
    }
    renameSync(tree.path(file), tree.path(`${file}.away`));
    clock.nowMs += ABSENCE_MS;
    page();
    renameSync(tree.path(`${file}.away`), tree.path(file));
    clock.nowMs += ABSENCE_MS;
  }
  // A value that only rises (cpu) keeps what a damaged file said, so the last word is a new session's.
  if (fixture.part !== 'cpu') assert.equal(page(), whole);
  pages.close();
}

for (const fixture of fixtures()) {
  for (const [name, readers] of bothReaders()) {
    // The reference readers are the same code path for a part; one pass with them is enough where both are there.
    if (name === 'reference' && bothReaders().length > 1 && !fixture.name.endsWith('.plain')) continue;
    test(`${fixture.name}, damaged (${name} readers)`, async (context) => {
      await checkFixture(fixture, readers, temporaryTree(context));
    });
  }
}
