import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const skip = !existsSync(join(PACKAGE, 'node_modules/esbuild')) && 'esbuild is not installed';

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** HELP lines, but those of the daemon's own role, which tell what has happened. */
const families = (page: string): string[] => page.split('\n').filter((line) => line.startsWith('# HELP ') && !line.includes('exporterd_'));

test('the packed program has the page of the other, from a few files', { skip }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-pack-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'dist/src');
  cpSync(join(PACKAGE, 'package.json'), join(folder, 'package.json'));
  cpSync(join(PACKAGE, 'dist/src'), program, { recursive: true, filter: (path) => !path.endsWith('.test.js') });
  symlinkSync(join(PACKAGE, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'native-readers'));
  if (existsSync(join(PACKAGE, 'native-readers/build'))) symlinkSync(join(PACKAGE, 'native-readers/build'), join(folder, 'native-readers/build'));
  const main = join(program, 'main.js');
  const start = readFileSync(main, 'utf8').split('\n')[0] ?? '';

  const before = families(run(main, 'once', '--role', 'node'));
  run(join(PACKAGE, 'tools/pack.mjs'), program);
  assert.equal(readFileSync(main, 'utf8'), `${start}\nimport './pack/main.js';\n`);
  const unpacked = ['daemon/daemon.js', 'collect/sheet.js', 'collectors/node/collect.js', 'collectors/node/parts/cpu.js', 'self/page.js'];
  for (const name of unpacked) writeFileSync(join(program, name), `throw new Error('${name} is loaded beside the pack');`);
  assert.deepEqual(families(run(main, 'once', '--role', 'node')), before);
  assert.ok(before.length > 100, `${before.length} families`);
  assert.match(run(main, '--version'), /^exporterd \d/);
});
