import { type CollectorDefinition, type Part, defineCollector } from '../../collect/contract.ts';
import { compareBytes } from '../../model/escape.ts';
import { discoverParts, discoverServices } from './discover.ts';
import { optionsSchema } from './options-schema.ts';
import type { NodePart } from './part.ts';
import { COLLECTOR_DURATION, COLLECTOR_SUCCESS, reportNode } from './report.ts';
import type { ServicePart, ServiceSettings } from './service-part.ts';
import { SYSTEM_BUS } from './services/dbus/address.ts';

const SERVICE_WORKER = new URL('./collect-services.js', import.meta.url);

function definition({ name, enabledByDefault, families }: NodePart | ServicePart): Part {
  return { name, enabledByDefault, families: [...families, COLLECTOR_DURATION, COLLECTOR_SUCCESS] };
}

async function nodeCollector(): Promise<CollectorDefinition> {
  const nodeParts = await discoverParts();
  const services = await discoverServices();
  return defineCollector({
    name: 'node',
    role: 'node',
    replaces: 'node_exporter 1.12.1',
    pool: 'host',
    parts: [
      ...nodeParts.map((part): Part => ({ ...definition(part), ...(part.intervalSeconds === undefined ? {} : { intervalSeconds: part.intervalSeconds }) })),
      ...services.map((part): Part => ({ ...definition(part), elsewhere: { pool: 'network', worker: SERVICE_WORKER } })),
    ].sort((a, b) => compareBytes(a.name, b.name)),
    options: optionsSchema([...nodeParts, ...services].sort((a, b) => compareBytes(a.name, b.name))),
    enabledByDefault: true,
    targets(_, environment) {
      const settings: ServiceSettings = { systemBus: environment['DBUS_SYSTEM_BUS_ADDRESS'] || SYSTEM_BUS };
      return [{ name: 'local', settings, address: 'local' }];
    },
    report: reportNode,
    worker: new URL('./collect.js', import.meta.url),
  });
}

export default nodeCollector();
