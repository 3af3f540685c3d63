import { readdirSync } from 'node:fs';
import { compareBytes } from '../../model/escape.ts';
import { Absence } from './absence.ts';
import { isMissing, readProblem } from './file-error.ts';

/** The names in a folder, in byte order, dots left out. A new entry shows at the next scan. */
export class Directory {
  readonly path: string;
  names: readonly string[] = [];
  readonly #absence: Absence;
  #joined: string | undefined;

  constructor(path: string, monotonicMs: () => number) {
    this.path = path;
    this.#absence = new Absence(monotonicMs);
  }

  /** Throws CollectError `read` for every failure but a missing folder. */
  scan(): 'absent' | 'same' | 'changed' {
    if (this.#absence.isRecent()) return 'absent';
    let names: string[];
    try {
      names = readdirSync(this.path);
    } catch (error) {
      if (!isMissing(error)) throw readProblem(this.path, error);
      this.#absence.note();
      this.#joined = undefined;
      this.names = [];
      return 'absent';
    }
    names.sort(compareBytes);
    const joined = names.join('/');
    if (joined === this.#joined) return 'same';
    this.#joined = joined;
    this.names = names;
    return 'changed';
  }
}
