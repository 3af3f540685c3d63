/**
 * The readers in plain TypeScript: the fallback where the addon was not built, the oracle it is tested against, and the
 * description of what it does. Written to be read, not to be fast.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statfsSync } from 'node:fs';
import { hostname, machine, release, type as sysname, version } from 'node:os';
import { systemClock } from '../model/clock.ts';
import { formatNumber } from '../model/number.ts';
import {
  ATTRIBUTE_BYTES,
  below,
  checkPath,
  LARGEST_TEXT_BYTES,
  LINGERS_MS,
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
import { deflateSlowly } from './deflate.ts';
import {
  INDEX_WORDS,
  type MountStats,
  type PagePlan,
  ReaderError,
  type Readers,
  type Source,
  type SourceFormat,
  type SourceSet,
  type TaskCensus,
  type Token,
  type Uname,
} from './readers.ts';

// --- Scanning ---

/** A longer token is text, which also keeps decimals far from overflow. */
const LONGEST_NUMBER = 64;
const MOST_UNSIGNED = 2n ** 64n - 1n;
const MOST_NEGATIVE = -(2n ** 63n);

/** Stand for themselves in a shape: no byte has these codes. */
const NUMBER_MARK = '\u0100';
const BLANK_MARK = '\u0101';

/** The number a token spells, or undefined when it is text. */
function parseNumber(token: string, hex: boolean): number | undefined {
  if (token.length > LONGEST_NUMBER) return undefined;
  if (hex) {
    const digits = /^(?:0x)?([0-9a-fA-F]+)$/.exec(token)?.[1];
    if (digits === undefined) return undefined;
    const value = BigInt(`0x${digits}`);
    return value > MOST_UNSIGNED ? undefined : Number(value);
  }
  if (/^-?[0-9]+\.[0-9]+$/.test(token)) return Number(token);
  if (!/^-?[0-9]+$/.test(token)) return undefined;
  const value = BigInt(token);
  // From the text, not from the bigint: "-0" is -0.
  return value > MOST_UNSIGNED || value < MOST_NEGATIVE ? undefined : Number(token);
}

interface Cut {
  /** The text with every number replaced by a mark, runs of blanks by another, and outer blanks of lines left out. */
  readonly shape: string;
  readonly numbers: readonly number[];
  readonly rows: Token[][];
}

/** Cuts a text as the format says. One character of a latin1 string is one byte. */
function cutText(bytes: Buffer, format: WholeFormat): Cut {
  const isDelimiter = (byte: string): boolean => !' \t\n'.includes(byte) && format.delimiters.includes(byte);
  const shape: string[] = [];
  const numbers: number[] = [];
  const list = new RowList();
  for (const [lineNumber, line] of bytes.toString('latin1').split('\n').entries()) {
    if (lineNumber > 0) shape.push('\n');
    let column = 0;
    let gap = false;
    let at = 0;
    const bounded = line.replace(/^[ \t]+|[ \t]+$/g, '');
    while (at < bounded.length) {
      const byte = bounded.charAt(at);
      if (byte === ' ' || byte === '\t') {
        if (!gap) shape.push(BLANK_MARK);
        gap = true;
        at += 1;
        continue;
      }
      gap = false;
      if (isDelimiter(byte)) {
        shape.push(byte);
        at += 1;
        continue;
      }
      const start = at;
      while (at < bounded.length && !' \t'.includes(bounded.charAt(at)) && !isDelimiter(bounded.charAt(at))) at += 1;
      const token = bounded.slice(start, at);
      const value = format.text || column < format.keys ? undefined : parseNumber(token, format.hex);
      column += 1;
      shape.push(value === undefined ? token : NUMBER_MARK);
      list.add(lineNumber, { text: Buffer.from(token, 'latin1').toString('utf8'), at: value === undefined ? -1 : numbers.length });
      if (value !== undefined) numbers.push(value);
    }
  }
  return { shape: format.text ? bytes.toString('latin1') : shape.join(''), numbers, rows: list.rows };
}

