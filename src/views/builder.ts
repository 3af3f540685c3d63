import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { Channel, type ChannelMemory } from '../collect/channel.ts';
import { ROLES } from '../collect/contract.ts';
import { Sheet } from '../collect/sheet.ts';
import { listen } from '../lanes/bell.ts';
import { systemClock } from '../model/clock.ts';
import { loadReaders } from '../readers/load.ts';
import { settling } from '../readers/settle.ts';
import type { PageDeflater } from '../readers/readers.ts';
import type { CellSpec } from '../self/cells.ts';
import { type JobLabels, SelfPage, type SelfView } from '../self/page.ts';
import { type MergeEntry, Merger } from './merge.ts';
import { gzipPage } from './splice.ts';
import { type ViewMemory, ViewTarget } from './view.ts';

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
  version: number;
  gzip: boolean;
  /** A build was asked for, and no generation was free. */
  owed: boolean;
}

/**
 * Builds the pages of views, off the main thread: merges channels, compresses, makes the result current. Sleeps on its bell,
 * which lanes ring when they have published and the main thread rings when it has mail.
 */
export default async function builder(task: BuilderTask): Promise<void> {
  const bell = new Int32Array(task.bell);
  const views = new Map<number, View>();
  const conflicts = new Set<string>();
  const tell = (news: BuilderNews): void => task.port.postMessage(news);
  const selfChannel = new Channel(task.self.channel);
  const readers = loadReaders();
  const settle = settling();
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
    };
    const ended = systemClock.monotonicMs();
    view.target.publish(generation, built, ended, (ended - started) / 1000);
    view.version = version;
    return true;
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
        views.delete(mail.id);
        return true;
      case 'view': {
        const entries: MergeEntry[] = mail.view.entries.map(({ channel: memory, variant, role }) => {
          const channel = new Channel(memory);
          return { channel, variant: channel.variant(variant), role };
        });
        const known = views.get(mail.view.id);
        views.set(mail.view.id, {
          id: mail.view.id,
          name: mail.view.name,
          self: mail.view.self,
          target: known?.target ?? new ViewTarget(mail.view.memory),
          deflater: known?.deflater ?? readers.pageDeflater(),
          merger: new Merger(entries, ROLES.length, conflict, mail.view.families, readers.merge),
          version: -1,
          gzip: known?.gzip ?? false,
          owed: known?.owed ?? false,
        });
        return true;
      }
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
      if (!handle(mail.message as BuilderMail)) return;
    }
    const now = systemClock.monotonicMs();
    let worked = false;
    for (const view of views.values()) {
      if (view.owed) pay(view);
      if (!view.target.built || now - view.target.usedMs > task.idleMs) continue;
      if (versionOf(view) !== view.version) worked = build(view) || worked;
    }
    if (worked) settle();
  }
}

function* viewFigures(views: Iterable<View>): Generator<SelfView> {
  for (const { name, target } of views) {
    const figures = name === undefined ? undefined : target.figures();
    if (name !== undefined && figures !== undefined) yield { name, ...figures };
  }
}
