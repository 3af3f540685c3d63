/** The addon over time: threads that load it and end, sources that are dropped without a close. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { addonPath, nativeReaders } from '../../src/readers/native.ts';

const skip = addonPath() === undefined ? 'the addon is not built (no C++ compiler?)' : false;

/** A kernel file whose shape never changes: two numbers. */
const KEPT = '/proc/uptime';

/** Open descriptors of this process. */
function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

const native = new URL(`../../src/readers/native${fileURLToPath(import.meta.url).slice(-3)}`, import.meta.url).href;

const WORKER = `
  const { parentPort } = require('node:worker_threads');
  import(${JSON.stringify(native)}).then(({ nativeReaders }) => {
    const readers = nativeReaders();
    const source = readers.source(${JSON.stringify(KEPT)});
    const set = readers.set();
    for (let i = 0; i < 50; i += 1) set.add(${JSON.stringify(KEPT)});
    const mounts = readers.mounts();
    mounts.paths(['/', '/proc']);
    for (let i = 0; i < 3; i += 1) { source.scan(); set.scan(); mounts.run(60000); }
    parentPort.postMessage([source.count, set.status[49], mounts.status[0]]);
  });
`;

async function runWorkers(count: number): Promise<void> {
  const workers = Array.from({ length: count }, () => new Worker(WORKER, { eval: true }));
  await Promise.all(
    workers.map(async (worker) => {
      const ended = once(worker, 'exit');
      const [answer] = await once(worker, 'message');
      assert.deepEqual(answer, [2, 0, 0]);
      await ended;
    }),
  );
}

test('threads that load the addon end without a trace', { skip }, async () => {
  await runWorkers(2);
  const before = descriptors();
  for (let round = 0; round < 5; round += 1) await runWorkers(2);
  assert.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before`);
});

test('a thread that is terminated in the middle leaves nothing open', { skip }, async () => {
  await runWorkers(1);
  const before = descriptors();
  for (let round = 0; round < 5; round += 1) {
    const worker = new Worker(`${WORKER}\nsetInterval(() => {}, 1000);`, { eval: true });
    await once(worker, 'message');
    await worker.terminate();
  }
  assert.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before`);
});

test('sources and sets that are dropped are closed when collected', { skip }, async () => {
  // node was not started with --expose-gc; a context made after the flag is set has the function.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  assert.ok(typeof collect === 'function');
  const readers = nativeReaders();
  const before = descriptors();
  for (let i = 0; i < 100; i += 1) readers.source(KEPT).scan();
  for (let tries = 0; tries < 500 && descriptors() > before + 1; tries += 1) {
    collect();
    await sleep(10);
  }
  assert.ok(descriptors() <= before + 1);
});
