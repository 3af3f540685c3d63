import { z } from 'zod';
import { defineCollector } from '../../collect/contract.ts';
import { PROCESS_FAMILIES } from './families.ts';
import { report } from './report.ts';

/** The daemon's own process. What it says of its collectors and pages is in src/self. */
export default defineCollector({
  name: 'exporterd',
  role: 'exporterd',
  replaces: 'the process collector of the Go client library',
  pool: 'host',
  enabledByDefault: true,
  parts: [{ name: 'process', enabledByDefault: true, families: PROCESS_FAMILIES }],
  options: z.strictObject({}),
  targets: () => [{ name: 'local', settings: undefined, address: 'this process' }],
  report,
  worker: new URL('./collect.js', import.meta.url),
});
