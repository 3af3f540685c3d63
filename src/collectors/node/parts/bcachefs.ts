import { statSync } from 'node:fs';
import { absent, OK } from '../../../collect/contract.ts';
import { legalRun } from '../legal-run.ts';
import { type Family, family } from '../../../model/family.ts';
import type { ReplaySteps } from '../../../readers/readers.ts';
import type { ConstantSeries } from '../constant-series.ts';
import { parseProblem } from '../file-error.ts';
import type { Folders } from '../folders.ts';
import { floatOf } from '../go-float.ts';
import { decimalOf } from '../go-integer.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart, PartScope } from '../part.ts';

const INFO = family('node_bcachefs_info', 'gauge', 'A bcachefs file system.', ['uuid']);
const BTREE_CACHE = family('node_bcachefs_btree_cache_size_bytes', 'gauge', 'Memory that holds nodes of the trees, in bytes.', ['uuid']);
const COMPRESSED = family('node_bcachefs_compression_compressed_bytes', 'gauge', 'Size of compressed data on disks, in bytes.', ['algorithm', 'uuid']);
const UNCOMPRESSED = family('node_bcachefs_compression_uncompressed_bytes', 'gauge', 'Size that compressed data has when it is read, in bytes.', [
  'algorithm',
  'uuid',
]);
const ERRORS = family('node_bcachefs_errors_total', 'counter', 'Errors of the file system by kind.', ['error_type', 'uuid']);
const BTREE_WRITES = family('node_bcachefs_btree_writes_total', 'counter', 'Nodes of the trees written, by reason.', ['type', 'uuid']);
const BTREE_WRITE_SIZE = family('node_bcachefs_btree_write_average_size_bytes', 'gauge', 'Average size of a node written, in bytes, by reason.', [
  'type',
  'uuid',
]);
const DEVICE_INFO = family('node_bcachefs_device_info', 'gauge', 'A device of the file system, with its label and state.', [
  'device',
  'label',
  'state',
  'uuid',
]);
const BUCKET_SIZE = family('node_bcachefs_device_bucket_size_bytes', 'gauge', 'Size of a bucket of a device, in bytes.', ['device', 'uuid']);
const BUCKETS = family('node_bcachefs_device_buckets', 'gauge', 'Buckets of a device.', ['device', 'uuid']);
const DURABILITY = family('node_bcachefs_device_durability', 'gauge', 'How many replicas a copy on a device counts for.', ['device', 'uuid']);
const IO_DONE = family('node_bcachefs_device_io_done_bytes_total', 'counter', 'Bytes read from and written to a device, by kind of data.', [
  'data_type',
  'device',
  'operation',
  'uuid',
]);
const IO_ERRORS = family('node_bcachefs_device_io_errors_total', 'counter', 'Errors of a device since the file system was made, by kind.', [
  'device',
  'type',
  'uuid',
]);

/** One series of a file: values of the labels in front of the file's own, and the number. */
type Sample = readonly [family: Family, labels: readonly string[], value: number];
type Parse = (text: string, path: string) => readonly Sample[];

const SUFFIXES = 'kmgtpe';

/** `512`, `1.10k`, `19.3G`: powers of 1024, cut to a whole number. Undefined when it is not one. */
function humanNumber(text: string): number | undefined {
  const power = SUFFIXES.indexOf(text.slice(-1).toLowerCase()) + 1;
  const isPlain = text === '' || power === 0;
  const value = floatOf((isPlain ? text : text.slice(0, -1)).trim());
  return value === undefined ? undefined : Math.trunc(value * 1024 ** (isPlain ? 0 : power));
}

function mustBeHuman(text: string | undefined, path: string, line: number): number {
  const value = humanNumber((text ?? '').trim());
  if (value === undefined) throw parseProblem(path, line + 1, `a number such as 1.10k, not ${JSON.stringify(text)}`);
  return value;
}

function mustBeWhole(text: string | undefined, path: string, line: number): number {
  const value = decimalOf((text ?? '').trim(), false);
  if (value === undefined) throw parseProblem(path, line + 1, `a whole number, not ${JSON.stringify(text)}`);
  return value;
}

/** Labels are given in wire order. */
function oneNumber(family: Family, labels: readonly string[], read: typeof mustBeHuman): Parse {
  return (text, path) => (text.trim() === '' && read === mustBeHuman ? [[family, labels, 0]] : [[family, labels, read(text, path, 0)]]);
}

/** Rows `lz4: 19.3G 67.0G 112k` below a line of headings. */
function parseCompression(uuid: string): Parse {
  return (text, path) =>
    text.split('\n').flatMap((content, line): Sample[] => {
      const [name = '', compressed, uncompressed, average] = wordsOf(content);
      if (line === 0 || uncompressed === undefined) return [];
      if (average !== undefined) mustBeHuman(average, path, line);
      const labels = [name.replace(/:$/, ''), uuid];
      return [
        [COMPRESSED, labels, mustBeHuman(compressed, path, line)],
        [UNCOMPRESSED, labels, mustBeHuman(uncompressed, path, line)],
      ];
    });
}

