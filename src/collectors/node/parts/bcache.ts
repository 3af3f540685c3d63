import { CollectError, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import type { ReplaySteps } from '../../../readers/readers.ts';
import { DeviceFiles } from '../device-files.ts';
import { parseProblem } from '../file-error.ts';
import { checkFigures, type Figure, followed, setFigure } from '../figures.ts';
import type { Folders } from '../folders.ts';
import { floatOf } from '../go-float.ts';
import { decimalOf } from '../go-integer.ts';
import { KeptSeries } from '../kept-series.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart, PartScope } from '../part.ts';

function ofSet(name: string, help: string, type: MetricType = 'gauge'): Family {
  return family(`node_bcache_${name}`, type, help, ['uuid']);
}

function ofBacking(name: string, help: string, type: MetricType = 'gauge'): Family {
  return family(`node_bcache_${name}`, type, help, ['backing_device', 'uuid']);
}

function ofCache(name: string, help: string, type: MetricType = 'gauge'): Family {
  return family(`node_bcache_${name}`, type, help, ['cache_device', 'uuid']);
}

interface Row {
  readonly file: string;
  readonly family: Family;
  readonly times?: number;
  readonly convert?: (value: number) => number | undefined;
}

/** Files of a cache set. */
const SET: readonly Row[] = [
  { file: 'average_key_size', family: ofSet('average_key_size_sectors', 'Data per key of the tree on average, in sectors.') },
  { file: 'btree_cache_size', family: ofSet('btree_cache_size_bytes', 'Memory that holds nodes of the tree, in bytes.') },
  { file: 'cache_available_percent', family: ofSet('cache_available_percent', 'Share of the cache without dirty data, in percent.') },
  { file: 'congested', family: ofSet('congested', 'How congested the cache is.') },
  { file: 'root_usage_percent', family: ofSet('root_usage_percent', 'Share of the root node that is used, in percent.') },
  { file: 'tree_depth', family: ofSet('tree_depth', 'Depth of the tree.') },
  { file: 'internal/active_journal_entries', family: ofSet('active_journal_entries', 'Entries of the journal that are newer than the index.') },
  { file: 'internal/btree_nodes', family: ofSet('btree_nodes', 'Nodes of the tree.') },
  // The file is named after microseconds; the peer takes them for nanoseconds, and boards are made for that.
  {
    file: 'internal/btree_read_average_duration_us',
    family: ofSet('btree_read_average_duration_seconds', 'How long it takes on average to read a node of the tree, in seconds.'),
    times: 1e-9,
  },
  { file: 'internal/cache_read_races', family: ofSet('cache_read_races_total', 'How often data was overwritten while it was read from the cache.', 'counter') },
];

/** Files of a backing device. */
const BACKING: readonly Row[] = [
  { file: 'dirty_data', family: ofBacking('dirty_data_bytes', 'Data in the cache that has yet to be written to the device, in bytes.') },
  { file: 'stats_total/bypassed', family: ofBacking('bypassed_bytes_total', 'Bytes read and written past the cache.', 'counter') },
  { file: 'stats_total/cache_hits', family: ofBacking('cache_hits_total', 'Requests served from the cache.', 'counter') },
  { file: 'stats_total/cache_misses', family: ofBacking('cache_misses_total', 'Requests not found in the cache.', 'counter') },
  { file: 'stats_total/cache_bypass_hits', family: ofBacking('cache_bypass_hits_total', 'Requests meant to go past the cache that were in it.', 'counter') },
  {
    file: 'stats_total/cache_bypass_misses',
    family: ofBacking('cache_bypass_misses_total', 'Requests meant to go past the cache that were not in it.', 'counter'),
  },
  {
    file: 'stats_total/cache_miss_collisions',
    family: ofBacking('cache_miss_collisions_total', 'Reads whose data was not put into the cache because a write was faster.', 'counter'),
  },
  // Kernels from 5.14 on do not count it.
  {
    file: 'stats_total/cache_readaheads',
    family: ofBacking('cache_readaheads_total', 'How often data was read ahead.', 'counter'),
    convert: (value) => (value === 0 ? undefined : value),
  },
];

/** Files of a cache device. */
const CACHE: readonly Row[] = [
  { file: 'io_errors', family: ofCache('io_errors', 'Errors of the device; the kernel lets the number decay.') },
  { file: 'metadata_written', family: ofCache('metadata_written_bytes_total', 'Bytes written that are not data.', 'counter') },
  { file: 'written', family: ofCache('written_bytes_total', 'Bytes of data written to the cache.', 'counter') },
];

/** Keys of writeback_rate_debug. */
const WRITEBACK: readonly (readonly [key: string, family: Family, isSigned: boolean])[] = [
  ['target', ofBacking('dirty_target_bytes', 'How much dirty data there should be for the device, in bytes.'), false],
  ['rate', ofBacking('writeback_rate', 'Rate at which dirty data is written, in bytes a second.'), false],
  ['proportional', ofBacking('writeback_rate_proportional_term', 'Proportional part of the rate of writing.'), true],
  ['integral', ofBacking('writeback_rate_integral_term', 'Integral part of the rate of writing.'), true],
  ['change', ofBacking('writeback_change', 'By how much the rate of writing was changed last.'), true],
];

/** Keys of priority_stats. */
const PRIORITY: readonly (readonly [key: string, family: Family])[] = [
  ['Unused', ofCache('priority_stats_unused_percent', 'Share of the cache that holds nothing, in percent.')],
  ['Metadata', ofCache('priority_stats_metadata_percent', 'Share of the cache that holds metadata, in percent.')],
];

const SUFFIXES = 'kMGTPEZY';

/**
 * A number as the kernel's bch_hprint writes it: `512`, `1.1M`. The digit behind the point is tenths of 1024/1000, which the
 * peer divides by 10.24. NaN when it is not one.
 */
function humanNumber(text: string): number {
  const found = /^([0-9]+)(?:\.([0-9]+))?([A-Za-z])?$/.exec(text);
  if (found === null) return Number.NaN;
  const [, whole = '', fraction, suffix] = found;
  if (suffix === undefined) return Math.trunc(floatOf(text) ?? Number.NaN);
  const power = SUFFIXES.indexOf(suffix) + 1;
  const mantissa = Number(whole) + (fraction === undefined ? 0 : Number(fraction) / 10.24);
  return power === 0 ? 0 : Math.trunc(mantissa * 1024 ** power);
}

function signedNumber(text: string): number {
  return text.startsWith('-') ? -humanNumber(text.slice(1)) : humanNumber(text);
}

/** Lines `rate:		1.1M/sec`. Throws CollectError `parse`. */
function parseWriteback(text: string, path: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const [line, content] of text.split('\n').entries()) {
    const row = WRITEBACK.find(([key]) => content.startsWith(`${key}:`));
    if (row === undefined) continue;
    const word = (wordsOf(content).at(-1) ?? '').replace(/\/sec$/, '');
    const value = row[2] ? signedNumber(word) : humanNumber(word);
    if (Number.isNaN(value)) throw parseProblem(path, line + 1, `a number such as 1.1M, not ${JSON.stringify(word)}`);
    values.set(row[0], value);
  }
  return values;
}

