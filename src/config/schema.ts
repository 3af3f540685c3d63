import { resolve } from 'node:path';
import { z } from 'zod';
import { type CollectorDefinition, ROLES, type Role, type Roots } from '../collect/contract.ts';
import { type Address, parseAddress } from './address.ts';
import { parseDuration } from '../model/duration.ts';
import { type Field, fieldsOf } from './fields.ts';

const DURATION_FORM = 'expected a duration such as 15s, 1m30s or 500ms';

/** Timers of Node.js count to 24 days; nothing is collected so seldom. */
const LONGEST_SECONDS = 24 * 60 * 60;

/** A duration in Go's syntax; seconds after validation. */
function duration(minimumSeconds: number, minimum: string) {
  return z
    .string(DURATION_FORM)
    .transform((text, context): number => {
      const seconds = parseDuration(text);
      if (seconds !== undefined && seconds >= minimumSeconds && seconds <= LONGEST_SECONDS) return seconds;
      context.addIssue(seconds === undefined ? DURATION_FORM : seconds < minimumSeconds ? `expected at least ${minimum}` : 'expected at most 24h');
      return z.NEVER;
    })
    .meta({ metavar: 'DURATION' });
}

const address = z
  .string()
  .transform((text, context): Address => {
    const parsed = parseAddress(text);
    if (typeof parsed !== 'string') return parsed;
    context.addIssue(parsed);
    return z.NEVER;
  })
  .meta({ metavar: 'ADDRESS' });

const path = z.string().min(1, 'expected a path').meta({ metavar: 'PATH', isPath: true });

const urlPath = z
  .string()
  .regex(/^\/[^\s?#]*$/, 'expected a path that begins with /')
  .meta({ metavar: 'PATH' });

/** Descriptions are the text of --help and of docs/configuration.md: lower case, no full stop. */
const DAEMON = z.strictObject({
  web: z
    .strictObject({
      listen_address: z
        .array(address)
        .min(1, 'expected at least one address')
        .prefault([':9100'])
        .describe('address to listen on; port 0 lets the kernel choose'),
      telemetry_path: urlPath.prefault('/metrics').describe('path of the metrics page'),
      max_requests: z.int().min(0).prefault(40).describe('pages sent at the same time, more get status 503; 0 is no limit'),
      disable_exporter_metrics: z.boolean().prefault(false).describe('leave out process_* and other metrics about this process'),
      server: z.enum(['auto', 'uws', 'http']).prefault('auto').describe('HTTP server; auto takes uws where it loads'),
    })
    .prefault({}),
  path: z
    .strictObject({
      procfs: path.prefault('/proc').describe('where procfs is mounted'),
      sysfs: path.prefault('/sys').describe('where sysfs is mounted'),
      rootfs: path.prefault('/').describe('where the root file system of the host is mounted'),
      udev: z.strictObject({ data: path.prefault('/run/udev/data').describe('database of udev') }).prefault({}),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).prefault('info').describe('lowest level that is logged'),
      format: z.enum(['auto', 'logfmt', 'json']).prefault('auto').describe('auto is logfmt on a terminal, json elsewhere'),
    })
    .prefault({}),
  roles: z
    .array(z.enum(ROLES))
    .prefault([])
    .meta({ description: 'run only these roles', metavar: 'NAME', aliases: ['role'] }),
  interval: duration(0.1, '100ms').prefault('15s').describe('how often parts without a rhythm of their own collect'),
  phase_lock: z.boolean().prefault(true).describe('collect shortly before a regular scraper asks'),
  views: z
    .strictObject({
      idle: duration(1, '1s').prefault('5m').describe('how long a filtered page that nobody asks for is kept up'),
      filtered_max: z.int().min(0).prefault(32).describe('filtered pages kept up at the same time'),
    })
    .prefault({}),
  readers: z.enum(['auto', 'native', 'reference']).prefault('auto').describe('who reads kernel files; auto takes the C++ readers where they are built'),
  network: z
    .strictObject({
      shards: z.int().min(1).max(64).optional().describe('threads that talk to databases and other back ends; chosen by the number of targets when left out'),
    })
    .prefault({}),
});

const INTEGER = z.int().min(1);

function common(definition: CollectorDefinition) {
  const parts = definition.parts.map((part) => {
    return [
      part.name,
      z
        .boolean()
        .optional()
        .meta({ description: `collect ${part.name}`, defaultNote: part.enabledByDefault }),
    ] as const;
  });
  return z.strictObject({
    disable_defaults: z.boolean().prefault(false).describe('only parts that `collectors` names are on'),
    enabled: z
      .boolean()
      .optional()
      .meta(
        definition.enabledByDefault
          ? { description: 'run it', defaultNote: true }
          : { description: 'run it; left out, it runs when it has something to collect from' },
      ),
    interval: duration(0.1, '100ms').optional().describe('how often its parts collect, those with a rhythm of their own included'),
    deadline: duration(0.01, '10ms').optional().describe('when a run of a part is given up; chosen by the kind of collector and the interval when left out'),
    collectors: z.strictObject(Object.fromEntries(parts)).prefault({}),
    max_series: INTEGER.prefault(200_000).describe('series of each part of a target; more are left out and counted'),
    max_bytes: INTEGER.prefault(64 * 1024 * 1024).describe('bytes of page of each part of a target; families beyond are left out and counted'),
  });
}

/** What one collector is told. */
export interface CollectorConfig {
  /** Undefined: not said, so the collector's own default counts. */
  readonly enabled: boolean | undefined;
  /** True when any source gave any key of the block; that is what brings a back end on. */
  readonly isConfigured: boolean;
  /** Undefined: the part's own, or else the daemon's. */
  readonly intervalSeconds: number | undefined;
  /** Undefined: not said, whoever plans the runs chooses. */
  readonly deadlineSeconds: number | undefined;
  /** Whether a part is on; one that nothing was said about and that is not of use everywhere (`isOfUse`) is left out. */
  readonly parts: Readonly<Record<string, boolean>>;
  readonly maxSeries: number;
  readonly maxBytes: number;
  /** Output of the definition's schema. */
  readonly options: unknown;
}

/** The whole configuration: frozen, structured-clonable, complete. */
export interface Config {
  readonly web: {
    readonly listenAddresses: readonly Address[];
    readonly telemetryPath: string;
    readonly maxRequests: number;
    readonly disableExporterMetrics: boolean;
    readonly server: 'auto' | 'uws' | 'http';
  };
  readonly path: Roots;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'auto' | 'logfmt' | 'json' };
  /** Empty: all that are on. */
  readonly roles: readonly Role[];
  readonly intervalSeconds: number;
  readonly phaseLock: boolean;
  readonly views: { readonly idleSeconds: number; readonly filteredMax: number };
  readonly readers: 'auto' | 'native' | 'reference';
  /** Undefined: chosen by the number of targets. */
  readonly network: { readonly shards: number | undefined };
  /** By definition name. */
  readonly collectors: Readonly<Record<string, CollectorConfig>>;
}

