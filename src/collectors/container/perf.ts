import { closeSync, openSync, readFileSync } from 'node:fs';
import { CollectError, type Outcome, absent } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { PerfCounters } from '../../readers/readers.ts';
import { PERF } from './families.ts';
import { type Column, Group, type GroupSpec, type Shared } from './group.ts';
import { ABSENT } from './row-rules.ts';
import { cpuList, type PerfConfig, type PerfEvent, readPerfConfig, type UncoreEvent } from './perf-config.ts';
import type { Cgroup } from './tree.ts';

/** One counter: where its number goes. */
interface Place {
  readonly event: PerfEvent;
  readonly cpu: number;
  readonly total: number;
  readonly ratio: number;
  /** Of the first event of its group, in the list of places; itself for that one. */
  readonly leader: number;
}

interface Counting {
  readonly counters: PerfCounters;
  readonly places: readonly Place[];
}

/** Events of cgroups on each CPU, and of units outside the cores under `/`. Source: perf_event_open(2). */
export class PerfEventsPart {
  readonly #shared: Shared;
  readonly #path: string;
  readonly #sysfs: string;
  readonly #isPerCpu: boolean;
  readonly #counting = new Map<Cgroup, Counting | undefined>();
  #group: Group | undefined;

  /** @param path the configuration of events; '' for none */
  constructor(shared: Shared, path: string, sysfs: string, isPerCpu: boolean) {
    this.#shared = shared;
    this.#path = path;
    this.#sysfs = sysfs;
    this.#isPerCpu = isPerCpu;
  }

  collect(part: string, sheet: Sheet): Outcome {
    if (this.#path === '') return absent('no events are configured');
    this.#group ??= new Group(this.#shared, this.#spec(readPerfConfig(this.#path, this.#sysfs)));
    return this.#group.collect(part, sheet);
  }

  close(): void {
    for (const cgroup of this.#counting.keys()) this.#stop(cgroup);
    this.#group?.close();
  }

  #spec(config: PerfConfig): GroupSpec {
    const { layout } = this.#shared.tree;
    const root = layout.kind === 'unified' ? layout.unified : layout.controllers.get('perf_event');
    if (root === undefined) throw new CollectError('read', this.#path, 'the cgroup controller perf_event is not mounted');
    const columns: Column[] = [];
    const cpus = cpuList(readOnline(this.#sysfs));
    const core = this.#corePlaces(config, cpus, columns);
    // As the peer, which has them on v1 only; there is no reason for that.
    const everywhere = [...core, ...uncorePlaces(config, this.#sysfs, columns, core.length)];
    return {
      columns,
      files: [],
      blank: ABSENT,
      prepare: () => {
        const { cgroups } = this.#shared.tree;
        for (const cgroup of this.#counting.keys()) if (cgroups[cgroup.index] !== cgroup) this.#stop(cgroup);
      },
      derive: (row, cgroup) => {
        if (!this.#counting.has(cgroup)) this.#counting.set(cgroup, this.#start(root, cgroup, cgroup.id === '/' ? everywhere : core));
        const counting = this.#counting.get(cgroup);
        if (counting !== undefined) fill(row, counting);
      },
    };
  }

  #corePlaces({ core }: PerfConfig, cpus: readonly number[], columns: Column[]): Place[] {
    const places: Place[] = [];
    const byLabels = new Map<string, number>();
    for (const cpu of cpus) {
      const label = this.#isPerCpu ? String(cpu) : '';
      for (const group of core) {
        const leader = places.length;
        for (const event of group) {
          const key = `${label} ${event.name}`;
          let total = byLabels.get(key);
          if (total === undefined) {
            byLabels.set(key, (total = columns.length));
            for (const family of [PERF.events, PERF.scaling]) columns.push({ family, names: ['cpu', 'event'], values: [label, event.name] });
          }
          places.push({ event, cpu, total, ratio: total + 1, leader });
        }
      }
    }
    return places;
  }

  /** Undefined for a cgroup that is going, or for which there are no descriptors left. Throws CollectError when the kernel refuses. */
  #start(root: string, cgroup: Cgroup, places: readonly Place[]): Counting | undefined {
    const { readers, budget, warn } = this.#shared;
    const counters = readers.perf();
    if (counters === undefined) throw new CollectError('read', 'perf_event_open', 'the native readers are needed to count events');
    let directory = -1;
    let taken = 0;
    try {
      directory = openSync(root + cgroup.id, 'r');
      for (; taken < places.length && budget.take(); taken++);
      if (taken < places.length) {
        warn(`perf_event: ${cgroup.id}: ${places.length} descriptors wanted, ${taken} are left; the cgroup is left out`);
        return this.#giveUp(counters, taken);
      }
      for (const [at, { event, cpu, leader }] of places.entries()) {
        // What lies outside the cores knows no cgroups.
        const of = 'pmu' in event ? -1 : directory;
        const position = counters.add(event.type, event.config, cpu, of, leader === at ? -1 : leader);
        if (position >= 0) continue;
        throw new CollectError('read', `perf event ${event.name}`, `CPU ${cpu}: perf_event_open failed with errno ${-position}`);
      }
      return { counters, places };
    } catch (error) {
      this.#giveUp(counters, taken);
      if (error instanceof CollectError) throw error;
      return undefined; // The cgroup is going.
    } finally {
      if (directory >= 0) closeSync(directory);
    }
  }

  #giveUp(counters: PerfCounters, taken: number): undefined {
    counters.close();
    for (let i = 0; i < taken; i++) this.#shared.budget.give();
  }

  #stop(cgroup: Cgroup): void {
    const counting = this.#counting.get(cgroup);
    this.#counting.delete(cgroup);
    if (counting !== undefined) this.#giveUp(counting.counters, counting.places.length);
  }
}

/** Counts that were interrupted are stretched to the whole time, in whole numbers; of several counters in one series the least ratio is shown. */
function fill(row: Float64Array, { counters, places }: Counting): void {
  counters.read();
  for (const [i, { total, ratio }] of places.entries()) {
    const value = counters.values[i] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const ran = counters.ratios[i] as number;
    const count = Math.trunc(value / ran);
    const isFirst = row[total] === ABSENT;
    row[total] = isFirst ? count : (row[total] as number) + count;
    row[ratio] = isFirst ? ran : Math.min(row[ratio] as number, ran);
  }
}

function uncorePlaces({ uncore }: PerfConfig, sysfs: string, columns: Column[], start: number): Place[] {
  const places: Place[] = [];
  const place = (event: UncoreEvent, cpu: number): void => {
    const socket = readText(`${sysfs}/devices/system/cpu/cpu${cpu}/topology/physical_package_id`).trim();
    const at = start + places.length;
    places.push({ event, cpu, total: columns.length, ratio: columns.length + 1, leader: at });
    for (const family of [PERF.uncoreEvents, PERF.uncoreScaling]) {
      columns.push({ family, names: ['event', 'pmu', 'socket'], values: [event.name, event.pmu, socket] });
    }
  };
  for (const event of uncore.flat()) for (const cpu of event.cpus) place(event, cpu);
  return places;
}

function readOnline(sysfs: string): string {
  return readText(`${sysfs}/devices/system/cpu/online`) || '0';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
