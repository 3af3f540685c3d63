/** The readers of the C++ addon (native-readers/). The only file that loads it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { deflateSlowly } from './deflate.ts';
import {
  below,
  checkPath,
  LARGEST_TEXT_BYTES,
  notAStat,
  notTheLastScan,
  type ReaderLimits,
  RowList,
  TASK_STATES,
  TOO_LARGE_ERRNO,
  UNUSED_MEMBER,
  type WholeFormat,
  wholeFormat,
} from './format.ts';
import {
  type DirectoryChange,
  type DirectoryWatch,
  type EthtoolCalls,
  type IoctlDirection,
  type BoundField,
  type BoundNumber,
  type ClockBounds,
  type ExpectedMember,
  type KernelClock,
  type LaneMemory,
  type Merge,
  type MountStats,
  type NetlinkQuestion,
  type PageDeflater,
  type PagePlan,
  type PerfCounters,
  ReaderError,
  type Readers,
  type ReplayMemory,
  type Replays,
  type ReplaySteps,
  type Source,
  type SourceFormat,
  type RowFile,
  type RowMemory,
  type RowRule,
  type RowShape,
  type RowTable,
  type RowWatch,
  type SourceSet,
  type TaskCensus,
  type Token,
  type Uname,
  type ViewBuild,
  type ViewBuildHead,
  type ViewBuildPlan,
} from './readers.ts';

/** An object of the addon; its descriptors are closed when it is collected. */
type Handle = object & { readonly brand: unique symbol };

/** The addon's functions, as binding.cpp describes them. */
interface Addon {
  /** As Readers.deflate; null where the process exports no zlib. */
  deflate(input: Uint8Array, output: Uint8Array): number | null;
  source(path: string, keys: number, delimiters: string, flags: number, largestTextBytes: number): Handle;
  /** -errno, or 4 * numbers + 1 when changed + 2 when `numbers` is too short. */
  scan(source: Handle, numbers: Float64Array): number;
  refill(source: Handle, numbers: Float64Array): number;
  closeSource(source: Handle): void;
  bytes(handle: Handle): ArrayBuffer | undefined;
  tokens(handle: Handle): ArrayBuffer | undefined;
  set(keys: number, delimiters: string, flags: number, largestTextBytes: number, folder: string): Handle;
  addMember(set: Handle, path: string): number;
  removeMember(set: Handle, member: number): void;
  scanSet(set: Handle, numbers: Float64Array, status: Int32Array, start: Uint32Array, counts: Uint32Array, progress: Uint32Array): boolean;
  readMember(set: Handle, member: number): number;
  memberShape(set: Handle, member: number): number;
  textShape(set: Handle): number | undefined;
  closeSet(set: Handle): void;
  /** As `scan`. */
  scanMember(set: Handle, member: number, numbers: Float64Array): number;
  rows(rules: Int32Array): Handle;
  learnRow(rows: Handle, file: number, shape: number, needs: number, at: Int32Array, column: Int32Array, over: Float64Array, words: Float64Array): void;
  fillRows(rows: Handle, files: readonly unknown[], memory: readonly unknown[], facts: Float64Array): number;
  encode(
    blob: Uint8Array,
    ops: Uint32Array,
    families: number,
    values: Float64Array,
    stamps: Uint32Array,
    run: number,
    page: Uint8Array,
    index: Uint32Array,
  ): number;
  uname(): readonly [string, string, string, string, string, string] | number;
  threadCpuSeconds(): number;
  /** State of the clock, or -errno. */
  clock(numbers: Float64Array): number;
  ethtool(): Handle;
  askDevice(ethtool: Handle, device: string, command: Uint8Array): number;
  closeEthtool(ethtool: Handle): void;
  askFolder(folder: string, direction: number, type: number, number: number, exchange: Uint8Array): number;
  perf(): Handle;
  addCounter(perf: Handle, type: number, config: number, cpu: number, cgroup: number, leader: number): number;
  readCounters(perf: Handle, values: Float64Array, ratios: Float64Array): void;
  closeCounters(perf: Handle): void;
  /** -errno, or the bytes of the answer, which is in `room` where that is long enough; `lastAnswer` copies it otherwise. */
  netlink(protocol: number, strict: number, request: Uint8Array, room: Uint8Array): number;
  lastAnswer(room: Uint8Array): void;
  tasks(procfs: string): Handle;
  /** A failure: -errno (0: no stat file) and the path below procfs. */
  countTasks(tasks: Handle, processes: Uint32Array, threads: Uint32Array, totals: Float64Array): readonly [number, string] | undefined;
  closeTasks(tasks: Handle): void;
  mounts(): Handle;
  setPaths(mounts: Handle, paths: readonly string[]): void;
  runMounts(mounts: Handle, waitMs: number, status: Int32Array, numbers: Float64Array): void;
  /** Or -errno. */
  watch(): Handle | number;
  /** -errno, or the number of the directory. */
  addWatch(watch: Handle, path: string, writes: number): number;
  removeWatch(watch: Handle, directory: number): void;
  /** `struct inotify_event` back to back; undefined for none, or -errno. */
  readWatch(watch: Handle): ArrayBuffer | undefined | number;
  closeWatch(watch: Handle): void;
  /** Listeners found, or -errno. */
  limitSendBuffers(port: number, bytes: number): number;
  readonly merge: Merge;
  pageDeflater(): Handle;
  gzipPage(deflater: Handle, page: Uint8Array, holeAt: number, holeBytes: number, output: Uint8Array, results: Float64Array): boolean;
  viewBuild(memory: readonly unknown[], layout: Int32Array, roles: number, idleMs: number): Handle;
  viewBuildArm(build: Handle, memory: readonly unknown[], lists: readonly unknown[], deflater: Handle | undefined): void;
  viewBuildDisarm(build: Handle): void;
  closeViewBuild(build: Handle): void;
  buildViews(bell: Int32Array): boolean;
  replayLayout(layout: Int32Array): void;
  replayArm(job: number, steps: Int32Array, figures: Float64Array, memory: readonly unknown[], facts: Int32Array): void;
  replayDrop(job: number): void;
  lane(memory: readonly unknown[], number: number): void;
  turn(): number;
  exitNow(code: number): never;
  collectGarbage(): void;
  trimMemory(): void;
}

