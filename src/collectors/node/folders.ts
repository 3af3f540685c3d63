import type { Readers, ReplaySteps } from '../../readers/readers.ts';
import { Directory } from './directory.ts';

/** Lists folders of a tree, as often as it is asked to; a missing one is looked for once a minute. */
export class Folders {
  readonly #readers: Readers;
  readonly #monotonicMs: () => number;
  #known = new Map<string, Directory>();
  #asked = new Map<string, Directory>();
  #hasChanged = false;

  constructor(readers: Readers, monotonicMs: () => number) {
    this.#readers = readers;
    this.#monotonicMs = monotonicMs;
  }

  /**
   * Calls `walk`, which lists every folder it wants by `list`: names in byte order, none when the folder is missing.
   * True when a folder has other names than at the last look. Throws CollectError `read`.
   */
  look(walk: (list: (path: string) => readonly string[]) => void): boolean {
    this.#asked = new Map();
    this.#hasChanged = false;
    walk((path) => this.#list(path));
    if (this.#asked.size !== this.#known.size) this.#hasChanged = true;
    if (this.#hasChanged) for (const [path, directory] of this.#known) if (!this.#asked.has(path)) directory.close();
    this.#known = this.#asked;
    return this.#hasChanged;
  }

  /** What `look` of the next runs will do, while the same folders are asked for. */
  replay(steps: ReplaySteps): void {
    for (const directory of this.#known.values()) directory.replay(steps);
  }

  close(): void {
    for (const directory of this.#known.values()) directory.close();
  }

  #list(path: string): readonly string[] {
    const known = this.#known.get(path);
    const directory = known ?? new Directory(path, this.#readers, this.#monotonicMs);
    this.#asked.set(path, directory);
    const former = directory.names;
    try {
      directory.scan();
    } catch (error) {
      // Half a walk is no state to compare the next one with.
      this.#known = new Map();
      throw error;
    }
    if (known === undefined || directory.names !== former) this.#hasChanged = true;
    return directory.names;
  }
}
