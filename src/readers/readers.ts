/**
 * What collectors may ask of a reader. Two implementations give byte-for-byte the same answers: `native.ts` (the C++
 * addon) and `reference.ts` (plain TypeScript: fallback, oracle and documentation).
 *
 * The one idea: a kernel text file keeps its shape while its numbers move. A scan therefore yields the numbers in
 * reading order and one bit, "the text around the numbers has changed". Only then does TypeScript look at the text (and
 * binds numbers to series anew); in every other cycle nothing but a Float64Array is touched. Single values, key-value
 * lists, nested key=value, tables and pressure files are all read by this one scanner with other options.
 */

/** How the bytes of a source are cut into tokens. */
export interface SourceFormat {
  /** The first `keys` tokens of each line are text even when they look like numbers (a device number, an interface named 5). */
  readonly keys?: number;
  /** Bytes that end a token besides space, tab and line feed, such as `=:/`. */
  readonly delimiters?: string;
  /** Numbers are hexadecimal digits (an optional 0x is accepted). */
  readonly hex?: boolean;
  /** No numbers at all: the source has changed when any byte has. For texts that seldom change (mount tables, links). */
  readonly text?: boolean;
  /** Reopened for each scan instead of keeping the descriptor: attributes that may be removed and made again. */
  readonly reopen?: boolean;
  /** One read(2) of at most 128 bytes, for sysfs attributes whose drivers answer EAGAIN. */
  readonly attribute?: boolean;
  /**
   * The kernel prints the file as one record (`show` of a cgroup file, no sequence): a read that does not fill its buffer has
   * all of it, and none is made to see the end. Makes no difference to what is read.
   */
  readonly record?: boolean;
  /** The path is a folder; its text are the names in it without . and .., each ended by NUL, in no certain order. Implies `text`. */
  readonly names?: boolean;
  /**
   * The kernel keeps the text for a second after each reading and hands it out again to a descriptor that has had it, so that one read
   * every second would say the same for ever: lists of processes on v1 (cgroup_pidlist_start of kernel/cgroup/cgroup-v1.c).
   * Reopened when it was read so recently.
   */
  readonly lingers?: boolean;
}

/** One token of a line. `at` is its ordinal in `numbers`, or -1 for text. */
export interface Token {
  readonly text: string;
  readonly at: number;
}

export interface Source {
  readonly path: string;
  /** Numbers of the last scan, in reading order; `count` of them are valid. The array is replaced when it must grow. */
  readonly numbers: Float64Array;
  readonly count: number;
  /**
   * Reads the file from its start and extracts the numbers.
   * Returns true when the text around the numbers differs from the last successful scan's (the first scan included).
   * Throws ReaderError; the next scan after an error counts as changed.
   */
  scan(): boolean;
  /** The text of the last scan. Only valid right after a scan of this source (the buffer is shared). Bytes that are not UTF-8 become U+FFFD. */
  text(): string;
  /** The last scan's text cut into lines of tokens exactly as the scanner cut it. Empty lines are left out. */
  rows(): Token[][];
  /** Closes the kept descriptor; safe to call twice. A later scan opens again. */
  close(): void;
}

/**
 * Many sources of one format, scanned by one call (the cgroup files of a thousand containers).
 * Members are numbered by `add`; numbers of removed members are used again.
 */
export interface SourceSet {
  /** Adds a path; returns the member's number. */
  add(path: string): number;
  remove(member: number): void;
  /** Scans every member. Afterwards `status`, `start` and `numbers` speak of this scan. */
  scan(): void;
  /** Scans one member; `numbers` then holds its numbers alone. */
  scanMember(member: number): void;
  /** Per member: 0 same shape, 1 changed, negative = -errno (`too large` is -27, EFBIG), and -1000 for an unused number. */
  readonly status: Int32Array;
  /** Per member: first index into `numbers`. */
  readonly start: Uint32Array;
  /** Per member: how many numbers it has. */
  readonly counts: Uint32Array;
  readonly numbers: Float64Array;
  /** Text of one member as the last scan read it; reads the file again, so it is for the rare changed case. */
  rows(member: number): Token[][];
  /** What the text of a member was around its numbers, as of its last scan that succeeded: equal for equal texts of this set. */
  shape(member: number): number;
  /** The same of the text that `rows` has just read; undefined when the buffer holds another's. */
  rowsShape(): number | undefined;
  close(): void;
}

