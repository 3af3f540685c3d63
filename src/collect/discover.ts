import { existsSync, readdirSync } from 'node:fs';
import type { CollectorDefinition } from './contract.ts';
import { loadModule } from './load-module.ts';

const FOLDER = new URL('../collectors/', import.meta.url);

/** The names of the collector folders, in byte order. */
export function collectorNames(): string[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(new URL(`${entry.name}/collector.js`, FOLDER)))
    .map((entry) => entry.name)
    .sort();
}

/** Loads the definitions (never the collect sides). The one computed import of the main thread. */
export async function discoverCollectors(): Promise<CollectorDefinition[]> {
  return Promise.all(
    collectorNames().map(async (name) => {
      const module = (await loadModule(new URL(`${name}/collector.js`, FOLDER).href)) as { default: CollectorDefinition | Promise<CollectorDefinition> };
      return module.default;
    }),
  );
}
