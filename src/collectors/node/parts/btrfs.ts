import { statSync } from 'node:fs';
import { CollectError, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import { ReaderError, type ReplaySteps } from '../../../readers/readers.ts';
import { type BtrfsDevice, BtrfsDevices, ERROR_TYPES } from '../btrfs-devices.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { parseProblem } from '../file-error.ts';
import type { Folders } from '../folders.ts';
import { decimalOf } from '../go-integer.ts';
import { KeptSeries } from '../kept-series.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart, PartScope } from '../part.ts';

const INFO = family('node_btrfs_info', 'gauge', 'A btrfs file system, with its label.', ['label', 'uuid']);
const RESERVE = family('node_btrfs_global_rsv_size_bytes', 'gauge', 'Size of the global reserve, in bytes.', ['uuid']);
const COMMITS = family('node_btrfs_commits_total', 'counter', 'Transactions committed.', ['uuid']);
const LAST_COMMIT = family('node_btrfs_last_commit_seconds', 'gauge', 'How long the last commit took, in seconds.', ['uuid']);
const LONGEST_COMMIT = family('node_btrfs_max_commit_seconds', 'gauge', 'How long the slowest commit took, in seconds.', ['uuid']);
const COMMIT_TIME = family('node_btrfs_commit_seconds_total', 'counter', 'How long all commits took, in seconds.', ['uuid']);
const RESERVED = family('node_btrfs_reserved_bytes', 'gauge', 'Space that is reserved for a kind of data, in bytes.', ['block_group_type', 'uuid']);
const SIZE = family('node_btrfs_size_bytes', 'gauge', 'Space that is allocated for a kind of data and a layout, in bytes.', [
  'block_group_type',
  'mode',
  'uuid',
]);
const USED = family('node_btrfs_used_bytes', 'gauge', 'Space that is used by a kind of data and a layout, in bytes.', ['block_group_type', 'mode', 'uuid']);
const RATIO = family('node_btrfs_allocation_ratio', 'gauge', 'Bytes on disks per byte of data, for a kind of data and a layout.', [
  'block_group_type',
  'mode',
  'uuid',
]);
const DEVICE_LABELS = ['btrfs_dev_uuid', 'device', 'uuid'];
const DEVICE_SIZE = family('node_btrfs_device_size_bytes', 'gauge', 'Size of a device of the file system, in bytes.', DEVICE_LABELS);
/** sysfs does not tell the UUID of a device. */
const SYSFS_DEVICE_SIZE: Family = { ...DEVICE_SIZE, labels: ['device', 'uuid'] };
const UNUSED = family('node_btrfs_device_unused_bytes', 'gauge', 'Space of a device that no kind of data has, in bytes.', DEVICE_LABELS);
const ERRORS = family('node_btrfs_device_errors_total', 'counter', 'Errors of a device, by what failed.', [...DEVICE_LABELS, 'type']);

/** Sizes in sysfs count these. */
const SECTOR_BYTES = 512;
const KINDS = ['data', 'metadata', 'system'];
const COMMIT_KEYS: readonly (readonly [key: string, family: Family, over: number])[] = [
  ['commits', COMMITS, 1],
  ['last_commit_ms', LAST_COMMIT, 1000],
  ['max_commit_ms', LONGEST_COMMIT, 1000],
  ['total_commit_ms', COMMIT_TIME, 1000],
];

/** Copies of each byte that a layout keeps; 0 for one that is not known. */
function ratioOf(mode: string, devices: number): number {
  switch (mode) {
    case 'single':
    case 'raid0':
      return 1;
    case 'dup':
    case 'raid1':
    case 'raid10':
      return 2;
    case 'raid1c3':
      return 3;
    case 'raid1c4':
      return 4;
    case 'raid5':
      return devices / (devices - 1);
    case 'raid6':
      return devices / (devices - 2);
    default:
      return 0;
  }
}

/** Lines `commits 258051`. Throws CollectError `parse`. */
function parseCommits(text: string, path: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const [line, content] of text.split('\n').entries()) {
    if (content === '') continue;
    const [key = '', number = '', ...more] = wordsOf(content);
    const value = decimalOf(number, false);
    if (value === undefined || more.length > 0) throw parseProblem(path, line + 1, `"NAME NUMBER", not ${JSON.stringify(content)}`);
    values.set(key, value);
  }
  return values;
}

/** A missing file counts as 0, and so does one that holds no number, as in the peer. */
function numberIn(file: DeviceFile): number {
  if (file.errno !== 0 && !file.isMissing()) throw file.problem();
  return Number.isNaN(file.value) ? 0 : file.value;
}