/** Bits of the addon's flags argument; binding.cpp has the same numbers. */
const HEX = 1;
const TEXT = 2;
const REOPEN = 4;
const ATTRIBUTE = 8;
const RECORD = 16;
const NAMES = 32;
const LINGERS = 64;

const CHANGED = 1;
const NEED_MORE = 2;
const COUNT_SHIFT = 2;

/** Words per token of `tokens`: offset, length, ordinal or TEXT_TOKEN, line. */
const TOKEN_WORDS = 4;
const TEXT_TOKEN = 0xffffffff;

/** Numbers per path of a mounts run. */
const MOUNT_NUMBERS = 7;

/** Numbers of the kernel's clock, in the order of readers/clock.hpp. */
const CLOCK_FIELDS = [
  ...(['offset', 'freq', 'maxerror', 'esterror', 'status', 'constant', 'tick', 'ppsfreq'] as const),
  ...(['jitter', 'shift', 'stabil', 'jitcnt', 'calcnt', 'errcnt', 'stbcnt', 'tai'] as const),
] as const satisfies readonly (keyof KernelClock)[];

/** Bits of askFolder's direction. */
const DIRECTIONS: Readonly<Record<IoctlDirection, number>> = { write: 1, read: 2, both: 3 };

const LONGEST_WAIT_MS = 86_400_000;

const FIRST_NUMBERS = 16;
const FIRST_ANSWER_BYTES = 16_384;

/** The folder of this package's package.json: the same from src/readers as from dist/src/readers. */
function packageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || folder === dirname(folder)) return folder;
  }
}

/**
 * Where the addon is: the one that was built here, else the one that came in the package for this machine. Undefined when
 * there is none. One that came along and does not load (another libc) counts as none: nobody chose it for this machine.
 */
export function addonPath(): string | undefined {
  const folder = join(packageFolder(), 'native-readers');
  const built = join(folder, 'build', 'readers.node');
  if (existsSync(built)) return built;
  const shipped = join(folder, 'prebuilt', `${process.platform}-${process.arch}.node`);
  return existsSync(shipped) && loads(shipped) ? shipped : undefined;
}

function loads(path: string): boolean {
  try {
    createRequire(import.meta.url)(path);
    return true;
  } catch {
    return false;
  }
}

/** What to run where there is no addon that loads. */
export function buildCommand(): string {
  return `sh ${join(packageFolder(), 'native-readers', 'build.sh')}`;
}

/** Throws a plain Error naming the file when it is there and does not load (another machine's, damaged). */
function loadAddon(): Addon {
  const path = addonPath();
  if (path === undefined) throw new Error(`the native readers are not built (run \`${buildCommand()}\`)`);
  try {
    // A border: what the file exports is binding.cpp's business.
    return createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    throw new Error(`${path} does not load; build it anew with \`${buildCommand()}\``, { cause });
  }
}

/**
 * Bounds what the kernel buffers for each connection that this process accepts on a TCP port from now on (SO_SNDBUF of the
 * listeners, socket(7); the kernel takes twice the number, and enlarges it no more). Returns how many listeners it found; 0
 * also where the kernel refuses, since a precaution is not worth a failed start.
 */