// --- Reading ---

const CHUNK_BYTES = 64 * 1024;

/** A failure of a system call as node reports it. */
interface SystemError {
  readonly code: string;
  /** Negative. */
  readonly errno: number;
}

function systemError(error: unknown): SystemError {
  if (error instanceof Error && 'code' in error && 'errno' in error) {
    const { code, errno } = error;
    if (typeof code === 'string' && typeof errno === 'number') return { code, errno };
  }
  throw error;
}

function readOnce(file: number, into: Buffer, position: number): number {
  for (;;) {
    try {
      return readSync(file, into, 0, into.length, position);
    } catch (error) {
      if (systemError(error).code !== 'EINTR') throw error;
    }
  }
}

/** Reads until read(2) answers 0: a short read is not the end of a kernel file. Undefined when there is more than `cap`. */
function readWhole(file: number, cap: number): Buffer | undefined {
  const parts: Buffer[] = [];
  let size = 0;
  for (;;) {
    const part = Buffer.allocUnsafe(CHUNK_BYTES);
    const got = readOnce(file, part, size);
    if (got === 0) return Buffer.concat(parts, size);
    parts.push(part.subarray(0, got));
    size += got;
    if (size > cap) return undefined;
  }
}

function readAttribute(file: number): Buffer {
  const bytes = Buffer.allocUnsafe(ATTRIBUTE_BYTES);
  return bytes.subarray(0, readOnce(file, bytes, 0));
}

/** Each ended by NUL. */
function namesIn(folder: string): Buffer {
  return Buffer.concat(readdirSync(folder, { encoding: 'buffer' }).map((name) => Buffer.concat([name, Buffer.from([0])])));
}

/** Descriptors from this number on are not kept: the last quarter of the process's table is left to sockets. */
function firstUnkeptDescriptor(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return limit === undefined ? Number.POSITIVE_INFINITY : Math.floor(Number(limit) / 4) * 3;
}

/** What the sources of one Readers share. */
interface Shared {
  readonly largestTextBytes: number;
  readonly firstUnkept: number;
  /** The source scanned last, if that succeeded: only its text may be asked for, as in the addon. */
  lastScanned: ReferenceSource | undefined;
}

class ReferenceSource implements Source {
  readonly path: string;
  numbers = new Float64Array(0);
  count = 0;
  /** Negative errno of the last scan, 0 when it succeeded. */
  errno = 0;
  private readonly format: WholeFormat;
  private readonly shared: Shared;
  private file: number | undefined;
  /** When a file that lingers was read last. */
  private readMs = Number.NEGATIVE_INFINITY;
  private bytes: Buffer = Buffer.alloc(0);
  /** Undefined before the first scan and after a failed one. */
  private last: { shape: string; count: number } | undefined;

  constructor(path: string, format: WholeFormat, shared: Shared) {
    this.path = path;
    this.format = format;
    this.shared = shared;
  }

  scan(): boolean {
    this.shared.lastScanned = undefined;
    this.count = 0;
    const last = this.last;
    this.last = undefined;
    this.bytes = this.read();
    const { shape, numbers } = cutText(this.bytes, this.format);
    if (numbers.length > this.numbers.length) this.numbers = new Float64Array(numbers.length * 2);
    this.numbers.set(numbers);
    this.count = numbers.length;
    this.last = { shape, count: numbers.length };
    this.shared.lastScanned = this;
    return last === undefined || last.shape !== shape || last.count !== numbers.length;
  }

  text(): string {
    if (this.shared.lastScanned !== this) throw notTheLastScan(this.path);
    return this.bytes.toString('utf8');
  }

  rows(): Token[][] {
    if (this.shared.lastScanned !== this) throw notTheLastScan(this.path);
    return cutText(this.bytes, this.format).rows;
  }

  /** Reads the file again for its rows and remembers nothing. */
  readRows(): { readonly rows: Token[][]; readonly shape: string } {
    this.shared.lastScanned = undefined;
    return cutText(this.read(), this.format);
  }

