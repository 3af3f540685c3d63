import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { BoundFiles } from '../bound-files.ts';
import type { Layout } from '../bound-source.ts';
import type { NodePart } from '../part.ts';

function counters(prefix: string, names: readonly (readonly [name: string, help: string])[]): Family[] {
  return names.map(([name, help]) => family(`node_xfs_${prefix}_${name}_total`, 'counter', help, ['device']));
}

interface StatsLine {
  /** In the order of the numbers. */
  readonly families: readonly Family[];
  /** How many numbers the line may have. */
  readonly lengths: readonly number[];
}

function btree(prefix: string, of: string): StatsLine {
  return {
    lengths: [4],
    families: counters(prefix, [
      ['lookups', `Lookups in the ${of}.`],
      ['compares', `Comparisons made by lookups in the ${of}.`],
      ['records_inserted', `Records put into the ${of}.`],
      ['records_deleted', `Records taken out of the ${of}.`],
    ]),
  };
}

const READ_CALLS = family('node_xfs_read_calls_total', 'counter', 'Calls of read(2) on files of a file system.', ['device']);
const WRITE_CALLS = family('node_xfs_write_calls_total', 'counter', 'Calls of write(2) on files of a file system.', ['device']);

const LINES: ReadonlyMap<string, StatsLine> = new Map([
  [
    'extent_alloc',
    {
      lengths: [4],
      families: counters('extent_allocation', [
        ['extents_allocated', 'Extents allocated.'],
        ['blocks_allocated', 'Blocks allocated.'],
        ['extents_freed', 'Extents freed.'],
        ['blocks_freed', 'Blocks freed.'],
      ]),
    },
  ],
  ['abt', btree('allocation_btree', 'tree of free space')],
  [
    'blk_map',
    {
      lengths: [7],
      families: counters('block_mapping', [
        ['reads', 'Mappings of blocks looked up to read.'],
        ['writes', 'Mappings of blocks looked up to write.'],
        ['unmaps', 'Mappings of blocks removed.'],
        ['extent_list_insertions', 'Extents put into the list of a file.'],
        ['extent_list_deletions', 'Extents taken out of the list of a file.'],
        ['extent_list_lookups', 'Lookups in the lists of extents.'],
        ['extent_list_compares', 'Comparisons made by lookups in the lists of extents.'],
      ]),
    },
  ],
  ['bmbt', btree('block_map_btree', 'trees of mapped blocks')],
  [
    'dir',
    {
      lengths: [4],
      families: counters('directory_operation', [
        ['lookup', 'Names looked up in directories beyond the cache of names.'],
        ['create', 'Names made in directories.'],
        ['remove', 'Names removed from directories.'],
        ['getdents', 'Listings of directories.'],
      ]),
    },
  ],
  [
    'ig',
    {
      lengths: [7],
      families: counters('inode_operation', [
        ['attempts', 'Inodes asked of the cache.'],
        ['found', 'Inodes found in the cache.'],
        ['recycled', 'Inodes found in the cache that were about to be reclaimed.'],
        ['missed', 'Inodes that the cache did not have.'],
        ['duplicates', 'Inodes read that another had put into the cache meanwhile.'],
        ['reclaims', 'Inodes taken out of the cache to be used for others.'],
        ['attribute_changes', 'Changes of the attributes of inodes.'],
      ]),
    },
  ],
  // The kernel prints writes first.
  ['rw', { lengths: [2], families: [WRITE_CALLS, READ_CALLS] }],
  [
    'vnodes',
    {
      lengths: [7, 8],
      families: counters('vnode', [
        ['active', 'Vnodes in use, a level in spite of its name.'],
        ['allocate', 'Vnodes allocated.'],
        ['get', 'Vnodes looked up.'],
        ['hold', 'Vnodes held.'],
        ['release', 'Vnodes released.'],
        ['reclaim', 'Vnodes reclaimed.'],
        ['remove', 'Vnodes removed.'],
      ]),
    },
  ],
]);

function layout(device: string): Layout {
  return (rows, series) => {
    const missing = new Set(LINES.values());
    for (const [row, [key, ...values]] of rows.entries()) {
      const line = LINES.get(key?.text ?? '');
      if (line === undefined || values.length === 0) continue;
      if (!line.lengths.includes(values.length)) throw series.problem(row, `${line.lengths.join(' or ')} numbers behind ${key?.text}, not ${values.length}`);
      missing.delete(line);
      for (const [i, family] of line.families.entries()) series.number(row, values[i], family, [device]);
    }
    for (const line of missing) for (const family of line.families) series.constant(family, [device], 0);
  };
}

/** fs/xfs/DEVICE/stats/stats below the sysfs root (fs/xfs/xfs_stats.c): `extent_alloc 92447 97589 92448 93751`, numbers of 32 bits that wrap. */
export const part: NodePart = {
  name: 'xfs',
  enabledByDefault: true,
  families: [...LINES.values()].flatMap(({ families }) => families),
  open(scope) {
    const devices = scope.directory(scope.sys('fs/xfs'));
    const pathOf = (device: string): string => `${devices.path}/${device}/stats/stats`;
    const names = new Map<string, string>();
    const files = new BoundFiles((path) => scope.bound(path, { keys: 1, reopen: true }, layout(names.get(path) ?? '')));
    return {
      collect(sheet) {
        const scan = devices.scan();
        if (scan !== 'same') {
          names.clear();
          for (const name of devices.names) names.set(pathOf(name), name);
          files.follow([...names.keys()]);
        }
        files.collect(sheet);
        // A machine without XFS has nothing to show, which is no failure in the peer.
        return OK;
      },
      replay(_, steps) {
        devices.replay(steps);
        files.replay(steps);
      },
      close: () => files.close(),
    };
  },
};
