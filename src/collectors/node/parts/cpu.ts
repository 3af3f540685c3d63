import { accessSync, constants } from 'node:fs';
import { CollectError, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { family } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps, Token } from '../../../readers/readers.ts';
import { readAttribute } from '../attribute.ts';
import type { Attribute, AttributeSet } from '../attribute-set.ts';
import type { ConstantSeries } from '../constant-series.ts';
import { parseCpuinfo, type Processor } from '../cpuinfo.ts';
import type { Directory } from '../directory.ts';
import { parseProblem } from '../file-error.ts';
import type { Filter } from '../filter.ts';
import { parseNumberList } from '../number-list.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart, PartScope } from '../part.ts';
import { RunChain } from '../run-chain.ts';

const SECONDS = family('node_cpu_seconds_total', 'counter', 'Time that a processor spent in a mode, in seconds. Modes user and nice hold the time of guests.', [
  'cpu',
  'mode',
]);
const GUEST = family('node_cpu_guest_seconds_total', 'counter', 'Time that a processor ran virtual machines, in seconds.', ['cpu', 'mode']);
const CORE_THROTTLES = family('node_cpu_core_throttles_total', 'counter', 'How often a core was slowed down by heat.', ['core', 'package']);
const PACKAGE_THROTTLES = family('node_cpu_package_throttles_total', 'counter', 'How often a processor package was slowed down by heat.', ['package']);
const ISOLATED = family('node_cpu_isolated', 'gauge', 'Processors that the scheduler leaves alone (isolcpus).', ['cpu']);
const ONLINE = family('node_cpu_online', 'gauge', 'Whether a processor is online (1) or switched off (0).', ['cpu']);
const INFO = family('node_cpu_info', 'gauge', 'What /proc/cpuinfo says of a processor, as labels.', [
  'package',
  'core',
  'cpu',
  'vendor',
  'family',
  'model',
  'model_name',
  'microcode',
  'stepping',
  'cachesize',
]);
const FREQUENCY = family('node_cpu_frequency_hertz', 'gauge', 'Frequency at which a processor runs, in hertz.', ['core', 'cpu', 'package']);
const FLAG_INFO = family('node_cpu_flag_info', 'gauge', 'Features of the first processor, as labels.', ['flag']);
const BUG_INFO = family('node_cpu_bug_info', 'gauge', 'Known faults of the first processor, as labels.', ['bug']);

/** USER_HZ: in these units the kernel prints times on every architecture that matters. */
const TICKS_PER_SECOND = 100;
/** Idle time that goes back by this much means that the processor was switched off and on and counts anew. Seconds. */
const JUMP_BACK_SECONDS = 3;

/** In the order of the columns of /proc/stat. */
const MODES = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal', 'guest', 'guest_nice'] as const;
const IDLE = 3;
const COLUMNS = MODES.length;

function seriesOf(column: number, cpu: string, withGuest: boolean) {
  if (column < 8) return { family: SECONDS, labels: [cpu, MODES[column] ?? ''] };
  return withGuest ? { family: GUEST, labels: [cpu, column === 8 ? 'user' : 'nice'] } : undefined;
}

interface Times {
  readonly cpu: string;
  /** Ordinals in the scan, -1 for a column that the kernel does not have. */
  readonly at: readonly number[];
  /** Seconds, per column: the highest seen. */
  readonly seconds: Float64Array;
  readonly slots: Int32Array;
}

/**
 * Lines `cpuN` of /proc/stat: `cpu0 3010 0 1366 151117 32 0 19 4 0 0`, hundredths of a second.
 * The kernel lets idle, iowait and guest times step back a little; a counter must not, so the highest value stays.
 */
class CpuTimes {
  readonly #source: OptionalSource;
  readonly #withGuest: boolean;
  readonly #chain = new RunChain();
  #times: readonly Times[] = [];

  constructor(scope: PartScope) {
    this.#source = scope.source(scope.proc('stat'));
    this.#withGuest = scope.options.isOn('guest');
  }

  get path(): string {
    return this.#source.path;
  }

