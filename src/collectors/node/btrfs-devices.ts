import { posix } from 'node:path';
import type { Readers } from '../../readers/readers.ts';
import { Absence } from './absence.ts';
import { parseMountinfo } from './mountinfo.ts';
import { textOf, u32Bytes, u64 } from './netlink.ts';
import type { OptionalSource } from './optional-source.ts';
import type { PartScope } from './part.ts';

/** Requests of include/uapi/linux/btrfs.h. */
const BTRFS = 0x94;
const DEV_INFO = 30;
const FS_INFO = 31;
const GET_DEV_STATS = 52;
/** struct btrfs_ioctl_fs_info_args: largest device number, number of devices, UUID. */
const FS_INFO_BYTES = 1024;
const DEVICES_AT = 8;
const FSID_AT = 16;
/** struct btrfs_ioctl_dev_info_args */
const DEV_INFO_BYTES = 4096;
const DEVICE_UUID_AT = 8;
const USED_AT = 24;
const TOTAL_AT = 32;
const PATH_AT = 3072;
/** struct btrfs_ioctl_get_dev_stats: number, how many are wanted, flags, values. */
const STATS_BYTES = 1032;
const WANTED_AT = 8;
const VALUES_AT = 24;
/** Of the values, in the kernel's order. */
export const ERROR_TYPES = ['write', 'read', 'flush', 'corruption', 'generation'] as const;
const UUID_BYTES = 16;
const ENODEV = 19;
/** Numbers are given once and never again: a file system that has had more devices than this is left to sysfs. */
const LARGEST_DEVICE = 65_536;

/** Where the lower half of a number of 64 bits stands. */
const LOWER_HALF = u32Bytes(1)[0] === 1 ? 0 : 4;

export interface BtrfsDevice {
  /** Last component of the path it was found by; '' for one that is missing. */
  readonly name: string;
  /** Lower case with dashes. */
  readonly uuid: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  /** As ERROR_TYPES. */
  readonly errors: readonly number[];
}

type Caller = Pick<Readers, 'askFolder'>;

/** `bfd9ba2c-6a57-...` of 16 bytes. */
function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Asks the file system mounted at a point; its room is kept. */
class FileSystemCalls {
  readonly #readers: Caller;
  readonly #info = Buffer.alloc(FS_INFO_BYTES);
  readonly #device = Buffer.alloc(DEV_INFO_BYTES);
  readonly #stats = Buffer.alloc(STATS_BYTES);

  constructor(readers: Caller) {
    this.#readers = readers;
  }

