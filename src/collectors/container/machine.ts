import { readFileSync, readdirSync } from 'node:fs';
import { CollectError, OK, type Outcome, type Roots } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { ReplaySteps } from '../../readers/readers.ts';
import { MACHINE_FAMILIES } from './families.ts';

/** How long a description of the machine is used: the peer's --update_machine_info_interval. */
const FRESH_MS = 300_000;

export interface MachineFiles {
  readonly roots: Roots;
  /** Candidate paths, tried in order; below rootfs. */
  readonly machineIdFiles: readonly string[];
  /** Below procfs when it begins with /proc. */
  readonly bootIdFiles: readonly string[];
}

interface Machine {
  readonly identity: readonly [bootId: string, machineId: string, systemUuid: string];
  readonly memory: number;
  readonly swap: number;
  readonly cores: number;
  readonly physicalCores: number;
  readonly sockets: number;
  /** s390x. */
  readonly books: number;
  readonly drawers: number;
  readonly dimms: ReadonlyMap<string, { readonly count: number; readonly bytes: number }>;
}

/** The machine as such. Read every five minutes; its files hardly ever change. */
export class MachineInfo {
  readonly #files: MachineFiles;
  readonly #monotonicMs: () => number;
  #machine: Machine | undefined;
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(files: MachineFiles, monotonicMs: () => number) {
    this.#files = files;
    this.#monotonicMs = monotonicMs;
  }

  collect(sheet: Sheet): Outcome {
    const { identity, memory, swap, cores, physicalCores, sockets, books, drawers, dimms } = this.read();
    const f = MACHINE_FAMILIES;
    sheet.sample(f.books, identity, books);
    sheet.sample(f.cores, identity, cores);
    sheet.sample(f.drawers, identity, drawers);
    sheet.sample(f.physicalCores, identity, physicalCores);
    sheet.sample(f.sockets, identity, sockets);
    sheet.sample(f.memory, identity, memory);
    sheet.sample(f.swap, identity, swap);
    sheet.sample(f.nvmPower, identity, 0);
    const [boot, id, uuid] = identity;
    for (const mode of ['app_direct_mode', 'memory_mode']) sheet.sample(f.nvmCapacity, [boot, id, mode, uuid], 0);
    for (const [type, { count, bytes }] of dimms) {
      sheet.sample(f.dimmCount, [...identity, type], count);
      sheet.sample(f.dimmCapacity, [...identity, type], bytes);
    }
    return OK;
  }

