import { availableParallelism } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { absent, CollectError, OK, type Outcome } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { BoundNumber, PerfCounters, ReplaySteps } from '../../../readers/readers.ts';
import { readAttribute } from '../attribute.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart, PartReader, PartScope } from '../part.ts';

/** Types of include/uapi/linux/perf_event.h. */
const HARDWARE = 0;
const SOFTWARE = 1;
const TRACEPOINT = 2;
const HW_CACHE = 3;

/** An event that can be counted; `profiler` is what the options call it. */
interface Event {
  readonly profiler: string;
  readonly type: number;
  readonly config: number;
  readonly family: Family;
}

function counter(name: string, help: string): Family {
  return family(`node_perf_${name}`, 'counter', help, ['cpu']);
}

function hardware(profiler: string, config: number, name: string, help: string): Event {
  return { profiler, type: HARDWARE, config, family: counter(`${name}_total`, help) };
}

function software(profiler: string, config: number, name: string, help: string): Event {
  return { profiler, type: SOFTWARE, config, family: counter(`${name}_total`, help) };
}

const L1D = 0;
const L1I = 1;
const LAST_LEVEL = 2;
const DATA_TLB = 3;
const INSTRUCTION_TLB = 4;
const BRANCHES = 5;
const READ = 0;
const WRITE = 1;
const ACCESS = 0;
const MISS = 1;

function cache(profiler: string, [of, operation, result]: readonly [of: number, operation: number, result: number], name: string, help: string): Event {
  return { profiler, type: HW_CACHE, config: of | (operation << 8) | (result << 16), family: counter(`cache_${name}_total`, help) };
}

const HARDWARE_EVENTS: readonly Event[] = [
  hardware('CpuCycles', 0, 'cpucycles', 'Cycles of a CPU, at the frequency it had.'),
  hardware('CpuInstr', 1, 'instructions', 'Instructions that a CPU has finished.'),
  hardware('CacheRef', 2, 'cache_refs', 'Accesses of a CPU to its cache, most often the last level.'),
  hardware('CacheMisses', 3, 'cache_misses', 'Accesses of a CPU that its cache did not have, most often the last level.'),
  hardware('BranchInstr', 4, 'branch_instructions', 'Branches that a CPU has finished.'),
  hardware('BranchMisses', 5, 'branch_misses', 'Branches that a CPU predicted wrongly.'),
  hardware('StalledCyclesFrontend', 7, 'stalled_cycles_frontend', 'Cycles in which a CPU had no instructions to work on.'),
  hardware('StalledCyclesBackend', 8, 'stalled_cycles_backend', 'Cycles in which a CPU could not work on its instructions.'),
  hardware('RefCpuCycles', 9, 'ref_cpucycles', 'Cycles of a CPU, at a frequency that stays the same.'),
];

const SOFTWARE_EVENTS: readonly Event[] = [
  software('PageFault', 2, 'page_faults', 'Page faults on a CPU.'),
  software('ContextSwitch', 3, 'context_switches', 'Context switches on a CPU.'),
  software('CpuMigration', 4, 'cpu_migrations', 'Times that a process came to a CPU from another one.'),
  software('MinorFault', 5, 'minor_faults', 'Page faults on a CPU that needed no disk.'),
  software('MajorFault', 6, 'major_faults', 'Page faults on a CPU that needed a disk.'),
];

const CACHE_EVENTS: readonly Event[] = [
  cache('L1DataReadHit', [L1D, READ, ACCESS], 'l1d_read_hits', 'Reads of data at the first level, found there or not.'),
  cache('L1DataReadMiss', [L1D, READ, MISS], 'l1d_read_misses', 'Reads of data that the first level did not have.'),
  cache('L1DataWriteHit', [L1D, WRITE, ACCESS], 'l1d_write_hits', 'Writes of data at the first level, found there or not.'),
  cache('L1InstrReadMiss', [L1I, READ, MISS], 'l1_instr_read_misses', 'Reads of instructions that the first level did not have.'),
  cache('LLReadHit', [LAST_LEVEL, READ, ACCESS], 'll_read_hits', 'Reads at the last level, found there or not.'),
  cache('LLReadMiss', [LAST_LEVEL, READ, MISS], 'll_read_misses', 'Reads that the last level did not have.'),
  cache('LLWriteHit', [LAST_LEVEL, WRITE, ACCESS], 'll_write_hits', 'Writes at the last level, found there or not.'),
  cache('LLWriteMiss', [LAST_LEVEL, WRITE, MISS], 'll_write_misses', 'Writes that the last level did not have.'),
  cache('InstrTLBReadHit', [INSTRUCTION_TLB, READ, ACCESS], 'tlb_instr_read_hits', 'Addresses of instructions looked up, found or not.'),
  cache('InstrTLBReadMiss', [INSTRUCTION_TLB, READ, MISS], 'tlb_instr_read_misses', 'Addresses of instructions that were not in the buffer.'),
  cache('BPUReadHit', [BRANCHES, READ, ACCESS], 'bpu_read_hits', 'Predictions of branches asked for, found or not.'),
  cache('BPUReadMiss', [BRANCHES, READ, MISS], 'bpu_read_misses', 'Predictions of branches that were not there.'),
  cache('DataTLBReadHit', [DATA_TLB, READ, ACCESS], 'tlb_data_read_hits', 'Addresses of data to read looked up, found or not.'),
  cache('DataTLBReadMiss', [DATA_TLB, READ, MISS], 'tlb_data_read_misses', 'Addresses of data to read that were not in the buffer.'),
  cache('DataTLBWriteHit', [DATA_TLB, WRITE, ACCESS], 'tlb_data_write_hits', 'Addresses of data to write looked up, found or not.'),
  cache('DataTLBWriteMiss', [DATA_TLB, WRITE, MISS], 'tlb_data_write_misses', 'Addresses of data to write that were not in the buffer.'),
];