  /** Undefined where it refuses. */
  info(point: string): { uuid: string; devices: number; largest: number } | undefined {
    this.#info.fill(0);
    if (this.#readers.askFolder(point, 'read', BTRFS, FS_INFO, this.#info) !== 0) return undefined;
    return { largest: u64(this.#info, 0), devices: u64(this.#info, DEVICES_AT), uuid: this.#info.toString('hex', FSID_AT, FSID_AT + UUID_BYTES) };
  }

  /** `none`: there is no device of this number. Undefined where the file system refuses. */
  device(point: string, number: number): BtrfsDevice | 'none' | undefined {
    this.#device.fill(0);
    u32Bytes(number).copy(this.#device, LOWER_HALF);
    const error = this.#readers.askFolder(point, 'both', BTRFS, DEV_INFO, this.#device);
    if (error === ENODEV) return 'none';
    if (error !== 0) return undefined;
    this.#stats.fill(0);
    u32Bytes(number).copy(this.#stats, LOWER_HALF);
    u32Bytes(ERROR_TYPES.length).copy(this.#stats, WANTED_AT + LOWER_HALF);
    if (this.#readers.askFolder(point, 'both', BTRFS, GET_DEV_STATS, this.#stats) !== 0) return undefined;
    const path = textOf(this.#device.subarray(PATH_AT));
    return {
      name: path.slice(path.lastIndexOf('/') + 1),
      uuid: uuidText(this.#device.subarray(DEVICE_UUID_AT, DEVICE_UUID_AT + UUID_BYTES)),
      usedBytes: u64(this.#device, USED_AT),
      totalBytes: u64(this.#device, TOTAL_AT),
      errors: ERROR_TYPES.map((_, i) => u64(this.#stats, VALUES_AT + 8 * i)),
    };
  }
}

/** A file system and where it is asked. */
interface Asked {
  readonly point: string;
  readonly devices: number;
  readonly largest: number;
  /** Numbers of its devices. */
  readonly numbers: readonly number[];
}

/**
 * Devices of btrfs file systems, asked by ioctl(2) at their mount points, which are those of process 1. Nothing is kept open:
 * the mount points stay free to be unmounted.
 */
export class BtrfsDevices {
  readonly #scope: PartScope;
  readonly #calls: FileSystemCalls;
  readonly #init: OptionalSource;
  readonly #self: OptionalSource;
  #last: OptionalSource | undefined;
  #points: readonly string[] = [];
  readonly #asked = new Map<string, Asked>();
  /** File systems that no mount point has answered for. */
  readonly #silent = new Map<string, Absence>();

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#calls = new FileSystemCalls(scope.readers);
    this.#init = scope.source(scope.proc('1/mountinfo'), { text: true });
    this.#self = scope.source(scope.proc('self/mountinfo'), { text: true });
  }

  /** Looks at the mounts. Call once per run, and only while there are such file systems. Throws CollectError and ReaderError. */
  look(): void {
    if (!this.#scope.readers.native) return;
    let source = this.#init;
    let scan = source.scan();
    if (scan === 'absent') {
      source = this.#self;
      scan = source.scan();
    }
    if (scan === 'same' && source === this.#last) return;
    this.#last = undefined;
    this.#asked.clear();
    this.#silent.clear();
    this.#points = scan === 'absent' ? [] : this.#pointsIn(source);
    this.#last = source;
  }

  /** Undefined where the file system cannot be asked: it is not mounted, or refuses. @param uuid with dashes */
  devices(uuid: string): readonly BtrfsDevice[] | undefined {
    const wanted = uuid.replaceAll('-', '');
    const known = this.#asked.get(wanted);
    const found = known === undefined ? undefined : this.#ask(wanted, known);
    if (found !== undefined) return found;
    // Not asked yet, refused, or its devices are other ones.
    this.#asked.delete(wanted);
    const silent = this.#silent.get(wanted) ?? new Absence(this.#scope.monotonicMs);
    this.#silent.set(wanted, silent);
    if (this.#points.length === 0 || silent.isRecent()) return undefined;
    const again = this.#find(wanted);
    if (again === undefined) silent.note();
    return again === undefined ? undefined : this.#ask(wanted, again);
  }

  close(): void {
    this.#init.close();
    this.#self.close();
  }

  #pointsIn(source: OptionalSource): readonly string[] {
    const { rootfs } = this.#scope.roots;
    return parseMountinfo(source.path, source.text(), rootfs)
      .filter(({ type }) => type === 'btrfs')
      .map(({ point }) => posix.join(rootfs === '' ? '/' : rootfs, point));
  }

  #find(wanted: string): Asked | undefined {
    for (const point of this.#points) {
      const info = this.#calls.info(point);
      if (info === undefined || info.uuid !== wanted) continue;
      const numbers = this.#numbers(point, info.largest, info.devices);
      if (numbers === undefined) continue;
      const asked = { point, devices: info.devices, largest: info.largest, numbers };
      this.#asked.set(wanted, asked);
      return asked;
    }
    return undefined;
  }

  /** Numbers do not begin at a certain one, and have gaps. */
  #numbers(point: string, largest: number, devices: number): number[] | undefined {
    const numbers: number[] = [];
    for (let number = 0; number <= Math.min(largest, LARGEST_DEVICE) && numbers.length < devices; number += 1) {
      const device = this.#calls.device(point, number);
      if (device === undefined) return undefined;
      if (device !== 'none') numbers.push(number);
    }
    return numbers;
  }

  #ask(wanted: string, { point, devices, largest, numbers }: Asked): readonly BtrfsDevice[] | undefined {
    const info = this.#calls.info(point);
    if (info === undefined || info.uuid !== wanted || info.devices !== devices || info.largest !== largest) return undefined;
    const found: BtrfsDevice[] = [];
    for (const number of numbers) {
      const device = this.#calls.device(point, number);
      if (device === undefined || device === 'none') return undefined;
      found.push(device);
    }
    return found;
  }
}
