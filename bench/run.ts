/**
 * `npm run bench -- [NAME ...] [--smoke]`: runs benches one after the other, then writes bench/RESULTS.md. Other flags go to
 * every bench named, so give them with one name. The exit code is the first that was not 0.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHES = ['latency', 'cpu', 'node-cost', 'memory', 'faults', 'age', 'container'];

const names = process.argv.slice(2).filter((argument) => BENCHES.includes(argument));
const rest = process.argv.slice(2).filter((argument) => !BENCHES.includes(argument));
const isSmoke = rest.includes('--smoke');

let code = 0;
for (const name of names.length > 0 ? names : BENCHES) {
  const { status } = spawnSync(process.execPath, [built(name), ...rest], { stdio: 'inherit' });
  code ||= status ?? 1;
}
if (!isSmoke) spawnSync(process.execPath, [built('report')], { stdio: 'inherit' });
process.exitCode = code;

function built(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}
