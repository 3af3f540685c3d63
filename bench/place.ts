import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where things lie, seen from `dist/bench`. */

export const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
/** The built daemon. */
export const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url));
/** Sources of the benches: C programs and wrk's script are used from there. */
export const SOURCES = join(PACKAGE, 'bench');
export const RESULTS = join(SOURCES, 'results');

/** Programs built for benches, kept between runs. */
export function cacheFolder(): string {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'exporterd-bench');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The path of a program, or undefined when it is not on the PATH. */
export function onPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}

/** Something a bench cannot do without is not on this machine. */
export class Missing extends Error {}

export function needProgram(program: string, install: string): string {
  const path = onPath(program);
  if (path === undefined) throw new Missing(`${program} is not on the PATH (${install})`);
  return path;
}
