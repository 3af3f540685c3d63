import { MessageChannel } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { makeBoard } from '../collect/board.ts';
import { Channel, type ChannelMemory, EMPTY_PAGE, makeChannel, wantVariant } from '../collect/channel.ts';
import { type CounterSeries, type FailureCode, ROLES, type Role } from '../collect/contract.ts';
import { Sheet } from '../collect/sheet.ts';
import { PLAIN } from '../collect/variant.ts';
import { ring } from '../lanes/bell.ts';
import type { JobSpec, LaneNews } from '../lanes/work.ts';
import type { Log } from '../log.ts';
import { type Clock, systemClock, wallByMillisecond } from '../model/clock.ts';
import type { Readers } from '../readers/readers.ts';
import { Scheduler, type ScheduledJob } from '../schedule/scheduler.ts';
import { writePeerBuildInfo } from '../self/build-info.ts';
import { type Cell, Cells, type Distribution } from '../self/cells.ts';
import * as own from '../self/families.ts';
import type { BuilderMail, BuilderNews, BuilderTask, ViewEntry } from '../views/builder.ts';
import { type ViewHandle, ViewTable } from '../views/table.ts';
import type { ViewMemory } from '../views/view.ts';
import type { Listening, Site, WireServer } from '../wire/server.ts';
import { type Plan, type PlannedJob, type PlannedListener, shows, TARGET_VARIANT, targetVariant, type ViewFilter } from './plan.ts';
import { site } from './site.ts';
import { startBuilderThread } from './threads.ts';

export interface DaemonOptions {
  readonly clock: Clock;
  readonly readers: Readers;
  readonly server: WireServer;
  readonly log: Log;
  readonly version: string;
  readonly shards: number;
  readonly phaseLock: boolean;
  readonly maxRequests: number;
  readonly idleViewMs: number;
  readonly filteredViews: number;
  /** A thread for host jobs that was started before there was a plan; left out: started when it is needed. */
  readonly hostThread?: Piscina;
  /** Called when the daemon cannot go on: from now on its pages would only grow old. */
  readonly onLost?: () => void;
}

interface LiveJob {
  readonly planned: PlannedJob;
  readonly spec: JobSpec;
}

/** A listener stays while its address is wanted; what it answers may change. */
interface LiveListener {
  readonly listening: Listening;
  site: Site;
}

/** How long a new plan waits for pages that are printed once more. */
const REPRINT_MS = 250;
/** So many views, filtered ones that are long gone included, have numbers of their own; the others share them. */
const LABELLED_VIEWS = 256;
/** Enough for `collect[]` with every collector. */
const LABEL_LENGTH = 4096;
const OTHER_VIEWS = 'other';
const FRESH_IDS = 1024;
const SELF_BYTES = 16 * 1024 * 1024;
/** A reader slower than this is cut. */
const SLOW_READER_MS = 30_000;
const SLOW_LOOK_MS = 5000;
/** How often scrapes have the figures told that no event tells: a timer would wake the thread for them. */
const FIGURES_MS = 5000;