  /** What it says is the same until it is read anew. */
  replay(steps: ReplaySteps): boolean {
    steps.until(this.#readMs + FRESH_MS);
    return true;
  }

  /** Throws CollectError when /proc/meminfo cannot be read: without it there is no machine to speak of. */
  read(): Machine {
    const now = this.#monotonicMs();
    if (this.#machine !== undefined && now - this.#readMs < FRESH_MS) return this.#machine;
    this.#machine = describe(this.#files);
    this.#readMs = now;
    return this.#machine;
  }
}

function describe({ roots, machineIdFiles, bootIdFiles }: MachineFiles): Machine {
  const meminfo = memoryInfo(roots.procfs);
  const cpuinfo = text(`${roots.procfs}/cpuinfo`);
  const machineId = first(machineIdFiles.map((path) => roots.rootfs + path));
  return {
    identity: [
      first(bootIdFiles.map((path) => (path.startsWith('/proc/') ? roots.procfs + path.slice('/proc'.length) : path))),
      machineId,
      systemUuid(roots, machineId),
    ],
    memory: meminfo.total,
    swap: meminfo.swapTotal,
    cores: logicalCores(roots.sysfs),
    physicalCores: physicalCores(cpuinfo, roots.sysfs),
    sockets: groups(cpuinfo, 'physical id', roots.sysfs, 'physical_package_id'),
    books: groups(cpuinfo, 'book id', roots.sysfs, 'book_id'),
    drawers: groups(cpuinfo, 'drawer id', roots.sysfs, 'drawer_id'),
    dimms: memoryModules(roots.sysfs),
  };
}

/** Bytes from /proc/meminfo (`MemTotal:  24684092 kB`). Throws CollectError when MemTotal is not there. */
export function memoryInfo(procfs: string): { readonly total: number; readonly swapTotal: number; readonly swapFree: number } {
  const path = `${procfs}/meminfo`;
  const content = text(path);
  const bytes = (key: string): number | undefined => {
    const match = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(content);
    return match === null ? undefined : Number(match[1]) * 1024;
  };
  const total = bytes('MemTotal');
  if (total === undefined) throw new CollectError(content === '' ? 'read' : 'parse', path, 'expected a line MemTotal in kB');
  return { total, swapTotal: bytes('SwapTotal') ?? 0, swapFree: bytes('SwapFree') ?? 0 };
}

/** The firmware's id, as the peer looks for it: DMI, then the device tree, then the machine id. */
function systemUuid(roots: Roots, machineId: string): string {
  const candidates = [`${roots.sysfs}/class/dmi/id/product_uuid`, `${roots.procfs}/device-tree/system-id`, `${roots.procfs}/device-tree/vm,uuid`];
  return first(candidates) || machineId;
}

/** Distinct (socket, core) pairs of /proc/cpuinfo, else of the topology files. */
function physicalCores(cpuinfo: string, sysfs: string): number {
  const cores = new Set<string>();
  let socket = '';
  for (const line of cpuinfo.split('\n')) {
    const [key, value] = pair(line);
    if (key === 'physical id') socket = value;
    else if (key === 'core id') cores.add(`${socket} ${value}`);
  }
  if (cores.size > 0) return cores.size;
  for (const cpu of onlineCpus(sysfs)) {
    const core = text(`${cpu}/topology/core_id`).trim();
    if (core !== '') cores.add(`${text(`${cpu}/topology/physical_package_id`).trim()} ${core}`);
  }
  return cores.size;
}

/** Distinct values of a key in /proc/cpuinfo, else of a file of the topology; 0 where neither is there. */
function groups(cpuinfo: string, wanted: string, sysfs: string, file: string): number {
  const found = new Set<string>();
  for (const line of cpuinfo.split('\n')) {
    const [key, value] = pair(line);
    if (key === wanted) found.add(value);
  }
  if (found.size === 0) {
    for (const cpu of onlineCpus(sysfs)) {
      const value = text(`${cpu}/topology/${file}`).trim();
      if (value !== '') found.add(value);
    }
  }
  return found.size;
}

/** `core id\t\t: 1` */
function pair(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  return colon < 0 ? ['', ''] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
}

/** Hardware threads: online CPUs with a core_id in the NUMA nodes; without nodes, every cpuN directory. */
function logicalCores(sysfs: string): number {
  const nodes = names(`${sysfs}/devices/system/node`, /^node\d+$/);
  if (nodes.length === 0) return names(`${sysfs}/devices/system/cpu`, /^cpu\d+$/).length;
  let count = 0;
  for (const node of nodes) {
    for (const cpu of names(`${sysfs}/devices/system/node/${node}`, /^cpu\d+$/)) {
      const path = `${sysfs}/devices/system/node/${node}/${cpu}`;
      if (isOnline(path) && text(`${path}/topology/core_id`).trim() !== '') count += 1;
    }
  }
  return count;
}

function onlineCpus(sysfs: string): string[] {
  return names(`${sysfs}/devices/system/cpu`, /^cpu\d+$/)
    .map((cpu) => `${sysfs}/devices/system/cpu/${cpu}`)
    .filter(isOnline);
}

/** cpu0 has no `online` file where it cannot be taken away. */
function isOnline(cpu: string): boolean {
  return text(`${cpu}/online`).trim() !== '0';
}

/** Modules by type from EDAC: /sys/devices/system/edac/mc/mcN/dimmN/{dimm_mem_type,size}, size in MiB. */
function memoryModules(sysfs: string): Map<string, { count: number; bytes: number }> {
  const modules = new Map<string, { count: number; bytes: number }>();
  const base = `${sysfs}/devices/system/edac/mc`;
  for (const controller of names(base, /^mc\d+$/)) {
    for (const dimm of names(`${base}/${controller}`, /^dimm\d+$/)) {
      const path = `${base}/${controller}/${dimm}`;
      const type = text(`${path}/dimm_mem_type`).trim();
      const sizeMib = Number.parseInt(text(`${path}/size`), 10);
      const entry = modules.get(type) ?? { count: 0, bytes: 0 };
      entry.count += 1;
      entry.bytes += Number.isFinite(sizeMib) ? sizeMib * 1048576 : 0;
      modules.set(type, entry);
    }
  }
  return modules;
}

/** The first file with content, trimmed (device-tree strings end in NUL); '' when there is none. */
function first(paths: readonly string[]): string {
  for (const path of paths) {
    const content = text(path).replaceAll('\0', '').trim();
    if (content !== '') return content;
  }
  return '';
}

/** A file's text; '' when it is not there or not ours to read: every caller has a next source or a default. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function names(directory: string, pattern: RegExp): string[] {
  try {
    return readdirSync(directory).filter((name) => pattern.test(name));
  } catch {
    return [];
  }
}
