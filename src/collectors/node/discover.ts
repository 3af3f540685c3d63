import { existsSync, readdirSync } from 'node:fs';
import { loadModule } from '../../collect/load-module.ts';
import { compareBytes } from '../../model/escape.ts';
import type { NodePart } from './part.ts';
import type { ServiceModule, ServicePart } from './service-part.ts';

const FOLDER = new URL('./parts/', import.meta.url);
const SERVICES = new URL('./services/', import.meta.url);
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

/** Names of the parts that ask other programs, in byte order: the folders below `services/` that define one. */
export function serviceNames(): string[] {
  return readdirSync(SERVICES)
    .filter((name) => existsSync(new URL(`${name}/part${SUFFIX}`, SERVICES)))
    .sort(compareBytes);
}

/** Loads the definitions of the services. Throws Error when one is not named after its folder. */
export async function discoverServices(names: readonly string[] = serviceNames()): Promise<readonly ServicePart[]> {
  return Promise.all(
    names.map(async (name) => {
      const module = (await loadModule(new URL(`${name}/part${SUFFIX}`, SERVICES).href)) as { part?: ServicePart };
      if (module.part?.name !== name) throw new Error(`services/${name}/part must export a part named ${name}, not ${String(module.part?.name)}`);
      return module.part;
    }),
  );
}

/** Loads what a service does. Never on the main thread: it loads node's socket modules. */
export async function loadService(name: string): Promise<ServiceModule> {
  return (await loadModule(new URL(`${name}/collect${SUFFIX}`, SERVICES).href)) as ServiceModule;
}