export function limitSendBuffers(port: number, bytes: number): number {
  return Math.max(0, loadAddon().limitSendBuffers(port, bytes));
}

/** Ends the process at once with `code`, without exit handlers: they would wait for threads that hang in a system call. */
export function exitNow(code: number): never {
  return loadAddon().exitNow(code);
}

/** Collects this thread's garbage and gives what that frees back to the kernel: 20 to 100 ms. */
export function collectGarbage(): void {
  loadAddon().collectGarbage();
}

/** Gives back what malloc keeps for later, and the pages of node's own file: what is in use of those comes back by itself. */
export function trimMemory(): void {
  loadAddon().trimMemory();
}

function flagsOf(format: WholeFormat): number {
  const { hex, text, reopen, attribute, record, names, lingers } = format;
  const reading = (reopen ? REOPEN : 0) | (attribute ? ATTRIBUTE : 0) | (record ? RECORD : 0) | (names ? NAMES : 0) | (lingers ? LINGERS : 0);
  return (hex ? HEX : 0) | (text ? TEXT : 0) | reading;
}

/** `status` is a negative errno. */
function readerError(status: number, path: string): ReaderError {
  if (status === -TOO_LARGE_ERRNO) return new ReaderError('TOO_LARGE', path);
  return new ReaderError(getSystemErrorName(status), path);
}

function decodeRows(bytes: ArrayBuffer, words: Uint32Array): Token[][] {
  const text = Buffer.from(bytes);
  const list = new RowList();
  for (let i = 0; i + TOKEN_WORDS <= words.length; i += TOKEN_WORDS) {
    const [start = 0, length = 0, number = TEXT_TOKEN, line = 0] = words.subarray(i, i + TOKEN_WORDS);
    list.add(line, { text: text.toString('utf8', start, start + length), at: number === TEXT_TOKEN ? -1 : number });
  }
  return list.rows;
}

/** The rows of the text last read through `handle`; undefined when the buffer holds another's. */
function readRows(addon: Addon, handle: Handle): Token[][] | undefined {
  const bytes = addon.bytes(handle);
  const tokens = addon.tokens(handle);
  return bytes === undefined || tokens === undefined ? undefined : decodeRows(bytes, new Uint32Array(tokens));
}

class NativeSource implements Source {
  readonly path: string;
  numbers = new Float64Array(FIRST_NUMBERS);
  count = 0;
  private readonly addon: Addon;
  readonly handle: Handle;

  constructor(addon: Addon, path: string, format: WholeFormat, largestTextBytes: number) {
    this.path = path;
    this.addon = addon;
    this.handle = addon.source(path, format.keys, format.delimiters, flagsOf(format), largestTextBytes);
  }

  scan(): boolean {
    let result = this.addon.scan(this.handle, this.numbers);
    if (result < 0) {
      this.count = 0;
      throw readerError(result, this.path);
    }
    if ((result & NEED_MORE) !== 0) {
      // Twice what is wanted: lists that grow by one line at a time do not come back here each time.
      this.numbers = new Float64Array((result >> COUNT_SHIFT) * 2);
      result = this.addon.refill(this.handle, this.numbers);
    }
    this.count = result >> COUNT_SHIFT;
    return (result & CHANGED) !== 0;
  }

  text(): string {
    const bytes = this.addon.bytes(this.handle);
    if (bytes === undefined) throw notTheLastScan(this.path);
    return Buffer.from(bytes).toString('utf8');
  }

  rows(): Token[][] {
    const rows = readRows(this.addon, this.handle);
    if (rows === undefined) throw notTheLastScan(this.path);
    return rows;
  }

  close(): void {
    this.addon.closeSource(this.handle);
  }
}

class NativeSet implements SourceSet {
  status = new Int32Array(0);
  start = new Uint32Array(0);
  counts = new Uint32Array(0);
  numbers = new Float64Array(FIRST_NUMBERS);
  private readonly addon: Addon;
  readonly handle: Handle;
  private readonly folder: string;
  private readonly paths: string[] = [];
  /** Next member and numbers used, shared with the addon during a scan. */
  private readonly progress = new Uint32Array(2);

  constructor(addon: Addon, format: WholeFormat, largestTextBytes: number, folder: string) {
    this.addon = addon;
    this.folder = folder;
    this.handle = addon.set(format.keys, format.delimiters, flagsOf(format), largestTextBytes, folder);
  }

  add(path: string): number {
    checkPath(path);
    const member = this.addon.addMember(this.handle, path);
    this.paths[member] = path;
    if (member >= this.status.length) this.growMembers(Math.max(FIRST_NUMBERS, this.status.length * 2));
    return member;
  }

  remove(member: number): void {
    this.addon.removeMember(this.handle, member);
    if (member < this.status.length) {
      this.status[member] = UNUSED_MEMBER;
      this.counts[member] = 0;
    }
  }

