import { readdirSync, readFileSync, statSync, type BigIntStats } from 'node:fs';
import { posix } from 'node:path';
import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { compareBytes } from '../../../model/escape.ts';
import { type Family, family } from '../../../model/family.ts';
import { formatNumber } from '../../../model/number.ts';
import { ExpositionError, parseExposition, type ReadFamily, type ReadMetric } from '../exposition.ts';
import { errnoOf } from '../file-error.ts';
import { globbed } from '../glob.ts';
import type { NodePart } from '../part.ts';
import { RunChain } from '../run-chain.ts';

const MTIME = family('node_textfile_mtime_seconds', 'gauge', 'When a textfile that could be read was last written, in seconds since 1970.', ['file']);
const ERROR = family('node_textfile_scrape_error', 'gauge', 'Whether a textfile or its folder could not be read, or HELP texts contradict each other.');

/** A file larger than this is refused: it would not fit on a page. */
const LARGEST_BYTES = 64n << 20n;
const NANOSECONDS = 1_000_000_000n;

/** A textfile as it was when it was last read. */
interface Textfile {
  readonly stamp: string;
  readonly mtimeSeconds: number;
  /** Undefined when it was refused. */
  readonly families: readonly ReadFamily[] | undefined;
}

interface Sample {
  readonly family: Family;
  readonly names: readonly string[];
  readonly values: readonly string[];
  readonly suffix: string;
  readonly value: number;
  slot: number;
}

function stampOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
}

/** Throws Error with a text for the log. */
function readTextfile(path: string, stat: BigIntStats): readonly ReadFamily[] {
  // Opening a pipe or a device could wait for ever.
  if (!stat.isFile()) throw new Error(`${path}: not a file`);
  if (stat.size > LARGEST_BYTES) throw new Error(`${path}: larger than ${LARGEST_BYTES >> 20n} MiB`);
  try {
    return parseExposition(readFileSync(path));
  } catch (error) {
    if (error instanceof ExpositionError) throw new Error(`${path}:${error.line}: ${error.message}`, { cause: error });
    throw new Error(`${path}: ${errnoOf(error) || String(error)}`, { cause: error });
  }
}

/** Label names of a family in one file, sorted: every series gets all of them. */
function labelNames(metrics: readonly ReadMetric[]): string[] {
  return [...new Set(metrics.flatMap(({ labels }) => [...labels.keys()]))].sort(compareBytes);
}

/** The samples of a metric: one, or those of a distribution. */
function* samplesOf(family: Family, metric: ReadMetric, names: readonly string[]): Generator<Sample> {
  const values = names.map((name) => metric.labels.get(name) ?? '');
  const sample = (suffix: string, value: number, bound?: readonly [label: string, at: number]): Sample => ({
    family,
    names: bound === undefined ? names : [...names, bound[0]],
    values: bound === undefined ? values : [...values, formatNumber(bound[1])],
    suffix,
    value,
    slot: -1,
  });
  if (family.type !== 'histogram' && family.type !== 'summary') {
    yield sample('', metric.value);
    return;
  }
  const isHistogram = family.type === 'histogram';
  const count = isHistogram && metric.isFractional ? 0 : metric.count;
  for (const [at, value] of metric.parts)
    yield sample(isHistogram ? '_bucket' : '', isHistogram && metric.isFractional ? 0 : value, [isHistogram ? 'le' : 'quantile', at]);
  if (isHistogram && !metric.parts.has(Number.POSITIVE_INFINITY)) yield sample('_bucket', count, ['le', Number.POSITIVE_INFINITY]);
  yield sample('_sum', metric.sum);
  yield sample('_count', count);
}

interface MergedFamily {
  readonly family: Family;
  readonly reads: readonly ReadFamily[];
}

interface Merge {
  readonly families: readonly MergedFamily[];
  /** Names of families with HELP texts that contradict each other, and the file that has the second text. */
  readonly conflicts: readonly (readonly [name: string, path: string])[];
}

/**
 * Families of all files by name. A family whose HELP is another than that of an earlier file is left out, and after it every
 * later one of that name. Of contradicting types the first counts.
 */
function merge(files: readonly (readonly [path: string, families: readonly ReadFamily[]])[]): Merge {
  const byName = new Map<string, { help: string | undefined; isInConflict: boolean; paths: string[]; reads: ReadFamily[] }>();
  const conflicts: [string, string][] = [];
  for (const [path, families] of files) {
    for (const read of families) {
      let known = byName.get(read.name);
      if (known === undefined) byName.set(read.name, (known = { help: undefined, isInConflict: false, paths: [], reads: [] }));
      known.isInConflict ||= known.help !== undefined && read.help !== undefined && known.help !== read.help;
      if (known.isInConflict) {
        conflicts.push([read.name, path]);
        continue;
      }
      known.help ??= read.help;
      known.paths.push(path);
      if (known.reads.length === 0 || known.reads[0]?.type === read.type) known.reads.push(read);
    }
  }
  const families = [...byName].map(([name, { help, paths, reads }]): MergedFamily => {
    return { family: { name, type: reads[0]?.type ?? 'untyped', help: help ?? `Found in ${paths.join(', ')}.`, labels: [] }, reads };
  });
  return { families, conflicts };
}

