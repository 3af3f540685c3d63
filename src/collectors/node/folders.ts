import { Directory } from './directory.ts';

/** Lists folders of a tree, as often as it is asked to; a missing one is looked for once a minute. */
export class Folders {
  readonly #monotonicMs: () => number;
  #known = new Map<string, Directory>();
  #asked = new Map<string, Directory>();
  #hasChanged = false;

  constructor(monotonicMs: () => number) {
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
    this.#known = this.#asked;
    return this.#hasChanged;
  }

  #list(path: string): readonly string[] {
    const known = this.#known.get(path);
    const directory = known ?? new Directory(path, this.#monotonicMs);
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