/**
 * What is done with a row of numbers once they are read; columns are places in the row, and a value of minus infinity says that
 * there is no such series.
 * difference: `to` is what `of` has more than `less` (0 where that is absent), or 0; absent where `of` is. sum: `to` is the sum of
 * `count` columns from `from` on, seconds of whole nanoseconds, absent when 0. absentAtZero: `to` is left out when it is 0. absentUnless: `to` is left out unless `positive` is
 * above 0. brought: `to` is a number that each run brings.
 */
export type RowRule =
  | { readonly kind: 'difference'; readonly to: number; readonly of: number; readonly less: number }
  | { readonly kind: 'sum'; readonly to: number; readonly from: number; readonly count: number }
  | { readonly kind: 'absentAtZero'; readonly to: number }
  | { readonly kind: 'absentUnless'; readonly to: number; readonly positive: number }
  | { readonly kind: 'brought'; readonly to: number };

/** One file of many cgroups; what is said by cgroup is said by its index. */
export interface RowFile {
  readonly sets: readonly [SourceSet, SourceSet];
  /** Twice the member's number plus the place of its set; negative for none. */
  readonly members: Int32Array;
  /** The errno, negative, that says that it has no such file; 0 where it has. */
  readonly missing: Int32Array;
  /** The column that takes how many numbers there are, or -1; 1 when its numbers tell whether the cgroup is at work, 2 when so does its lack. */
  readonly facts: Int32Array;
  /** Milliseconds: when it was read last; empty for a file that never rests. */
  readonly readMs: Float64Array;
}

/** Rows by cgroup, where they go, and what becomes of them. */
export interface RowMemory {
  readonly rows: Float64Array;
  readonly rowStride: number;
  readonly slots: Int32Array;
  readonly slotStride: number;
  /** Numbers of a row that have slots. */
  readonly columns: number;
  /** 0: no row. 1: one whose numbers alone may have changed. 2: to be left. */
  readonly states: Uint8Array;
  /** Milliseconds: when a witness moved last. */
  readonly movedMs: Float64Array;
  /** Of the sheet. */
  readonly values: Float64Array;
  readonly stamps: Uint32Array;
  readonly run: number;
  /** Receives the indices of rows that are left. */
  readonly left: Int32Array;
  /** For rules of that kind. */
  readonly brought: number;
  readonly nowMs: number;
  /** A file that may rest is not read for `trustMs`, half of that for some, after a reading made `afterMs` or longer after a witness moved. */
  readonly afterMs: number;
  readonly trustMs: number;
}

/**
 * Reads the files of many cgroups, finishes their rows and puts them in slots, by one call for as long as nothing but numbers
 * changes. A row is left alone, or half done, when a text has another shape, a file answers otherwise, or a series has no slot yet.
 */
export interface RowTable {
  /** Numbers of texts with this shape (`SourceSet.shape`) of the file at this place go to these columns, divided by `over`. */
  learn(file: number, shape: number, bound: RowShape): void;
  /** Returns how many rows are left. */
  fill(files: readonly RowFile[], memory: RowMemory): number;
}

/**
 * When the witnesses of all rows were looked at last, CLOCK_MONOTONIC milliseconds in one number, and what a table has to do with
 * it: `notes` it, or `needs` it to be of this cycle, since some of its files rest.
 */
export interface RowWatch {
  readonly ms: Float64Array;
  readonly use: 'none' | 'notes' | 'needs';
}

