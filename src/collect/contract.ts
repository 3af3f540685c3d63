import type { z } from 'zod';
import type { Family } from '../model/family.ts';
import type { Readers, ReplaySteps } from '../readers/readers.ts';
import type { Sheet } from './sheet.ts';

/**
 * What a collector is. A folder under `src/collectors/` holds one: `collector.ts` exports the definition, or a promise of
 * it, by default (loaded by the thread that plans; imports no driver and opens nothing) and `collect.ts` exports `open` (loaded only in a worker).
 *
 * A collector (node, postgres) has parts: what its peer calls a collector (cpu, stat_database). The part is the unit of
 * scheduling, of deadlines, of `collect[]` filters and of success series.
 */

/** Roles in the order in which `/` lists them; `cadvisor` and `resource` are reserved for the kubelet's paths. */
export const ROLES = ['node', 'container', 'postgres', 'redis', 'mongodb', 'elasticsearch', 'kafka', 'nginx', 'kubernetes', 'exporterd'] as const;
export type Role = (typeof ROLES)[number];

/** ok: samples were written. absent: hardware or feature is not there. A failure is thrown as CollectError. */
export type Outcome = { readonly kind: 'ok' } | { readonly kind: 'absent'; readonly why: string };

export const OK: Outcome = { kind: 'ok' };

export function absent(why: string): Outcome {
  return { kind: 'absent', why };
}

/**
 * Why a part failed. Codes are few and stable, they are a label of `exporterd_collector_failures_total`:
 * `read` a kernel file could not be read, `parse` a content was not understood, `connect` the target could not be
 * reached, `auth` it refused us, `query` it answered with an error, `timeout` the deadline passed, `crash` the worker died,
 * `bug` anything else that was thrown.
 */
export const FAILURE_CODES = ['read', 'parse', 'connect', 'auth', 'query', 'timeout', 'crash', 'bug'] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export class CollectError extends Error {
  readonly code: FailureCode;
  /** File and line, or host and query: where it went wrong. Never holds a secret. */
  readonly place: string;
  constructor(code: FailureCode, place: string, message: string, cause?: unknown) {
    super(`${place}: ${message}`, cause === undefined ? undefined : { cause });
    this.name = 'CollectError';
    this.code = code;
    this.place = place;
  }
}

/** How a run of a part ended, as `report` hears of it. `down`: the session could not begin, the target is not there. */
export type Ending = 'ok' | 'absent' | 'failed' | 'timeout' | 'down';

export interface Part {
  /** The peer's name of it: what `collect[]=` and `--collector.NAME` say. */
  readonly name: string;
  readonly enabledByDefault: boolean;
  /** Every family it may print; used for documents, checks and HELP lines. Families with names from data are given by rule. */
  readonly families: readonly Family[];
  /** Interval when neither the configuration nor a scraper's rhythm says otherwise; 15 s when left out. */
  readonly intervalSeconds?: number;
  /** Variants of the page that it is printed on (see `VariantPage`); the plain one alone when left out. */
  readonly variants?: readonly string[];
  /** A part that runs in another pool than its collector, in a module and a session of its own: its rounds and its deadline are nobody else's. */
  readonly elsewhere?: { readonly pool: Pool; readonly worker: URL };
  /** Asked when the configuration does not name the part: false leaves it off, since there is nothing for it on this machine. */
  isOfUse?(roots: Roots, options: unknown): boolean;
}

/** A path that shows the parts of a collector as another peer prints them. */
export interface VariantPage {
  /** Below the metrics path. */
  readonly path: string;
  /** Name of the variant; parts that do not name it are not on the page. */
  readonly variant: string;
  /** Families with a constant value that the page shows besides, by name of the fixed page. */
  readonly fixed: readonly string[];
}

/** Where kernel files are found. Absolute paths without a trailing slash (`/` itself is ''). */
export interface Roots {
  readonly procfs: string;
  readonly sysfs: string;
  readonly rootfs: string;
  readonly udevData: string;
}

/** Something a collector collects from. Host collectors have exactly one, named `local`. */
export interface Target {
  /** `[A-Za-z0-9_.-]+`; from the configuration, or `default` when it comes from the peer's environment variable. */
  readonly name: string;
  /** Collector-specific, structured-clonable; secrets are resolved, so it is never logged. */
  readonly settings: unknown;
  /** What logs may say of it: host and port, no credentials. */
  readonly address: string;
}

/** `host`: synchronous reads of kernel files. `network`: asynchronous, over sockets. */
export type Pool = 'host' | 'network';

/** A counter about a collector itself, and its series by the values of their labels. One session at a time may add to it. */
export interface CounterSeries {
  /** `exporterd_<collector>_...`. */
  readonly family: Family;
  readonly values: readonly (readonly string[])[];
}

