import assert from 'node:assert/strict';
import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { limitSendBuffers, loadReaders } from './load.ts';
import { addonPath } from './native.ts';

const built = addonPath() !== undefined;

test('the addon is chosen exactly when it was built, unless told otherwise', () => {
  assert.equal(loadReaders('').native, built);
  assert.equal(loadReaders('reference').native, false);
  if (built) assert.equal(loadReaders('native').native, true);
  else assert.throws(() => loadReaders('native'), /not built/);
  assert.throws(() => loadReaders('fast'), /EXPORTERD_READERS/);
});

/** Runs an expression on a copy of the compiled package in which the addon is what `prepare` makes it. */
function inCopy(expression: string, prepare: (addon: string) => void): SpawnSyncReturns<string> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-load-'));
  try {
    const source = dirname(dirname(fileURLToPath(import.meta.url)));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    for (const part of ['readers', 'model']) cpSync(join(source, part), join(folder, 'dist', 'src', part), { recursive: true });
    mkdirSync(join(folder, 'native-readers', 'build'), { recursive: true });
    prepare(join(folder, 'native-readers', 'build', 'readers.node'));
    // The suffix of this file: .js when compiled, .ts when run from source.
    const load = join(folder, 'dist', 'src', 'readers', `load${fileURLToPath(import.meta.url).slice(-3)}`);
    const script = `const { loadReaders, exitNow } = await import(${JSON.stringify(load)});\n${expression}`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 10_000, killSignal: 'SIGKILL' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const PRINT_NATIVE = 'console.log(loadReaders().native)';

test('without the addon the reference readers are used', () => {
  const { status, stdout, stderr } = inCopy(PRINT_NATIVE, () => undefined);
  assert.equal(stdout, 'false\n', stderr);
  assert.equal(status, 0);
});

test('an addon that does not load is an error that names it', () => {
  const { status, stderr } = inCopy(PRINT_NATIVE, (addon) => writeFileSync(addon, 'not a shared object'));
  assert.notEqual(status, 0);
  assert.match(stderr, /native-readers\/build\/readers\.node does not load/);
});

test('exitNow ends the process with its code, with and without the addon', () => {
  const expression = "setInterval(() => {}, 1000);\nconsole.error('before');\nexitNow(7);\nconsole.error('after');";
  for (const withAddon of built ? [true, false] : [false]) {
    const { status, stderr } = inCopy(expression, (addon) => {
      if (withAddon) cpSync(addonPath() ?? '', addon);
    });
    assert.equal(status, 7);
    assert.equal(stderr, 'before\n');
  }
});

test('without the addon a thread that is stuck in open does not keep the process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-stuck-'));
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const worker = join(folder, 'worker.cjs');
  writeFileSync(worker, `require('node:worker_threads').parentPort.postMessage(''); require('node:fs').readFileSync(${JSON.stringify(fifo)});`);
  try {
    const stuck = `
      const { Worker } = await import('node:worker_threads');
      process.on('SIGTERM', () => undefined);
      await new Promise((resolve) => new Worker(${JSON.stringify(worker)}).once('message', resolve));
      setTimeout(() => exitNow(0, true), 200);`;
    const { status, signal, stderr } = inCopy(stuck, () => undefined);
    assert.deepEqual([status, signal], [null, 'SIGTERM'], stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('limitSendBuffers finds the listeners of a port, of either family, and no other sockets', {
  skip: built ? false : 'the addon is not built',
}, async (t) => {
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo; // An AddressInfo for every TCP listener.
  assert.equal(limitSendBuffers(port, 65536), 1);
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const free = (other.address() as AddressInfo).port;
  assert.equal(limitSendBuffers(free, 65536), 1);
  await new Promise((resolve) => other.close(resolve));
  assert.equal(limitSendBuffers(free, 65536), 0);
});
