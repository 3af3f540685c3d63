import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { loadReaders } from './load.ts';
import { referenceReaders } from './reference.ts';

const FINAL = Uint8Array.of(3, 0);
const both = [...new Set([loadReaders(), referenceReaders()])];

test('what is compressed comes out again, block behind block', () => {
  const inputs = [new Uint8Array(0), Buffer.from('a'), Buffer.from('node_load1 0.5\n'.repeat(5000)), randomBytes(100_000), Buffer.alloc(3 << 20, 'x')];
  for (const readers of both) {
    const blocks: Uint8Array[] = [];
    for (const input of inputs) {
      const output = new Uint8Array(new SharedArrayBuffer(input.length + input.length / 100 + 1024));
      const bytes = readers.deflate(input, output);
      assert.ok(bytes > 0, `${input.length} bytes in, ${bytes} out`);
      blocks.push(output.slice(0, bytes));
    }
    assert.deepEqual(inflateRawSync(Buffer.concat([...blocks, FINAL])), Buffer.concat(inputs));
  }
});

test('too little room is told with the room that suffices', () => {
  const input = randomBytes(5000);
  for (const readers of both) {
    const wanted = -readers.deflate(input, new Uint8Array(10)) - 1;
    assert.ok(wanted >= 5000);
    assert.ok(readers.deflate(input, new Uint8Array(wanted)) > 0);
  }
});
