import { spawnSync } from 'node:child_process';

/**
 * Whether a program is on this machine. Where it is not the test is skipped with that reason, but in CI, where everything is
 * installed, its absence is a failure.
 */
export function skipWithout(program: string): string | false {
  if (spawnSync('sh', ['-c', `command -v ${program}`]).status === 0) return false;
  if (process.env['CI'] === 'true') throw new Error(`${program} is not installed, and CI installs it`);
  return `${program} is not installed`;
}
