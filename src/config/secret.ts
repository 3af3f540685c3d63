import { resolve } from 'node:path';

/** A file of this size is not a password; somebody named the wrong one. */
const MAX_LENGTH = 64 * 1024;

/**
 * Reads `*_file` secrets: the whole file without the line end that editors and `echo` leave behind.
 * Errors name the file, never what is in it. A relative path starts at `cwd` (paths of the configuration file are absolute by now).
 */
export function secretReader(readFile: (path: string) => string, cwd: string): (path: string) => string {
  return (path) => {
    let text: string;
    try {
      text = readFile(resolve(cwd, path));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      throw new Error(`cannot read the secret in ${path}: ${code}`, { cause: error });
    }
    if (text.length > MAX_LENGTH) throw new Error(`${path}: expected a secret, got ${text.length} characters`);
    return text.replace(/\r?\n$/, '');
  };
}
