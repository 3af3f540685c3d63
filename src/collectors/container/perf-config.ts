import { readFileSync, readdirSync } from 'node:fs';
import { CollectError } from '../../collect/contract.ts';

/** An event as perf_event_open(2) wants it. */
export interface PerfEvent {
  /** As the configuration names it, which is the label. */
  readonly name: string;
  readonly type: number;
  readonly config: number;
}

/** An event of a unit outside the cores, of which a machine has one or several. */
export interface UncoreEvent extends PerfEvent {
  /** `uncore_imc_0` */
  readonly pmu: string;
  /** Where it is to be counted: one for each socket. */
  readonly cpus: readonly number[];
}

export interface PerfConfig {
  /** Groups of events that are counted together. */
  readonly core: readonly (readonly PerfEvent[])[];
  readonly uncore: readonly (readonly UncoreEvent[])[];
}

/** PERF_TYPE_HARDWARE and PERF_TYPE_SOFTWARE, whose events every kernel names alike (include/uapi/linux/perf_event.h). */
const COMMON: readonly (readonly string[])[] = [
  [
    'cycles',
    'instructions',
    'cache-references',
    'cache-misses',
    'branches',
    'branch-misses',
    'bus-cycles',
    'stalled-cycles-frontend',
    'stalled-cycles-backend',
    'ref-cycles',
  ],
  ['cpu-clock', 'task-clock', 'page-faults', 'context-switches', 'cpu-migrations', 'minor-faults', 'major-faults', 'alignment-faults', 'emulation-faults'],
];
/** The kernel's constants, which the peer's library knows as names too. */
const CONSTANTS: Readonly<Record<string, string>> = {
  PERF_COUNT_HW_CPU_CYCLES: 'cycles',
  PERF_COUNT_HW_INSTRUCTIONS: 'instructions',
  PERF_COUNT_HW_CACHE_REFERENCES: 'cache-references',
  PERF_COUNT_HW_CACHE_MISSES: 'cache-misses',
  PERF_COUNT_HW_BRANCH_INSTRUCTIONS: 'branches',
  PERF_COUNT_HW_BRANCH_MISSES: 'branch-misses',
  PERF_COUNT_HW_BUS_CYCLES: 'bus-cycles',
  PERF_COUNT_HW_STALLED_CYCLES_FRONTEND: 'stalled-cycles-frontend',
  PERF_COUNT_HW_STALLED_CYCLES_BACKEND: 'stalled-cycles-backend',
  PERF_COUNT_HW_REF_CPU_CYCLES: 'ref-cycles',
  PERF_COUNT_SW_CPU_CLOCK: 'cpu-clock',
  PERF_COUNT_SW_TASK_CLOCK: 'task-clock',
  PERF_COUNT_SW_PAGE_FAULTS: 'page-faults',
  PERF_COUNT_SW_CONTEXT_SWITCHES: 'context-switches',
  PERF_COUNT_SW_CPU_MIGRATIONS: 'cpu-migrations',
  PERF_COUNT_SW_PAGE_FAULTS_MIN: 'minor-faults',
  PERF_COUNT_SW_PAGE_FAULTS_MAJ: 'major-faults',
  'branch-instructions': 'branches',
  'cpu-cycles': 'cycles',
};

/**
 * Reads the peer's file: `{"core": {"events": ["cycles", ["a", "b"]], "custom_events": [{"type": 4, "config": ["0x304"],
 * "name": "a"}]}, "uncore": {...}}`. Events that neither the kernel names (above, or below the sysfs folder of a unit) nor
 * `custom_events` describes are refused: the tables of processors are a library of its own. Throws CollectError.
 */
export function readPerfConfig(path: string, sysfs: string): PerfConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new CollectError(cause instanceof SyntaxError ? 'parse' : 'read', path, 'expected a JSON file of perf events', cause);
  }
  const core = blockOf(json, 'core', path);
  const uncore = blockOf(json, 'uncore', path);
  return {
    core: core.groups.map((group) => group.map((name) => coreEvent(name, core.custom, sysfs, path))),
    uncore: uncore.groups.map((group) => group.flatMap((name) => uncoreEvents(name, uncore.custom, sysfs, path))),
  };
}

type Custom = ReadonlyMap<string, Omit<PerfEvent, 'name'>>;