  get shape(): string {
    return this.last?.shape ?? '';
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  /** Closes a file of which the kernel may still have the text that was read last. */
  private forgetLingering(): void {
    const now = systemClock.monotonicMs();
    if (now - this.readMs < LINGERS_MS) this.close();
    this.readMs = now;
  }

  /** Throws ReaderError and leaves its number in `errno`. */
  private read(): Buffer {
    this.errno = 0;
    let failed = true;
    if (this.format.lingers) this.forgetLingering();
    try {
      if (this.format.names) {
        const names = namesIn(this.path);
        failed = names.length > this.shared.largestTextBytes;
        this.errno = failed ? -TOO_LARGE_ERRNO : 0;
        if (!failed) return names;
        throw new ReaderError('TOO_LARGE', this.path);
      }
      this.file ??= openSync(this.path, 'r');
      const bytes = this.format.attribute ? readAttribute(this.file) : readWhole(this.file, this.shared.largestTextBytes);
      if (bytes !== undefined) {
        failed = false;
        return bytes;
      }
      this.errno = -TOO_LARGE_ERRNO;
    } catch (error) {
      const { code, errno } = systemError(error);
      this.errno = errno;
      throw new ReaderError(code, this.path);
    } finally {
      if (this.format.reopen || failed || (this.file ?? 0) >= this.shared.firstUnkept) this.close();
    }
    throw new ReaderError('TOO_LARGE', this.path);
  }
}

class ReferenceSet implements SourceSet {
  status = new Int32Array(0);
  start = new Uint32Array(0);
  counts = new Uint32Array(0);
  numbers = new Float64Array(0);
  private readonly format: WholeFormat;
  private readonly shared: Shared;
  private readonly folder: string;
  private readonly members: (ReferenceSource | undefined)[] = [];
  /** Numbers of removed members, the latest last: that is used first. */
  private readonly unused: number[] = [];
  /** Numbers by the text around the numbers. */
  private readonly shapes = new Map<string, number>();
  private readShape: number | undefined;

  constructor(format: WholeFormat, shared: Shared, folder: string) {
    this.format = format;
    this.shared = shared;
    this.folder = folder;
  }

  add(path: string): number {
    checkPath(path);
    const member = this.unused.pop() ?? this.members.length;
    this.members[member] = new ReferenceSource(below(this.folder, path), this.format, this.shared);
    if (member >= this.status.length) this.growMembers(member + 1);
    return member;
  }

  remove(member: number): void {
    const source = this.members[member];
    if (source === undefined) return;
    source.close();
    this.members[member] = undefined;
    this.unused.push(member);
    this.status[member] = UNUSED_MEMBER;
    this.counts[member] = 0;
  }

  scan(): void {
    const all: number[] = [];
    for (const [member, source] of this.members.entries()) {
      this.start[member] = all.length;
      this.counts[member] = 0;
      this.status[member] = UNUSED_MEMBER;
      if (source === undefined) continue;
      for (const number of this.scanSource(member, source)) all.push(number);
    }
    this.keep(all);
  }

  scanMember(member: number): void {
    const source = this.members[member];
    if (source === undefined) throw new TypeError('no such member');
    this.start[member] = 0;
    this.counts[member] = 0;
    this.keep(this.scanSource(member, source));
  }

  /** Scans one member and says how that went; returns its numbers. */
  private scanSource(member: number, source: ReferenceSource): ArrayLike<number> & Iterable<number> {
    try {
      this.status[member] = source.scan() ? 1 : 0;
      this.counts[member] = source.count;
      return source.numbers.subarray(0, source.count);
    } catch (error) {
      if (!(error instanceof ReaderError)) throw error;
      this.status[member] = source.errno;
      return [];
    }
  }

  private keep(numbers: ArrayLike<number>): void {
    this.shared.lastScanned = undefined;
    if (numbers.length > this.numbers.length) this.numbers = new Float64Array(numbers.length * 2);
    this.numbers.set(numbers);
  }

