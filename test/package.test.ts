/** The package as npm makes and installs it, without a registry. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonPath } from '../src/readers/native.ts';
import { cleanEnvironment, sampleValue } from './support/daemon.ts';

/** dist/test: two folders below the package. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'exporterd-package-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly dependencies?: Readonly<Record<string, string>> }>>;
}

/** Offline, and no script of any package is run, ours included. */
function npm(cwd: string, ...args: readonly string[]): SpawnSyncReturns<string> {
  const env = cleanEnvironment({ npm_config_cache: join(folder, 'cache'), npm_config_update_notifier: 'false' });
  return spawnSync('npm', [...args, '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
}

/**
 * What a registry would give: the packages of the lock file that are no tools of ours, as they lie in this checkout, in a
 * project that has them already.
 */
function lendDependencies(into: string): void {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const lent = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  for (const [path] of lent) {
    // Nested ones come with the package that they lie in; binaries for other machines are large.
    if (path.includes('/node_modules/') || !existsSync(join(root, path))) continue;
    const isWanted = (source: string): boolean => !/binaries\/uws_/.test(source) || source.endsWith(`_${process.arch}_${process.versions.modules}.node`);
    cpSync(join(root, path), join(into, path), { recursive: true, filter: isWanted });
    linkPrograms(join(into, path), join(into, 'node_modules', '.bin'));
  }
  const project = { name: 'consumer', dependencies: packages['']?.dependencies };
  writeFileSync(join(into, 'package.json'), JSON.stringify(project));
  writeFileSync(join(into, 'package-lock.json'), JSON.stringify({ ...project, lockfileVersion: 3, packages: Object.fromEntries([['', project], ...lent]) }));
}

/** Without these npm takes a package for damaged and asks for it again. */
function linkPrograms(from: string, into: string): void {
  const { name, bin = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { name: string; bin?: string | Readonly<Record<string, string>> };
  mkdirSync(into, { recursive: true });
  for (const [program, file] of Object.entries(typeof bin === 'string' ? { [basename(name)]: bin } : bin)) {
    symlinkSync(relative(into, join(from, file)), join(into, program));
  }
}

/** A copy of what is packed and more, with the times that the build looks at. */
function stage(into: string): void {
  const parts = ['package.json', 'README.md', 'LICENSE', 'dist/src', 'native-readers'];
  for (const part of parts)
    cpSync(join(root, part), join(into, part), { recursive: true, preserveTimestamps: true, filter: (source) => !source.endsWith('build/tests') });
}

function once(consumer: string): SpawnSyncReturns<string> {
  const bin = join(consumer, 'node_modules', '.bin', 'exporterd');
  return spawnSync(bin, ['once', '--role=node', '--log.format=json'], { cwd: consumer, env: cleanEnvironment(), encoding: 'utf8', timeout: 60_000 });
}

test('packed, installed elsewhere without a registry and without scripts, it runs', { timeout: 300_000 }, () => {
  const consumer = join(folder, 'consumer');
  const staged = join(consumer, 'stage');
  mkdirSync(staged, { recursive: true });
  lendDependencies(consumer);
  stage(staged);
  // What prepack does besides compiling, which is done: this runs from what was compiled.
  const packing = spawnSync('sh', ['native-readers/build.sh', '--for-package'], { cwd: staged, encoding: 'utf8' });
  assert.equal(packing.status, 0, packing.stderr);
  const packed = npm(staged, 'pack', '--json');
  assert.equal(packed.status, 0, packed.stderr);
  const [{ filename, files }] = JSON.parse(packed.stdout) as [{ filename: string; files: readonly { path: string }[] }];
  const paths = files.map(({ path }) => path);
  for (const path of paths)
    assert.match(
      path,
      /^(dist\/src\/[\w./-]+\.js|dist\/src\/pack\/([\w-]+\.js\.(txt|code)|package\.json)|native-readers\/(src\/[\w./-]+|build\.sh|prebuilt\/[\w-]+\.node)|package\.json|README\.md|LICENSE)$/,
    );
  assert.deepEqual(
    paths.filter((path) => /\.test\.|harness|fixtures/.test(path)),
    [],
  );
  assert.ok(paths.includes('dist/src/main.js') && paths.includes('native-readers/build.sh'));

  const installed = npm(consumer, 'install', join(staged, filename));
  assert.equal(installed.status, 0, installed.stderr);
  const own = join(consumer, 'node_modules', 'exporterd');
  assert.ok(!existsSync(join(own, 'native-readers', 'build')), 'nothing was built');
  const { status, stdout, stderr } = once(consumer);
  assert.equal(status, 0, stderr);
  assert.ok(sampleValue(stdout, 'node_memory_MemTotal_bytes') > 0);
  const warning = 'there are no native readers for this machine';
  assert.equal(stderr.includes(warning), addonPath() === undefined, stderr);

  // One for another libc, say: it does not load, and the daemon says once what to do about it.
  for (const file of readdirSync(join(own, 'native-readers', 'prebuilt'))) writeFileSync(join(own, 'native-readers', 'prebuilt', file), 'not for this machine');
  const without = once(consumer);
  assert.equal(without.status, 0, without.stderr);
  assert.ok(sampleValue(without.stdout, 'node_memory_MemTotal_bytes') > 0);
  const lines = without.stderr.split('\n').filter((line) => line.includes(warning));
  assert.equal(lines.length, 1, without.stderr);
  const command = /install g\+\+ and run sh (\S+?)"/.exec(lines[0] ?? '')?.[1] ?? '';
  assert.equal(command, join(own, 'native-readers', 'build.sh'));

  const addon = addonPath();
  if (addon === undefined) return;
  // Compiling takes long and is done in every build: this compiler only puts down what that one made.
  const compiler = join(folder, 'compiler');
  writeFileSync(compiler, `#!/bin/sh\nfor last; do :; done\ncp ${addon} "$last"\n`, { mode: 0o755 });
  const built = spawnSync('sh', [command], { env: cleanEnvironment({ CXX: compiler }), encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  assert.ok(!once(consumer).stderr.includes(warning), 'and that is all there is to do');
});