  scan(): void {
    this.progress.fill(0);
    while (!this.addon.scanSet(this.handle, this.numbers, this.status, this.start, this.counts, this.progress)) {
      const grown = new Float64Array((this.progress[1] ?? 0) * 2);
      grown.set(this.numbers);
      this.numbers = grown;
      // The member that found no room starts where the ones before it ended.
      this.progress[1] = this.start[this.progress[0] ?? 0] ?? 0;
    }
  }

  scanMember(member: number): void {
    let result = this.addon.scanMember(this.handle, member, this.numbers);
    if (result > 0 && (result & NEED_MORE) !== 0) {
      this.numbers = new Float64Array((result >> COUNT_SHIFT) * 2);
      result = this.addon.scanMember(this.handle, member, this.numbers);
      // Longer still by now: the next scan has room for it.
      if (result > 0 && (result & NEED_MORE) !== 0) result = 1;
    }
    this.start[member] = 0;
    this.status[member] = result < 0 ? result : result & CHANGED;
    this.counts[member] = result < 0 ? 0 : result >> COUNT_SHIFT;
  }

  rows(member: number): Token[][] {
    const status = this.addon.readMember(this.handle, member);
    const path = below(this.folder, this.paths[member] ?? '');
    if (status < 0) throw readerError(status, path);
    const rows = readRows(this.addon, this.handle);
    if (rows === undefined) throw notTheLastScan(path);
    return rows;
  }

  shape(member: number): number {
    return this.addon.memberShape(this.handle, member);
  }

  rowsShape(): number | undefined {
    return this.addon.textShape(this.handle);
  }

  close(): void {
    this.addon.closeSet(this.handle);
  }

  private growMembers(length: number): void {
    const status = new Int32Array(length).fill(UNUSED_MEMBER);
    status.set(this.status);
    this.status = status;
    const start = new Uint32Array(length);
    start.set(this.start);
    this.start = start;
    const counts = new Uint32Array(length);
    counts.set(this.counts);
    this.counts = counts;
  }
}

/** Kinds of rules, in the order of RowRule in rows.hpp. */
const ROW_RULES = ['difference', 'sum', 'absentAtZero', 'absentUnless', 'brought'] as const satisfies readonly RowRule['kind'][];

function ruleWords(rule: RowRule): number[] {
  const [a, b] =
    rule.kind === 'difference'
      ? [rule.of, rule.less]
      : rule.kind === 'sum'
        ? [rule.from, rule.count]
        : rule.kind === 'absentUnless'
          ? [rule.positive, 0]
          : [0, 0];
  return [ROW_RULES.indexOf(rule.kind), rule.to, a, b];
}

class NativeRows implements RowTable {
  private readonly addon: Addon;
  readonly handle: Handle;
  private readonly facts = new Float64Array(8);

  constructor(addon: Addon, rules: readonly RowRule[]) {
    this.addon = addon;
    this.handle = addon.rows(Int32Array.from(rules.flatMap(ruleWords)));
  }

  learn(file: number, shape: number, { needs, at, column, over, words }: RowShape): void {
    const flat = Float64Array.from(words.flatMap(({ column: word, value }) => [word, value]));
    this.addon.learnRow(this.handle, file, shape, needs, at, column, over, flat);
  }

  fill(files: readonly RowFile[], memory: RowMemory): number {
    this.facts.set(rowFacts(memory));
    return this.addon.fillRows(this.handle, fileParts(files), rowArrays(memory), this.facts);
  }
}

/** As the addon takes them, six elements each. */
function fileParts(files: readonly RowFile[]): unknown[] {
  const parts: unknown[] = [];
  for (const { sets, members, missing, facts, readMs } of files) {
    const [kept, opened] = sets;
    if (!(kept instanceof NativeSet) || !(opened instanceof NativeSet)) throw new TypeError('rows need sets of the addon');
    parts.push(kept.handle, opened.handle, members, missing, facts, readMs);
  }
  return parts;
}

function rowArrays({ rows, slots, states, movedMs, values, stamps, left }: RowMemory): unknown[] {
  return [rows, slots, states, movedMs, values, stamps, left];
}

function rowFacts({ rowStride, slotStride, columns, run, brought, nowMs, afterMs, trustMs }: RowMemory): number[] {
  return [rowStride, slotStride, columns, run, brought, nowMs, afterMs, trustMs];
}

class NativeMounts implements MountStats {
  status = new Int32Array(0);
  numbers = new Float64Array(0);
  private readonly addon: Addon;
  readonly handle: Handle;

  constructor(addon: Addon) {
    this.addon = addon;
    this.handle = addon.mounts();
  }

