import { readdirSync } from 'node:fs';
import { loadModule } from '../../collect/load-module.ts';
import { compareBytes } from '../../model/escape.ts';
import type { NodePart } from './part.ts';

const FOLDER = new URL('./parts/', import.meta.url);
/** `.js` when compiled, `.ts` where Node runs the sources. */
const SUFFIX = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

/** File names of the parts without their ending, in byte order. */
export function partNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(SUFFIX) && !file.includes('.test.') && !file.endsWith('.d.ts'))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort(compareBytes);
}

/** Loads parts, all of them when no names are given. Throws Error when a file does not export the part it is named after. */
export async function discoverParts(names: readonly string[] = partNames()): Promise<readonly NodePart[]> {
  return Promise.all(
    names.map(async (name) => {
      const module = (await loadModule(new URL(`${name}${SUFFIX}`, FOLDER).href)) as { part?: NodePart };
      if (module.part?.name !== name) throw new Error(`parts/${name} must export a part named ${name}, not ${String(module.part?.name)}`);
      return module.part;
    }),
  );
}