/** More than any machine has: the kernel's own limit is 8192. */
const MOST_CPUS = 65_536;

/**
 * Processors of `0,2-5,8-16:4`: numbers, ranges, and ranges with a step. Throws CollectError `parse`.
 */
export function cpuList(text: string): readonly number[] {
  const cpus: number[] = [];
  for (const piece of text.split(',')) {
    const [, first, last = first, step = '1'] = /^(\d{1,6})(?:-(\d{1,6})(?::(\d{1,6}))?)?$/.exec(piece) ?? [];
    if (first === undefined || Number(step) === 0)
      throw new CollectError('parse', 'option perf.cpus', `expected numbers and ranges such as 0,2-5,8-16:4, not ${JSON.stringify(text)}`);
    for (let cpu = Number(first); cpu <= Number(last) && cpu < MOST_CPUS; cpu += Number(step)) cpus.push(cpu);
  }
  // Go keeps a counter per processor in a map: one that is named twice is counted once.
  return [...new Set(cpus)];
}

/** The events that were asked for by name; all when none was, or none that is known. `unknown` is told of the others. */
export function chosen(events: readonly Event[], names: readonly string[], unknown: (name: string) => void): readonly Event[] {
  for (const name of names) if (!events.some(({ profiler }) => profiler === name)) unknown(name);
  const known = events.filter(({ profiler }) => names.includes(profiler));
  return known.length === 0 ? events : known;
}

/** Where tracefs is mounted below the sysfs root; debugfs has it below itself on older systems. */
const TRACEFS = ['kernel/tracing', 'kernel/debug/tracing'];

/** The event of `subsystem:event`. Throws CollectError. */
function tracepoint(text: string, scope: PartScope): Event {
  const [subsystem = '', name = '', ...more] = text.split(':');
  if (subsystem === '' || name === '' || more.length > 0 || /[^\w.-]/.test(subsystem + name))
    throw new CollectError('parse', 'option perf.tracepoint', `expected SUBSYSTEM:EVENT, not ${JSON.stringify(text)}`);
  const paths = TRACEFS.map((root) => `${scope.sys(root)}/events/${subsystem}/${name}/id`);
  for (const path of paths) {
    const id = readAttribute(path);
    if (id === undefined) continue;
    if (!/^\d{1,9}$/.test(id)) throw new CollectError('parse', path, `expected a number, not ${JSON.stringify(id)}`);
    const suffix = `${subsystem}_${name}`.replace(/[.-]/g, '_');
    return { profiler: text, type: TRACEPOINT, config: Number(id), family: counter(suffix, `Times that the kernel passed ${text}.`) };
  }
  throw new CollectError('read', paths[0] ?? '', 'no such tracepoint, or tracefs is not mounted');
}

/** Numbers of errors: of a machine that does not have an event, and of a process that may not count it. */
const NOT_HERE: ReadonlySet<number> = new Set([
  1, // EPERM
  2, // ENOENT
  13, // EACCES
  16, // EBUSY
  19, // ENODEV
  22, // EINVAL
  38, // ENOSYS
  95, // EOPNOTSUPP
]);

/** Counters stay open as long as the session: they count from their opening. */
class PerfSeries implements PartReader {
  readonly #counters: PerfCounters;
  readonly #series: KeptSeries[] = [];
  /** The last errno of events that are there and could not be counted, or 0. */
  #refused = 0;
  /** Why a tracepoint is not counted. */
  readonly #problem: CollectError | undefined;