/** The running daemon. `apply` is the only way to change what it does, at start too. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #bellMemory = new SharedArrayBuffer(8);
  readonly #bell = new Int32Array(this.#bellMemory);
  readonly #cells = new Cells();
  readonly #selfChannel: ChannelMemory;
  readonly #views: ViewTable;
  readonly #scheduler: Scheduler;
  #builderPool: Piscina | undefined;
  readonly #builderPort = new MessageChannel();
  readonly #jobs = new Map<string, LiveJob>();
  readonly #freeIds: number[] = [];
  readonly #fixed = new Map<string, ChannelMemory>();
  /** By name of the family. */
  readonly #counted = new Map<string, Float64Array>();
  /** By collector and target. */
  readonly #boards = new Map<string, SharedArrayBuffer>();
  readonly #filters = new Map<string, ViewFilter>();
  /** Views that the daemon's own numbers have named, for good. */
  readonly #labels = new Set<string>();
  readonly #listening = new Map<string, LiveListener>();
  /** Resolves when the last plan is in force or was refused. */
  #applied: Promise<void> = Promise.resolve();
  #nextId = 0;
  #plan: Plan = { jobs: [], listeners: [], severalTargets: [], known: [] };
  /** Runs while readers wait. */
  #slowTimer: NodeJS.Timeout | undefined;
  #toldMs = 0;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#selfChannel = makeChannel([PLAIN], SELF_BYTES, [EMPTY_PAGE]);
    this.#views = new ViewTable({
      roleCount: ROLES.length,
      filteredMax: options.filteredViews,
      monotonicMs: options.clock.monotonicMs,
      mail: (mail) => this.#mail(mail),
      onDrop: (name) => {
        this.#filters.delete(name);
        this.#scheduler.removeView(name);
      },
      onWait: () => {
        this.#slowTimer ??= setInterval(() => this.#cutSlowest(), SLOW_LOOK_MS).unref();
      },
    });
    this.#scheduler = new Scheduler({
      hostThread: options.hostThread,
      clock: options.clock,
      builderBell: this.#bellMemory,
      shards: options.shards,
      phaseLock: options.phaseLock,
      lanesStart: options.clock === systemClock,
      cells: this.#cells,
      onNews: (news) => this.#news(news),
      onTimeout: (job, deadlineMs) => this.#timedOut(job, deadlineMs),
      onSkip: (job) => {
        const planned = this.#liveJob(job)?.planned;
        if (planned !== undefined) this.#cells.cell(own.skips, [planned.part, planned.role, planned.target.name]).add(1);
      },
      onLane: (pool, reason, detail) => {
        this.#cells.cell(own.restarts, [pool, reason]).add(1);
        options.log.throttled(`lane ${pool} ${reason}`, 'warn', 'a collecting thread was replaced', { pool, reason, ...detail });
      },
      onChange: () => ring(this.#bell),
    });
    this.#cells.cell(own.buildInfo, [process.arch, process.version, options.version]).set(1);
    this.#cells.cell(own.nativeReaders).set(options.readers.native ? 1 : 0);
    this.#cells.cell(own.serverInfo, [options.server.kind]).set(1);
    this.#cells.cell(own.mergeConflicts).set(0);
    this.#cells.cell(own.slowReaders).set(0);
  }

  /** Resolves when every host collector has finished, failed or passed its deadline once. */
  get ready(): Promise<void> {
    return this.#scheduler.ready;
  }

  get isReady(): boolean {
    return this.#scheduler.isReady;
  }

  /** Once closed: whether a thread hangs, and would keep `process.exit` waiting. */
  get isStuck(): boolean {
    return this.#scheduler.isStuck;
  }

  /** Addresses that are listened on. */
  get addresses(): string[] {
    return [...this.#listening.values()].map(({ listening }) => listening.address);
  }

  /** Turns the difference between what runs and `plan` into actions. Rejects with ListenError; what already ran goes on. */
  apply(plan: Plan): Promise<void> {
    const applied = this.#applied.then(() => this.#apply(plan));
    this.#applied = applied.catch(() => undefined);
    return applied;
  }

  async #apply(plan: Plan): Promise<void> {
    await this.#labelTargets(plan);
    const wanted = new Map(plan.jobs.map((job) => [job.key, job]));
    const gone = [...this.#jobs.values()].filter(({ planned }) => {
      const next = wanted.get(planned.key);
      return next === undefined || fingerprint(next, plan) !== fingerprint(planned, this.#plan);
    });
    this.#scheduler.remove(gone.map(({ spec }) => spec.id));
    for (const { planned, spec } of gone) {
      this.#jobs.delete(planned.key);
      this.#freeIds.push(spec.id);
    }
    const added: LiveJob[] = [];
    for (const planned of plan.jobs) {
      if (this.#jobs.has(planned.key)) continue;
      const live = { planned, spec: this.#spec(planned, plan) };
      this.#jobs.set(planned.key, live);
      added.push(live);
    }
    const before = this.#plan;
    this.#plan = plan;
    if (gone.length + added.length > 0) {
      this.#tellSelf();
    }
    this.#scheduler.add(added.map(({ planned, spec }): ScheduledJob => ({ ...planned, id: spec.id, spec })));
    // Not before the first runs are under way: nobody waits for it until they are done.
    this.#builderPool ??= this.#startBuilder();
    this.#dropChangedViews(before, plan);
    if (gone.length + added.length > 0) {
      for (const view of this.#views.all()) {
        this.#views.redescribe(view, (id, memory) => this.#describe(id, view.name, memory));
        this.#scheduler.setView(
          view.name,
          this.#jobsOf(this.#filters.get(view.name) as ViewFilter).map(({ spec }) => spec.id),
          this.#label(view.name) ?? OTHER_VIEWS,
        );
      }
    }
    // Only now that the builder has mail of it: no page shows that label any more.
    for (const { planned, spec } of this.#jobs.values()) this.#wantLabel(planned, spec, plan);
    await this.#listen(plan.listeners);
    this.#tellFigures(this.#options.clock.monotonicMs());
  }

  /** The page of a filter as text: collects once and waits for it. For `once`. */
  async page(name: string, filter: ViewFilter): Promise<{ text: string; failed: boolean }> {
    await this.#scheduler.allOnce;
    const view = this.#ensure(name, filter, false) as ViewHandle;
    await this.#views.build(view, false);
    const response = view.reader.open(false, this.#options.clock.wallMs());
    const text = Buffer.concat(response.parts.map((part) => Buffer.from(part))).toString();
    response.release();
    return { text, failed: this.#scheduler.anyFailed() };
  }

  /** Stops listening, lets responses under way end, closes sessions. Whatever hangs is left to the caller's `_exit`. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#slowTimer);
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, graceMs).unref());
    this.#mail({ kind: 'stop' });
    await Promise.race([Promise.all([this.#options.server.close(graceMs), this.#scheduler.close()]), deadline]);
  }

  // --- jobs ---

  #spec(planned: PlannedJob, plan: Plan): JobSpec {
    // A network target goes through others' coming and going without being made anew, so it is always able to bear its name.
    const variants = isLabelled(planned, plan) || planned.pool === 'network' ? [...planned.variants, targetVariant(planned.target)] : planned.variants;
    const { collector, part, worker, options, roots, parts, deadlineMs, firstDeadlineMs, maxSeries, maxBytes } = planned;
    return {
      id: this.#newId(),
      collector,
      part,
      target: planned.target,
      worker,
      options,
      roots,
      parts,
      deadlineMs,
      firstDeadlineMs,
      maxSeries,
      maxBytes,
      channel: makeChannel(variants, maxBytes, planned.failures),
      ...(planned.hasBoard ? { board: this.#board(planned) } : {}),
      ...(planned.counters === undefined ? {} : { counters: this.#counters(planned.counters) }),
      isElsewhere: planned.isElsewhere,
    };
  }

  /**
   * A role gets its second target: has the first one's last page printed with its name, so that it is there when pages show
   * it that way. Waits for no more than a moment; a thread that is busy prints it with its next run.
   */
  async #labelTargets(plan: Plan): Promise<void> {
    const several = plan.severalTargets.filter((role) => !this.#plan.severalTargets.includes(role));
    const kept = [...this.#jobs.values()].filter(({ planned }) => planned.pool === 'network' && several.includes(planned.role));
    if (kept.length === 0) return;
    for (const { planned, spec } of kept) this.#wantLabel(planned, spec, plan);
    const printed = this.#scheduler.reprint(kept.map(({ spec }) => spec.id));
    await Promise.race([printed, new Promise((resolve) => setTimeout(resolve, REPRINT_MS))]);
  }

  /** Printing it costs as much as the plain page: only where it is shown. */
  #wantLabel({ pool, role }: PlannedJob, { channel }: JobSpec, plan: Plan): void {
    if (pool === 'network') wantVariant(channel, TARGET_VARIANT, isLabelled({ role }, plan));
  }

  /** Kept while the daemon runs: a thread that is replaced finds what was posted before. */
  #board({ collector, target }: PlannedJob): SharedArrayBuffer {
    const key = `${collector}/${target.name}`;
    const board = this.#boards.get(key) ?? makeBoard();
    this.#boards.set(key, board);
    return board;
  }

  /** Kept while the daemon runs: a counter does not begin again with a thread that is replaced. */
  #counters({ family, values }: CounterSeries): Float64Array {
    const cells = this.#counted.get(family.name) ?? this.#cells.lend(family, values);
    this.#counted.set(family.name, cells);
    return cells;
  }

  /** Numbers of jobs that are gone are used again late: a hung thread may still be busy under one. */
  #newId(): number {
    return (this.#nextId >= FRESH_IDS ? this.#freeIds.shift() : undefined) ?? this.#nextId++;
  }

  #liveJob(id: number): LiveJob | undefined {
    return [...this.#jobs.values()].find(({ spec }) => spec.id === id);
  }

  #news(news: LaneNews): void {
    const live = this.#liveJob(news.job);
    if (live === undefined) return;
    const { role, part, target } = live.planned;
    const fields = { role, collector: part, target: target.name };
    const key = `${live.planned.key} ${news.kind}`;
    switch (news.kind) {
      case 'failed':
        this.#options.log.throttled(key, 'warn', 'collector failed', { ...fields, code: news.code satisfies FailureCode, error: news.text });
        break;
      case 'recovered':
        this.#options.log.info('collector recovered', fields);
        break;
      case 'over-budget':
        this.#options.log.throttled(key, 'warn', 'series or byte budget used up, families are left out', { ...fields, family: news.family });
        break;
      case 'warning':
        this.#options.log.throttled(`${key} ${news.text}`, 'warn', news.text, fields);
        break;
      default:
        news satisfies never;
    }
  }

  #timedOut(job: number, deadlineMs: number): void {
    const live = this.#liveJob(job);
    if (live === undefined) return;
    const { role, part, target } = live.planned;
    this.#options.log.throttled(`${live.planned.key} timeout`, 'warn', 'collector passed its deadline', {
      role,
      collector: part,
      target: target.name,
      deadline_seconds: deadlineMs / 1000,
    });
  }

  // --- views ---

  #ensure(name: string, filter: ViewFilter, filtered: boolean): ViewHandle | undefined {
    const known = this.#views.get(name);
    if (known !== undefined) return known;
    this.#filters.set(name, filter);
    const handle = this.#views.ensure({
      name,
      filtered,
      roles: filter.roles.map((role) => ROLES.indexOf(role)),
      self: showsSelf(filter),
      describe: (id, memory) => this.#describe(id, name, memory),
    });
    // Refused: whoever asks can make up names without end.
    if (handle === undefined) this.#filters.delete(name);
    else
      this.#scheduler.setView(
        name,
        this.#jobsOf(filter).map(({ spec }) => spec.id),
        this.#label(name) ?? OTHER_VIEWS,
      );
    return handle;
  }

  /** Pages whose route is gone or shows something else now; filtered ones were made from their route's filter. */
  #dropChangedViews(before: Plan, plan: Plan): void {
    const was = filtersByPath(before);
    const is = filtersByPath(plan);
    for (const view of [...this.#views.all()]) {
      const path = view.name.split('?', 1)[0] as string;
      if (was.has(path) && was.get(path) !== is.get(path)) this.#views.drop(view);
    }
  }

  #jobsOf(filter: ViewFilter): LiveJob[] {
    return (
      [...this.#jobs.values()]
        .filter(({ planned }) => shows(filter, planned))
        // Families that several collectors share (scrape success) list their series in this order.
        .sort((a, b) => ROLES.indexOf(a.planned.role) - ROLES.indexOf(b.planned.role) || (a.planned.key < b.planned.key ? -1 : 1))
    );
  }

  #describe(id: number, name: string, memory: ViewMemory): BuilderMail {
    const filter = this.#filters.get(name) as ViewFilter;
    const merged = filter.target === undefined;
    const entries = this.#jobsOf(filter).map(
      ({ planned, spec }): ViewEntry => ({
        channel: spec.channel,
        variant: filter.variant ?? (merged && this.#plan.severalTargets.includes(planned.role) ? TARGET_VARIANT : PLAIN.name),
        role: ROLES.indexOf(planned.role),
      }),
    );
    for (const fixed of filter.fixed ?? []) entries.push({ channel: this.#fixedChannel(fixed), variant: PLAIN.name, role: -1 });
    const self = showsSelf(filter);
    if (self) entries.push({ channel: this.#selfChannel, variant: PLAIN.name, role: -1 });
    const families = filter.families === undefined ? {} : { families: filter.families };
    const label = this.#label(name);
    return { kind: 'view', view: { id, memory, entries, self, ...families, ...(label === undefined ? {} : { name: label }) } };
  }

  /** What figures of a view are called; undefined for views that must share a name, since whoever asks can make up new ones. */
  #label(name: string): string | undefined {
    if (this.#labels.has(name)) return name;
    if (this.#labels.size >= LABELLED_VIEWS || name.length > LABEL_LENGTH) return undefined;
    this.#labels.add(name);
    return name;
  }

  /** A channel that shows one page for ever. */
  #fixedChannel(name: string): ChannelMemory {
    let memory = this.#fixed.get(name);
    if (memory === undefined) {
      const sheet = new Sheet(this.#options.readers, { maxSeries: 1000, maxBytes: 1 << 20 });
      sheet.begin();
      writePeerBuildInfo(sheet, name, this.#options.version);
      memory = fixedChannel(sheet);
      this.#fixed.set(name, memory);
    }
    return memory;
  }

  #startBuilder(): Piscina {
    const { port1, port2 } = this.#builderPort;
    const task: BuilderTask = {
      bell: this.#bellMemory,
      port: port2,
      idleMs: this.#options.idleViewMs,
      self: { channel: this.#selfChannel, cells: this.#cells.memory, maxBytes: SELF_BYTES },
    };
    port1.on('message', (news: BuilderNews) => this.#builderNews(news));
    port1.unref();
    const pool = startBuilderThread();
    pool.run(task, { transferList: [port2] }).catch((error: unknown) => {
      this.#options.log.error('the view builder ended', { error: String(error) });
      this.#options.onLost?.();
    });
    return pool;
  }

  #mail(mail: BuilderMail): void {
    this.#builderPort.port1.postMessage(mail);
    ring(this.#bell);
  }

  #tellSelf(): void {
    const jobs = [...this.#jobs.values()].map(({ planned, spec }) => ({
      role: planned.role,
      part: planned.part,
      target: planned.target.name,
      channel: spec.channel,
    }));
    this.#mail({ kind: 'self', cells: this.#cells.takeNew(), jobs });
  }

  #builderNews(news: BuilderNews): void {
    switch (news.kind) {
      case 'built':
        this.#views.built(news.id);
        break;
      case 'crowded':
        this.#cutSlow(this.#views.byId(news.id));
        ring(this.#bell);
        break;
      case 'too-large':
        this.#options.log.throttled(`too large ${news.id}`, 'warn', 'a page is larger than pages may be and was cut at a family', {
          view: this.#views.byId(news.id)?.name,
        });
        break;
      case 'conflict':
        this.#cells.cell(own.mergeConflicts).add(1);
        this.#options.log.once(`conflict ${news.family}`, 'warn', 'two collectors give one family different types', {
          family: news.family,
          kept: news.kept,
          dropped: news.dropped,
        });
        break;
      default:
        news satisfies never;
    }
  }

  // --- requests ---

  async #listen(listeners: readonly PlannedListener[]): Promise<void> {
    const wanted = new Map(listeners.map((listener, i) => [addressKey(listener, i), listener]));
    for (const [key, { listening }] of this.#listening) {
      if (wanted.has(key)) continue;
      listening.stop();
      this.#listening.delete(key);
    }
    for (const [key, listener] of wanted) {
      const known = this.#listening.get(key);
      if (known !== undefined) known.site = this.#site(listener);
    }
    for (const [key, listener] of wanted) {
      if (this.#listening.has(key)) continue;
      const entry = { site: this.#site(listener) };
      const listening = await this.#options.server.listen(listener.host, listener.port, { ...entry.site, answer: (request) => entry.site.answer(request) });
      this.#listening.set(key, Object.assign(entry, { listening }));
      this.#options.log.info('listening', { address: listening.address });
    }
  }

  #site(listener: PlannedListener): Site {
    const { clock, version, maxRequests, server } = this.#options;
    const counters = new WeakMap<ViewHandle, Cell>();
    // Mostly the same one again.
    let lastView: ViewHandle | undefined;
    let counter: Cell | undefined;
    const refused = (view: string, status: number): void => {
      this.#cells.cell(own.scrapes, [String(status), this.#label(view) ?? OTHER_VIEWS]).add(1);
      this.#tellCells();
    };
    const ages: (Distribution | undefined)[] = ROLES.map(() => undefined);
    return site({
      routes: listener.routes,
      jobs: this.#plan.jobs,
      isKnown: (role, part) => this.#plan.known.includes(`${role}.${part}`),
      views: this.#views,
      ensure: (name, filter, filtered) => this.#ensure(name, filter, filtered),
      isReady: () => this.isReady,
      ready: this.ready,
      maxRequests,
      active: () => server.active,
      monotonicMs: clock.monotonicMs,
      wallMs: wallByMillisecond(clock.wallMs),
      idleMs: this.#options.idleViewMs,
      intervalMs: Math.min(...this.#plan.jobs.map((job) => job.intervalMs)),
      version,
      onScrape: (view, nowMs, wallMs) => {
        if (view !== lastView) {
          counter = counters.get(view) ?? this.#answered(view);
          counters.set(view, counter);
          lastView = view;
        }
        counter?.add(1);
        view.reader.use(nowMs);
        for (let i = 0; i < view.roles.length; i++) {
          const role = view.roles[i] as number; // i is below the length.
          const oldest = view.reader.oldestMs(role);
          if (Number.isNaN(oldest)) continue;
          const distribution = (ages[role] ??= this.#cells.distribution(own.dataAge, own.AGE_BOUNDS, [ROLES[role] as Role]));
          distribution.observe((nowMs - oldest) / 1000);
        }
        this.#scheduler.arrived(view, nowMs, wallMs);
        if (nowMs - this.#toldMs >= FIGURES_MS) this.#tellFigures(nowMs);
      },
      onRefused: refused,
    });
  }

  /** The number of a view's answers. */
  #answered(view: ViewHandle): Cell {
    const cell = this.#cells.cell(own.scrapes, ['200', this.#label(view.name) ?? OTHER_VIEWS]);
    this.#tellCells();
    return cell;
  }

  #tellCells(): void {
    if (this.#cells.hasNew) this.#mail({ kind: 'self', cells: this.#cells.takeNew() });
  }

  /** Figures that nothing happens to when they change. */
  #tellFigures(nowMs: number): void {
    this.#toldMs = nowMs;
    this.#cells.cell(own.threads, ['host']).set(this.#scheduler.hostThreads);
    this.#cells.cell(own.threads, ['network']).set(this.#scheduler.networkThreads);
    this.#cells.cell(own.threads, ['views']).set(1);
    this.#cells.cell(own.suppressedLogs).set(this.#options.log.suppressed);
    this.#tellCells();
  }

  /** Looks for slow readers as long as there are any that wait. */
  #cutSlowest(): void {
    let waiting = 0;
    for (const view of this.#views.all()) {
      if (view.reader.waiting > 0) this.#cutSlow(view, false);
      waiting += view.reader.waiting;
    }
    if (waiting > 0) return;
    clearInterval(this.#slowTimer);
    this.#slowTimer = undefined;
  }

  #cutSlow(view: ViewHandle | undefined, crowded = true): void {
    if (view === undefined) return;
    const cut = view.reader.cutSlow(this.#options.clock.monotonicMs(), SLOW_READER_MS, crowded);
    if (cut === 0) return;
    this.#cells.cell(own.slowReaders).add(cut);
    this.#options.log.throttled('slow readers', 'warn', 'connections that read too slowly were ended', { view: view.name, connections: cut });
  }
}