  paths(paths: readonly string[]): void {
    for (const path of paths) checkPath(path);
    this.addon.setPaths(this.handle, paths);
    this.status = new Int32Array(paths.length);
    this.numbers = new Float64Array(paths.length * MOUNT_NUMBERS);
  }

  run(waitMs: number): void {
    // The addon takes whole milliseconds; a day is for ever.
    const wholeMs = Math.min(Math.max(0, Math.ceil(waitMs)), LONGEST_WAIT_MS);
    this.addon.runMounts(this.handle, wholeMs, this.status, this.numbers);
  }
}

/** `struct inotify_event`: watch, mask, cookie and length of the name behind it, which is padded with zeros. */
const EVENT_WORDS = 4;
const MODIFIED = 0x2;
const ENTRY = 0x40 | 0x80 | 0x100 | 0x200; // Moved from, moved to, created, deleted.
const OVERFLOW = 0x4000;
const UNMOUNTED = 0x2000;
const IS_DIRECTORY = 0x40000000;

class NativeWatch implements DirectoryWatch {
  private readonly addon: Addon;
  readonly handle: Handle;

  constructor(addon: Addon) {
    const handle = addon.watch();
    if (typeof handle === 'number') throw readerError(handle, 'inotify');
    this.addon = addon;
    this.handle = handle;
  }

  add(path: string, writes: boolean): number {
    checkPath(path);
    const directory = this.addon.addWatch(this.handle, path, writes ? 1 : 0);
    if (directory < 0) throw readerError(directory, path);
    return directory;
  }

  remove(directory: number): void {
    this.addon.removeWatch(this.handle, directory);
  }

  read(heard: (directory: number, name: string, change: DirectoryChange) => void): boolean {
    const bytes = this.addon.readWatch(this.handle);
    if (bytes === undefined) return true;
    if (typeof bytes === 'number') throw readerError(bytes, 'inotify');
    const words = new Int32Array(bytes);
    const text = Buffer.from(bytes);
    let complete = true;
    for (let at = 0; at + EVENT_WORDS <= words.length; ) {
      const [directory = 0, mask = 0, , length = 0] = words.subarray(at, at + EVENT_WORDS);
      const start = (at + EVENT_WORDS) * 4;
      if ((mask & (OVERFLOW | UNMOUNTED)) !== 0) complete = false;
      const isEntry = (mask & IS_DIRECTORY) !== 0 && (mask & ENTRY) !== 0;
      if (isEntry || (mask & MODIFIED) !== 0) {
        const end = text.indexOf(0, start);
        heard(directory, text.toString('utf8', start, end < 0 ? start + length : Math.min(end, start + length)), isEntry ? 'directory' : 'written');
      }
      at += EVENT_WORDS + length / 4;
    }
    return complete;
  }

  close(): void {
    this.addon.closeWatch(this.handle);
  }
}

class NativeEthtool implements EthtoolCalls {
  readonly handle: Handle;
  private readonly addon: Addon;

  constructor(addon: Addon) {
    this.addon = addon;
    this.handle = addon.ethtool();
  }

  ask(device: string, command: Uint8Array): number {
    return this.addon.askDevice(this.handle, device, command);
  }

  close(): void {
    this.addon.closeEthtool(this.handle);
  }
}

class NativePerf implements PerfCounters {
  values = new Float64Array(0);
  ratios = new Float64Array(0);
  readonly handle: Handle;
  private readonly addon: Addon;

  constructor(addon: Addon) {
    this.addon = addon;
    this.handle = addon.perf();
  }

  add(type: number, config: number, cpu: number, cgroup = -1, leader = -1): number {
    const position = this.addon.addCounter(this.handle, type, config, cpu, cgroup, leader);
    if (position >= this.values.length) {
      const size = Math.max(FIRST_NUMBERS, this.values.length * 2);
      const grown = new Float64Array(size);
      grown.set(this.values);
      this.values = grown;
      this.ratios = new Float64Array(size);
    }
    return position;
  }

  read(): void {
    this.addon.readCounters(this.handle, this.values, this.ratios);
  }

  close(): void {
    this.addon.closeCounters(this.handle);
  }
}

/** Step kinds and modes of binding.cpp, in the order of its enums. */
const STEP_KINDS = [
  'scan',
  'set',
  'mounts',
  'wall',
  'until',
  'within',
  'uname',
  'stamp',
  'mountTable',
  'table',
  'clock',
  'answer',
  'sockets',
  'tasks',
  'counters',
  'statistics',
  'missing',
  'rows',
  'quiet',
  'word',
] as const;
const WATCHED_USES = ['none', 'notes', 'needs'] as const;
const BOUND_MODES = ['scaled', 'rising', 'restarting', 'product', 'still', 'sum', 'exact', 'present', 'difference'] as const;