export interface RowShape {
  /** Numbers a text must have. */
  readonly needs: number;
  readonly at: Int32Array;
  readonly column: Int32Array;
  readonly over: Float64Array;
  readonly words: readonly { readonly column: number; readonly value: number }[];
}

/** statfs(2) on threads that may block for ever: at most one call per path is under way in the whole process. */
export interface MountStats {
  /** Names the paths; results are in this order. */
  paths(paths: readonly string[]): void;
  /**
   * Starts a call for every path that has none under way and waits at most `waitMs` for all of them.
   * status: 0 ok, positive errno, -1 still under way (stuck). numbers: seven per path:
   * block size, blocks, free, available to users, inodes, free inodes, flags (ST_*).
   */
  run(waitMs: number): void;
  readonly status: Int32Array;
  readonly numbers: Float64Array;
}

/** What has happened to an entry of a watched directory: a directory came or went under this name, or a file was written to. */
export type DirectoryChange = 'directory' | 'written';

/** Directories of which the kernel reports changes (inotify(7)); nothing here blocks. */
export interface DirectoryWatch {
  /**
   * Watches a directory, not those below it; returns its number, the same one for the same directory.
   * Throws ReaderError: ENOSPC when the user may watch no more, ENOENT.
   * @param writes writes to the files in it are reported as well
   */
  add(path: string, writes: boolean): number;
  /** Ends the watch of a directory; to be called for those that are removed too, which the kernel may not notice. */
  remove(directory: number): void;
  /**
   * Tells of the changes since the last call, oldest first. False when some are lost: the kernel's queue was full, or a
   * directory went with its file system. Throws ReaderError.
   */
  read(heard: (directory: number, name: string, change: DirectoryChange) => void): boolean;
  close(): void;
}

/** States of all processes and threads of a procfs, as far as they are counted: 1 to 3 reads for each thread, no text reaches the caller. */
export interface TaskCensus {
  /** By the byte that names a state in /proc/PID/stat: how many processes, and how many threads, were in it at the last look. */
  readonly processes: Uint32Array;
  readonly threads: Uint32Array;
  /** Processes, and the threads that they speak of. */
  readonly pidCount: number;
  readonly threadCount: number;
  /** Looks anew. Throws ReaderError: MALFORMED for a text that is no stat file. Tasks that end meanwhile are left out. */
  look(): void;
  /** Closes what is kept open; a later look opens again. */
  close(): void;
}

/** What the kernel says the machine is: uname(2) with the domain name. */
export interface Uname {
  readonly sysname: string;
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly domainname: string;
}

/** The kernel's clock and its discipline, in the kernel's own units (adjtimex(2)). */
export interface KernelClock {
  /** What the call returned: TIME_OK 0 ... TIME_ERROR 5. */
  readonly state: number;
  readonly offset: number;
  readonly freq: number;
  readonly maxerror: number;
  readonly esterror: number;
  readonly status: number;
  readonly constant: number;
  readonly tick: number;
  readonly ppsfreq: number;
  readonly jitter: number;
  readonly shift: number;
  readonly stabil: number;
  readonly jitcnt: number;
  readonly calcnt: number;
  readonly errcnt: number;
  readonly stbcnt: number;
  readonly tai: number;
}

/** Counters of perf_event_open(2), each of all processes, or those of a cgroup, on one CPU; they count from 0 when they are added. */
export interface PerfCounters {
  /**
   * Opens and starts a counter. Returns its position in `values`, or a negative errno (ENOENT: unknown here, EACCES, EMFILE).
   * @param cgroup descriptor of the directory of a cgroup, which need not stay open; -1 for all processes
   * @param leader position of the counter that it is only counted together with; -1 for none
   */
  add(type: number, config: number, cpu: number, cgroup?: number, leader?: number): number;
  /** Reads all into `values` and `ratios`; NaN for a value that cannot be read. */
  read(): void;
  readonly values: Float64Array;
  /** Of the time in which a counter was wanted, the part in which the processor had one free for it; 1 when it never ran. */
  readonly ratios: Float64Array;
  /** Closes every counter; safe to call twice. */
  close(): void;
}

