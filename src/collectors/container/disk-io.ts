import { existsSync } from 'node:fs';
import type { Outcome } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { ReplaySteps, Source, Token } from '../../readers/readers.ts';
import type { BlockDevices } from './block-devices.ts';
import type { Bindings, Bound, FileKind } from './cgroup-file.ts';
import { DISK_IO } from './families.ts';
import { diskStatsGroup } from './disk-stats.ts';
import { type Column, Group, type GroupSpec, type Shared } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { FileSystem, MountTable } from './mount-table.ts';

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;
const NUMBER = /^(\d+):(\d+)$/;

const THROTTLE = 'blkio.throttle.';

/**
 * v1 keeps block statistics per policy, and a device is in one or the other: bfq, then the former CFQ scheduler (kernels
 * before 5.0), then throttling. For each device the first policy that has it is taken. `_recursive` counts children in.
 */
const POLICIES = [
  { prefix: 'blkio.bfq.', suffix: '_recursive' },
  { prefix: 'blkio.', suffix: '_recursive' },
  { prefix: THROTTLE, suffix: '_recursive' },
  { prefix: THROTTLE, suffix: '' },
] as const;

/** Block devices are found while files are bound: each brings columns of its own. */
class DeviceColumns {
  readonly list: Column[] = [];
  /** Device -> policy -> columns. */
  readonly byDevice = new Map<string, number[][]>();
  readonly #devices: BlockDevices;
  readonly #places = new Map<string, number>();

  constructor(devices: BlockDevices) {
    this.#devices = devices;
  }

  has(family: Family, device: string): boolean {
    return this.list.some((column) => column.family === family && column.values[0] === device);
  }

  /** The column of a family for a device; -1 for a device without a name: several would print the same series. */
  of(family: Family, number: string, policy: number): number {
    const device = this.#devices.name(number);
    return device === '' ? -1 : this.#place(family, number, policy, ['device'], [device]);
  }

  usage(number: string, operation: string, policy: number): number {
    const [, major = '', minor = ''] = NUMBER.exec(number) ?? [];
    return this.#place(DISK_IO.deviceUsage, number, policy, ['device', 'major', 'minor', 'operation'], [this.#devices.name(number), major, minor, operation]);
  }

  #place(family: Family, number: string, policy: number, names: readonly string[], values: readonly string[]): number {
    const key = [family.name, number, policy, ...values].join(' ');
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const place = this.list.length;
    this.list.push({ family, names, values });
    this.#places.set(key, place);
    let policies = this.byDevice.get(number);
    if (policies === undefined) this.byDevice.set(number, (policies = []));
    policies[policy] ??= [];
    policies[policy].push(place);
    return place;
  }
}

/** What a file of one policy says, by operation; null is a file whose values the peer prints as 0. */
type Meaning = { readonly Read?: Family; readonly Write?: Family; readonly Total?: Family; readonly over?: number };

const V1_FILES: Readonly<Record<string, Meaning>> = {
  io_service_bytes: { Read: DISK_IO.readBytes, Write: DISK_IO.writeBytes },
  io_serviced: { Read: DISK_IO.reads, Write: DISK_IO.writes },
  io_merged: { Read: DISK_IO.readsMerged, Write: DISK_IO.writesMerged },
  io_queued: { Total: DISK_IO.current },
  io_service_time: { Read: DISK_IO.readTime, Write: DISK_IO.writeTime, Total: DISK_IO.ioTime, over: NANOSECONDS },
};

/** `8:0 Read 4096`; the row `Total 4096` at the end is the sum over devices. */
function bindOperations(columns: DeviceColumns, policy: number, stem: string, rows: readonly Token[][]): Bindings | undefined {
  const meaning = V1_FILES[stem] ?? {};
  const numbers: Bound[] = [];
  for (const [device, operation, value] of rows) {
    if (device?.text === 'Total') continue;
    if (device === undefined || !NUMBER.test(device.text) || operation === undefined) return undefined;
    if (value === undefined || value.at < 0) continue;
    const add = (column: number, over = 1): void => {
      if (column >= 0) numbers.push({ at: value.at, column, over });
    };
    const family = meaning[operation.text as 'Read' | 'Write' | 'Total'];
    if (family !== undefined) add(columns.of(family, device.text, policy), meaning.over);
    if (stem === 'io_service_bytes') add(columns.usage(device.text, operation.text, policy));
  }
  return { numbers };
}

/** `8:0 1234`: one number for both directions, which the peer's families do not take: 0. */
function bindSectors(columns: DeviceColumns, policy: number, rows: readonly Token[][]): Bindings | undefined {
  const words: { column: number; value: number }[] = [];
  for (const [device] of rows) {
    if (device === undefined || !NUMBER.test(device.text)) continue;
    for (const family of [DISK_IO.sectorReads, DISK_IO.sectorWrites]) {
      const column = columns.of(family, device.text, policy);
      if (column >= 0) words.push({ column, value: 0 });
    }
  }
  return { numbers: [], words };
}