/** Steps as a list of words, with their numbers, handles and texts beside it. */
class NativeSteps implements ReplaySteps {
  readonly words: number[] = [];
  readonly figures: number[] = [];
  readonly handles: unknown[] = [];
  readonly texts: string[] = [];
  durationSlot = -1;

  scan(source: Source, bounds: readonly BoundNumber[]): void {
    this.begin('scan');
    this.use(source, NativeSource);
    this.bounds(bounds);
  }

  table(source: Source, bounds: readonly BoundNumber[]): void {
    this.begin('table');
    this.use(source, NativeSource);
    this.bounds(bounds);
  }

  clock(state: number, bounds: ClockBounds): void {
    this.begin('clock');
    this.words.push(state);
    this.bounds(CLOCK_FIELDS.flatMap((field, at) => (bounds[field] === undefined ? [] : [{ ...bounds[field], at }])));
  }

  mountTable(source: Source): void {
    this.begin('mountTable');
    this.use(source, NativeSource);
  }

  set(set: SourceSet, members: readonly ExpectedMember[]): void {
    this.begin('set');
    this.use(set, NativeSet);
    this.words.push(members.length);
    for (const { member, status, count, bound } of members) {
      this.words.push(member, status, count, bound === undefined ? 0 : 1);
      if (bound !== undefined) this.bound(bound);
    }
  }

  mounts(stats: MountStats, waitMs: number, bounds: readonly BoundNumber[]): void {
    this.begin('mounts');
    this.use(stats, NativeMounts);
    this.words.push(Math.min(Math.max(0, Math.ceil(waitMs)), LONGEST_WAIT_MS), stats.status.length, ...stats.status);
    for (const i of stats.status.keys()) this.figures.push(stats.numbers[i * MOUNT_NUMBERS + MOUNT_NUMBERS - 1] as number);
    this.bounds(bounds);
  }

  wall(slot: number): void {
    this.begin('wall');
    this.words.push(slot);
  }

  until(monotonicMs: number): void {
    this.begin('until');
    this.figures.push(monotonicMs);
  }

  missing(path: string, untilMs: number, againMs: number): void {
    this.begin('missing');
    this.texts.push(path);
    this.figures.push(untilMs, againMs);
  }

  within(fromMs: number, toMs: number): void {
    this.begin('within');
    this.figures.push(fromMs, toMs);
  }

  uname({ sysname, nodename, release, version, machine, domainname }: Uname): void {
    this.begin('uname');
    this.texts.push(sysname, nodename, release, version, machine, domainname);
  }

  stamp(path: string, stamp: string): void {
    this.begin('stamp');
    this.texts.push(path, stamp);
  }

  rows(table: RowTable, files: readonly RowFile[], memory: RowMemory, watched: RowWatch, bringsWall: boolean): void {
    this.begin('rows');
    this.use(table, NativeRows);
    for (const list of [fileParts(files), rowArrays(memory), Float64Array.from(rowFacts(memory)), watched.ms]) this.give(list);
    this.words.push(bringsWall ? 1 : 0, WATCHED_USES.indexOf(watched.use));
  }

  quiet(watch: DirectoryWatch): void {
    this.begin('quiet');
    this.use(watch, NativeWatch);
  }

  word(words: Int32Array, at: number, expected: number): void {
    this.begin('word');
    this.give(words);
    this.words.push(at, expected);
  }

  duration(slot: number): void {
    this.durationSlot = slot;
  }

  private begin(kind: (typeof STEP_KINDS)[number]): void {
    this.words.push(STEP_KINDS.indexOf(kind));
  }

  private use(reader: object, type: new (...args: never[]) => { readonly handle: Handle }): void {
    if (!(reader instanceof type)) throw new TypeError('a step needs a reader of the addon');
    this.give(reader.handle);
  }

  private give(object: unknown): void {
    this.words.push(this.handles.push(object) - 1);
  }

  answer(
    question: NetlinkQuestion,
    answer: Uint8Array,
    loose: readonly (readonly [from: number, to: number])[] = [],
    bounds: readonly BoundField[] = [],
  ): void {
    this.begin('answer');
    this.question(question);
    this.bytes(answer);
    this.words.push(loose.length, ...loose.flat(), bounds.length, ...bounds.flatMap(({ at, bytes }) => [at, bytes]));
    this.bounds(bounds.map((bound, at) => ({ ...bound, at })));
  }

  sockets(question: NetlinkQuestion, type: number, bounds: readonly BoundNumber[]): void {
    this.begin('sockets');
    this.question(question);
    this.words.push(type);
    this.bounds(bounds);
  }

  tasks(census: TaskCensus, bounds: readonly BoundNumber[]): void {
    this.begin('tasks');
    this.use(census, NativeTasks);
    this.bounds(bounds);
  }

