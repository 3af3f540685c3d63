import { posix } from 'node:path';
import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { BoundNumber, MountStats, ReplaySteps } from '../../../readers/readers.ts';
import { errnoText } from '../errno-text.ts';
import type { Filter } from '../filter.ts';
import { type Mount, parseMountinfo } from '../mountinfo.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart, PartScope } from '../part.ts';
import { RunChain } from '../run-chain.ts';

const LABELS = ['device', 'device_error', 'fstype', 'mountpoint'];
const AVAILABLE = family('node_filesystem_avail_bytes', 'gauge', 'Bytes of a file system that users other than root may still fill.', LABELS);
const FREE = family('node_filesystem_free_bytes', 'gauge', 'Bytes of a file system that are free, those kept for root included.', LABELS);
const SIZE = family('node_filesystem_size_bytes', 'gauge', 'Bytes that a file system can hold.', LABELS);
const FILES = family('node_filesystem_files', 'gauge', 'Inodes of a file system.', LABELS);
const FILES_FREE = family('node_filesystem_files_free', 'gauge', 'Inodes of a file system that are free.', LABELS);
const PURGEABLE = family('node_filesystem_purgeable_bytes', 'gauge', 'Always 0: Linux has no purgeable space.', LABELS);
const READ_ONLY = family('node_filesystem_readonly', 'gauge', 'Whether a file system is mounted read-only.', LABELS);
const DEVICE_ERROR = family('node_filesystem_device_error', 'gauge', 'Whether a file system could not be asked (1); the label device_error says why.', LABELS);
const MOUNT_INFO = family('node_filesystem_mount_info', 'gauge', 'Device numbers of a mounted file system, as labels.', [
  'device',
  'major',
  'minor',
  'mountpoint',
]);

/** How long a run waits for all mounts together, milliseconds. Those that answer later are shown by the next run. */
const WAIT_MS = 100;
const STUCK = -1;
const STUCK_TEXT = 'mountpoint timeout';

/** Numbers per mount in MountStats. */
const NUMBERS = 7;
const [BLOCK_SIZE, BLOCKS, FREE_BLOCKS, AVAILABLE_BLOCKS, INODES, FREE_INODES] = [0, 1, 2, 3, 4, 5];

/** A mount that is shown, with its slots while its state stays the same. */
interface Shown {
  readonly mount: Mount;
  /** False for one whose labels an earlier mount has; it only adds its device numbers. */
  readonly isFirst: boolean;
  /** Status of statfs(2) that the slots belong to. */
  status: number;
  slots: number[];
}

