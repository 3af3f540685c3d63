import type { Channel } from '../collect/channel.ts';
import { FAILURE_CODES } from '../collect/contract.ts';
import type { Sheet } from '../collect/sheet.ts';
import type { CellSpec } from './cells.ts';
import * as own from './families.ts';

/** A job as the page about the daemon names it. */
export interface JobLabels {
  readonly role: string;
  readonly part: string;
  readonly target: string;
}

export interface SelfJob extends JobLabels {
  readonly channel: Channel;
}

/** Figures of a built view. */
export interface SelfView {
  readonly name: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  readonly series: number;
  readonly builds: number;
  readonly buildSeconds: number;
}

/** Writes everything the daemon says about itself: cells of the main thread, figures of channels and views. */
export class SelfPage {
  readonly #cells: { slot: number; from: number; at: number }[] = [];
  readonly #values: Float64Array;
  readonly #sheet: Sheet;

  constructor(sheet: Sheet, memory: SharedArrayBuffer) {
    this.#sheet = sheet;
    this.#values = new Float64Array(memory);
  }

  learn(specs: readonly CellSpec[]): void {
    for (const { from, at, family, values, names, suffix } of specs) {
      this.#cells.push({ slot: this.#sheet.slot(family, values, names, -1, suffix), from, at });
    }
  }

  write(jobs: Iterable<SelfJob>, views: Iterable<SelfView>, nowMs: number): void {
    const sheet = this.#sheet;
    for (const { slot, from, at } of this.#cells) sheet.set(slot, this.#sum(from, at));
    for (const job of jobs) this.#job(job, nowMs);
    for (const view of views) {
      sheet.sample(own.viewBytes, ['identity', view.name], view.bytes);
      if (view.gzipBytes > 0) sheet.sample(own.viewBytes, ['gzip', view.name], view.gzipBytes);
      sheet.sample(own.viewSeries, [view.name], view.series);
      sheet.sample(own.viewBuilds, [view.name], view.builds);
      sheet.sample(own.viewBuildSeconds, [view.name], view.buildSeconds);
    }
  }

  #sum(from: number, at: number): number {
    let sum = 0;
    for (let i = from; i <= at; i++) sum += this.#values[i] ?? 0;
    return sum;
  }

  #job({ role, part, target, channel }: SelfJob, nowMs: number): void {
    const sheet = this.#sheet;
    const labels = [part, role, target];
    const figures = channel.figures();
    sheet.sample(own.runs, [part, 'ok', role, target], figures.oks);
    sheet.sample(own.runs, [part, 'absent', role, target], figures.absents);
    sheet.sample(own.runs, [part, 'failed', role, target], figures.failures);
    for (const code of FAILURE_CODES) {
      const count = channel.failures(code);
      if (count > 0) sheet.sample(own.failures, [code, part, role, target], count);
    }
    sheet.sample(own.late, labels, figures.late);
    sheet.sample(own.duplicates, labels, figures.duplicates);
    sheet.sample(own.overBudget, labels, figures.overBudget);
    if (figures.startedMs === 0) return;
    sheet.sample(own.duration, labels, figures.seconds);
    sheet.sample(own.cpu, labels, figures.cpuSeconds);
    sheet.sample(own.series, labels, figures.series);
    sheet.sample(own.age, labels, (nowMs - figures.startedMs) / 1000);
  }
}