function textIn(file: DeviceFile): string {
  if (file.errno !== 0 && !file.isMissing()) throw file.problem();
  return file.text;
}

/** A series of a file system: `number of the file * factor`, or the factor alone. */
interface Value {
  readonly file: DeviceFile | undefined;
  readonly factor: number;
  readonly series: KeptSeries;
}

/** What the folders of a file system hold. */
interface Structure {
  readonly name: string;
  readonly devices: readonly string[];
  readonly layouts: readonly (readonly [kind: string, mode: string])[];
}

interface FileSystem {
  readonly name: string;
  /** Sizes of devices as sysfs has them, for a file system that cannot be asked. */
  readonly sizes: readonly Value[];
  readonly devices: DeviceSeries;
  readonly uuid: string;
  readonly label: DeviceFile;
  readonly metadataUuid: DeviceFile;
  readonly commits: ParsedSource<ReadonlyMap<string, number>>;
  readonly values: readonly Value[];
}

/** Series of the devices of a file system; their UUIDs are labels. */
class DeviceSeries {
  readonly #uuid: string;
  readonly #series = new Map<string, { size: KeptSeries; unused: KeptSeries; errors: readonly KeptSeries[] }>();

  constructor(uuid: string) {
    this.#uuid = uuid;
  }

  set(devices: readonly BtrfsDevice[], sheet: Sheet): void {
    for (const device of devices) {
      const { size, unused, errors } = this.#of(device);
      size.set(sheet, device.totalBytes);
      unused.set(sheet, device.totalBytes - device.usedBytes);
      for (const [i, series] of errors.entries()) series.set(sheet, device.errors[i] ?? 0);
    }
  }

