import { basename } from 'node:path';
import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { BoundFiles } from '../bound-files.ts';
import type { BoundSource, Layout } from '../bound-source.ts';
import type { NodePart } from '../part.ts';

const STATE = family('node_zfs_zpool_state', 'gauge', 'Whether a pool is in a state.', ['zpool', 'state']);
const STATES = ['online', 'degraded', 'faulted', 'offline', 'removed', 'unavail', 'suspended'];

/** By file below spl/kstat/zfs, what stands between `node_zfs_` and the name of the row. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ['abdstats', 'abd'],
  ['arcstats', 'arc'],
  ['dbufstats', 'dbuf'],
  ['dmu_tx', 'dmu_tx'],
  ['dnodestats', 'dnode'],
  ['fm', 'fm'],
  ['vdev_cache_stats', 'vdev_cache'],
  ['vdev_mirror_stats', 'vdev_mirror'],
  ['xuio_stats', 'xuio'],
  ['zfetchstats', 'zfetch'],
  ['zil', 'zil'],
]);

/** KSTAT_DATA_INT64 and KSTAT_DATA_UINT64. */
const SIGNED = '3';
const UNSIGNED = '4';
/** Names of the oldest `io` header. */
const FEWEST_IO_COLUMNS = 12;

/** The peer takes what is behind the last dot; other characters that a name may not have become underscores. */
function rowName(row: string): string {
  return row.slice(row.lastIndexOf('.') + 1).replace(/[^a-zA-Z0-9_:]/g, '_');
}

function isHeader(words: readonly { readonly text: string }[]): boolean {
  return words.length === 3 && words[0]?.text === 'name' && words[1]?.text === 'type' && words[2]?.text === 'data';
}

/** `hits                            4    8772612`, behind a line `name type data`. Rows of other types are left out. */
function groupLayout(group: string, file: string): Layout {
  return (rows, series) => {
    const header = rows.findIndex(isHeader);
    if (header < 0) throw series.problem(rows.length, '"name type data"');
    for (const [row, words] of rows.entries()) {
      const [name, type, value] = words;
      if (row <= header || value === undefined || (type?.text !== SIGNED && type?.text !== UNSIGNED)) continue;
      const key = name?.text ?? '';
      series.number(row, value, family(`node_zfs_${group}_${rowName(key)}`, 'untyped', `The row ${key} of ZFS's ${file}.`));
    }
  };
}

/** `nread nwritten reads ...` and a line of numbers; gone in OpenZFS 2.1. */
function poolLayout(pool: string): Layout {
  return (rows, series) => {
    const header = rows.findIndex((words) => words.length >= FEWEST_IO_COLUMNS && words[0]?.text === 'nread');
    if (header < 0) return;
    for (const [row, words] of rows.entries()) {
      if (row <= header) continue;
      for (const [i, { text }] of (rows[header] ?? []).entries()) {
        series.number(row, words[i], family(`node_zfs_zpool_${rowName(text)}`, 'untyped', `The column ${text} of a pool's io kstat.`, ['zpool']), [pool]);
      }
    }
  };
}

/** `dataset_name 7 tank/home` and rows such as `reads 4 28`. */
function datasetLayout(pool: string): Layout {
  return (rows, series) => {
    const header = rows.findIndex(isHeader);
    if (header < 0) throw series.problem(rows.length, '"name type data"');
    let dataset = '';
    for (const [row, words] of rows.entries()) {
      const [name, type, value] = words;
      if (row <= header || value === undefined) continue;
      const key = name?.text ?? '';
      if (key === 'dataset_name')
        dataset = words
          .slice(2)
          .map(({ text }) => text)
          .join(' ');
      else if (type?.text === UNSIGNED) {
        const help = `The row ${key} of a data set's kstat.`;
        series.number(row, value, family(`node_zfs_zpool_dataset_${rowName(key)}`, 'untyped', help, ['zpool', 'dataset']), [dataset, pool]);
      }
    }
  };
}

/** `ONLINE` */
function stateLayout(pool: string): Layout {
  return (rows, series) => {
    const state = rows[0]
      ?.map(({ text }) => text)
      .join(' ')
      .toLowerCase();
    // Labels in wire order: state, zpool.
    for (const known of STATES) series.constant(STATE, [known, pool], state === known ? 1 : 0);
  };
}

interface KstatFile {
  readonly path: string;
  readonly kind: 'group' | 'io' | 'objset' | 'state';
  /** The name of its folder, '' for groups. */
  readonly pool: string;
}

function kindOf(name: string): KstatFile['kind'] | undefined {
  if (name === 'io' || name === 'state') return name;
  return name.startsWith('objset-') ? 'objset' : undefined;
}

/** Files of the pools. Files beside the pools are no folders and have none, and neither has a pool that is exported meanwhile. */
function poolFiles(base: string, pools: readonly string[], list: (path: string) => readonly string[]): KstatFile[] {
  return pools.flatMap((pool) =>
    list(`${base}/${pool}`).flatMap((name) => {
      const kind = kindOf(name);
      return kind === undefined ? [] : [{ path: `${base}/${pool}/${name}`, kind, pool }];
    }),
  );
}

/** spl/kstat/zfs below the procfs root: kstats of OpenZFS, its pools and their data sets. */
export const part: NodePart = {
  name: 'zfs',
  enabledByDefault: true,
  families: [STATE],
  open(scope) {
    const base = scope.directory(scope.proc('spl/kstat/zfs'));
    const groups = [...GROUPS.keys()].map((name): KstatFile => ({ path: `${base.path}/${name}`, kind: 'group', pool: '' }));
    const folders = scope.folders();
    let files = new Map<string, KstatFile>();
    const open = (path: string): BoundSource => {
      const { kind = 'group', pool = '' } = files.get(path) ?? {};
      if (kind === 'state') return scope.bound(path, { text: true, reopen: true }, stateLayout(pool));
      if (kind === 'io') return scope.bound(path, { reopen: true }, poolLayout(pool));
      if (kind === 'objset') return scope.bound(path, { keys: 2, reopen: true }, datasetLayout(pool));
      const name = basename(path);
      return scope.bound(path, { keys: 2 }, groupLayout(GROUPS.get(name) ?? name, name));
    };
    const sources = new BoundFiles(open);
    return {
      collect(sheet) {
        if (base.scan() === 'absent') return scope.missing(base);
        const names = base.names.filter((name) => !GROUPS.has(name));
        let found: readonly KstatFile[] = [];
        const hasChanged = folders.look((list) => (found = [...groups, ...poolFiles(base.path, names, list)]));
        if (hasChanged || files.size === 0) {
          files = new Map(found.map((file) => [file.path, file]));
          sources.follow([...files.keys()]);
        }
        sources.collect(sheet);
        return OK;
      },
      replay(_, steps) {
        if (!base.replay(steps)) return;
        folders.replay(steps);
        sources.replay(steps);
      },
      close: () => sources.close(),
    };
  },
};