  rows(member: number): Token[][] {
    const source = this.members[member];
    if (source === undefined) throw new TypeError('no such member');
    const { rows, shape } = source.readRows();
    this.readShape = this.shapeNumber(shape);
    return rows;
  }

  shape(member: number): number {
    return this.shapeNumber(this.members[member]?.shape ?? '');
  }

  rowsShape(): number | undefined {
    return this.readShape;
  }

  close(): void {
    for (const source of this.members) source?.close();
  }

  private shapeNumber(text: string): number {
    const number = this.shapes.get(text) ?? this.shapes.size;
    this.shapes.set(text, number);
    return number;
  }

  private growMembers(length: number): void {
    const { status, start, counts } = this;
    this.status = new Int32Array(length).fill(UNUSED_MEMBER);
    this.status.set(status);
    this.start = new Uint32Array(length);
    this.start.set(start);
    this.counts = new Uint32Array(length);
    this.counts.set(counts);
  }
}

// --- Mounts ---

const MOUNT_NUMBERS = 7;

/** ST_* bits of statfs(2) by the option that /proc/self/mountinfo prints for them. */
const MOUNT_FLAGS: ReadonlyMap<string, number> = new Map([
  ['ro', 1],
  ['nosuid', 2],
  ['nodev', 4],
  ['noexec', 8],
  ['sync', 16],
  ['mand', 64],
  ['noatime', 1024],
  ['nodiratime', 2048],
  ['relatime', 4096],
  ['nosymfollow', 8192],
]);

function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** node's statfs has no flags, so they are put together from the mount the path lies on (proc_pid_mountinfo(5)). */
function mountFlags(path: string): number {
  let best = '';
  let flags = 0;
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const fields = line.split(' ');
    const point = unescapeMount(fields[4] ?? '');
    const inside = path === point || point === '/' || path.startsWith(`${point}/`);
    // Of two mounts on one point the later one is on top.
    if (point === '' || !inside || point.length < best.length) continue;
    best = point;
    const options = `${fields[5] ?? ''},${fields.at(-1) ?? ''}`.split(',');
    flags = [...new Set(options)].reduce((sum, option) => sum | (MOUNT_FLAGS.get(option) ?? 0), 0);
  }
  return flags;
}

/**
 * Calls statfs(2) on the calling thread, one path after the other. Unlike the addon it cannot leave a hanging call behind:
 * `waitMs` has no effect, and -1 (stuck) never shows.
 */
class ReferenceMounts implements MountStats {
  status = new Int32Array(0);
  numbers = new Float64Array(0);
  private list: readonly string[] = [];

  paths(paths: readonly string[]): void {
    for (const path of paths) checkPath(path);
    this.list = [...paths];
    this.status = new Int32Array(paths.length);
    this.numbers = new Float64Array(paths.length * MOUNT_NUMBERS);
  }

  run(): void {
    for (const [i, path] of this.list.entries()) {
      const numbers = this.numbers.subarray(i * MOUNT_NUMBERS, (i + 1) * MOUNT_NUMBERS);
      try {
        const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path);
        numbers.set([bsize, blocks, bfree, bavail, files, ffree, mountFlags(path)]);
        this.status[i] = 0;
      } catch (error) {
        this.status[i] = -systemError(error).errno;
        numbers.fill(0);
      }
    }
  }
}

// --- Tasks ---

const GONE = ['ENOENT', 'ENOTDIR', 'ESRCH'];
/** Words behind the state up to the number of threads (proc_pid_stat(5), fields 3 and 20). */
const WORDS_TO_THREADS = 17;

/** Undefined for a task that has ended. */
function unlessGone<T>(path: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = systemError(error);
    if (GONE.includes(code)) return undefined;
    throw new ReaderError(code, path);
  }
}

function isNumber(name: string): boolean {
  return /^[0-9]{1,10}$/.test(name) && Number(name) < 2 ** 32;
}

