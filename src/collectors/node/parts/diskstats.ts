import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { ReplaySteps } from '../../../readers/readers.ts';
import { readAttribute } from '../attribute.ts';
import type { ConstantSeries } from '../constant-series.ts';
import type { NodePart, PartScope } from '../part.ts';
import { UdevDatabase } from '../udev.ts';

const SECTOR_BYTES = 512;
const SECONDS_PER_TICK = 0.001;

interface Column {
  readonly family: Family;
  readonly times: number;
}

function column(name: string, help: string, times = 1): Column {
  return { family: family(`node_disk_${name}`, name.endsWith('_total') ? 'counter' : 'gauge', help, ['device']), times };
}

/** In the order of the numbers behind the name (Documentation/admin-guide/iostats.rst); four more since Linux 4.18, two since 5.5. */
const COLUMNS: readonly Column[] = [
  column('reads_completed_total', 'Reads that a disk has done.'),
  column('reads_merged_total', 'Reads that were joined to one next to them.'),
  column('read_bytes_total', 'Bytes read from a disk.', SECTOR_BYTES),
  column('read_time_seconds_total', 'Time that all reads took together, in seconds.', SECONDS_PER_TICK),
  column('writes_completed_total', 'Writes that a disk has done.'),
  column('writes_merged_total', 'Writes that were joined to one next to them.'),
  column('written_bytes_total', 'Bytes written to a disk.', SECTOR_BYTES),
  column('write_time_seconds_total', 'Time that all writes took together, in seconds.', SECONDS_PER_TICK),
  column('io_now', 'Reads and writes under way.'),
  column('io_time_seconds_total', 'Time in which a disk was busy, in seconds.', SECONDS_PER_TICK),
  column('io_time_weighted_seconds_total', 'Time in which a disk was busy, times what was under way, in seconds.', SECONDS_PER_TICK),
  column('discards_completed_total', 'Discards that a disk has done.'),
  column('discards_merged_total', 'Discards that were joined to one next to them.'),
  column('discarded_sectors_total', 'Sectors of 512 bytes discarded.'),
  column('discard_time_seconds_total', 'Time that all discards took together, in seconds.', SECONDS_PER_TICK),
  column('flush_requests_total', 'Flushes that a disk has done.'),
  column('flush_requests_time_seconds_total', 'Time that all flushes took together, in seconds.', SECONDS_PER_TICK),
];
/** Numbers behind the name in the shortest row of a whole disk; partitions of Linux 2.6 had four. */
const FEWEST_COLUMNS = 11;
/** Major number, minor number, name. */
const KEYS = 3;

const INFO = family('node_disk_info', 'gauge', 'What udev and sysfs say of a disk, as labels.', [
  'device',
  'major',
  'minor',
  'path',
  'wwn',
  'model',
  'serial',
  'revision',
  'rotational',
]);
const FILESYSTEM_INFO = family('node_disk_filesystem_info', 'gauge', 'The file system that udev found on a disk, as labels.', [
  'device',
  'type',
  'usage',
  'uuid',
  'version',
]);
const DEVICE_MAPPER_INFO = family('node_disk_device_mapper_info', 'gauge', 'What the device mapper calls a disk, as labels.', [
  'device',
  'name',
  'uuid',
  'vg_name',
  'lv_name',
  'lv_layer',
]);
const ATA: readonly { readonly property: string; readonly family: Family }[] = [
  { property: 'ID_ATA_WRITE_CACHE', family: family('node_disk_ata_write_cache', 'gauge', 'Whether an ATA disk has a write cache.', ['device']) },
  {
    property: 'ID_ATA_WRITE_CACHE_ENABLED',
    family: family('node_disk_ata_write_cache_enabled', 'gauge', 'Whether the write cache of an ATA disk is on.', ['device']),
  },
  {
    property: 'ID_ATA_ROTATION_RATE_RPM',
    family: family('node_disk_ata_rotation_rate_rpm', 'gauge', 'How fast an ATA disk turns, per minute; 0 for one without moving parts.', ['device']),
  },
];

const SERIAL_PROPERTIES = ['SCSI_IDENT_SERIAL', 'ID_SERIAL_SHORT', 'ID_SERIAL'];

/** How long labels from udev and sysfs are believed when nothing tells of a change, milliseconds. */
const LABELS_MS = 60_000;

interface Disk {
  readonly name: string;
  readonly major: string;
  readonly minor: string;
}

function floatOf(text: string): number | undefined {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}

