import { closeSync, openSync, readSync } from 'node:fs';
import { isMissing, readProblem } from './file-error.ts';

/** Bytes of an attribute that are read, as the peer does. */
const ATTRIBUTE_BYTES = 128;
const bytes = Buffer.alloc(ATTRIBUTE_BYTES);

/**
 * Text of a sysfs attribute without blanks around it; undefined when it is missing. For labels and the like that are read when
 * something has changed; numbers of every cycle are the readers' work.
 * One read(2) of 128 bytes: some drivers answer EAGAIN for ever to anything else. Throws CollectError `read`.
 */
export function readAttribute(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readProblem(path, error);
  }
  try {
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, ATTRIBUTE_BYTES, 0)).trim();
  } catch (error) {
    throw readProblem(path, error);
  } finally {
    closeSync(file);
  }
}