/** State and number of threads stand behind the name, which is in parentheses and may hold anything. */
function readStat(path: string): { state: number; threads: number } | undefined {
  const line = unlessGone(path, () => readFileSync(path, 'latin1'));
  if (line === undefined) return undefined;
  const words = line
    .slice(line.lastIndexOf(')') + 1)
    .split(/[ \t\n]+/)
    .filter((word) => word !== '');
  const [state = ''] = words;
  const threads = words[WORDS_TO_THREADS] ?? '';
  if (!line.includes(')') || state.length !== 1 || !/^[0-9]+$/.test(threads)) throw notAStat(path);
  return { state: state.charCodeAt(0), threads: Number(threads) };
}

class ReferenceTasks implements TaskCensus {
  readonly processes = new Uint32Array(TASK_STATES);
  readonly threads = new Uint32Array(TASK_STATES);
  pidCount = 0;
  threadCount = 0;
  private readonly procfs: string;

  constructor(procfs: string) {
    checkPath(procfs);
    this.procfs = procfs;
  }

  look(): void {
    this.processes.fill(0);
    this.threads.fill(0);
    this.pidCount = 0;
    this.threadCount = 0;
    const add = (counts: Uint32Array, state: number): void => {
      counts[state] = (counts[state] ?? 0) + 1;
    };
    let names: string[];
    try {
      names = readdirSync(this.procfs);
    } catch (error) {
      throw new ReaderError(systemError(error).code, this.procfs);
    }
    for (const pid of names.filter(isNumber).sort((a, b) => Number(a) - Number(b))) {
      const process = readStat(`${this.procfs}/${pid}/stat`);
      if (process === undefined) continue;
      this.pidCount += 1;
      this.threadCount += process.threads;
      add(this.processes, process.state);
      add(this.threads, process.state);
      if (process.threads === 1) continue;
      const folder = `${this.procfs}/${pid}/task`;
      for (const tid of (unlessGone(folder, () => readdirSync(folder)) ?? []).filter(isNumber)) {
        const thread = tid === pid ? undefined : readStat(`${folder}/${tid}/stat`);
        if (thread !== undefined) add(this.threads, thread.state);
      }
    }
  }

  close(): void {
    // nothing is kept open
  }
}

// --- Pages ---

class PageWriter {
  /** Bytes so far, those past the page's end included. */
  at = 0;
  private readonly page: Uint8Array;

  constructor(page: Uint8Array) {
    this.page = page;
  }

  append(bytes: Uint8Array): void {
    if (this.at + bytes.length <= this.page.length) this.page.set(bytes, this.at);
    this.at += bytes.length;
  }

  isPastEnd(): boolean {
    return this.at > this.page.length;
  }
}

/** A plan read word by word. Every step is checked, as in the addon. */
class PlanReader {
  private op = 0;
  private blobAt = 0;
  private readonly plan: PagePlan;

  constructor(plan: PagePlan) {
    this.plan = plan;
  }

  word(): number {
    const word = this.plan.ops[this.op];
    if (word === undefined) throw malformedPlan();
    this.op += 1;
    return word;
  }

  bytes(length: number): Uint8Array {
    const end = this.blobAt + length;
    if (end > this.plan.blob.length) throw malformedPlan();
    const bytes = this.plan.blob.subarray(this.blobAt, end);
    this.blobAt = end;
    return bytes;
  }
}

function malformedPlan(): RangeError {
  return new RangeError('page plan points outside its blob, slots or index');
}

