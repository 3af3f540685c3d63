import { defineCollector } from '../../collect/contract.ts';
import { PARTS } from './parts.ts';
import { COLLECTOR_DURATION, COLLECTOR_SUCCESS, reportPostgres } from './report.ts';
import { postgresOptions, postgresTargets } from './targets.ts';

export default defineCollector({
  name: 'postgres',
  role: 'postgres',
  replaces: 'postgres_exporter 0.20.1',
  pool: 'network',
  parts: PARTS.map(({ name, enabledByDefault, families }) => ({
    name,
    enabledByDefault,
    families: name === 'up' ? families : [...families, COLLECTOR_SUCCESS, COLLECTOR_DURATION],
  })),
  options: postgresOptions,
  enabledByDefault: false,
  targets: postgresTargets,
  report: reportPostgres,
  worker: new URL('./collect.js', import.meta.url),
});