/** Labels of disks: udev's database and <sysfs>/block/NAME/queue/rotational. */
class DiskLabels {
  readonly #scope: PartScope;
  readonly #udev: UdevDatabase;
  readonly series: ConstantSeries;
  #disks: readonly Disk[] = [];
  #lookAgainMs = Number.NEGATIVE_INFINITY;

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#udev = new UdevDatabase(scope.roots.udevData, scope.monotonicMs);
    this.series = scope.constants();
  }

  /** Says which disks there are. */
  follow(disks: readonly Disk[]): void {
    this.#disks = disks;
    this.#lookAgainMs = Number.NEGATIVE_INFINITY;
  }

  refresh(): void {
    const now = this.#scope.monotonicMs();
    if (!this.#udev.hasChanged() && now < this.#lookAgainMs) return;
    this.#lookAgainMs = now + LABELS_MS;
    this.series.clear();
    for (const disk of this.#disks) this.#add(disk);
  }

  replay(steps: ReplaySteps): void {
    this.#udev.replay(steps);
    steps.until(this.#lookAgainMs);
  }

  #add({ name, major, minor }: Disk): void {
    const properties = this.#properties(`b${major}:${minor}`);
    const of = (property: string): string => properties.get(property) ?? '';
    const serial = SERIAL_PROPERTIES.map(of).find((text) => text !== '') ?? '';
    this.series.add(INFO, [name, major, minor, of('ID_MODEL'), of('ID_PATH'), of('ID_REVISION'), this.#rotational(name), serial, of('ID_WWN')], 1);
    if (of('ID_FS_TYPE') !== '') this.series.add(FILESYSTEM_INFO, [name, of('ID_FS_TYPE'), of('ID_FS_USAGE'), of('ID_FS_UUID'), of('ID_FS_VERSION')], 1);
    if (of('DM_NAME') !== '')
      this.series.add(DEVICE_MAPPER_INFO, [name, of('DM_LV_LAYER'), of('DM_LV_NAME'), of('DM_NAME'), of('DM_UUID'), of('DM_VG_NAME')], 1);
    if (of('ID_ATA') === '') return;
    for (const { property, family } of ATA) {
      const value = floatOf(of(property));
      if (value !== undefined) this.series.add(family, [name], value);
    }
  }

  /** A disk whose properties cannot be read is shown without them, as in the peer. */
  #properties(device: string): ReadonlyMap<string, string> {
    try {
      return this.#udev.properties(device);
    } catch (error) {
      this.#scope.warn(error instanceof Error ? error.message : String(error));
      return new Map();
    }
  }

  /** '0' where it cannot be read: partitions have no queue. */
  #rotational(name: string): string {
    try {
      return readAttribute(this.#scope.sys(`block/${name}/queue/rotational`)) === '1' ? '1' : '0';
    } catch {
      return '0';
    }
  }
}

/** /proc/diskstats: ` 254       0 vda 53677 8195 2774682 8382 10873 ...`, up to seventeen numbers behind the name. */
export const part: NodePart = {
  name: 'diskstats',
  enabledByDefault: true,
  families: [...COLUMNS.map(({ family }) => family), INFO, FILESYSTEM_INFO, DEVICE_MAPPER_INFO, ...ATA.map(({ family }) => family)],
  options: [
    {
      flag: 'device-exclude',
      kind: 'regexp',
      default: '^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$',
      help: 'disks: leave out those that match',
      excludes: 'device-include',
    },
    { flag: 'device-include', kind: 'regexp', default: '', help: 'disks: only those that match', excludes: 'device-exclude' },
  ],
  open(scope) {
    const filter = scope.options.filter('device-exclude', 'device-include');
    const labels = new DiskLabels(scope);
    const table = scope.bound(scope.proc('diskstats'), { keys: KEYS }, (rows, series) => {
      const disks: Disk[] = [];
      for (const [line, words] of rows.entries()) {
        const [major, minor, name] = words.map(({ text }) => text);
        if (name === undefined || !/^\d+$/.test(major ?? '') || !/^\d+$/.test(minor ?? '')) throw series.problem(line, '"MAJOR MINOR NAME NUMBER ..."');
        if (words.length < KEYS + FEWEST_COLUMNS || !filter.keeps(name)) continue;
        disks.push({ name, major: String(Number(major)), minor: String(Number(minor)) });
        for (const [i, { family, times }] of COLUMNS.entries()) {
          if (KEYS + i < words.length) series.number(line, words[KEYS + i], family, [name], times);
        }
      }
      labels.follow(disks);
    });
    return {
      collect(sheet) {
        if (!table.collect(sheet)) return scope.missing(table);
        labels.refresh();
        labels.series.collect(sheet);
        return OK;
      },
      replay(_, steps) {
        if (table.replay(steps)) labels.replay(steps);
      },
      close: () => table.close(),
    };
  },
};