  counters(counters: PerfCounters, bounds: readonly BoundNumber[]): void {
    this.begin('counters');
    this.use(counters, NativePerf);
    this.bounds(bounds);
  }

  statistics(calls: EthtoolCalls, device: string, count: number, error: number, bounds: readonly BoundNumber[]): void {
    this.begin('statistics');
    this.use(calls, NativeEthtool);
    this.texts.push(device);
    this.words.push(count, error);
    this.bounds(bounds);
  }

  private question({ protocol, request, isStrict = false }: NetlinkQuestion): void {
    this.words.push(protocol, isStrict ? 1 : 0);
    this.bytes(request);
  }

  private bytes(bytes: Uint8Array): void {
    this.give(bytes);
  }

  private bounds(bounds: readonly BoundNumber[]): void {
    this.words.push(bounds.length);
    for (const bound of bounds) this.bound(bound);
  }

  private bound({ at, slot, mode = 'scaled', by = 0, times = 1, over = 1, again = 1 }: BoundNumber): void {
    this.words.push(at, slot, BOUND_MODES.indexOf(mode), by);
    this.figures.push(times, over, again);
  }
}

class NativeReplays implements Replays {
  private readonly addon: Addon;

  constructor(addon: Addon) {
    this.addon = addon;
  }

  steps(): ReplaySteps {
    return new NativeSteps();
  }

  arm(job: number, steps: ReplaySteps, { values, stamps, run, shape, wanted, ending, counted, words, floats, variants }: ReplayMemory): void {
    if (!(steps instanceof NativeSteps)) throw new TypeError('steps of another reader');
    const pages = variants.flatMap((variant) => [variant.plan.blob, variant.plan.ops, ...variant.pages, ...variant.indexes]);
    const facts = Int32Array.of(run, shape, wanted, steps.durationSlot, ending, counted, ...variants.flatMap(({ number, plan }) => [number, plan.families]));
    const memory = [steps.handles, steps.texts, pages, values, stamps, words, floats];
    this.addon.replayArm(job, Int32Array.from(steps.words), Float64Array.from(steps.figures), memory, facts);
  }

  drop(job: number): void {
    this.addon.replayDrop(job);
  }

  turns({ words, floats, owners, left, bell, number }: LaneMemory): () => number {
    this.addon.lane([words, floats, owners, left, bell], number);
    return this.addon.turn;
  }
}

class NativePageDeflater implements PageDeflater {
  readonly handle: Handle;
  private readonly addon: Addon;

  constructor(addon: Addon) {
    this.addon = addon;
    this.handle = addon.pageDeflater();
  }

  gzip(page: Uint8Array, holeAt: number, holeBytes: number, output: Uint8Array, results: Float64Array): boolean {
    return this.addon.gzipPage(this.handle, page, holeAt, holeBytes, output, results);
  }
}

class NativeViewBuild implements ViewBuild {
  private readonly addon: Addon;
  private readonly handle: Handle;

  constructor(addon: Addon, { bell, layout, words, floats, roles, idleMs }: ViewBuildHead) {
    this.addon = addon;
    this.handle = addon.viewBuild([bell, words, floats], layout, roles, idleMs);
  }

  arm({ entries, order, kinds, missing, pages, gzips, deflater }: ViewBuildPlan): void {
    if (deflater !== undefined && !(deflater instanceof NativePageDeflater)) throw new TypeError('deflater of another reader');
    const arrays = entries.flatMap((entry) => [entry.words, entry.floats, ...entry.pages.flatMap(({ page, index }) => [page, index])]);
    const facts = Int32Array.from(entries.flatMap(({ variant, role, shape }) => [variant, role, shape]));
    this.addon.viewBuildArm(this.handle, [arrays, [...pages, ...gzips], deflater], [facts, order, kinds, missing], deflater?.handle);
  }

  disarm(): void {
    this.addon.viewBuildDisarm(this.handle);
  }

  close(): void {
    this.addon.closeViewBuild(this.handle);
  }
}

class NativeTasks implements TaskCensus {
  readonly processes = new Uint32Array(TASK_STATES);
  readonly threads = new Uint32Array(TASK_STATES);
  readonly handle: Handle;
  private readonly procfs: string;
  private readonly addon: Addon;
  private readonly totals = new Float64Array(2);

  constructor(addon: Addon, procfs: string) {
    checkPath(procfs);
    this.procfs = procfs;
    this.addon = addon;
    this.handle = addon.tasks(procfs);
  }

  get pidCount(): number {
    return this.totals[0] ?? 0;
  }

  get threadCount(): number {
    return this.totals[1] ?? 0;
  }