  /** `changed` also when only other lines of the file have changed. */
  collect(sheet: Sheet): 'absent' | 'same' | 'changed' {
    const scan = this.#source.scan();
    if (scan === 'absent') return scan;
    const isKept = this.#chain.continues(sheet);
    if (isKept) this.#catchUp(sheet);
    if (scan === 'changed' || this.#times.length === 0) {
      // Without lines the next scan must not pass for a good one.
      const former = this.#times;
      this.#times = [];
      this.#times = this.#find(former);
    }
    if (!isKept || scan === 'changed') this.#takeSlots(sheet);
    for (const times of this.#times) this.#update(times, sheet);
    return scan;
  }

  replay(steps: ReplaySteps): void {
    const bounds: BoundNumber[] = [];
    for (const { at, slots } of this.#times) {
      for (const [column, number] of at.entries()) {
        const slot = slots[column] ?? -1;
        if (number < 0 || slot < 0) continue;
        const mode = column === IDLE ? 'restarting' : 'rising';
        bounds.push({ at: number, slot, mode, times: JUMP_BACK_SECONDS, over: TICKS_PER_SECOND });
      }
    }
    this.#source.replay(steps, bounds);
  }

  close(): void {
    this.#source.close();
  }

  /** Replayed runs have shown more than was seen here. */
  #catchUp(sheet: Sheet): void {
    for (const { seconds, slots } of this.#times) {
      for (let column = 0; column < COLUMNS; column++) {
        const slot = slots[column] ?? -1;
        if (slot >= 0) seconds[column] = sheet.values[slot] as number;
      }
    }
  }

  #find(former: readonly Times[]): readonly Times[] {
    const kept = new Map(former.map((times) => [times.cpu, times.seconds]));
    const found: Times[] = [];
    for (const [line, words] of this.#source.rows().entries()) {
      const name = words[0]?.text ?? '';
      if (!name.startsWith('cpu') || name === 'cpu') continue;
      if (!/^cpu\d+$/.test(name) || words.length < 2) throw parseProblem(this.path, line + 1, `"cpuN NUMBER ...", not ${JSON.stringify(name)}`);
      const cpu = String(Number(name.slice(3)));
      found.push({ cpu, at: this.#ordinals(line, words), seconds: kept.get(cpu) ?? new Float64Array(COLUMNS), slots: new Int32Array(COLUMNS).fill(-1) });
    }
    if (found.length === 0) throw parseProblem(this.path, 1, 'a line such as "cpu0 3010 0 1366 151117"');
    return found;
  }

  #ordinals(line: number, words: readonly Token[]): number[] {
    return MODES.map((mode, i) => {
      const word = words[i + 1];
      if (word !== undefined && word.at < 0) throw parseProblem(this.path, line + 1, `a number for ${mode}, not ${JSON.stringify(word.text)}`);
      return word?.at ?? -1;
    });
  }

  #takeSlots(sheet: Sheet): void {
    for (const { cpu, slots } of this.#times) {
      for (let column = 0; column < COLUMNS; column++) {
        const series = seriesOf(column, cpu, this.#withGuest);
        slots[column] = series === undefined ? -1 : sheet.slot(series.family, series.labels);
      }
    }
  }

  #update({ at, seconds, slots }: Times, sheet: Sheet): void {
    const numbers = this.#source.numbers;
    const read = (column: number): number => (((at[column] ?? -1) < 0 ? 0 : numbers[at[column] ?? 0]) ?? 0) / TICKS_PER_SECOND;
    if ((seconds[IDLE] ?? 0) - read(IDLE) >= JUMP_BACK_SECONDS) seconds.fill(0);
    for (let column = 0; column < COLUMNS; column++) {
      const now = read(column);
      if (now >= (seconds[column] ?? 0)) seconds[column] = now;
      sheet.set(slots[column] ?? -1, seconds[column] ?? 0);
    }
  }
}

function unsigned(text: string | undefined): string | undefined {
  return text !== undefined && /^\d+$/.test(text) ? String(BigInt(text)) : undefined;
}

/** The folders cpuN below <sysfs>/devices/system/cpu. Looked at when /proc/stat has changed: so it does when a processor comes or goes. */
class CpuFolders {
  readonly #folder: Directory;
  readonly #isolatedPath: string;
  readonly #series: ConstantSeries;
  readonly #throttles: AttributeSet;