/** The schema of everything, made for the collectors at hand. */
export interface Schema {
  readonly daemon: typeof DAEMON;
  readonly blocks: readonly Block[];
  /** Every leaf of every block, daemon first. */
  readonly fields: readonly Field[];
}

export interface Block {
  readonly definition: CollectorDefinition;
  readonly common: ReturnType<typeof common>;
  readonly options: z.ZodType;
  readonly fields: readonly Field[];
}

/** Throws a plain Error when two definitions, or a definition and the daemon, want the same key: a mistake in the code. */
export function schemaFor(definitions: readonly CollectorDefinition[]): Schema {
  const blocks = definitions.map((definition): Block => {
    if (definition.name in DAEMON.shape) throw new Error(`collector ${definition.name}: the daemon has a key of this name`);
    const shared = common(definition);
    const own = fieldsOf(definition.options, [definition.name]);
    for (const field of own) {
      if ((field.path[1] ?? '') in shared.shape) throw new Error(`collector ${definition.name}: every block has a key ${field.key} already`);
    }
    return { definition, common: shared, options: definition.options, fields: [...fieldsOf(shared, [definition.name]), ...own] };
  });
  return { daemon: DAEMON, blocks, fields: [...fieldsOf(DAEMON), ...blocks.flatMap((block) => block.fields)] };
}

/** Absolute, without a slash at the end; `/` itself is ''. */
function root(folder: string): string {
  return resolve(folder).replace(/\/$/, '');
}

export function daemonConfig(raw: z.output<typeof DAEMON>): Omit<Config, 'collectors'> {
  return {
    web: {
      listenAddresses: raw.web.listen_address,
      telemetryPath: raw.web.telemetry_path,
      maxRequests: raw.web.max_requests,
      disableExporterMetrics: raw.web.disable_exporter_metrics,
      server: raw.web.server,
    },
    path: { procfs: root(raw.path.procfs), sysfs: root(raw.path.sysfs), rootfs: root(raw.path.rootfs), udevData: root(raw.path.udev.data) },
    log: raw.log,
    roles: [...new Set(raw.roles)],
    intervalSeconds: raw.interval,
    phaseLock: raw.phase_lock,
    views: { idleSeconds: raw.views.idle, filteredMax: raw.views.filtered_max },
    readers: raw.readers,
    network: { shards: raw.network.shards },
  };
}

export function collectorConfig(block: Block, raw: z.output<ReturnType<typeof common>>, options: unknown, isConfigured: boolean): CollectorConfig {
  const chosen = raw.collectors as Readonly<Record<string, boolean | undefined>>;
  return {
    enabled: raw.enabled,
    isConfigured,
    intervalSeconds: raw.interval,
    deadlineSeconds: raw.deadline,
    parts: Object.fromEntries(
      block.definition.parts.flatMap(({ name, enabledByDefault, isOfUse }): [string, boolean][] => {
        const isOn = chosen[name] ?? (enabledByDefault && !raw.disable_defaults);
        return isOn && chosen[name] === undefined && isOfUse !== undefined ? [] : [[name, isOn]];
      }),
    ),
    maxSeries: raw.max_series,
    maxBytes: raw.max_bytes,
    options,
  };
}

/** Freezes plain objects and arrays all the way down; other objects (an option may be a RegExp) are left alone. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
  return value;
}
