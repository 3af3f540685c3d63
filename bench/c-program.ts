import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, needProgram, SOURCES } from './place.ts';

/** Compiles `bench/floor/NAME.c` unless that was done of the same text, headers included; returns the program's path. */
export function cProgram(name: string): string {
  const folder = join(SOURCES, 'floor');
  const source = join(folder, `${name}.c`);
  const text = createHash('sha256');
  const headers = readdirSync(folder).filter((file) => file.endsWith('.h'));
  for (const file of [...headers.sort(), `${name}.c`]) text.update(readFileSync(join(folder, file)));
  // Several checkouts may share the cache.
  const program = join(cacheFolder(), `${name}-${text.digest('hex').slice(0, 12)}`);
  if (existsSync(program)) return program;
  const compiler = needProgram('cc', 'Debian package gcc');
  execFileSync(compiler, ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  return program;
}

/** A folder in memory where there is one: files rewritten hundreds of times a second have no business on a disk. */
export function memoryFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'exporterd-bench-'));
}