  constructor(scope: PartScope) {
    this.#folder = scope.directory(scope.sys('devices/system/cpu'));
    this.#isolatedPath = `${this.#folder.path}/isolated`;
    this.#series = scope.constants();
    this.#throttles = scope.attributes();
  }

  look(): void {
    this.#folder.scan();
    const names = this.#folder.names.filter((name) => /^cpu[0-9]/.test(name));
    this.#series.clear();
    this.#lookIsolated();
    this.#lookOnline(names);
    this.#throttles.follow(this.#throttlesOf(names));
  }

  collect(sheet: Sheet): void {
    this.#series.collect(sheet);
    this.#throttles.collect(sheet);
  }

  replay(steps: ReplaySteps): void {
    this.#throttles.replay(steps);
  }

  close(): void {
    this.#throttles.close();
  }

  #lookIsolated(): void {
    const numbers = parseNumberList(readAttribute(this.#isolatedPath) ?? '');
    if (numbers === undefined) throw new CollectError('parse', this.#isolatedPath, 'expected a list of processors such as 2-5,7');
    for (const number of numbers) this.#series.add(ISOLATED, [String(number)], 1);
  }

  /** Nothing where the first processor (usually cpu0 of x86) cannot be switched off: so the peer decides whether the kernel can tell. */
  #lookOnline(names: readonly string[]): void {
    const first = names[0];
    if (first === undefined || this.#attribute(first, 'online') === undefined) return;
    for (const name of names) this.#series.add(ONLINE, [name.slice('cpu'.length)], this.#attribute(name, 'online') === '1' ? 1 : 0);
  }

  /** One file per package and one per core of it: the threads of a core share its counter. */
  #throttlesOf(names: readonly string[]): Attribute[] {
    const found = new Map<string, Attribute>();
    const take = (name: string, file: string, series: Pick<Attribute, 'family' | 'labels'>): void => {
      const key = `${series.family.name} ${series.labels.join(' ')}`;
      if (found.has(key) || unsigned(this.#attribute(name, `thermal_throttle/${file}`)) === undefined) return;
      found.set(key, { path: `${this.#folder.path}/${name}/thermal_throttle/${file}`, ...series });
    };
    for (const name of names) {
      const physical = unsigned(this.#attribute(name, 'topology/physical_package_id'));
      const core = unsigned(this.#attribute(name, 'topology/core_id'));
      if (physical === undefined || core === undefined) continue;
      take(name, 'core_throttle_count', { family: CORE_THROTTLES, labels: [core, physical] });
      take(name, 'package_throttle_count', { family: PACKAGE_THROTTLES, labels: [physical] });
    }
    return [...found.values()];
  }

  #attribute(name: string, file: string): string | undefined {
    try {
      return readAttribute(`${this.#folder.path}/${name}/${file}`);
    } catch {
      // A processor that goes away meanwhile answers with errors; it counts as one that has no such file.
      return undefined;
    }
  }
}

/** /proc/cpuinfo, read in each run because of the frequencies. */
class CpuInfo {
  readonly #scope: PartScope;
  readonly #source: OptionalSource;
  readonly #series: ConstantSeries;
  readonly #flags: Filter | undefined;
  readonly #bugs: Filter | undefined;
  #processors: readonly Processor[] = [];
  #megahertz: readonly number[] = [];

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#source = scope.source(scope.proc('cpuinfo'));
    this.#series = scope.constants();
    const filter = (flag: string): Filter | undefined => (scope.options.text(flag) === '' ? undefined : scope.options.filter('', flag));
    this.#flags = filter('info.flags-include');
    this.#bugs = filter('info.bugs-include');
  }

  static isOn({ options }: PartScope): boolean {
    return options.isOn('info') || options.text('info.flags-include') !== '' || options.text('info.bugs-include') !== '';
  }

  collect(sheet: Sheet): void {
    const scan = this.#source.scan();
    if (scan === 'absent') throw new CollectError('read', this.#source.path, 'missing; the option info of cpu needs it');
    if (scan === 'changed' || this.#processors.length === 0) this.#look();
    this.#series.collect(sheet);
    for (const [i, { core, cpu, package: physical }] of this.#processors.entries()) {
      const at = this.#megahertz[i];
      if (at !== undefined) sheet.sample(FREQUENCY, [core, cpu, physical], (at < 0 ? 0 : (this.#source.numbers[at] ?? 0)) * 1e6);
    }
  }

  close(): void {
    this.#source.close();
  }

  #look(): void {
    this.#processors = [];
    const processors = parseCpuinfo(this.#source.path, this.#source.text());
    this.#megahertz = this.#ownsFrequency() ? this.#frequencies(processors.length) : [];
    this.#series.clear();
    for (const processor of processors) {
      const { cacheSize, core, cpu, family, microcode, model, modelName, package: physical, stepping, vendor } = processor;
      this.#series.add(INFO, [cacheSize, core, cpu, family, microcode, model, modelName, physical, stepping, vendor], 1);
    }
    this.#addWords(FLAG_INFO, processors[0]?.flags, this.#flags);
    this.#addWords(BUG_INFO, processors[0]?.bugs, this.#bugs);
    this.#processors = processors;
  }

  #addWords(family: typeof FLAG_INFO, words: string | undefined, filter: Filter | undefined): void {
    if (filter === undefined) return;
    for (const word of new Set((words ?? '').split(/\s+/))) if (word !== '' && filter.keeps(word)) this.#series.add(family, [word], 1);
  }

  /**
   * As in the peer only while cpufreq is on. Where that can read frequencies itself they are its: two label sets in one family
   * would make every sum count twice.
   */
  #ownsFrequency(): boolean {
    if (!this.#scope.isPartOn('cpufreq')) return false;
    try {
      accessSync(this.#scope.sys('devices/system/cpu/cpu0/cpufreq/cpuinfo_cur_freq'), constants.R_OK);
      return false;
    } catch {
      return true;
    }
  }

  /** Ordinals of `cpu MHz : 2445.404` per processor, -1 where a block lacks the line (the peer prints 0). */
  #frequencies(count: number): number[] {
    const found = new Array<number>(count).fill(-1);
    let processor = -1;
    for (const words of this.#source.rows()) {
      if (words[0]?.text === 'processor') processor += 1;
      if (words[0]?.text === 'cpu' && words[1]?.text === 'MHz' && processor >= 0) found[processor] = words[3]?.at ?? -1;
    }
    return found;
  }
}

export const part: NodePart = {
  name: 'cpu',
  enabledByDefault: true,
  families: [SECONDS, GUEST, CORE_THROTTLES, PACKAGE_THROTTLES, ISOLATED, ONLINE, INFO, FREQUENCY, FLAG_INFO, BUG_INFO],
  options: [
    { flag: 'guest', kind: 'boolean', default: true, help: 'print the time spent for guests' },
    { flag: 'info', kind: 'boolean', default: false, help: 'print what cpuinfo says of each CPU' },
    { flag: 'info.flags-include', kind: 'regexp', default: '', help: 'CPU flags: those that match are printed, and `info` is on' },
    { flag: 'info.bugs-include', kind: 'regexp', default: '', help: 'CPU bugs: those that match are printed, and `info` is on' },
  ],
  open(scope) {
    const times = new CpuTimes(scope);
    const folders = new CpuFolders(scope);
    const info = CpuInfo.isOn(scope) ? new CpuInfo(scope) : undefined;
    let mustLook = true;
    return {
      collect(sheet) {
        info?.collect(sheet);
        const scan = times.collect(sheet);
        if (scan === 'absent') return scope.missing(times);
        if (scan === 'changed') mustLook = true;
        if (mustLook) folders.look();
        mustLook = false;
        folders.collect(sheet);
        return OK;
      },
      // What cpuinfo says is worked out in each run.
      ...(info === undefined && {
        replay(_: Sheet, steps: ReplaySteps) {
          times.replay(steps);
          folders.replay(steps);
        },
      }),
      close() {
        times.close();
        folders.close();
        info?.close();
      },
    };
  },
};
