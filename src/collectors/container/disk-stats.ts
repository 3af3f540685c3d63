import type { Family } from '../../model/family.ts';
import type { Token } from '../../readers/readers.ts';
import type { Bindings, Bound } from './cgroup-file.ts';
import { DISK_IO } from './families.ts';
import type { Column, GroupSpec } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { Layout } from './layout.ts';
import type { FileSystem } from './mount-table.ts';

const MILLISECONDS = 1e3;

/** Columns of a line behind the device's name (Documentation/admin-guide/iostats.rst), and what the number is divided by. */
const FIELDS: readonly (readonly [place: number, family: Family, over: number])[] = [
  [0, DISK_IO.reads, 1],
  [1, DISK_IO.readsMerged, 1],
  [2, DISK_IO.sectorReads, 1],
  [3, DISK_IO.readTime, MILLISECONDS],
  [4, DISK_IO.writes, 1],
  [5, DISK_IO.writesMerged, 1],
  [6, DISK_IO.sectorWrites, 1],
  [7, DISK_IO.writeTime, MILLISECONDS],
  [8, DISK_IO.current, 1],
  [9, DISK_IO.ioTime, MILLISECONDS],
  [10, DISK_IO.ioTimeWeighted, MILLISECONDS],
];

/**
 * I/O of the devices that the machine's file systems lie on, under `/`. Source: /proc/diskstats.
 * @param isTaken whether the cgroup's own statistics already have this series
 */
export function diskStatsGroup(
  layout: Layout,
  procfs: string,
  systems: readonly FileSystem[],
  isTaken: (family: Family, device: string) => boolean,
): GroupSpec {
  const columns: Column[] = [];
  const places = new Map<string, number>();
  const place = (family: Family, device: string): number => {
    const key = `${family.name} ${device}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, columns.length);
    columns.push({ family, names: ['device'], values: [device] });
    return columns.length - 1;
  };
  return {
    columns,
    blank: ABSENT,
    files: [
      {
        controller: layout.controllers.has('blkio') ? 'blkio' : ([...layout.controllers.keys()][0] ?? ''),
        name: 'diskstats',
        format: { keys: 3 },
        bind: (rows) => bindDevices(rows, systems, (family, device) => (isTaken(family, device) ? -1 : place(family, device))),
        path: ({ id }) => (id === '/' ? `${procfs}/diskstats` : undefined),
      },
    ],
  };
}

/** `8 1 sda1 120 3 4096 50 ...`: a device is found by its number, or by name where the file system has a number of its own (btrfs). */
function bindDevices(rows: readonly Token[][], systems: readonly FileSystem[], place: (family: Family, device: string) => number): Bindings {
  const numbers: Bound[] = [];
  for (const [major, minor, name, ...values] of rows) {
    if (major === undefined || minor === undefined || name === undefined) continue;
    const number = `${major.text}:${minor.text}`;
    const source = `/dev/${name.text}`;
    for (const { device } of systems.filter((system) => system.number === number || system.source === source)) {
      for (const [at, family, over] of FIELDS) {
        const value = values[at];
        if (value === undefined || value.at < 0) continue;
        const column = place(family, device);
        if (column >= 0) numbers.push({ at: value.at, column, over });
      }
    }
  }
  return { numbers };
}
