import { CollectError } from '../../collect/contract.ts';
import { ReaderError } from '../../readers/readers.ts';

/** The errno name of a failed read by node's fs or by the readers; '' for anything else. */
export function errnoOf(error: unknown): string {
  if (error instanceof ReaderError) return error.code;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** True when the file, or a folder on the way to it, is not there. */
export function isMissing(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export function readProblem(path: string, error: unknown): CollectError {
  return new CollectError('read', path, errnoOf(error) || String(error), error);
}

/** @param line number of the line among those that are not empty, from 1 */
export function parseProblem(path: string, line: number, expected: string): CollectError {
  return new CollectError('parse', `${path}:${line}`, `expected ${expected}`);
}