/** Whether what the daemon says about itself is on a page; `collect[]` chooses among collectors, and it is none. */
function showsSelf(filter: ViewFilter): boolean {
  return filter.roles.includes('exporterd') && filter.parts === undefined;
}

/** Everything about a job that, when changed, makes it another job. */
function fingerprint({ failures: _, ...job }: PlannedJob, plan: Plan): string {
  return JSON.stringify([job, isLabelled(job, plan) && job.pool === 'host']);
}

/** Whether its samples bear its target's name on pages of several. */
function isLabelled({ role }: Pick<PlannedJob, 'role'>, plan: Plan): boolean {
  return plan.severalTargets.includes(role);
}

/** Port 0 is another port each time it is asked for. */
function addressKey({ host, port }: PlannedListener, ordinal: number): string {
  return JSON.stringify(port === 0 ? [host, port, ordinal] : [host, port]);
}

/** What each path shows, as text that can be compared. */
function filtersByPath(plan: Plan): Map<string, string> {
  return new Map(plan.listeners.flatMap(({ routes }) => routes.map(({ path, filter }) => [path, JSON.stringify(filter)] as const)));
}

function fixedChannel(sheet: Sheet): ChannelMemory {
  const memory = makeChannel([PLAIN], 1 << 20, [EMPTY_PAGE]);
  const channel = new Channel(memory);
  channel.start(1);
  channel.publish(sheet, 'ok', 1, 0);
  return memory;
}
