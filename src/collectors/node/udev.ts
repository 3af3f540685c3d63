import { readFileSync, statSync } from 'node:fs';
import type { ReplaySteps } from '../../readers/readers.ts';
import { Absence } from './absence.ts';
import { isMissing, readProblem } from './file-error.ts';

/** Properties of a device as udev keeps them: lines `E:ID_MODEL=QEMU` of a file of its database. Other lines are left out. */
export function parseUdev(text: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (line.startsWith('E:') && equals > 0) properties.set(line.slice(2, equals), line.slice(equals + 1));
  }
  return properties;
}

/**
 * udev's database: a folder with a file per device, `b254:0` for a block device. Files are replaced by renaming. Containers and
 * small machines have none.
 */
export class UdevDatabase {
  readonly #folder: string;
  readonly #absence: Absence;
  #stamp: string | undefined;

  constructor(folder: string, monotonicMs: () => number) {
    this.#folder = folder;
    this.#absence = new Absence(monotonicMs);
  }

  /** What `hasChanged` of the next runs will ask. */
  replay(steps: ReplaySteps): void {
    if (this.#absence.isRecent()) this.#absence.replay(steps, this.#folder);
    else steps.stamp(this.#folder, this.#stamp ?? '');
  }

  /** True when a file has come, gone or been replaced since the last call: the folder's own time of change tells. */
  hasChanged(): boolean {
    if (this.#absence.isRecent()) return false;
    const stat = statSync(this.#folder, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) this.#absence.note();
    const stamp = stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.mtimeNs}`;
    const hasChanged = stamp !== this.#stamp;
    this.#stamp = stamp;
    return hasChanged;
  }

  /** Empty when udev knows nothing of it. Throws CollectError `read`. */
  properties(device: string): ReadonlyMap<string, string> {
    const path = `${this.#folder}/${device}`;
    try {
      return parseUdev(readFileSync(path, 'utf8'));
    } catch (error) {
      if (isMissing(error)) return new Map();
      throw readProblem(path, error);
    }
  }
}