  #of({ uuid, name }: BtrfsDevice): { size: KeptSeries; unused: KeptSeries; errors: readonly KeptSeries[] } {
    const labels = [uuid, name, this.#uuid];
    const key = labels.join('/');
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const made = {
      size: new KeptSeries(DEVICE_SIZE, labels),
      unused: new KeptSeries(UNUSED, labels),
      // Labels in wire order.
      errors: ERROR_TYPES.map((type) => new KeptSeries(ERRORS, [uuid, name, type, this.#uuid])),
    };
    this.#series.set(key, made);
    return made;
  }
}

class Btrfs {
  readonly #scope: PartScope;
  readonly #root: string;
  readonly #folders: Folders;
  readonly #files: DeviceFiles;
  readonly #devices: BtrfsDevices;
  #structures: readonly Structure[] = [];
  #systems: readonly FileSystem[] = [];

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#root = scope.sys('fs/btrfs');
    this.#folders = scope.folders();
    this.#files = new DeviceFiles(scope.readers, scope.monotonicMs);
    this.#devices = new BtrfsDevices(scope);
  }

  collect(sheet: Sheet): void {
    let listed: readonly { name: string; devices: readonly string[]; kinds: readonly (readonly string[])[] }[] = [];
    const hasChanged = this.#folders.look((list) => {
      listed = list(this.#root)
        .filter((name) => name.includes('-'))
        .map((name) => ({
          name,
          devices: list(`${this.#root}/${name}/devices`),
          kinds: KINDS.map((kind) => list(`${this.#root}/${name}/allocation/${kind}`)),
        }));
    });
    if (hasChanged) {
      this.#structures = listed.map(({ name, devices, kinds }) => ({
        name,
        devices,
        layouts: KINDS.flatMap((kind, i) => this.#modes(name, kind, kinds[i] ?? []).map((mode) => [kind, mode] as const)),
      }));
      this.#rebuild();
    }
    // The UUID is a label of every series; it is read by the scan and seldom another one.
    if (this.#files.scan() && this.#systems.some(({ name, uuid, metadataUuid }) => uuidOf(name, metadataUuid) !== uuid)) this.#rebuild();
    // All or nothing, as in the peer: first what may fail.
    const found = this.#systems.map(({ uuid, label, commits, values, sizes, devices }) => ({
      uuid,
      label: textIn(label),
      commits: commits.read(),
      numbers: values.map(numbered),
      sizes: sizes.map(numbered),
      devices,
    }));
    if (found.length > 0) this.#look();
    for (const { uuid, label, commits, numbers, sizes, devices } of found) {
      sheet.sample(INFO, [label, uuid], 1);
      for (const [key, family, over] of COMMIT_KEYS) sheet.sample(family, [uuid], (commits?.get(key) ?? 0) / over);
      for (const { series, number } of numbers) series.set(sheet, number);
      const asked = this.#devices.devices(uuid);
      if (asked !== undefined) devices.set(asked, sheet);
      else for (const { series, number } of sizes) series.set(sheet, number);
    }
  }

  /** What `collect` of the next runs will do while there is no file system: one has to be asked by ioctl(2) in each run. */
  replay(steps: ReplaySteps): void {
    this.#folders.replay(steps);
    if (this.#systems.length > 0) steps.until(Number.NEGATIVE_INFINITY);
  }

  close(): void {
    this.#files.close();
    this.#devices.close();
    for (const { commits } of this.#systems) commits.close();
  }

  /** Without a table of mounts no file system can be asked; what sysfs says stays, as in the peer. */
  #look(): void {
    try {
      this.#devices.look();
    } catch (error) {
      if (!(error instanceof CollectError || error instanceof ReaderError)) throw error;
      this.#scope.warn(`btrfs: devices are not asked: ${error.message}`);
    }
  }

  #modes(name: string, kind: string, names: readonly string[]): string[] {
    return names.filter((mode) => statSync(`${this.#root}/${name}/allocation/${kind}/${mode}`, { throwIfNoEntry: false })?.isDirectory() === true);
  }

  #rebuild(): void {
    const former = new Map(this.#systems.map((system) => [system.name, system.commits]));
    this.#systems = this.#files.rebuild(() => this.#structures.map((structure) => this.#system(structure, former.get(structure.name))));
    for (const [name, commits] of former) if (!this.#systems.some((system) => system.name === name)) commits.close();
  }

  #system(structure: Structure, commits: FileSystem['commits'] | undefined): FileSystem {
    const { name } = structure;
    const folder = `${this.#root}/${name}`;
    const metadataUuid = this.#files.text(`${folder}/metadata_uuid`);
    const uuid = uuidOf(name, metadataUuid);
    return {
      name,
      uuid,
      label: this.#files.text(`${folder}/label`),
      metadataUuid,
      commits: commits ?? new ParsedSource(this.#scope.source(`${folder}/commit_stats`, { text: true }), parseCommits),
      values: this.#values(folder, uuid, structure),
      sizes: structure.devices.map((device) => ({
        file: this.#files.number(`${folder}/devices/${device}/size`),
        factor: SECTOR_BYTES,
        series: new KeptSeries(SYSFS_DEVICE_SIZE, [device, uuid]),
      })),
      devices: new DeviceSeries(uuid),
    };
  }

  #values(folder: string, uuid: string, { devices, layouts }: Structure): Value[] {
    const value = (file: string, family: Family, labels: readonly string[]): Value => ({
      file: this.#files.number(`${folder}/${file}`),
      factor: 1,
      series: new KeptSeries(family, labels),
    });
    return [
      value('allocation/global_rsv_size', RESERVE, [uuid]),
      ...KINDS.map((kind) => value(`allocation/${kind}/bytes_reserved`, RESERVED, [kind, uuid])),
      ...layouts.flatMap(([kind, mode]) => [
        value(`allocation/${kind}/${mode}/total_bytes`, SIZE, [kind, mode, uuid]),
        value(`allocation/${kind}/${mode}/used_bytes`, USED, [kind, mode, uuid]),
        { file: undefined, factor: ratioOf(mode, devices.length), series: new KeptSeries(RATIO, [kind, mode, uuid]) },
      ]),
    ];
  }
}

function numbered({ file, factor, series }: Value): { series: KeptSeries; number: number } {
  return { series, number: file === undefined ? factor : numberIn(file) * factor };
}

/** A file system whose UUID was changed keeps the old one as its metadata's. */
function uuidOf(name: string, metadataUuid: DeviceFile): string {
  return textIn(metadataUuid) || name;
}

/**
 * /sys/fs/btrfs/UUID (Documentation/ABI/testing/sysfs-fs-btrfs), and what the file system says of its devices by ioctl(2) on a
 * mount point. Where it cannot be asked, sysfs has their sizes.
 */
export const part: NodePart = {
  name: 'btrfs',
  enabledByDefault: true,
  families: [INFO, RESERVE, COMMITS, LAST_COMMIT, LONGEST_COMMIT, COMMIT_TIME, RESERVED, SIZE, USED, RATIO, DEVICE_SIZE, UNUSED, ERRORS],
  open(scope) {
    const btrfs = new Btrfs(scope);
    return {
      collect(sheet) {
        btrfs.collect(sheet);
        return OK;
      },
      replay: (_, steps) => btrfs.replay(steps),
      close: () => btrfs.close(),
    };
  },
};
