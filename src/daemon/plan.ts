import { type FixedPage, fixedPage } from '../collect/channel.ts';
import type { CollectorDefinition, CounterSeries, Part, Pool, Role, Roots, Target } from '../collect/contract.ts';
import { Sheet } from '../collect/sheet.ts';
import { PLAIN, type Variant } from '../collect/variant.ts';
import type { Readers } from '../readers/readers.ts';
import type { PersonaPage } from '../cli/persona.ts';
import type { Config } from '../config/schema.ts';

/**
 * What a configuration asks the daemon to do, worked out without doing any of it: jobs, listeners and their routes.
 * `apply` in daemon.ts turns the difference between two plans into actions; a start is the difference from nothing.
 */

export interface PlannedJob {
  /** `collector/part/target`: what stays the same over reloads. */
  readonly key: string;
  readonly collector: string;
  readonly role: Role;
  readonly part: string;
  readonly pool: Pool;
  readonly target: Target;
  readonly worker: string;
  readonly options: unknown;
  readonly roots: Roots;
  /** All parts of the target that are on. */
  readonly parts: readonly string[];
  readonly intervalMs: number;
  /** The configuration named the interval, so no scraper's rhythm replaces it. */
  readonly intervalIsSet: boolean;
  readonly deadlineMs: number;
  /** Of a host job's first run in its thread. */
  readonly firstDeadlineMs: number;
  readonly maxSeries: number;
  readonly maxBytes: number;
  /** The variants of the page that it is printed on; where its role has several targets, `targetVariant` besides. */
  readonly variants: readonly Variant[];
  /** Per variant, the target's last: what is shown instead of a run that gave nothing. */
  readonly failures: readonly FixedPage[];
  /** Its sessions share a board with those of the same collector and target. */
  readonly hasBoard: boolean;
  /** What its sessions count about themselves. */
  readonly counters?: CounterSeries;
  /** See `Part.elsewhere`. */
  readonly isElsewhere: boolean;
}

/** Which jobs a page shows. */
export interface ViewFilter {
  readonly roles: readonly Role[];
  /** One target's page, which carries exactly the peer's labels. */
  readonly target?: string;
  /** The variant to show, and with it the parts that are printed on it; the plain one when left out. */
  readonly variant?: string;
  /** `role.part` names to show; undefined for all. */
  readonly parts?: readonly string[];
  /** Those of `parts` that `collect[]` and `exclude[]` neither name nor take away. */
  readonly always?: readonly string[];
  /** Families to show; undefined for all. */
  readonly families?: readonly string[];
  /** Families with a constant value that the page shows besides, by name of the fixed page. */
  readonly fixed?: readonly string[];
}

/** What a path is answered with. */
export interface Route {
  readonly path: string;
  readonly filter: ViewFilter;
}

export interface PlannedListener {
  readonly host: string;
  readonly port: number;
  readonly routes: readonly Route[];
}

export interface Plan {
  readonly jobs: readonly PlannedJob[];
  readonly listeners: readonly PlannedListener[];
  /** Roles with two or more targets: their merged pages carry a target label. */
  readonly severalTargets: readonly Role[];
  /** Every part there is, on or off, as `role.part`. */
  readonly known: readonly string[];
}

/** On merged pages, the variant of roles with several targets. */
export const TARGET_VARIANT = 'target';

export function targetVariant(target: Target): Variant {
  return { name: TARGET_VARIANT, labels: [['target', target.name]] };
}

const HOST_DEADLINE_SECONDS = 1;
const NETWORK_DEADLINE_SECONDS = 5;
/** A run must end before the next is due, with time to spare. */
const DEADLINE_SHARE = 0.8;