export interface CollectorDefinition<Options = unknown> {
  /** Folder name and configuration block. */
  readonly name: string;
  readonly role: Role;
  /** The program it replaces. */
  readonly replaces: string;
  readonly pool: Pool;
  /** When the first run of a host part in its thread is given up, where the configuration does not say: for what opens many files then. */
  readonly firstDeadlineSeconds?: number;
  readonly parts: readonly Part[];
  /** Schema of the configuration block, without the keys every block has (`enabled`, `interval`, `deadline`, `collectors`, `max_series`, `max_bytes`). */
  readonly options: z.ZodType<Options>;
  /** True when the role runs without any configuration. */
  readonly enabledByDefault: boolean;
  /**
   * Targets from the validated options and the environment (the peer's own variables). Pure but for reading `*_file`
   * secrets through `readSecret`. Empty: nothing to collect, the role stays off. Throws Error with a clear text.
   */
  targets(options: Options, environment: Readonly<Record<string, string | undefined>>, readSecret: (path: string) => string): readonly Target[];
  /** Pages besides that of the role, under paths of their own. */
  pages?(options: Options): readonly VariantPage[];
  /** True when the sessions of a target, whichever thread they are in, share a board (see `Scope.board`). */
  readonly hasBoard?: boolean;
  /** What its sessions count about themselves, for the page of the daemon's own numbers (see `Scope.counters`). */
  readonly counters?: CounterSeries;
  /**
   * Writes what the peer prints about a run: `node_scrape_collector_success`, `pg_up`, ... Called at the end of every run in
   * the worker, on the sheet of the part, and on the main thread on a fresh sheet for the page that replaces a run which
   * failed to answer at all.
   */
  report(part: string, ending: Ending, seconds: number, sheet: Sheet): void;
  /** `collect.js` beside the definition. */
  readonly worker: URL;
}

/** What a session is opened with, in the worker. */
export interface Scope<Options = unknown> {
  /** The validated options but for `targets`: a session knows its own target only. */
  readonly options: Options;
  readonly roots: Roots;
  readonly target: Target;
  /** Parts that are switched on, so that a session opens only what they need. */
  readonly parts: readonly string[];
  readonly readers: Readers;
  /** How long a run may take, milliseconds: for limits that the target's server can keep by itself. */
  readonly deadlineMs?: number;
  /** One for all sessions of the collector and target, where the definition asks for it: what one thread learns, others read. */
  readonly board?: SharedArrayBuffer;
  /** A number for each series of the definition's `counters`, in shared memory, for the session to add to. */
  readonly counters?: Float64Array;
  /** CLOCK_MONOTONIC and wall clock, milliseconds; injected so that tests own time. */
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  /** The one way to say something that is not a failure; repeats are throttled by the main thread. */
  readonly warn: (message: string) => void;
}

/** Host collectors are synchronous: the worker sleeps in a futex between cycles and has no running event loop. */
export interface HostSession {
  collect(part: string, sheet: Sheet): Outcome;
  /**
   * Says what `collect` and `report` of the next runs will do while nothing but numbers changes; asked after a run that ended
   * ok or absent, which the next ones then do as well. False when that cannot be said. Runs are then replayed without a call
   * of `collect`, until one meets a change. A throw is told as a warning, and the part is not asked again.
   */
  replay?(part: string, sheet: Sheet, steps: ReplaySteps): boolean;
  close(): void;
}

export interface NetworkSession {
  /**
   * Called once per round before the parts that are due together: connects, or proves that the kept connection lives.
   * Throwing means that the target is down: no part is run, each is reported as `down`.
   */
  begin(signal: AbortSignal): Promise<void>;
  /** One part of the round; parts of one target never overlap. Must reject soon after `signal` aborts. */
  collect(part: string, sheet: Sheet, signal: AbortSignal): Promise<Outcome>;
  /** Closes every connection; safe to call twice. */
  close(): Promise<void>;
}

/** What `collect.ts` exports. `report` is the definition's: the worker does not load definitions (nor their schemas). */
export interface HostModule {
  /** Loads what these parts need, before `open`; a collector of many parts loads only those that are on. */
  prepare?(parts: readonly string[]): Promise<void>;
  open(scope: Scope): HostSession;
  readonly report: CollectorDefinition['report'];
}

export interface NetworkModule {
  prepare?(parts: readonly string[]): Promise<void>;
  open(scope: Scope): NetworkSession;
  readonly report: CollectorDefinition['report'];
}

/** Keeps the types of options and definition together where the definition is written. */
export function defineCollector<Options>(definition: CollectorDefinition<Options>): CollectorDefinition<Options> {
  return definition;
}
