import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, needProgram, SOURCES } from './place.ts';

/** Compiles `bench/floor/NAME.c` unless that was done since it last changed; returns the program's path. */
export function cProgram(name: string): string {
  const source = join(SOURCES, 'floor', `${name}.c`);
  const program = join(cacheFolder(), name);
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  const compiler = needProgram('cc', 'Debian package gcc');
  execFileSync(compiler, ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  return program;
}

/** A folder in memory where there is one: files rewritten hundreds of times a second have no business on a disk. */
export function memoryFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'exporterd-bench-'));
}
