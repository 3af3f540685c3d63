import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const skip = !existsSync(join(PACKAGE, 'node_modules/esbuild')) && 'esbuild is not installed';

function run(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Preloaded into every thread: writes which packed files were loaded, and whether V8 took the code that was kept for them. */
const WATCH = `
const { appendFileSync } = require('node:fs');
const vm = require('node:vm');
vm.Script = class extends vm.Script {
  constructor(text, options) {
    super(text, options);
    const taken = options.cachedData !== undefined && !this.cachedDataRejected;
    appendFileSync(process.env.WATCHED, \`\${/[^/]*$/.exec(options.filename)[0]} \${taken ? 'kept' : 'compiled'}\\n\`);
  }
};`;

/** HELP lines, but those of the daemon's own role, which tell what has happened. */
const families = (page: string): string[] => page.split('\n').filter((line) => line.startsWith('# HELP ') && !line.includes('exporterd_'));

test('the packed program has the page of the other, from a few files and with code that was kept', { skip }, (t) => {
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
  assert.deepEqual(readFileSync(main, 'utf8').split('\n').slice(0, 2), [start, "import { createRequire } from 'node:module';"]);
  const unpacked = ['daemon/daemon.js', 'collect/sheet.js', 'collectors/node/collect.js', 'collectors/node/parts/cpu.js', 'self/page.js'];
  for (const name of unpacked) writeFileSync(join(program, name), `throw new Error('${name} is loaded beside the pack');`);
  assert.deepEqual(families(run(main, 'once', '--role', 'node')), before);
  assert.ok(before.length > 100, `${before.length} families`);
  assert.match(run(main, '--version'), /^exporterd \d/);

  const watch = join(folder, 'watch.cjs');
  writeFileSync(watch, WATCH);
  process.env['WATCHED'] = join(folder, 'watched');
  t.after(() => delete process.env['WATCHED']);
  const flags = /\bnode +(.*)$/.exec(start)?.[1]?.split(' ') ?? [];
  const watched = (...options: string[]): string[] => {
    writeFileSync(join(folder, 'watched'), '');
    assert.deepEqual(families(run(...options, '--require', watch, main, 'once', '--role', 'node')), before);
    return readFileSync(join(folder, 'watched'), 'utf8').trim().split('\n').sort();
  };
  const threads = ['daemon-planner.js.txt', 'lanes-host.js.txt', 'main.js.txt', 'views-builder.js.txt'];
  assert.deepEqual(
    watched(...flags),
    threads.map((name) => `${name} kept`),
  );
  const compiled = threads.map((name) => `${name} compiled`);
  assert.deepEqual(watched(...flags, '--no-lazy'), compiled, 'other flags');
  for (const name of threads) {
    const file = join(program, 'pack', name.replace('.txt', '.code'));
    const code = readFileSync(file);
    code.write('v0.0.0 ', 'latin1');
    writeFileSync(file, code);
  }
  assert.deepEqual(watched(...flags), compiled, "another Node.js's");
});