/** Conversations with drivers of network devices of this network namespace, by SIOCETHTOOL on a kept socket. */
export interface EthtoolCalls {
  /**
   * Hands over a command, a structure of linux/ethtool.h; `command` receives the answer, as much of it as it has room for.
   * Returns 0 or an errno (95 EOPNOTSUPP: the driver does not have it).
   */
  ask(device: string, command: Uint8Array): number;
  /** Closes the socket; safe to call twice. A later call opens it again. */
  close(): void;
}

/** Which way the bytes of an ioctl(2) go, as `_IOR`, `_IOW` and `_IOWR` say. */
export type IoctlDirection = 'read' | 'write' | 'both';
/** How a number becomes the value of a slot. */
export interface BoundNumber {
  /** Ordinal among the numbers of the source. */
  readonly at: number;
  readonly slot: number;
  /**
   * scaled: `number * times / over / again` (the peer's own arithmetic; what is left out is 1).
   * rising: `number / over`, but never less than the slot has. restarting: the same, and a fall by `times` or more is a change.
   * product: the number times that at `by`. sum: as scaled, of the number and every `by`th behind it, of whole rows of `by`.
   * exact: as scaled, and 2^53 or more is a change. still: nothing is set, and another number than `times` is a change.
   * present: as scaled, and the series is left out while the number is 0.
   * difference: the number less that at `times`, and what is left times that at `by`.
   */
  readonly mode?: 'scaled' | 'rising' | 'restarting' | 'product' | 'still' | 'sum' | 'exact' | 'present' | 'difference';
  readonly by?: number;
  readonly times?: number;
  readonly over?: number;
  readonly again?: number;
}

/** As for Readers.netlink. */
export interface NetlinkQuestion {
  readonly protocol: number;
  readonly request: Uint8Array;
  readonly isStrict?: boolean;
}

/** A number of so many bytes in an answer. */
export interface BoundField extends BoundNumber {
  readonly bytes: 4 | 8;
}

/** What becomes of the fields of the clock; `state` cannot be bound. */
export type ClockBounds = Readonly<Partial<Record<keyof KernelClock, Omit<BoundNumber, 'at'>>>>;

/** A member of a set as the last run found it: the same result again is no change. */
export interface ExpectedMember {
  readonly member: number;
  /** As SourceSet.status, 0 or a negative errno, and SourceSet.counts. */
  readonly status: number;
  readonly count: number;
  readonly bound?: BoundNumber;
}

