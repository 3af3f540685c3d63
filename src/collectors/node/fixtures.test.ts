import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { comparable, fixtures, ourPage } from '../../../test/compare/node-fixtures.ts';
import { addonPath, nativeReaders } from '../../readers/native.ts';
import type { Readers } from '../../readers/readers.ts';
import { referenceReaders } from '../../readers/reference.ts';
import { CollectError } from '../../collect/contract.ts';
import { ReaderError } from '../../readers/readers.ts';
import { discoverParts } from './discover.ts';

const isUpdate = process.env['UPDATE_FIXTURES'] === '1';
const implementations: [string, Readers][] = [['reference', referenceReaders()]];
if (addonPath() !== undefined) implementations.push(['native', nativeReaders()]);

for (const fixture of fixtures()) {
  for (const [name, readers] of implementations) {
    test(`${fixture.name} (${name} readers)`, { skip: fixture.notHere || false }, async () => {
      const path = join(fixture.folder, 'expected.prom');
      const { page, error } = await ourPage(fixture, readers);
      // A failure must be one of the input, not of the program.
      if (error !== undefined) assert.ok(error instanceof CollectError || error instanceof ReaderError, String(error));
      const found = comparable(page, fixture.volatile);
      if (isUpdate || !existsSync(path)) {
        assert.ok(isUpdate, `${path} is missing; make it with UPDATE_FIXTURES=1 and read it`);
        writeFileSync(path, found);
      }
      assert.equal(found, readFileSync(path, 'utf8'));
    });
  }
}

test('every fixture is named after a part', async () => {
  const parts = new Set((await discoverParts()).map(({ name }) => name));
  for (const { name, part } of fixtures()) assert.ok(parts.has(part), name);
});