/** Rows `initial: 1 108k` below a line of headings. */
function parseBtreeWrites(uuid: string): Parse {
  return (text, path) =>
    text.split('\n').flatMap((content, line): Sample[] => {
      const [name = '', count, size] = wordsOf(content);
      if (line === 0 || size === undefined) return [];
      const labels = [name.replace(/:$/, ''), uuid];
      return [
        [BTREE_WRITES, labels, mustBeWhole(count, path, line)],
        [BTREE_WRITE_SIZE, labels, mustBeHuman(size, path, line)],
      ];
    });
}

/** Lines `NAME COUNT TIME`. */
function parseErrors(uuid: string): Parse {
  return (text, path) =>
    text.split('\n').flatMap((content, line): Sample[] => {
      const [name = '', count] = wordsOf(content);
      return count === undefined ? [] : [[ERRORS, [name, uuid], mustBeWhole(count, path, line)]];
    });
}

const SINCE_CREATION = 'since filesystem creation:';
const SINCE_MOUNT = 'since mount:';

/** Two lines, `since mount: 1.10k` and `since filesystem creation: 1.9M`; without the second the value is 0, as in the peer. */
function parseCounter(name: string, uuid: string): Parse {
  const counter = family(`node_bcachefs_${legalRun(name)}_total`, 'counter', `What the file system counts as ${name}, since it was made.`, ['uuid']);
  return (text, path) => {
    const lines = text.split('\n');
    const line = lines.findLastIndex((content) => content.startsWith(SINCE_CREATION));
    if (line < 0 && !lines.some((content) => content.startsWith(SINCE_MOUNT))) throw parseProblem(path, 1, `a line "${SINCE_CREATION} NUMBER"`);
    return [[counter, [uuid], line < 0 ? 0 : mustBeHuman(lines[line]?.slice(SINCE_CREATION.length), path, line)]];
  };
}

/** `NAME : NUMBER`; undefined for a line without a colon. */
function keyValue(content: string, path: string, line: number): readonly [key: string, value: number] | undefined {
  const colon = content.indexOf(':');
  return colon < 0 ? undefined : [content.slice(0, colon).trim(), mustBeWhole(content.slice(colon + 1), path, line)];
}

/** Sections `read:` and `write:` of lines `NAME : NUMBER`. */
function parseIoDone(device: string, uuid: string): Parse {
  return (text, path) => {
    let operation = '';
    return text.split('\n').flatMap((raw, line): Sample[] => {
      const content = raw.trim();
      if (content === 'read:' || content === 'write:') operation = content.slice(0, -1);
      else if (content !== '' && operation !== '') {
        const pair = keyValue(content, path, line);
        if (pair !== undefined) return [[IO_DONE, [pair[0], device, operation, uuid], pair[1]]];
      }
      return [];
    });
  };
}

/** Lines `NAME: NUMBER` of the section that begins with `IO errors since filesystem creation`. */
function parseIoErrors(device: string, uuid: string): Parse {
  return (text, path) => {
    const lines = text.split('\n');
    const start = lines.findIndex((content) => content.startsWith('IO errors since filesystem creation'));
    if (start < 0) return [];
    const samples: Sample[] = [];
    for (const [i, content] of lines.slice(start + 1).entries()) {
      if (content.startsWith('IO errors since ')) break;
      const pair = keyValue(content, path, start + 1 + i);
      if (pair !== undefined) samples.push([IO_ERRORS, [device, pair[0], uuid], pair[1]]);
    }
    return samples;
  };
}

/** A file of a file system. `absentSamples` is printed when it is missing. */
interface File {
  readonly path: string;
  readonly parse: Parse;
  readonly absentSamples: readonly Sample[];
}