/** What a run does while nothing but numbers changes, in order. A step that meets anything else ends the replayed run. */
export interface ReplaySteps {
  /** Reads a source; its text must be the last scan's. */
  scan(source: Source, bounds: readonly BoundNumber[]): void;
  /** Reads a source whose text is of no matter: all that is taken from it are its numbers. */
  table(source: Source, bounds: readonly BoundNumber[]): void;
  /** Asks for the kernel's clock, which must be in this state. */
  clock(state: number, bounds: ClockBounds): void;
  /**
   * Asks the kernel over netlink; the answer must be like the last but for the loose bytes.
   * @param loose offsets of the first byte and of the one behind the last, in their order
   * @param bounds of numbers in the answer: `at` is the offset of the first byte
   */
  answer(question: NetlinkQuestion, answer: Uint8Array, loose?: readonly (readonly [from: number, to: number])[], bounds?: readonly BoundField[]): void;
  /**
   * Asks for sockets (sock_diag(7)) and counts them; an answer without any is a change.
   * @param type of the messages that are sockets
   * @param bounds of 14 numbers: sockets by state, 0 to 11, bytes received that wait, bytes to send that wait
   */
  sockets(question: NetlinkQuestion, type: number, bounds: readonly BoundNumber[]): void;
  /** Looks at all tasks. @param bounds of 514 numbers: processes by the byte of their state, threads likewise, processes, threads */
  tasks(census: TaskCensus, bounds: readonly BoundNumber[]): void;
  /** Reads the counters; one that cannot be read is a change. @param bounds of numbers by position */
  counters(counters: PerfCounters, bounds: readonly BoundNumber[]): void;
  /**
   * Asks the driver of a network device for its statistics. Another number of them than `count`, and another error, is a change.
   * @param error 0 or the errno that it answers with; there are no numbers then
   */
  statistics(calls: EthtoolCalls, device: string, count: number, error: number, bounds: readonly BoundNumber[]): void;
  /** A table of mounts (mountinfo): read only when the kernel says that something was mounted or unmounted. */
  mountTable(source: Source): void;
  set(set: SourceSet, members: readonly ExpectedMember[]): void;
  /** The calls must end, and the flags of the file systems be, as the last time. */
  mounts(stats: MountStats, waitMs: number, bounds: readonly BoundNumber[]): void;
  /** The slot gets the wall clock, seconds with millisecond resolution. */
  wall(slot: number): void;
  /** Not later than this, CLOCK_MONOTONIC milliseconds. */
  until(monotonicMs: number): void;
  /** A path that is missing is looked for at `untilMs`, CLOCK_MONOTONIC milliseconds, and `againMs` after each look. That it is there is a change. */
  missing(path: string, untilMs: number, againMs: number): void;
  /** The wall clock is in [from, to), milliseconds. */
  within(fromMs: number, toMs: number): void;
  /** The machine has these names. */
  uname(names: Uname): void;
  /** `device:inode:nanoseconds` of the path's last change is this; '' while it is missing. */
  stamp(path: string, stamp: string): void;
  /** Rows of cgroups; all of them must be done, and none lose a series. Of `memory`, the times and what is brought are those of the run. */
  rows(table: RowTable, files: readonly RowFile[], memory: RowMemory, watched: RowWatch, bringsWall: boolean): void;
  /** Nothing was reported of the watched directories. */
  quiet(watch: DirectoryWatch): void;
  /** The word is this. */
  word(words: Int32Array, at: number, expected: number): void;
  /** The slot that gets the duration of the run, seconds. */
  duration(slot: number): void;
}

/** What replayed runs of a job write to. All of it is replaced by a new `arm` when any of it changes. */
export interface ReplayMemory {
  readonly values: Float64Array;
  readonly stamps: Uint32Array;
  readonly run: number;
  readonly shape: number;
  /** The variants printed, a bit each; when others are wanted, the run is not replayed. */
  readonly wanted: number;
  /** How the runs end, as the channel's words tell it, and the word that counts such ends. */
  readonly ending: number;
  readonly counted: number;
  /** Of the channel, as its layout says. */
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly variants: readonly {
    readonly number: number;
    readonly plan: PagePlan;
    readonly pages: readonly [Uint8Array, Uint8Array];
    readonly indexes: readonly [Uint32Array, Uint32Array];
  }[];
}

/**
 * Runs of jobs without JavaScript. A machine's files keep their text for hours, and then a run is always the same: read, put
 * numbers in slots, print, publish. Code that runs once a second finds the processor's caches cold, and JavaScript has
 * many times more of it than a native loop over a list of steps.
 */
export interface Replays {
  steps(): ReplaySteps;
  /** From now on runs of the job are replayed, until one meets a change. @param job id, below 2048 */
  arm(job: number, steps: ReplaySteps, memory: ReplayMemory): void;
  drop(job: number): void;
  /** What this thread does as a lane each time it wakes, see `TURN`. There is one lane in a thread. */
  turns(lane: LaneMemory): () => number;
}

/**
 * Answer of a turn: these bits, and above them how many jobs it left to be run, whose ids are in `left`. With none left, what
 * was due has been run, the batch ended, the views built, and the control says how long to sleep.
 */