/** Text files of metrics that other programs leave in folders. Files are read again only when they have changed. */
class Textfiles {
  readonly #patterns: readonly string[];
  readonly #warn: (message: string) => void;
  readonly #chain = new RunChain();
  #files = new Map<string, Textfile>();
  #shown = '';
  #families: readonly MergedFamily[] = [];
  #samples: Sample[] = [];
  #hasErrors = false;

  constructor(patterns: readonly string[], warn: (message: string) => void) {
    this.#patterns = patterns.filter((pattern) => pattern !== '');
    this.#warn = warn;
  }

  get hasFolders(): boolean {
    return this.#patterns.length > 0;
  }

  collect(sheet: Sheet): void {
    const paths: string[] = [];
    let hasErrors = false;
    for (const folder of this.#patterns.flatMap((pattern) => globbed(pattern))) {
      try {
        const names = readdirSync(folder)
          .filter((name) => name.endsWith('.prom'))
          .sort(compareBytes);
        paths.push(...names.map((name) => posix.join(folder, name)));
      } catch (error) {
        hasErrors = true;
        this.#warn(`${folder}: ${errnoOf(error) || String(error)}`);
      }
    }
    this.#read(paths);
    this.#set(sheet);
    for (const path of new Set(paths)) {
      const file = this.#files.get(path);
      if (file?.families === undefined) hasErrors = true;
      else sheet.sample(MTIME, [path], file.mtimeSeconds);
    }
    sheet.sample(ERROR, [], hasErrors || this.#hasErrors ? 1 : 0);
  }

  /** Brings what is known of the files up to date. */
  #read(paths: readonly string[]): void {
    const files = new Map<string, Textfile>();
    for (const path of paths) {
      const file = files.get(path) ?? this.#file(path);
      files.set(path, file);
    }
    this.#files = files;
    const shown = paths.map((path) => `${path}\0${files.get(path)?.stamp}`).join('\0');
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#merge(paths);
  }

  #file(path: string): Textfile {
    const known = this.#files.get(path);
    let stat: BigIntStats;
    try {
      stat = statSync(path, { bigint: true });
    } catch (error) {
      this.#warn(`${path}: ${errnoOf(error) || String(error)}`);
      return { stamp: 'missing', mtimeSeconds: 0, families: undefined };
    }
    const stamp = stampOf(stat);
    if (known?.stamp === stamp) return known;
    const mtimeSeconds = Number(stat.mtimeNs / NANOSECONDS);
    try {
      return { stamp, mtimeSeconds, families: readTextfile(path, stat) };
    } catch (error) {
      this.#warn(error instanceof Error ? error.message : String(error));
      return { stamp, mtimeSeconds, families: undefined };
    }
  }

  #merge(paths: readonly string[]): void {
    const read = paths.flatMap((path): [string, readonly ReadFamily[]][] => {
      const families = this.#files.get(path)?.families;
      return families === undefined ? [] : [[path, families]];
    });
    const { families, conflicts } = merge(read);
    for (const [name, path] of conflicts) this.#warn(`${path}: the HELP text of ${name} is not that of a file before it; its samples are left out`);
    this.#hasErrors = conflicts.length > 0;
    this.#families = families;
    this.#samples = families.flatMap(({ family, reads }) =>
      reads.flatMap(({ metrics }) => {
        const names = labelNames(metrics);
        return metrics.flatMap((metric) => [...samplesOf(family, metric, names)]);
      }),
    );
    this.#chain.break();
  }

  #set(sheet: Sheet): void {
    if (!this.#chain.continues(sheet)) {
      for (const { family } of this.#families) sheet.redefine(family);
      for (const sample of this.#samples) sample.slot = sheet.slot(sample.family, sample.values, sample.names, -1, sample.suffix);
    }
    for (const { slot, value } of this.#samples) sheet.set(slot, value);
  }
}

/** Files *.prom in folders given by the configuration, in the text format of Prometheus. */
export const part: NodePart = {
  name: 'textfile',
  enabledByDefault: true,
  families: [MTIME, ERROR],
  options: [{ flag: 'directory', kind: 'list', default: [], help: 'folders with *.prom files, glob patterns allowed' }],
  open(scope) {
    const textfiles = new Textfiles(scope.options.list('directory'), scope.warn);
    return {
      collect(sheet) {
        textfiles.collect(sheet);
        // Files of others that cannot be read are told by the error series, not by the part's success.
        return OK;
      },
      // Without a folder there is nothing that could change; folders are listed by each run.
      ...(textfiles.hasFolders ? {} : { replay: () => undefined }),
    };
  },
};
