import { readFileSync } from 'node:fs';
import { discoverCollectors } from '../collect/discover.ts';
import { loadConfig } from '../cli/load.ts';
import { UsageError } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { secretReader } from '../config/secret.ts';
import { loadReaders } from '../readers/load.ts';
import { type Plan, type PlanInputs, plan } from './plan.ts';

/** What the command line and its surroundings say. Structured-clonable, as everything here. */
export interface Called {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Name the program was called by. */
  readonly program: string;
  readonly version: string;
}

/** The daemon's own settings; what concerns collectors is in the plan. */
export type Settings = Omit<Config, 'collectors'>;

export type Prepared =
  /** A command that only prints. */
  | { readonly kind: 'print'; readonly text: string }
  /** The command line or the configuration is wrong. */
  | { readonly kind: 'usage'; readonly text: string }
  | { readonly kind: 'run' | 'once'; readonly settings: Settings; readonly plan: Plan; readonly warnings: readonly string[] };

/**
 * Everything from the command line to the plan. Runs in a thread of its own that ends with it (planner.ts): the schemas, the
 * definitions of all collectors and what reading them leaves behind are a third of the memory of the daemon at rest.
 */
export async function prepare({ argv, cwd, program, version }: Called): Promise<Prepared> {
  try {
    const definitions = await discoverCollectors();
    const readFile = (path: string): string => readFileSync(path, 'utf8');
    const loaded = await loadConfig({ argv, env: process.env, cwd, definitions, readFile, version, program });
    if (!('config' in loaded)) return { kind: 'print', text: loaded.text };
    const { collectors: _, ...settings } = loaded.config;
    const wanted = planOrUsage({
      config: loaded.config,
      definitions,
      environment: process.env,
      readSecret: secretReader(readFile, cwd),
      readers: loadReaders(settings.readers === 'auto' ? undefined : settings.readers),
      ...(loaded.persona === undefined ? {} : { persona: loaded.persona.page }),
    });
    if (loaded.kind === 'check-config') return { kind: 'print', text: loaded.text };
    return { kind: loaded.kind, settings, plan: wanted, warnings: loaded.warnings };
  } catch (error) {
    if (error instanceof UsageError) return { kind: 'usage', text: error.message };
    throw error;
  }
}

/** What is wrong with targets (an address, a secret's file) is wrong with the configuration. */
function planOrUsage(inputs: PlanInputs): Plan {
  try {
    return plan(inputs);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError('exporterd', [{ place: { source: 'default' }, key: '', text: error instanceof Error ? error.message : String(error) }]);
  }
}
