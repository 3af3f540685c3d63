/** What both readers check and shape alike: formats, paths, and tokens as TypeScript sees them. */
import { ReaderError, type SourceFormat, type Token } from './readers.ts';

/** Largest text a source may have, in bytes; more is TOO_LARGE. */
export const LARGEST_TEXT_BYTES = 64 * 1024 * 1024;
/** Bytes asked of a `SourceFormat.attribute` in its one read. */
export const ATTRIBUTE_BYTES = 128;
/** EFBIG, which stands for TOO_LARGE where errors are numbers. */
export const TOO_LARGE_ERRNO = 27;
/** How long after a reading a `SourceFormat.lingers` is opened anew, milliseconds; source.cpp has the same. */
export const LINGERS_MS = 1200;
/** States of tasks are one byte each. */
export const TASK_STATES = 256;
/** Status of a member number of a set that is not in use. */
export const UNUSED_MEMBER = -1000;

/** Limits that tests make small. */
export interface ReaderLimits {
  readonly largestTextBytes?: number;
}

/** A format with every choice made. */
export type WholeFormat = Required<SourceFormat>;

/** Fills in the defaults. Throws RangeError for what the scanner cannot do: that is a mistake in the program. */
export function wholeFormat(format: SourceFormat = {}): WholeFormat {
  const { keys = 0, delimiters = '', hex = false, text = false } = format;
  const { reopen = false, attribute = false, record = false, names = false, lingers = false } = format;
  if (!Number.isInteger(keys) || keys < 0 || keys > 0xffffffff) throw new RangeError(`keys: ${keys}`);
  if (!/^[\x01-\x7f]*$/.test(delimiters)) throw new RangeError(`delimiters must be ASCII: ${JSON.stringify(delimiters)}`);
  return { keys, delimiters, hex, text: text || names, reopen, attribute, record, names, lingers };
}

/** System calls end a path at NUL and would open another file. */
export function checkPath(path: string): void {
  if (path.includes('\0')) throw new ReaderError('MALFORMED', path, 'NUL in a path');
}

/** Where a member of a set lies. */
export function below(folder: string, path: string): string {
  return folder === '' || path.startsWith('/') ? path : `${folder}/${path}`;
}

/** A text that was to be /proc/PID/stat. */
export function notAStat(path: string): ReaderError {
  return new ReaderError('MALFORMED', path, '"PID (NAME) STATE ..." and 49 numbers expected');
}

/** The text of another source is in the shared buffer, or none: a mistake in the program, not of the file. */
export function notTheLastScan(path: string): Error {
  return new Error(`${path}: text() and rows() are only valid right after a successful scan of the same source`);
}

/** Lines of tokens from (line, token) pairs in reading order; lines without tokens never show. */
export class RowList {
  readonly rows: Token[][] = [];
  private line = -1;

  add(line: number, token: Token): void {
    if (line !== this.line) {
      this.line = line;
      this.rows.push([]);
    }
    this.rows.at(-1)?.push(token);
  }
}