export interface PlanInputs {
  readonly config: Config;
  readonly definitions: readonly CollectorDefinition[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly readSecret: (path: string) => string;
  /** Prints failure pages. */
  readonly readers: Pick<Readers, 'encode'>;
  /** Whose page the metrics path shows instead of every role. */
  readonly persona?: PersonaPage;
}

/** Throws Error with a clear text when a collector's targets cannot be worked out. */
export function plan(inputs: PlanInputs): Plan {
  const { config } = inputs;
  const planned = inputs.definitions.flatMap((definition) => planCollector(definition, inputs));
  const jobs = config.web.disableExporterMetrics ? planned.filter((job) => !isProcess(job)) : planned;
  const targets = new Map<Role, Set<string>>();
  for (const job of jobs) targets.set(job.role, (targets.get(job.role) ?? new Set()).add(job.target.name));
  const front = inputs.persona === undefined ? undefined : personaFilter(inputs.persona, jobs);
  const routes = planRoutes(config.web.telemetryPath, targets, front, config.roles.length === 0 || config.roles.includes('exporterd'));
  for (const definition of inputs.definitions) {
    if (jobs.some((job) => job.collector === definition.name)) routes.push(...pageRoutes(definition, config));
  }
  return {
    jobs,
    listeners: config.web.listenAddresses.map(({ host, port }) => ({ host, port, routes })),
    severalTargets: [...targets].filter(([, names]) => names.size > 1).map(([role]) => role),
    known: inputs.definitions.flatMap(({ role, parts }) => parts.map(({ name }) => `${role}.${name}`)),
  };
}

function planCollector(definition: CollectorDefinition, { config, environment, readSecret, readers }: PlanInputs): PlannedJob[] {
  const block = config.collectors[definition.name];
  if (block === undefined || block.enabled === false) return [];
  // The daemon's own role is part of every page about the daemon, whatever roles are asked for.
  const isChosen = definition.role === 'exporterd' || config.roles.length === 0 || config.roles.includes(definition.role);
  if (!isChosen) return [];
  const targets = definition.targets(block.options, environment, readSecret);
  refuseTwins(definition.name, targets);
  if (definition.enabledByDefault === false && block.enabled !== true && targets.length === 0) return [];
  const parts = definition.parts.filter((part) => block.parts[part.name] ?? (part.enabledByDefault && part.isOfUse?.(config.path, block.options) !== false));
  const names = parts.map((part) => part.name);
  const options = withoutTargets(block.options);
  const offered = [PLAIN.name, ...(definition.pages?.(block.options) ?? []).map(({ variant }) => variant)];
  const variantsOf = (part: Part): Variant[] =>
    (part.variants ?? [PLAIN.name]).filter((variant) => offered.includes(variant)).map((name): Variant => ({ name, labels: [] }));
  return targets.flatMap((target) =>
    parts
      .filter((part) => variantsOf(part).length > 0)
      .map((part): PlannedJob => {
        const { pool, worker } = part.elsewhere ?? definition;
        const intervalSeconds = block.intervalSeconds ?? part.intervalSeconds ?? config.intervalSeconds;
        const usual = pool === 'host' ? HOST_DEADLINE_SECONDS : Math.min(NETWORK_DEADLINE_SECONDS, DEADLINE_SHARE * intervalSeconds);
        return {
          key: `${definition.name}/${part.name}/${target.name}`,
          collector: definition.name,
          role: definition.role,
          part: part.name,
          pool,
          target,
          worker: worker.href,
          options,
          roots: config.path,
          parts: names,
          intervalMs: intervalSeconds * 1000,
          intervalIsSet: block.intervalSeconds !== undefined,
          deadlineMs: (block.deadlineSeconds ?? usual) * 1000,
          firstDeadlineMs: (block.deadlineSeconds ?? definition.firstDeadlineSeconds ?? usual) * 1000,
          maxSeries: block.maxSeries,
          maxBytes: block.maxBytes,
          variants: variantsOf(part),
          failures: failurePages(definition, part, [...variantsOf(part), targetVariant(target)], block.deadlineSeconds ?? usual, readers),
          hasBoard: definition.hasBoard === true,
          ...(definition.counters === undefined ? {} : { counters: definition.counters }),
          isElsewhere: part.elsewhere !== undefined,
        };
      }),
  );
}

/** A name is a path and a label: of two targets under one name only the first would be seen. */
function refuseTwins(collector: string, targets: readonly Target[]): void {
  const twin = targets.find(({ name }, i) => targets.findIndex((other) => other.name === name) < i);
  if (twin !== undefined) throw new Error(`${collector} target ${twin.name}: two targets have this name`);
}

/** What the peer shows of a run that gave nothing. */
function failurePages(
  definition: CollectorDefinition,
  part: Part,
  variants: readonly Variant[],
  deadlineSeconds: number,
  readers: PlanInputs['readers'],
): FixedPage[] {
  const sheet = new Sheet(readers, { maxSeries: 1000, maxBytes: 1 << 20 });
  sheet.begin();
  definition.report(part.name, 'timeout', deadlineSeconds, sheet);
  return variants.map((variant) => fixedPage(sheet, variant));
}

/** What concerns every target: a job knows its own, and another one's coming or going must not make it another job. */
function withoutTargets(options: unknown): unknown {
  if (typeof options !== 'object' || options === null || !('targets' in options)) return options;
  const { targets: _, ...others } = options;
  return others;
}

/** process_* of this process. */
function isProcess({ role, part }: PlannedJob): boolean {
  return role === 'exporterd' && part === 'process';
}

/** A peer's page: its role, its build info, and process_* of this process. */
function personaFilter(page: PersonaPage, jobs: readonly PlannedJob[]): ViewFilter {
  const process = page.hasProcessMetrics ? jobs.filter(isProcess).map((job) => `${job.role}.${job.part}`) : [];
  const parts = jobs.filter((job) => page.roles.includes(job.role)).map((job) => `${job.role}.${job.part}`);
  return { roles: [...page.roles, 'exporterd'], parts: [...parts, ...process], always: process, fixed: [page.buildInfo] };
}

function planRoutes(metricsPath: string, targets: ReadonlyMap<Role, ReadonlySet<string>>, front: ViewFilter | undefined, withSelf: boolean): Route[] {
  const roles = [...targets.keys()].filter((role) => role !== 'exporterd');
  const base = metricsPath === '/' ? '' : metricsPath;
  const routes: Route[] = [{ path: metricsPath, filter: front ?? { roles: withSelf ? [...roles, 'exporterd'] : roles } }];
  for (const role of roles) {
    routes.push({ path: `${base}/${role}`, filter: { roles: [role] } });
    for (const target of targets.get(role) ?? []) routes.push({ path: `${base}/${role}/${target}`, filter: { roles: [role], target } });
  }
  routes.push({ path: `${base}/exporterd`, filter: { roles: ['exporterd'] } });
  return routes;
}

/** The pages of a collector that show a variant of its parts. */
function pageRoutes(definition: CollectorDefinition, { web, collectors }: Config): Route[] {
  const base = web.telemetryPath === '/' ? '' : web.telemetryPath;
  const pages = definition.pages?.(collectors[definition.name]?.options) ?? [];
  return pages.map(({ path, variant, fixed }) => ({ path: `${base}/${path}`, filter: { roles: [definition.role], variant, fixed } }));
}

/** Whether a page shows a job. */
export function shows(filter: ViewFilter, job: PlannedJob): boolean {
  if (!filter.roles.includes(job.role)) return false;
  if (filter.target !== undefined && filter.target !== job.target.name) return false;
  if (!job.variants.some(({ name }) => name === (filter.variant ?? PLAIN.name))) return false;
  return filter.parts === undefined || filter.parts.includes(`${job.role}.${job.part}`);
}