/** Lines `Unused:		99%`. Throws CollectError `parse`. */
function parsePriority(text: string, path: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const [line, content] of text.split('\n').entries()) {
    const row = PRIORITY.find(([key]) => content.startsWith(`${key}:`));
    if (row === undefined) continue;
    const word = wordsOf(content).at(-1) ?? '';
    const value = decimalOf(word.replace(/%$/, ''), false);
    if (value === undefined) throw parseProblem(path, line + 1, `a percentage, not ${JSON.stringify(word)}`);
    values.set(row[0], value);
  }
  return values;
}

/** A text with several numbers, and their series. */
interface Table {
  readonly source: ParsedSource<ReadonlyMap<string, number>>;
  readonly series: readonly (readonly [key: string, series: KeptSeries])[];
}

/** What a look at the folders has found. */
interface Found {
  readonly uuid: string;
  readonly bdevs: readonly string[];
  readonly caches: readonly string[];
}

class Bcache {
  readonly #scope: PartScope;
  readonly #root: string;
  readonly #folders: Folders;
  readonly #files: DeviceFiles;
  readonly #withPriority: boolean;
  #figures: readonly Figure[] = [];
  #tables = new Map<string, Table>();

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#root = scope.sys('fs/bcache');
    this.#folders = scope.folders();
    this.#files = new DeviceFiles(scope.readers, scope.monotonicMs);
    this.#withPriority = scope.options.isOn('priorityStats');
  }

  collect(sheet: Sheet): void {
    let found: readonly Found[] = [];
    const hasChanged = this.#folders.look((list) => {
      found = list(this.#root)
        .filter((name) => name.includes('-'))
        .map((uuid) => {
          const names = list(`${this.#root}/${uuid}`);
          return { uuid, bdevs: names.filter((name) => /^bdev[0-9]/.test(name)), caches: names.filter((name) => /^cache[0-9]/.test(name)) };
        });
    });
    if (hasChanged) this.#follow(found);
    this.#files.scan();
    checkFigures(this.#figures);
    const tables = [...this.#tables.values()].map(({ source, series }) => ({ values: read(source), series }));
    for (const figure of this.#figures) setFigure(figure, sheet);
    for (const { values, series } of tables) for (const [key, kept] of series) kept.set(sheet, values.get(key) ?? 0);
  }

  /** What `collect` of the next runs will do. */
  replay(sheet: Sheet, steps: ReplaySteps): void {
    this.#folders.replay(steps);
    this.#files.replay(sheet, steps, followed(this.#figures));
    for (const { source } of this.#tables.values()) source.replay(steps);
  }

  close(): void {
    this.#files.close();
    for (const { source } of this.#tables.values()) source.close();
  }

  #follow(found: readonly Found[]): void {
    const tables = new Map<string, Table>();
    this.#figures = this.#files.rebuild(() =>
      found.flatMap(({ uuid, bdevs, caches }) => {
        const folder = `${this.#root}/${uuid}`;
        for (const bdev of bdevs) this.#addTable(tables, `${folder}/${bdev}/writeback_rate_debug`, parseWriteback, WRITEBACK, [bdev, uuid]);
        if (this.#withPriority) for (const cache of caches) this.#addTable(tables, `${folder}/${cache}/priority_stats`, parsePriority, PRIORITY, [cache, uuid]);
        return [
          ...this.#figuresOf(folder, SET, [uuid]),
          ...bdevs.flatMap((bdev) => this.#figuresOf(`${folder}/${bdev}`, BACKING, [bdev, uuid])),
          ...caches.flatMap((cache) => this.#figuresOf(`${folder}/${cache}`, CACHE, [cache, uuid])),
        ];
      }),
    );
    for (const [path, { source }] of this.#tables) if (!tables.has(path)) source.close();
    this.#tables = tables;
  }

  #addTable(
    tables: Map<string, Table>,
    path: string,
    parse: typeof parsePriority,
    rows: readonly (readonly [key: string, family: Family, ...rest: unknown[]])[],
    labels: readonly string[],
  ): void {
    const known = this.#tables.get(path);
    const source = known?.source ?? new ParsedSource(this.#scope.source(path, { text: true }), parse);
    tables.set(path, { source, series: known?.series ?? rows.map(([key, family]) => [key, new KeptSeries(family, labels)] as const) });
  }

  #figuresOf(folder: string, rows: readonly Row[], labels: readonly string[]): Figure[] {
    return rows.map(({ file, family, times, convert }) => ({
      file: this.#files.number(`${folder}/${file}`),
      series: new KeptSeries(family, labels),
      rule: 'zero',
      parse: humanNumber,
      ...(times === undefined ? {} : { times }),
      ...(convert === undefined ? {} : { convert }),
    }));
  }
}

function read(source: ParsedSource<ReadonlyMap<string, number>>): ReadonlyMap<string, number> {
  const values = source.read();
  if (values === undefined) throw new CollectError('read', source.path, 'missing');
  return values;
}

/** /sys/fs/bcache/UUID, bdevN and cacheN below it (Documentation/admin-guide/bcache.rst). All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'bcache',
  enabledByDefault: true,
  families: [...[...SET, ...BACKING, ...CACHE].map(({ family }) => family), ...WRITEBACK.map(([, family]) => family), ...PRIORITY.map(([, family]) => family)],
  options: [{ flag: 'priorityStats', kind: 'boolean', default: false, help: 'print what the file priority_stats says, which is costly to read' }],
  open(scope) {
    const bcache = new Bcache(scope);
    return {
      collect(sheet) {
        bcache.collect(sheet);
        return OK;
      },
      replay: (sheet, steps) => bcache.replay(sheet, steps),
      close: () => bcache.close(),
    };
  },
};