function file(path: string, parse: Parse, absentSamples: readonly Sample[] = []): File {
  return { path, parse, absentSamples };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function filesOf(folder: string, uuid: string, devices: readonly string[], counters: readonly string[]): File[] {
  return [
    file(`${folder}/btree_cache_size`, oneNumber(BTREE_CACHE, [uuid], mustBeHuman), [[BTREE_CACHE, [uuid], 0]]),
    file(`${folder}/compression_stats`, parseCompression(uuid)),
    file(`${folder}/errors`, parseErrors(uuid)),
    file(`${folder}/btree_write_stats`, parseBtreeWrites(uuid)),
    ...counters.map((name) => file(`${folder}/counters/${name}`, parseCounter(name, uuid))),
    ...devices.flatMap((device) => {
      const of = `${folder}/dev-${device}`;
      const number = (name: string, family: Family, read: typeof mustBeHuman): File =>
        file(`${of}/${name}`, oneNumber(family, [device, uuid], read), [[family, [device, uuid], 0]]);
      return [
        number('bucket_size', BUCKET_SIZE, mustBeHuman),
        number('nbuckets', BUCKETS, mustBeWhole),
        number('durability', DURABILITY, mustBeWhole),
        file(`${of}/io_done`, parseIoDone(device, uuid)),
        file(`${of}/io_errors`, parseIoErrors(device, uuid)),
      ];
    }),
  ];
}

interface Device {
  readonly uuid: string;
  readonly device: string;
  readonly label: ParsedSource<string>;
  readonly state: ParsedSource<string>;
}

interface Followed {
  readonly file: File;
  readonly source: ParsedSource<readonly Sample[]>;
}

/** File systems, their devices and files. */
class Bcachefs {
  readonly #scope: PartScope;
  readonly #root: string;
  readonly #folders: Folders;
  readonly #series: ConstantSeries;
  #uuids: readonly string[] = [];
  #files: readonly Followed[] = [];
  #devices: readonly Device[] = [];
  #mustSet = true;

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#root = scope.sys('fs/bcachefs');
    this.#folders = scope.folders();
    this.#series = scope.constants();
  }

  /** False when there is no file system. */
  collect(sheet: Parameters<ConstantSeries['collect']>[0]): boolean {
    const structures: { uuid: string; names: readonly string[]; counters: readonly string[] }[] = [];
    const hasChanged = this.#folders.look((list) => {
      for (const uuid of list(this.#root)) {
        const folder = `${this.#root}/${uuid}`;
        structures.push({ uuid, names: list(folder), counters: list(`${folder}/counters`) });
      }
    });
    if (hasChanged) this.#follow(structures.filter(({ uuid }) => isFolder(`${this.#root}/${uuid}`)));
    if (this.#uuids.length === 0) return false;
    const samples = this.#files.map(({ file, source }) => this.#read(source) ?? file.absentSamples);
    const infos = this.#devices.map(({ uuid, device, label, state }) => [device, this.#read(label) ?? '', this.#read(state) ?? '', uuid]);
    if (this.#mustSet) {
      this.#series.clear();
      for (const uuid of this.#uuids) this.#series.add(INFO, [uuid], 1);
      for (const info of infos) this.#series.add(DEVICE_INFO, info, 1);
      // The last of equal lines counts, as in the peer; of equal series the first.
      for (const [family, labels, value] of samples.flat().reverse()) this.#series.add(family, labels, value);
      this.#mustSet = false;
    }
    this.#series.collect(sheet);
    return true;
  }

  /** What `collect` of the next runs will do. */
  replay(steps: ReplaySteps): void {
    this.#folders.replay(steps);
    for (const { source } of this.#files) source.replay(steps);
    for (const { label, state } of this.#devices) for (const source of [label, state]) source.replay(steps);
  }

  close(): void {
    for (const { source } of this.#files) source.close();
    for (const { label, state } of this.#devices) for (const source of [label, state]) source.close();
  }

  #read<T>(source: ParsedSource<T>): T | undefined {
    const value = source.read();
    if (source.hasChanged) this.#mustSet = true;
    return value;
  }

  #follow(structures: readonly { uuid: string; names: readonly string[]; counters: readonly string[] }[]): void {
    this.close();
    this.#mustSet = true;
    this.#uuids = structures.map(({ uuid }) => uuid);
    const files: Followed[] = [];
    const devices: Device[] = [];
    for (const { uuid, names, counters } of structures) {
      const folder = `${this.#root}/${uuid}`;
      const numbers = names.filter((name) => name.startsWith('dev-') && isFolder(`${folder}/${name}`)).map((name) => name.slice('dev-'.length));
      const counted = counters.filter((name) => !isFolder(`${folder}/counters/${name}`));
      for (const file of filesOf(folder, uuid, numbers, counted)) files.push({ file, source: this.#source(file.path, file.parse) });
      for (const device of numbers) {
        const text = (name: string): ParsedSource<string> => this.#source(`${folder}/dev-${device}/${name}`, (content) => content.trim());
        devices.push({ uuid, device, label: text('label'), state: text('state') });
      }
    }
    this.#files = files;
    this.#devices = devices;
  }

  #source<T>(path: string, parse: (text: string, path: string) => T): ParsedSource<T> {
    return new ParsedSource(this.#scope.source(path, { text: true }), parse);
  }
}

/** /sys/fs/bcachefs/UUID. All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'bcachefs',
  enabledByDefault: true,
  families: [
    INFO,
    BTREE_CACHE,
    COMPRESSED,
    UNCOMPRESSED,
    ERRORS,
    BTREE_WRITES,
    BTREE_WRITE_SIZE,
    DEVICE_INFO,
    BUCKET_SIZE,
    BUCKETS,
    DURABILITY,
    IO_DONE,
    IO_ERRORS,
  ],
  open(scope) {
    const bcachefs = new Bcachefs(scope);
    return {
      collect: (sheet) => (bcachefs.collect(sheet) ? OK : absent(`${scope.sys('fs/bcachefs')} has no file system`)),
      replay: (_, steps) => bcachefs.replay(steps),
      close: () => bcachefs.close(),
    };
  },
};