  look(): void {
    this.processes.fill(0);
    this.threads.fill(0);
    const failure = this.addon.countTasks(this.handle, this.processes, this.threads, this.totals);
    if (failure === undefined) return;
    const [errno, below] = failure;
    const path = below === '' ? this.procfs : `${this.procfs}/${below}`;
    throw errno === 0 ? notAStat(path) : readerError(errno, path);
  }

  close(): void {
    this.addon.closeTasks(this.handle);
  }
}

class NativeReaders implements Readers {
  readonly native = true;
  /** Netlink answers; longer ones are rare. */
  private room = new Uint8Array(FIRST_ANSWER_BYTES);
  private readonly addon: Addon;
  private readonly largestTextBytes: number;

  constructor(addon: Addon, limits: ReaderLimits) {
    this.addon = addon;
    this.largestTextBytes = limits.largestTextBytes ?? LARGEST_TEXT_BYTES;
  }

  source(path: string, format?: SourceFormat): Source {
    checkPath(path);
    return new NativeSource(this.addon, path, wholeFormat(format), this.largestTextBytes);
  }

  set(format?: SourceFormat, folder = ''): SourceSet {
    checkPath(folder);
    return new NativeSet(this.addon, wholeFormat(format), this.largestTextBytes, folder);
  }

  rowTable(rules: readonly RowRule[]): RowTable {
    return new NativeRows(this.addon, rules);
  }

  mounts(): MountStats {
    return new NativeMounts(this.addon);
  }

  watch(): DirectoryWatch {
    return new NativeWatch(this.addon);
  }

  tasks(procfs: string): TaskCensus {
    return new NativeTasks(this.addon, procfs);
  }

  uname(): Uname {
    const fields = this.addon.uname();
    if (typeof fields === 'number') throw readerError(fields, 'uname');
    const [sysname, nodename, release, version, machine, domainname] = fields;
    return { sysname, nodename, release, version, machine, domainname };
  }

  threadCpuSeconds(): number {
    return this.addon.threadCpuSeconds();
  }

  clock(): KernelClock {
    const numbers = new Float64Array(CLOCK_FIELDS.length);
    const state = this.addon.clock(numbers);
    if (state < 0) throw readerError(state, 'adjtimex');
    const [offset = 0, freq = 0, maxerror = 0, esterror = 0, status = 0, constant = 0, tick = 0, ppsfreq = 0, ...rest] = numbers;
    const [jitter = 0, shift = 0, stabil = 0, jitcnt = 0, calcnt = 0, errcnt = 0, stbcnt = 0, tai = 0] = rest;
    return { state, offset, freq, maxerror, esterror, status, constant, tick, ppsfreq, jitter, shift, stabil, jitcnt, calcnt, errcnt, stbcnt, tai };
  }

  netlink(protocol: number, request: Uint8Array, isStrict = false): Buffer {
    const bytes = this.addon.netlink(protocol, isStrict ? 1 : 0, request, this.room);
    if (bytes < 0) throw readerError(bytes, `netlink ${protocol}`);
    if (bytes > this.room.length) {
      this.room = new Uint8Array(bytes * 2);
      this.addon.lastAnswer(this.room);
    }
    return Buffer.from(this.room.subarray(0, bytes));
  }

  ethtool(): EthtoolCalls {
    return new NativeEthtool(this.addon);
  }

  askFolder(folder: string, direction: IoctlDirection, type: number, number: number, exchange: Uint8Array): number {
    checkPath(folder);
    return this.addon.askFolder(folder, DIRECTIONS[direction], type, number, exchange);
  }

  perf(): PerfCounters {
    return new NativePerf(this.addon);
  }

  encode(plan: PagePlan, values: Float64Array, stamps: Uint32Array, run: number, page: Uint8Array, index: Uint32Array): number {
    return this.addon.encode(plan.blob, plan.ops, plan.families, values, stamps, run, page, index);
  }

  readonly merge: Merge = (order, kinds, pages, indexes, target, results) => this.addon.merge(order, kinds, pages, indexes, target, results);

  pageDeflater(): PageDeflater {
    return new NativePageDeflater(this.addon);
  }

  viewBuild(head: ViewBuildHead): ViewBuild {
    return new NativeViewBuild(this.addon, head);
  }

  buildViews(bell: Int32Array): boolean {
    return this.addon.buildViews(bell);
  }

  replays(layout: Int32Array): Replays {
    this.addon.replayLayout(layout);
    return new NativeReplays(this.addon);
  }

  deflate(input: Uint8Array, output: Uint8Array): number {
    return this.addon.deflate(input, output) ?? deflateSlowly(input, output);
  }
}

/** Throws a plain Error when the addon is not there or does not load; `load.ts` decides what that means. */
export function nativeReaders(limits: ReaderLimits = {}): Readers {
  return new NativeReaders(loadAddon(), limits);
}