function blockOf(json: unknown, name: string, path: string): { readonly groups: readonly (readonly string[])[]; readonly custom: Custom } {
  const block = member(json, name);
  const fail = (what: string): never => {
    throw new CollectError('parse', path, `${name}: ${what}`);
  };
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
  const groups = listOf(member(block, 'events')).map((group) => {
    const names: readonly unknown[] = Array.isArray(group) ? group : [group];
    return names.every(isText) ? names : fail('events are names, and lists of names');
  });
  const custom = listOf(member(block, 'custom_events')).map((event): [string, Omit<PerfEvent, 'name'>] => {
    const [own, type, config] = [member(event, 'name'), member(event, 'type'), listOf(member(event, 'config'))];
    const number = Number(config[0]);
    if (!isText(own) || typeof type !== 'number' || config.length !== 1 || !Number.isSafeInteger(number)) {
      return fail('custom_events have a name, a type, and one number in config');
    }
    return [own, { type, config: number }];
  });
  return { groups, custom: new Map(custom) };
}

function coreEvent(name: string, custom: Custom, sysfs: string, path: string): PerfEvent {
  const described = custom.get(name);
  if (described !== undefined) return { name, ...described };
  const common = CONSTANTS[name] ?? name;
  for (const [type, names] of COMMON.entries()) if (names.includes(common)) return { name, type, config: names.indexOf(common) };
  const [pmu = '', event = ''] = name.includes('/') ? name.split('/') : ['cpu', name];
  const found = eventOf(sysfs, pmu, event);
  if (found === undefined) throw new CollectError('parse', path, `core: ${name} is not known here; describe it in custom_events`);
  return { name, ...found };
}

/** `uncore_imc/cas_count_read` is counted on each of uncore_imc_0, uncore_imc_1, ... */
function uncoreEvents(name: string, custom: Custom, sysfs: string, path: string): UncoreEvent[] {
  const [unit = '', event = name] = name.split('/');
  const units = list(`${sysfs}/bus/event_source/devices`).filter(
    (pmu) => pmu === unit || (pmu.startsWith(`${unit}_`) && /^\d+$/.test(pmu.slice(unit.length + 1))),
  );
  const events = units.flatMap((pmu) => {
    const described = custom.get(name);
    const found = described === undefined ? eventOf(sysfs, pmu, event) : { ...described, type: unitType(sysfs, pmu) ?? described.type };
    return found === undefined ? [] : [{ name: event, ...found, pmu, cpus: cpuList(text(`${sysfs}/bus/event_source/devices/${pmu}/cpumask`)) }];
  });
  if (events.length === 0) throw new CollectError('parse', path, `uncore: ${name} is not known here; describe it in custom_events`);
  return events;
}

function unitType(sysfs: string, pmu: string): number | undefined {
  const type = Number.parseInt(text(`${sysfs}/bus/event_source/devices/${pmu}/type`), 10);
  return Number.isFinite(type) ? type : undefined;
}

/** An event that the kernel names below the unit's folder: `events/NAME` holds `event=0x04,umask=0x03`, `format/event` says `config:0-7`. */
function eventOf(sysfs: string, pmu: string, event: string): Omit<PerfEvent, 'name'> | undefined {
  const folder = `${sysfs}/bus/event_source/devices/${pmu}`;
  const type = unitType(sysfs, pmu);
  const terms = /^[\w.-]+$/.test(event) ? text(`${folder}/events/${event}`).trim() : '';
  if (type === undefined || terms === '') return undefined;
  let config = 0;
  for (const term of terms.split(',')) {
    const [field = '', value = '1'] = term.split('=');
    const [, low] = /^config:(\d+)(?:-\d+)?\s*$/.exec(text(`${folder}/format/${field}`)) ?? [];
    if (low === undefined || !Number.isFinite(Number(value))) return undefined;
    config += Number(value) * 2 ** Number(low);
  }
  return Number.isSafeInteger(config) ? { type, config } : undefined;
}

/** `0-3,8` as the kernel prints it. */
export function cpuList(content: string): number[] {
  return content
    .trim()
    .split(',')
    .filter(Boolean)
    .flatMap((range) => {
      const [first = Number.NaN, last = first] = range.split('-').map(Number);
      return Number.isInteger(first) && Number.isInteger(last) ? Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i) : [];
    });
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // A kernel without perf events.
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // Not a name that the kernel has.
  }
}
