// Runs every compiled test whose source is still there, but for those in a virtual machine, which take minutes. Node 20 takes
// no globs and Node 21 no directories, so the list is explicit. Arguments narrow it: node test/run.mjs phase wire
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const tests = ['src', 'test']
  .flatMap((folder) =>
    readdirSync(join(root, 'dist', folder), { recursive: true, withFileTypes: true }).map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
  )
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => existsSync(file.replace(join(root, 'dist'), root.replace(/\/$/, '')).replace(/\.js$/, '.ts')))
  .filter((file) => (words.length === 0 ? !file.includes('/test/vm/') : words.some((word) => file.includes(word))))
  .sort();
if (tests.length === 0) {
  console.error('no compiled test found: run npm run build');
  process.exit(1);
}
// A file that hangs, or a test in it, is a failure and not a run without end.
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=2', '--test-timeout=300000', '--test-reporter=spec', ...tests], {
  cwd: root,
  stdio: 'inherit',
});
// The compiler has undone the packing, and what comes next, a start or a bench, is to be of the program as it is installed.
spawnSync(process.execPath, [join(root, 'tools/pack.mjs')], { stdio: 'inherit' });
process.exit(status ?? 1);
