/**
 * Loads a module whose name is computed (a collector, a part, a collect side) by its address. In the packed program
 * (tools/pack.mjs) another file takes the place of this one, which finds it among the packed modules.
 */
export async function loadModule(url: string): Promise<unknown> {
  return import(url);
}

/**
 * Loads modules that will probably be needed, and in the packed program those that they load in turn where nothing is configured.
 * One that does not load says so to who needs it.
 */
export function preloadModules(urls: readonly string[]): void {
  for (const url of urls) loadModule(url).catch(() => undefined);
}

/** Address of the file at which a thread begins. In the packed program, of the packed one. @param path below src, `lanes/host.js` */
export function threadFile(path: string): URL {
  return new URL(`../${path}`, import.meta.url);
}