export const TURN = {
  /** There is mail, or the lane is to stop. Nothing else was done. */
  told: 1,
  /** A plan was likely to begin, and none was there. */
  unplanned: 2,
  /** Jobs were due. */
  ran: 4,
  /** Views wait for the builder. */
  unbuilt: 8,
} as const;
export const TURN_LEFT_SHIFT = 4;

export interface LaneMemory {
  /** Of the lane's control, as its layout says. */
  readonly words: Int32Array;
  readonly floats: Float64Array;
  /** By job: the lane that may run it. */
  readonly owners: Int32Array;
  readonly left: Int32Array;
  /** The builder's. */
  readonly bell: Int32Array;
  readonly number: number;
}

/** An encoding plan: everything of a page that stays the same while the set of series does. */
export interface PagePlan {
  /** Family headers and series prefixes (`name{labels} `), in page order, back to back. */
  readonly blob: Uint8Array;
  /** Per family: header length, number of series; then per series: prefix length, slot. */
  readonly ops: Uint32Array;
  readonly families: number;
}

/** Words per family in a page index: page offset of the header, header length, bytes of samples, number of samples. */
export const INDEX_WORDS = 4;

/**
 * Copies stretches of pages one behind the other into `target`: see Merger, whose lists these are. False when there is too
 * little room, or a page does not fit its index (its lane is writing it).
 * @param order per stretch: page, first and last family @param results receives bytes, samples, offset of the time or -1
 */
export type Merge = (
  order: Int32Array,
  kinds: Uint8Array,
  pages: readonly Uint8Array[],
  indexes: readonly Uint32Array[],
  target: Uint8Array,
  results: Float64Array,
) => boolean;

export interface Readers {
  /** True for the C++ addon. */
  readonly native: boolean;
  source(path: string, format?: SourceFormat): Source;
  /**
   * @param folder what paths of members are relative to, unless they are absolute. It is kept open: for files that are opened
   * for each scan the kernel then looks up the rest of the path only (openat(2)).
   */
  set(format?: SourceFormat, folder?: string): SourceSet;
  /** Undefined without the addon: rows are worked out in TypeScript then, which is the oracle. */
  rowTable(rules: readonly RowRule[]): RowTable | undefined;
  mounts(): MountStats;
  /**
   * Undefined without the addon: node reports changes through an event loop, which collecting threads do not run. Throws
   * ReaderError: EMFILE when the user or the process has no more instances.
   */
  watch(): DirectoryWatch | undefined;
  tasks(procfs: string): TaskCensus;
  uname(): Uname;
  /** CPU seconds used by the calling thread so far. */
  threadCpuSeconds(): number;
  /** adjtimex(2) that changes nothing. Undefined without the addon: node has no such call. Throws ReaderError (EPERM where it is forbidden). */
  clock(): KernelClock | undefined;
  /**
   * Asks the kernel over netlink(7) and waits for the whole answer: its messages, headers included, back to back.
   * Undefined without the addon. Throws ReaderError with the errno of a call or of the kernel's answer.
   * @param protocol NETLINK_*
   * @param request one message with its header
   * @param isStrict the kernel checks the request and filters dumps by it (NETLINK_GET_STRICT_CHK)
   */
  netlink(protocol: number, request: Uint8Array, isStrict?: boolean): Buffer | undefined;
  /** Undefined without the addon. */
  ethtool(): EthtoolCalls | undefined;
  /**
   * ioctl(2) on a folder, which is opened for it: asks the file system that it is on. The size in the request's number is that
   * of `exchange`, which receives the answer. Returns 0 or an errno. Undefined without the addon.
   * @param type and `number` of the request, as in the kernel's headers
   */
  askFolder(folder: string, direction: IoctlDirection, type: number, number: number, exchange: Uint8Array): number | undefined;
  /** Undefined without the addon. */
  perf(): PerfCounters | undefined;
  /**
   * Renders a page. A slot takes part when `stamps[slot] === run`; a family without such a slot is left out whole.
   * Numbers are printed as Go's shortest %g. Families that would pass the end of `page` are left out, and those after them.
   * `index` receives INDEX_WORDS per family of the plan (all zero for a family left out).
   * Returns the bytes written. When a family did not fit, the result is -(1 + bytes the whole page wants).
   */
  encode(plan: PagePlan, values: Float64Array, stamps: Uint32Array, run: number, page: Uint8Array, index: Uint32Array): number;
  /** Undefined without the addon. @param layout words of the channel and the lane's control, in the order of native-readers' ReplayLayout */
  replays(layout: Int32Array): Replays | undefined;
  /** Undefined without the addon. */
  readonly merge: Merge | undefined;
  /** Undefined without the addon. */
  pageDeflater(): PageDeflater | undefined;
  /** A view that other threads may build, once it is armed. Undefined without the addon. */
  viewBuild(head: ViewBuildHead): ViewBuild | undefined;
  /**
   * Builds the armed views of the builder that sleeps on this bell whose channels have moved. False when it has to look itself,
   * which without the addon it always has to.
   */
  buildViews(bell: Int32Array): boolean;
  /**
   * Raw deflate (RFC 1951) of all of `input` into the start of `output`, ended by a full flush: whole bytes that refer to
   * nothing before them and contain no final block. Returns the bytes written, or -(1 + room that suffices).
   */
  deflate(input: Uint8Array, output: Uint8Array): number;
}

