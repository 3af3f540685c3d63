import { z } from 'zod';
import { defineCollector, type Part } from '../../../src/collect/contract.ts';
import { RUNS, report, UP } from './families.ts';

/** Collectors of two roles that nothing real has yet, for tests of what is between collectors and pages. */

const hostOptions = z.strictObject({
  /** While this file has content, the part `crashes` ends its thread. */
  crash_file: z.string().default('/dev/null'),
});
export type ToyHostOptions = z.infer<typeof hostOptions>;

function part(name: string, enabledByDefault: boolean): Part {
  return { name, enabledByDefault, families: [RUNS, UP] };
}

export const TOY_HOST = defineCollector({
  name: 'toyhost',
  role: 'nginx',
  replaces: 'nothing',
  pool: 'host',
  parts: [...['calm', 'crashes'].map((name) => part(name, true)), ...['misreports', 'misprints', 'warns'].map((name) => part(name, false))],
  options: hostOptions,
  enabledByDefault: true,
  targets: () => [{ name: 'local', settings: undefined, address: 'local' }],
  report,
  worker: new URL('./host.js', import.meta.url),
});

const target = z.strictObject({
  name: z.string(),
  /** Loopback port to keep a connection to. */
  port: z.number().optional(),
  /** A file to read at each run: a FIFO blocks. */
  blocks_on: z.string().optional(),
  /** Ends the thread at each run. */
  exits: z.boolean().optional(),
});
export type ToySettings = z.infer<typeof target>;

export const TOY_NETWORK = defineCollector({
  name: 'toynet',
  role: 'kafka',
  replaces: 'nothing',
  pool: 'network',
  parts: [part('only', true), part('misreports', false), part('warns', false)],
  options: z.strictObject({ targets: z.array(target).default([]) }),
  enabledByDefault: false,
  targets: (options) => options.targets.map((settings) => ({ name: settings.name, settings, address: settings.name })),
  report,
  worker: new URL('./network.js', import.meta.url),
});
