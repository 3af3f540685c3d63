import { defineCollector } from '../../collect/contract.ts';
import { discoverParts } from './discover.ts';
import { optionsSchema } from './options-schema.ts';
import { COLLECTOR_DURATION, COLLECTOR_SUCCESS, reportNode } from './report.ts';

const PARTS = await discoverParts();

export default defineCollector({
  name: 'node',
  role: 'node',
  replaces: 'node_exporter 1.12.1',
  pool: 'host',
  parts: PARTS.map(({ name, enabledByDefault, families, intervalSeconds }) => ({
    name,
    enabledByDefault,
    families: [...families, COLLECTOR_DURATION, COLLECTOR_SUCCESS],
    ...(intervalSeconds === undefined ? {} : { intervalSeconds }),
  })),
  options: optionsSchema(PARTS),
  enabledByDefault: true,
  targets: () => [{ name: 'local', settings: undefined, address: 'local' }],
  report: reportNode,
  worker: new URL('./collect.js', import.meta.url),
});