function v1Spec(root: string, policies: readonly number[], columns: DeviceColumns): GroupSpec {
  const files: FileKind[] = [];
  for (const policy of policies) {
    const { prefix, suffix } = POLICIES[policy] as (typeof POLICIES)[number];
    for (const stem of [...Object.keys(V1_FILES), 'sectors']) {
      const name = prefix + stem + suffix;
      if (!existsSync(`${root}/${name}`)) continue; // Statistics this kernel was built without.
      files.push({
        controller: 'blkio',
        name,
        format: { keys: stem === 'sectors' ? 1 : 2, record: true },
        bind: (rows) => (stem === 'sectors' ? bindSectors(columns, policy, rows) : bindOperations(columns, policy, stem, rows)),
        // The kernel counts here what is handed in, which takes CPU time; the others count what is done. Written back is for the root, on v1.
        ...(prefix === THROTTLE ? { rests: 'unreclaimed' } : {}),
      });
    }
  }
  return {
    columns: columns.list,
    files,
    blank: ABSENT,
    ...(policies.length < 2 ? {} : { derive: (row: Float64Array) => takeFirst(columns, row) }),
  };
}

/** Leaves a device to the first policy that has it. */
function takeFirst(columns: DeviceColumns, row: Float64Array): void {
  for (const byPolicy of columns.byDevice.values()) {
    let taken = false;
    for (const places of byPolicy) {
      if (places === undefined) continue;
      const present = places.some((place) => row[place] !== ABSENT);
      if (taken) for (const place of places) row[place] = ABSENT;
      taken ||= present;
    }
  }
}

const V2_PAIRS = [
  { keys: ['rbytes', 'wbytes'], families: [DISK_IO.readBytes, DISK_IO.writeBytes] },
  { keys: ['rios', 'wios'], families: [DISK_IO.reads, DISK_IO.writes] },
] as const;

const V2_COSTS: Readonly<Record<string, Family>> = {
  'cost.usage': DISK_IO.costUsage,
  'cost.wait': DISK_IO.costWait,
  'cost.indebt': DISK_IO.costIndebt,
  'cost.indelay': DISK_IO.costIndelay,
};

const V2_OPERATIONS = [
  ['rbytes', 'Read'],
  ['wbytes', 'Write'],
] as const;

/**
 * io.stat: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=5`. Some kernels print a device number without
 * a line end when it has nothing to say, so two may stand in a row: the last one is meant. Unknown keys are passed over.
 */
function bindIoStat(columns: DeviceColumns, rows: readonly Token[][]): Bindings | undefined {
  const numbers: Bound[] = [];
  const words: { column: number; value: number }[] = [];
  for (const row of rows) {
    let number = '';
    const values = new Map<string, number>();
    for (const [i, token] of row.entries()) {
      if (NUMBER.test(token.text)) number = token.text;
      const value = row[i + 1];
      if (value !== undefined && token.at < 0 && value.at >= 0) values.set(token.text, value.at);
    }
    if (number === '') return undefined;
    const add = (column: number, at: number, over: number): void => {
      if (column >= 0) numbers.push({ at, column, over });
    };
    for (const { keys, families } of V2_PAIRS) {
      if (!keys.some((key) => values.has(key))) continue;
      for (const [i, key] of keys.entries()) {
        const column = columns.of(families[i] as Family, number, 0);
        const at = values.get(key);
        if (at !== undefined) add(column, at, 1);
        else if (column >= 0) words.push({ column, value: 0 });
      }
    }
    for (const [key, operation] of V2_OPERATIONS) {
      const at = values.get(key);
      if (at !== undefined) add(columns.usage(number, operation, 0), at, 1);
    }
    for (const [key, family] of Object.entries(V2_COSTS)) {
      const at = values.get(key);
      if (at !== undefined) add(columns.of(family, number, 0), at, MICROSECONDS);
    }
  }
  return { numbers, words };
}

function v2Spec(columns: DeviceColumns): GroupSpec {
  return {
    columns: columns.list,
    files: [{ controller: '', name: 'io.stat', format: { keys: 1, delimiters: '=', record: true }, bind: (rows) => bindIoStat(columns, rows) }],
    blank: ABSENT,
  };
}

/**
 * Block I/O by device. On v1 only the files of policies that are in use are read: the root of the hierarchy lists every
 * device of a policy, so a policy without devices there has none anywhere. That changes when a disk or a scheduler does,
 * which has the group built anew.
 */