function encodePage(plan: PagePlan, values: Float64Array, stamps: Uint32Array, run: number, page: Uint8Array, index: Uint32Array): number {
  if (Math.floor(index.length / INDEX_WORDS) < plan.families) throw malformedPlan();
  const reader = new PlanReader(plan);
  const writer = new PageWriter(page);
  let written = 0;
  for (let family = 0; family < plan.families; family += 1) {
    const words = index.subarray(family * INDEX_WORDS, (family + 1) * INDEX_WORDS).fill(0);
    const headerLength = reader.word();
    const series = reader.word();
    const header = reader.bytes(headerLength);
    const start = writer.at;
    let samples = 0;
    for (let i = 0; i < series; i += 1) {
      const prefixLength = reader.word();
      const slot = reader.word();
      const prefix = reader.bytes(prefixLength);
      const value = values[slot];
      const stamp = stamps[slot];
      if (value === undefined || stamp === undefined) throw malformedPlan();
      if (stamp !== run) continue;
      if (samples === 0) writer.append(header);
      samples += 1;
      writer.append(prefix);
      writer.append(Buffer.from(`${formatNumber(value)}\n`, 'latin1'));
    }
    if (samples === 0 || writer.isPastEnd()) continue;
    written = writer.at;
    words.set([start, headerLength, written - start - headerLength, samples]);
  }
  return writer.isPastEnd() ? -(1 + writer.at) : written;
}

// --- Machine ---

const NANOSECONDS_PER_SECOND = 1e9;
/** USER_HZ, the unit of /proc/<pid>/stat; 100 on every architecture node runs on. */
const TICKS_PER_SECOND = 100;

function threadCpuSeconds(): number {
  try {
    // First field: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
    return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'latin1'), 10) / NANOSECONDS_PER_SECOND;
  } catch {
    // Kernels without CONFIG_SCHED_INFO. After the last ")" come state (field 3) and so on to utime and stime (14, 15).
    const stat = readFileSync('/proc/thread-self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}

class ReferenceReaders implements Readers {
  readonly native = false;
  private readonly shared: Shared;

  constructor(limits: ReaderLimits) {
    this.shared = {
      largestTextBytes: limits.largestTextBytes ?? LARGEST_TEXT_BYTES,
      firstUnkept: firstUnkeptDescriptor(),
      lastScanned: undefined,
    };
  }

  source(path: string, format?: SourceFormat): Source {
    checkPath(path);
    return new ReferenceSource(path, wholeFormat(format), this.shared);
  }

  set(format?: SourceFormat, folder = ''): SourceSet {
    checkPath(folder);
    return new ReferenceSet(wholeFormat(format), this.shared, folder);
  }

  rowTable(): undefined {
    return undefined;
  }

  mounts(): MountStats {
    return new ReferenceMounts();
  }

  tasks(procfs: string): TaskCensus {
    return new ReferenceTasks(procfs);
  }

  uname(): Uname {
    const domainname = readFileSync('/proc/sys/kernel/domainname', 'utf8').replace(/\n$/, '');
    return {
      sysname: sysname(),
      nodename: hostname(),
      release: release(),
      version: version(),
      machine: machine(),
      domainname,
    };
  }

  /** Without an event loop node hears of no changes. */
  watch(): undefined {
    return undefined;
  }

  /** Node has no adjtimex(2). */
  clock(): undefined {
    return undefined;
  }

  /** Node has no netlink sockets. */
  netlink(): undefined {
    return undefined;
  }

  /** Node has no ioctl(2). */
  ethtool(): undefined {
    return undefined;
  }

  /** Node has no ioctl(2). */
  askFolder(): undefined {
    return undefined;
  }

  /** Node has no perf_event_open(2). */
  perf(): undefined {
    return undefined;
  }

  threadCpuSeconds(): number {
    return threadCpuSeconds();
  }

  encode(plan: PagePlan, values: Float64Array, stamps: Uint32Array, run: number, page: Uint8Array, index: Uint32Array): number {
    return encodePage(plan, values, stamps, run, page, index);
  }

  readonly merge = undefined;

  viewBuild(): undefined {
    return undefined;
  }

  buildViews(): boolean {
    return false;
  }

  pageDeflater(): undefined {
    return undefined;
  }

  replays(): undefined {
    return undefined;
  }

  deflate(input: Uint8Array, output: Uint8Array): number {
    return deflateSlowly(input, output);
  }
}

export function referenceReaders(limits: ReaderLimits = {}): Readers {
  return new ReferenceReaders(limits);
}