  constructor(scope: PartScope, counters: PerfCounters) {
    const { options } = scope;
    this.#counters = counters;
    const text = options.text('cpus');
    const cpus = text === '' ? Array.from({ length: availableParallelism() }, (_, i) => i) : cpuList(text);
    const groups = [
      ['hardware', HARDWARE_EVENTS],
      ['software', SOFTWARE_EVENTS],
      ['cache', CACHE_EVENTS],
    ] as const;
    for (const [kind, events] of groups) {
      if (options.isOn(`disable-${kind}-profilers`)) continue;
      const wanted = chosen(events, options.list(`${kind}-profilers`), (name) => scope.warn(`perf: no ${kind} profiler is called ${JSON.stringify(name)}`));
      for (const cpu of cpus) for (const event of wanted) this.#note(this.#add(event, cpu));
    }
    if (this.#refused !== 0) scope.warn(`perf: some events are not counted: ${getSystemErrorName(-this.#refused)}`);
    this.#problem = this.#addTracepoints(scope, cpus);
  }

  collect(sheet: Sheet): Outcome {
    this.#counters.read();
    for (const [i, series] of this.#series.entries()) {
      const value = this.#counters.values[i] ?? Number.NaN;
      if (!Number.isNaN(value)) series.set(sheet, value);
    }
    if (this.#problem !== undefined) throw this.#problem;
    return OK;
  }

  replay(sheet: Sheet, steps: ReplaySteps): void {
    const bounds = this.#series.map((series, at): BoundNumber => ({ at, slot: series.slotIn(sheet) }));
    // One that could not be read has no slot.
    if (bounds.every(({ slot }) => slot >= 0)) steps.counters(this.#counters, bounds);
    else steps.until(Number.NEGATIVE_INFINITY);
  }

  close(): void {
    this.#counters.close();
  }

  #note(errno: number): void {
    if (errno !== 0 && !NOT_HERE.has(errno)) this.#refused = errno;
  }

  /** Returns 0 or an errno. What a machine cannot count, or we may not, is left out in silence, as in the peer. */
  #add({ type, config, family: of }: Event, cpu: number): number {
    const position = this.#counters.add(type, config, cpu);
    if (position < 0) return -position;
    this.#series[position] = new KeptSeries(of, [String(cpu)]);
    return 0;
  }

  /** The peer does not start without its tracepoints: here they are a failure of the part. */
  #addTracepoints(scope: PartScope, cpus: readonly number[]): CollectError | undefined {
    let problem: CollectError | undefined;
    for (const name of new Set(scope.options.list('tracepoint'))) {
      try {
        const event = tracepoint(name, scope);
        for (const cpu of cpus) {
          const errno = this.#add(event, cpu);
          if (errno !== 0) problem ??= new CollectError('read', `tracepoint ${name} on CPU ${cpu}`, getSystemErrorName(-errno));
        }
      } catch (error) {
        if (!(error instanceof CollectError)) throw error;
        problem ??= error;
      }
    }
    return problem;
  }
}

/** Events that the kernel and the hardware count for each processor, by perf_event_open(2). Counts are not scaled. */
export const part: NodePart = {
  name: 'perf',
  enabledByDefault: false,
  families: [...HARDWARE_EVENTS, ...SOFTWARE_EVENTS, ...CACHE_EVENTS].map(({ family }) => family),
  options: [
    { flag: 'cpus', kind: 'string', default: '', help: 'processors to count on, such as 0,2-5,8-16:4; all that this process may run on when empty' },
    { flag: 'tracepoint', kind: 'list', default: [], help: 'tracepoints to count, as SUBSYSTEM:EVENT' },
    { flag: 'disable-hardware-profilers', kind: 'boolean', default: false, help: 'count no events of the hardware' },
    { flag: 'hardware-profilers', kind: 'list', default: [], help: 'events of the hardware to count; all when empty' },
    { flag: 'disable-software-profilers', kind: 'boolean', default: false, help: 'count no events of the kernel' },
    { flag: 'software-profilers', kind: 'list', default: [], help: 'events of the kernel to count; all when empty' },
    { flag: 'disable-cache-profilers', kind: 'boolean', default: false, help: 'count no events of the caches' },
    { flag: 'cache-profilers', kind: 'list', default: [], help: 'events of the caches to count; all when empty' },
  ],
  open(scope) {
    const counters = scope.readers.perf();
    if (counters === undefined) return { collect: () => absent('the native readers are not built: node has no perf_event_open(2)') };
    try {
      return new PerfSeries(scope, counters);
    } catch (error) {
      counters.close();
      throw error;
    }
  },
};
