import type { NetworkSession, Outcome, Scope } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { discoverServices, loadService, serviceNames } from './discover.ts';
import { type NodeOptions, PartOptions } from './options.ts';
import { reportNode } from './report.ts';
import type { Service, ServiceModule, ServicePart, ServiceSettings } from './service-part.ts';

const SERVICES = new Map<string, { readonly part: ServicePart; readonly module: ServiceModule }>();

/** Loads the services among these parts that are not there yet. */
export async function prepare(parts: readonly string[]): Promise<void> {
  const names = serviceNames().filter((name) => parts.includes(name) && !SERVICES.has(name));
  for (const part of await discoverServices(names)) SERVICES.set(part.name, { part, module: await loadService(part.name) });
}

/** A service is opened by its first collect and kept; one that cannot be opened is tried again in its next run. */
export function open(scope: Scope): NetworkSession {
  const { options = {}, target, roots, monotonicMs, wallMs, warn } = scope;
  const opened = new Map<string, Service>();
  const service = (name: string): Service => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const found = SERVICES.get(name);
    if (found === undefined) throw new Error(`node has no service ${name}`);
    // The main thread has checked the options against the schema made from the same table, and made the settings.
    const partOptions = new PartOptions(found.part, options as NodeOptions);
    const { systemBus } = target.settings as ServiceSettings;
    const fresh = found.module.open({ options: partOptions, roots, systemBus, monotonicMs, wallMs, warn });
    opened.set(name, fresh);
    return fresh;
  };
  return {
    begin: () => Promise.resolve(),
    collect: async (part: string, sheet: Sheet, signal: AbortSignal): Promise<Outcome> => service(part).collect(sheet, signal),
    async close() {
      for (const one of opened.values()) one.close();
      opened.clear();
    },
  };
}

export const report = reportNode;
