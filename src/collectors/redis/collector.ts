import { defineCollector } from '../../collect/contract.ts';
import { FAMILIES } from './families.ts';
import { reportRedis } from './report.ts';
import { redisOptions, redisTargets } from './targets.ts';

export default defineCollector({
  name: 'redis',
  role: 'redis',
  replaces: 'redis_exporter 1.88',
  pool: 'network',
  parts: [{ name: 'info', enabledByDefault: true, families: FAMILIES }],
  options: redisOptions,
  enabledByDefault: false,
  targets: redisTargets,
  report: reportRedis,
  worker: new URL('./collect.js', import.meta.url),
});