/** The mounts of pid 1, which are the machine's; those of this process only where pid 1 cannot be seen (hidepid). */
class MountTable {
  readonly #init: OptionalSource;
  readonly #self: OptionalSource;
  readonly #scope: PartScope;
  readonly #mountFilter: Filter;
  readonly #typeFilter: Filter;
  #last: OptionalSource | undefined;
  mounts: readonly Mount[] = [];

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#init = scope.source(scope.proc('1/mountinfo'), { text: true });
    this.#self = scope.source(scope.proc('self/mountinfo'), { text: true });
    this.#mountFilter = scope.options.filter('mount-points-exclude', 'mount-points-include');
    this.#typeFilter = scope.options.filter('fs-types-exclude', 'fs-types-include');
  }

  get path(): string {
    return this.#init.path;
  }

  scan(): 'absent' | 'same' | 'changed' {
    let source = this.#init;
    let scan = source.scan();
    if (scan === 'absent') {
      source = this.#self;
      scan = source.scan();
    }
    if (scan === 'absent') return scan;
    if (scan === 'same' && source === this.#last) return 'same';
    this.#last = undefined;
    const rootfs = this.#scope.roots.rootfs;
    this.mounts = parseMountinfo(source.path, source.text(), rootfs).filter(
      ({ point, type }) => this.#mountFilter.keeps(point) && this.#typeFilter.keeps(type),
    );
    this.#last = source;
    return 'changed';
  }

  replay(steps: ReplaySteps): void {
    this.#init.replayMounts(steps);
    if (this.#last === this.#self) this.#self.replayMounts(steps);
  }

  close(): void {
    this.#init.close();
    this.#self.close();
  }
}

/** What statfs(2) says of the mounts. */
class MountSeries {
  readonly #rootfs: string;
  readonly #stats: MountStats;
  readonly #chain = new RunChain();
  #shown: Shown[] = [];

  constructor(scope: PartScope) {
    this.#rootfs = scope.roots.rootfs;
    this.#stats = scope.readers.mounts();
  }

  follow(mounts: readonly Mount[]): void {
    const labels = new Set<string>();
    const all = new Set<string>();
    this.#shown = [];
    for (const mount of mounts) {
      const key = JSON.stringify([mount.device, mount.type, mount.point]);
      const whole = JSON.stringify([mount.device, mount.type, mount.point, mount.major, mount.minor]);
      if (!all.has(whole)) this.#shown.push({ mount, isFirst: !labels.has(key), status: 0, slots: [] });
      labels.add(key);
      all.add(whole);
    }
    this.#stats.paths(this.#shown.map(({ mount }) => posix.join(this.#rootfs === '' ? '/' : this.#rootfs, mount.point)));
  }

  collect(sheet: Sheet): void {
    this.#stats.run(WAIT_MS);
    const isKept = this.#chain.continues(sheet);
    for (const [i, shown] of this.#shown.entries()) {
      const status = this.#stats.status[i] ?? STUCK;
      if (!isKept || shown.slots.length === 0 || shown.status !== status) this.#takeSlots(shown, status, sheet);
      this.#set(shown, i, sheet);
    }
  }

  replay(steps: ReplaySteps): void {
    const bounds: BoundNumber[] = [];
    for (const [i, { isFirst, status, slots }] of this.#shown.entries()) {
      if (!isFirst || status !== 0) continue;
      const at = i * NUMBERS;
      for (const [k, number] of [BLOCKS, FREE_BLOCKS, AVAILABLE_BLOCKS].entries()) {
        bounds.push({ at: at + number, slot: slots[2 + k] as number, mode: 'product', by: at + BLOCK_SIZE });
      }
      for (const [k, number] of [INODES, FREE_INODES].entries()) bounds.push({ at: at + number, slot: slots[5 + k] as number });
    }
    steps.mounts(this.#stats, WAIT_MS, bounds);
  }

  #takeSlots(shown: Shown, status: number, sheet: Sheet): void {
    const { device, type, point, major, minor } = shown.mount;
    const error = status === 0 ? '' : status === STUCK ? STUCK_TEXT : errnoText(status);
    const families: readonly Family[] =
      status === 0 ? [DEVICE_ERROR, READ_ONLY, SIZE, FREE, AVAILABLE, FILES, FILES_FREE, PURGEABLE] : [DEVICE_ERROR, READ_ONLY];
    shown.slots = [];
    if (shown.isFirst) for (const family of families) shown.slots.push(sheet.slot(family, [device, error, type, point]));
    if (status === 0) shown.slots.push(sheet.slot(MOUNT_INFO, [device, major, minor, point]));
    shown.status = status;
  }

  /** In the order in which #takeSlots took them. */
  #set({ mount, isFirst, status, slots }: Shown, i: number, sheet: Sheet): void {
    if (!isFirst) {
      setOnce(sheet, slots[0], 1);
      return;
    }
    setOnce(sheet, slots[0], status === 0 ? 0 : 1);
    // The peer's choice: of a mount that hangs it claims to know nothing.
    setOnce(sheet, slots[1], mount.isReadOnly && status !== STUCK ? 1 : 0);
    if (status !== 0) return;
    const number = (which: number): number => this.#stats.numbers[i * NUMBERS + which] ?? 0;
    const blockBytes = number(BLOCK_SIZE);
    setOnce(sheet, slots[2], number(BLOCKS) * blockBytes);
    setOnce(sheet, slots[3], number(FREE_BLOCKS) * blockBytes);
    setOnce(sheet, slots[4], number(AVAILABLE_BLOCKS) * blockBytes);
    setOnce(sheet, slots[5], number(INODES));
    setOnce(sheet, slots[6], number(FREE_INODES));
    setOnce(sheet, slots[7], 0);
    setOnce(sheet, slots[8], 1);
  }
}

/** The first of equal series counts, without being noted as a duplicate. */
function setOnce(sheet: Sheet, slot: number | undefined, value: number): void {
  if (slot !== undefined && sheet.stamps[slot] !== sheet.run) sheet.set(slot, value);
}

const MOUNTS_EXCLUDED = '^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)';
const TYPES_EXCLUDED =
  '^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$';

/** <procfs>/1/mountinfo (proc_pid_mountinfo(5)) and statfs(2) of each mount point below the root file system's root. */
export const part: NodePart = {
  name: 'filesystem',
  enabledByDefault: true,
  families: [AVAILABLE, FREE, SIZE, FILES, FILES_FREE, PURGEABLE, READ_ONLY, DEVICE_ERROR, MOUNT_INFO],
  options: [
    {
      flag: 'mount-points-exclude',
      kind: 'regexp',
      default: MOUNTS_EXCLUDED,
      help: 'mount points: leave out those that match',
      excludes: 'mount-points-include',
    },
    { flag: 'mount-points-include', kind: 'regexp', default: '', help: 'mount points: only those that match', excludes: 'mount-points-exclude' },
    {
      flag: 'fs-types-exclude',
      kind: 'regexp',
      default: TYPES_EXCLUDED,
      help: 'types of file systems: leave out those that match',
      excludes: 'fs-types-include',
    },
    { flag: 'fs-types-include', kind: 'regexp', default: '', help: 'types of file systems: only those that match', excludes: 'fs-types-exclude' },
  ],
  open(scope) {
    const table = new MountTable(scope);
    const series = new MountSeries(scope);
    return {
      collect(sheet) {
        const scan = table.scan();
        if (scan === 'absent') return scope.missing(table);
        if (scan === 'changed') series.follow(table.mounts);
        series.collect(sheet);
        return OK;
      },
      replay(_, steps) {
        table.replay(steps);
        series.replay(steps);
      },
      close: () => table.close(),
    };
  },
};