export class DiskIo {
  readonly #shared: Shared;
  readonly #devices: BlockDevices;
  readonly #root: string | undefined;
  readonly #witnesses: { readonly policy: number; readonly source: Source }[] = [];
  readonly #systems: FileSystemIo | undefined;
  /** Every witness could be read in the last run. */
  #arePoliciesKnown = true;
  #active = '';
  #columns: DeviceColumns;
  #group: Group;

  /** @param systems undefined where file systems are not shown */
  constructor(shared: Shared, devices: BlockDevices, systems: { readonly mounts: MountTable; readonly procfs: string } | undefined) {
    this.#shared = shared;
    this.#devices = devices;
    this.#systems = systems === undefined ? undefined : new FileSystemIo(shared, systems.mounts, systems.procfs, () => this.#columns);
    this.#columns = new DeviceColumns(devices);
    const { layout } = shared.tree;
    this.#root = layout.kind === 'unified' ? undefined : layout.controllers.get('blkio');
    if (this.#root !== undefined) {
      for (const [policy, { prefix, suffix }] of POLICIES.entries()) {
        const path = `${this.#root}/${prefix}io_service_bytes${suffix}`;
        if (suffix === '' && existsSync(`${path}_recursive`)) continue;
        if (existsSync(path)) this.#witnesses.push({ policy, source: shared.readers.source(path, { keys: 2 }) });
      }
    }
    this.#group = new Group(shared, layout.kind === 'unified' ? v2Spec(this.#columns) : v1Spec('', [], this.#columns));
  }

  collect(part: string, sheet: Sheet): Outcome {
    const root = this.#root;
    if (root !== undefined) {
      this.#arePoliciesKnown = true;
      const policies = this.#witnesses.filter(({ source }) => this.#hasDevices(source)).map(({ policy }) => policy);
      if (policies.join() !== this.#active) {
        this.#active = policies.join();
        this.#group.retire();
        this.#columns = new DeviceColumns(this.#devices);
        this.#group = new Group(this.#shared, v1Spec(root, policies, this.#columns));
      }
    }
    const outcome = this.#group.collect(part, sheet);
    this.#systems?.collect(part, sheet);
    return outcome;
  }

  /** The sum row (`Total 0`) alone has no number behind its two keys. */
  #hasDevices(source: Source): boolean {
    try {
      source.scan();
      return source.count > 0;
    } catch {
      this.#arePoliciesKnown = false;
      return false; // Not ours to read, or gone with its controller: no policy.
    }
  }

  /** See `HostSession.replay`: for as long as policies have the devices that they have. */
  replay(sheet: Sheet, steps: ReplaySteps): boolean {
    if (!this.#arePoliciesKnown) return false;
    for (const { source } of this.#witnesses) steps.scan(source, []);
    return this.#group.replay(sheet, steps) && (this.#systems?.replay(sheet, steps) ?? true);
  }

  close(): void {
    for (const { source } of this.#witnesses) source.close();
    this.#group.close();
    this.#systems?.close();
  }
}

/** What `/` shows of file systems under the names of the block statistics; made anew when mounts change. */
class FileSystemIo {
  readonly #shared: Shared;
  readonly #mounts: MountTable;
  readonly #procfs: string;
  /** What the cgroups' own statistics show. */
  readonly #own: () => DeviceColumns;
  #shown: readonly FileSystem[] = [];
  /** How much of the own ones the group was made for. */
  #known: { readonly columns: DeviceColumns; readonly size: number } | undefined;
  #group: Group | undefined;

  constructor(shared: Shared, mounts: MountTable, procfs: string, own: () => DeviceColumns) {
    const { selection } = shared;
    this.#shared = { ...shared, selection: { ...selection, shows: (cgroup) => cgroup.id === '/' && selection.shows(cgroup) } };
    this.#mounts = mounts;
    this.#procfs = procfs;
    this.#own = own;
  }

  collect(part: string, sheet: Sheet): void {
    let shown: readonly FileSystem[];
    try {
      shown = this.#mounts.shown();
    } catch {
      return; // The part of the file systems says so; what cgroups did is not lost for it.
    }
    const columns = this.#own();
    if (shown !== this.#shown || columns !== this.#known?.columns || columns.list.length !== this.#known.size) {
      this.#shown = shown;
      this.#known = { columns, size: columns.list.length };
      this.#group?.retire();
      this.#group = new Group(
        this.#shared,
        diskStatsGroup(this.#shared.tree.layout, this.#procfs, shown, (family, device) => columns.has(family, device)),
      );
    }
    // A name of its own: asked for under the same twice, the tree would be looked at twice.
    this.#group?.collect(`${part} of file systems`, sheet);
  }

  replay(sheet: Sheet, steps: ReplaySteps): boolean {
    return this.#mounts.replay(steps) && this.#group?.replay(sheet, steps) === true;
  }

  close(): void {
    this.#group?.close();
  }
}
