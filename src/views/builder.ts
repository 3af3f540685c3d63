import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { Channel, type ChannelMemory, SHOWN_LAYOUT } from '../collect/channel.ts';
import { ROLES } from '../collect/contract.ts';
import { Sheet } from '../collect/sheet.ts';
import { listen } from '../lanes/bell.ts';
import { systemClock } from '../model/clock.ts';
import { loadReaders } from '../readers/load.ts';
import { settling } from '../readers/settle.ts';
import type { PageDeflater, ViewBuild } from '../readers/readers.ts';
import type { CellSpec } from '../self/cells.ts';
import { type JobLabels, SelfPage, type SelfView } from '../self/page.ts';
import { type MergeEntry, Merger } from './merge.ts';
import { gzipPage } from './splice.ts';
import { VIEW_LAYOUT, type ViewMemory, ViewTarget } from './view.ts';

/** The one task of the builder's pool: it lasts as long as the thread. */
export interface BuilderTask {
  readonly bell: SharedArrayBuffer;
  readonly port: MessagePort;
  /** A view that nobody has asked for in this time is not kept fresh, milliseconds. */
  readonly idleMs: number;
  /** The page about the daemon is printed here, into this channel from these numbers. */
  readonly self: { readonly channel: ChannelMemory; readonly cells: SharedArrayBuffer; readonly maxBytes: number };
}

/** A view as the builder is told of it. */
export interface ViewSpec {
  readonly id: number;
  /** Label value of the view's own figures; without it there are none. */
  readonly name?: string;
  readonly memory: ViewMemory;
  readonly entries: readonly ViewEntry[];
  /** Whether the page about the daemon is among the entries. */
  readonly self: boolean;
  /** Only these families (`name[]`); undefined for all. */
  readonly families?: readonly string[];
}

export interface ViewEntry {
  readonly channel: ChannelMemory;
  /** Name of the variant to show; a channel without it shows its plain one. */
  readonly variant: string;
  /** Ordinal of the role, or -1 for pages that have no age. */
  readonly role: number;
}

export interface SelfJobSpec extends JobLabels {
  readonly channel: ChannelMemory;
}

export type BuilderMail =
  | { readonly kind: 'view'; readonly view: ViewSpec }
  | { readonly kind: 'drop'; readonly id: number }
  /** Jobs and numbers that the page about the daemon speaks of; `jobs` replaces what was said before. */
  | { readonly kind: 'self'; readonly cells: readonly CellSpec[]; readonly jobs?: readonly SelfJobSpec[] }
  /** Build now, used or not, and answer `built`. */
  | { readonly kind: 'build'; readonly id: number; readonly gzip: boolean }
  | { readonly kind: 'stop' };

export type BuilderNews =
  | { readonly kind: 'built'; readonly id: number }
  | { readonly kind: 'crowded'; readonly id: number }
  | { readonly kind: 'too-large'; readonly id: number }
  | { readonly kind: 'conflict'; readonly family: string; readonly kept: string; readonly dropped: string };

interface View {
  readonly id: number;
  readonly name: string | undefined;
  readonly self: boolean;
  readonly target: ViewTarget;
  readonly merger: Merger;
  readonly deflater: PageDeflater | undefined;
  /** Builds by other threads. Undefined without the addon. */
  readonly others: ViewBuild | undefined;
  gzip: boolean;
  /** A build was asked for, and no generation was free. */
  owed: boolean;
}

/** The thread is tidied up after its third run, and once all views are armed it may have no other for hours. */
const RUNS_BEFORE_ARMING = 2;

const LAYOUT = Int32Array.of(...SHOWN_LAYOUT, ...VIEW_LAYOUT);

/**
 * Builds the pages of views, off the main thread: merges channels, compresses, makes the result current. Sleeps on its bell,
 * which lanes ring when they have published and the main thread rings when it has mail.
 *
 * A view whose families stay where they are is armed: from then on the lane that has moved its channels builds it (native-readers'
 * ViewBuild), and rings only for what it could not.
 */