/** Compresses the pages of one view, remembering what it found in the text between their numbers. */
export interface PageDeflater {
  /**
   * The gzip form of `page` (RFC 1952, one member) at the start of `output`, with `holeBytes` bytes from `holeAt` on standing in
   * it as they are. False when there is too little room, or the text is not known well enough: compress it otherwise.
   * @param holeAt -1 for none @param results receives bytes written, place of the hole in the output or -1, CRC-32 of the page
   */
  gzip(page: Uint8Array, holeAt: number, holeBytes: number, output: Uint8Array, results: Float64Array): boolean;
}

/** What never changes of a view. */
export interface ViewBuildHead {
  /** Of the builder that the view belongs to. */
  readonly bell: Int32Array;
  /** Words of channels and views, in the order of native-readers' BuildLayout. */
  readonly layout: Int32Array;
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly roles: number;
  /** A view that nobody has asked for in this time is not built, milliseconds. */
  readonly idleMs: number;
}

/** How the pages of a view are made as long as no shape of its channels changes. */
export interface ViewBuildPlan {
  readonly entries: readonly {
    readonly words: Int32Array;
    readonly floats: Float64Array;
    readonly variant: number;
    /** -1 for pages that have no age. */
    readonly role: number;
    /** What was shown when the order was made. */
    readonly shape: number;
    /** Two buffers and the fallback. */
    readonly pages: readonly { readonly page: Uint8Array; readonly index: Uint32Array }[];
  }[];
  /** As for `Readers.merge`. */
  readonly order: Int32Array;
  readonly kinds: Uint8Array;
  /** Families that had no samples when the order was made: entry, family. */
  readonly missing: Int32Array;
  /** Per generation. */
  readonly pages: readonly Uint8Array[];
  readonly gzips: readonly Uint8Array[];
  /** Undefined when nobody has asked for gzip. */
  readonly deflater: PageDeflater | undefined;
}

/** Builds of a view without JavaScript, by the thread that moved its channels. */
export interface ViewBuild {
  /** To be called by the builder after a build of its own; all memory is kept until the next call. */
  arm(plan: ViewBuildPlan): void;
  /** From then on no other thread builds the view, until it is armed again. */
  disarm(): void;
  close(): void;
}

export class ReaderError extends Error {
  /** The errno name (ENOENT, EACCES, EIO, EAGAIN, ...) or TOO_LARGE, MALFORMED. */
  readonly code: string;
  readonly path: string;
  constructor(code: string, path: string, detail?: string) {
    super(`${path}: ${detail ?? code}`);
    this.name = 'ReaderError';
    this.code = code;
    this.path = path;
  }
}
