/**
 * Loads a module whose name is computed (a collector, a part, a collect side) by its address. In the packed program
 * (tools/pack.mjs) another file takes the place of this one, which finds it among the packed modules.
 */
export async function loadModule(url: string): Promise<unknown> {
  return import(url);
}