export default async function builder(task: BuilderTask): Promise<void> {
  const bell = new Int32Array(task.bell);
  const views = new Map<number, View>();
  const conflicts = new Set<string>();
  const tell = (news: BuilderNews): void => task.port.postMessage(news);
  const selfChannel = new Channel(task.self.channel);
  const readers = loadReaders();
  const settle = settling();
  let runs = 0;
  const selfSheet = new Sheet(readers, { maxSeries: 100_000, maxBytes: task.self.maxBytes });
  const selfPage = new SelfPage(selfSheet, task.self.cells);
  let selfJobs: (JobLabels & { channel: Channel })[] = [];
  const writeSelf = (): void => {
    const now = systemClock.monotonicMs();
    selfSheet.begin();
    selfChannel.start(now);
    selfPage.write(selfJobs, viewFigures(views.values()), now);
    selfChannel.publish(selfSheet, 'ok', systemClock.monotonicMs(), 0);
  };
  /** Of what was collected alone: otherwise each page about the daemon would make the others look outdated. */
  const versionOf = ({ merger, self }: View): number => merger.version - (self ? selfChannel.sequence : 0);
  const conflict = (family: string, kept: string, dropped: string): void => {
    if (conflicts.has(family)) return;
    conflicts.add(family);
    tell({ kind: 'conflict', family, kept, dropped });
  };

  const build = (view: View): boolean => {
    view.others?.disarm();
    const generation = view.target.free();
    if (generation < 0) {
      tell({ kind: 'crowded', id: view.id });
      return false;
    }
    if (view.self) writeSelf();
    const started = systemClock.monotonicMs();
    const version = versionOf(view);
    const page = view.target.page(generation);
    const merged = view.merger.merge(page, started);
    if (merged.cut) tell({ kind: 'too-large', id: view.id });
    const bytes = page.bytes.subarray(0, merged.bytes);
    const gzip = view.gzip || view.target.wantsGzip;
    const gzipped = gzip ? gzipPage(readers, bytes, merged.timeAt, view.target.gzip(generation), view.deflater) : undefined;
    const built = {
      bytes: merged.bytes,
      series: merged.series,
      timeAt: merged.timeAt,
      gzipBytes: gzipped?.bytes ?? 0,
      gzipTimeAt: gzipped?.timeAt ?? -1,
      crc: gzipped?.crc ?? 0,
      oldestMs: view.merger.oldestMs,
      version,
    };
    const ended = systemClock.monotonicMs();
    view.target.publish(generation, built, ended, (ended - started) / 1000);
    // Nobody else can print the page about the daemon, and what others cannot compress as it is would be left to this thread.
    if (runs >= RUNS_BEFORE_ARMING && !view.self && view.merger.isSettled && (!gzip || gzipped?.isKnown === true)) arm(view, gzip);
    return true;
  };

  const arm = ({ others, merger, target, deflater }: View, gzip: boolean): void =>
    others?.arm({ ...merger.plan, ...target.buffers, deflater: gzip ? deflater : undefined });

  const makeView = ({ id, name, self, memory, entries: shown, families }: ViewSpec): View => {
    const entries: MergeEntry[] = shown.map(({ channel: channelMemory, variant, role }) => {
      const channel = new Channel(channelMemory);
      return { channel, variant: channel.variant(variant), role };
    });
    const known = views.get(id);
    const target = known?.target ?? new ViewTarget(memory);
    known?.others?.disarm();
    target.forgetVersion();
    return {
      id,
      name,
      self,
      target,
      deflater: known?.deflater ?? readers.pageDeflater(),
      others: known?.others ?? readers.viewBuild({ bell, layout: LAYOUT, ...target.head, idleMs: task.idleMs }),
      merger: new Merger(entries, ROLES.length, conflict, families, readers.merge),
      gzip: known?.gzip ?? false,
      owed: known?.owed ?? false,
    };
  };

  const pay = (view: View): void => {
    view.owed = !build(view);
    if (!view.owed) tell({ kind: 'built', id: view.id });
  };

  const handle = (mail: BuilderMail): boolean => {
    switch (mail.kind) {
      case 'stop':
        return false;
      case 'drop':
        views.get(mail.id)?.others?.close();
        views.delete(mail.id);
        return true;
      case 'view':
        views.set(mail.view.id, makeView(mail.view));
        return true;
      case 'self':
        selfPage.learn(mail.cells);
        if (mail.jobs !== undefined) selfJobs = mail.jobs.map((job) => ({ ...job, channel: new Channel(job.channel) }));
        return true;
      case 'build': {
        const view = views.get(mail.id);
        if (view === undefined) return true;
        view.gzip ||= mail.gzip;
        pay(view);
        return true;
      }
      default:
        return mail satisfies never;
    }
  };

  for (let heard = 0; ; heard = listen(bell, heard)) {
    for (let mail = receiveMessageOnPort(task.port); mail !== undefined; mail = receiveMessageOnPort(task.port)) {
      if (handle(mail.message as BuilderMail)) continue;
      for (const { others } of views.values()) others?.close();
      return;
    }
    // What a network lane has moved.
    readers.buildViews(bell);
    const now = systemClock.monotonicMs();
    let worked = false;
    for (const view of views.values()) {
      if (view.owed) pay(view);
      if (!view.target.built || now - view.target.usedMs > task.idleMs) continue;
      if (versionOf(view) !== view.target.version) worked = build(view) || worked;
    }
    if (!worked) continue;
    runs += 1;
    settle();
  }
}

function* viewFigures(views: Iterable<View>): Generator<SelfView> {
  for (const { name, target } of views) {
    const figures = name === undefined ? undefined : target.figures();
    if (name !== undefined && figures !== undefined) yield { name, ...figures };
  }
}
