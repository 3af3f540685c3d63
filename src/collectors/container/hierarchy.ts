import { type Stats, readdirSync, statSync } from 'node:fs';
import { CollectError } from '../../collect/contract.ts';
import { type DirectoryWatch, ReaderError, type ReplaySteps } from '../../readers/readers.ts';

interface Directory {
  /** Path below the hierarchy. */
  readonly id: string;
  readonly inode: number;
  links: number;
  /** UNSEEN after a change of which we know: taken over at the next look. */
  mtimeMs: number;
  /** Names of child cgroups. */
  children: Set<string>;
  /** Number of its watch, or -1. */
  readonly watch: number;
}

/** In place of an error code: the readers have no watch. */
export const NO_WATCH = 'not built';

export interface Heard {
  /** Directories that came or went. */
  readonly ids: readonly string[];
  /** Directories with a file that was written to. */
  readonly written: ReadonlySet<string>;
  /** Not all changes are known. */
  readonly lost: boolean;
  /** '' or why the hierarchy is no longer watched. */
  readonly obstacle: string;
}

const UNSEEN = -1;
/** Shared by all directories without children: most of them, several times ten thousand. */
const NO_CHILDREN: ReadonlySet<string> = new Set();

/**
 * The directories of one cgroup hierarchy as last seen. Three ways keep them up to date: `check` looks at known directories
 * (kernfs counts children in the link count, and stamps mtime where it keeps one, so only a directory that changed is read),
 * `settle` at one name, and a hierarchy that is watched hears of names by itself (`hear`).
 */
export class Hierarchy {
  readonly root: string;
  readonly controller: string;
  readonly directories = new Map<string, Directory>();
  /** Ids whose directories came, went or were replaced; emptied by whoever has dealt with them. */
  readonly changed = new Set<string>();
  #watch: DirectoryWatch | undefined;
  /** By number of the watch. */
  readonly #watched = new Map<number, string>();
  /** Why a directory could not be watched; the whole watch is given up for it. */
  #obstacle = '';
  /** Directories that could not be listed for want of a descriptor or memory; nobody will report what is in them. */
  readonly #unlisted = new Set<string>();
  #sweep: Iterator<Directory> | undefined;

  constructor(root: string, controller: string) {
    this.root = root;
    this.controller = controller;
  }

  get isWatched(): boolean {
    return this.#watch !== undefined;
  }

  /** Reads the root and all below it at first, later what could not be listed before. Throws CollectError when the root cannot be read. */
  begin(): void {
    if (this.#unlisted.size > 0) for (const id of [...this.#unlisted]) if (this.directories.has(id)) this.#descend(id);
    if (this.directories.has('/')) return;
    this.#descend('/');
    if (!this.directories.has('/')) throw new CollectError('read', this.root, 'the root of the cgroup hierarchy cannot be read');
  }

  /**
   * Watches every directory from now on. Returns '' or why that cannot be: no watches or instances left to the user
   * (ENOSPC, EMFILE), or NO_WATCH.
   */
  watch(open: () => DirectoryWatch | undefined): string {
    this.#obstacle = '';
    try {
      this.#watch = open();
    } catch (error) {
      return reason(error);
    }
    if (this.#watch === undefined) return NO_WATCH;
    for (const directory of [...this.directories.values()]) this.directories.set(directory.id, { ...directory, watch: this.#follow(directory.id) });
    // What came before its parent was watched is seen now.
    if (this.directories.size > 0) this.check(this.directories.values());
    return this.#giveUpIfHindered();
  }

  /** Adds what replayed runs rely on: nothing was reported. False where nobody would, and while directories are to be listed. */
  replay(steps: ReplaySteps): boolean {
    if (this.#watch === undefined || this.#unlisted.size > 0) return false;
    steps.quiet(this.#watch);
    return true;
  }

  /**
   * What has changed since the last call; directories that came or went are settled.
   */
  hear(): Heard {
    const ids = new Set<string>();
    const written = new Set<string>();
    let complete = false;
    try {
      complete =
        this.#watch?.read((number, name, change) => {
          const parent = this.#watched.get(number);
          if (parent === undefined) return;
          if (change === 'directory') {
            if (isShown(name)) ids.add(below(parent, name));
            return;
          }
          written.add(parent);
          // Files of the children come and go with it.
          if (name === 'cgroup.subtree_control') for (const child of this.directories.get(parent)?.children ?? []) written.add(below(parent, child));
        }) ?? false;
    } catch (error) {
      this.#obstacle = reason(error);
    }
    for (const id of ids) this.settle(id);
    return { ids: [...ids], written, lost: !complete, obstacle: this.#giveUpIfHindered() };
  }

  /** Looks at one name: whether there is a directory, and whether it is the one that was there. */
  settle(id: string): void {
    const known = this.directories.get(id);
    const now = look(this.root, id);
    if (known !== undefined && now?.ino === known.inode) return;
    const parent = this.directories.get(parentOf(id));
    const name = id.slice(id.lastIndexOf('/') + 1);
    if (known !== undefined) {
      this.#forget(known);
      if (parent?.children.delete(name) === true) parent.links -= 1;
    }
    if (now !== undefined && parent !== undefined) {
      this.#descend(id);
      if (this.directories.has(id)) {
        adopt(parent, name);
        parent.links += 1;
      }
    }
    if (parent !== undefined) parent.mtimeMs = UNSEEN;
  }

  /** Looks at so many directories, in turn: the net below the watch, which should catch nothing. */
  sweep(count: number): void {
    const next: Directory[] = [];
    this.#sweep ??= this.directories.values();
    while (next.length < count) {
      const { value, done } = this.#sweep.next();
      if (done === true) {
        this.#sweep = undefined;
        break;
      }
      next.push(value);
    }
    if (next.length > 0) this.check(next);
  }

  /** Brings these directories up to date, and what is below those that changed. Throws CollectError when the root is gone. */
  check(directories: Iterable<Directory>): void {
    const suspects: Directory[] = [];
    for (const directory of directories) {
      const now = look(this.root, directory.id);
      if (now !== undefined && directory.mtimeMs === UNSEEN) directory.mtimeMs = now.mtimeMs;
      if (now === undefined || now.ino !== directory.inode || now.nlink !== directory.links || now.mtimeMs !== directory.mtimeMs) suspects.push(directory);
    }
    for (const directory of suspects) {
      if (this.directories.get(directory.id) !== directory) continue; // Settled with its parent.
      if (look(this.root, directory.id)?.ino === directory.inode) {
        this.#descend(directory.id);
        continue;
      }
      this.#forget(directory);
      // Another may have come in its place: the parent's link count stands still then.
      if (directory.id !== '/') this.#descend(parentOf(directory.id));
    }
    if (!this.directories.has('/')) throw new CollectError('read', this.root, 'the root of the cgroup hierarchy is gone');
  }

  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#watched.clear();
  }

  /** Records a directory and whatever is unknown below it; forgets children that are gone. Nothing when it cannot be seen. */
  #descend(id: string): void {
    const known = this.directories.get(id);
    // Watched before it is read: what comes in between is seen twice, and nothing is missed.
    const watch = known?.watch ?? this.#follow(id);
    const stats = look(this.root, id);
    if (known !== undefined && stats !== undefined && stats.ino !== known.inode) {
      this.#forget(known);
      this.#descend(id);
      return;
    }
    this.#unlisted.delete(id);
    const names = stats === undefined ? undefined : this.#childNames(id, stats, known);
    if (stats === undefined || names === undefined) {
      if (known === undefined) this.#unfollow(watch);
      return;
    }
    const children = names.length === 0 ? (NO_CHILDREN as Set<string>) : new Set(names);
    for (const gone of known?.children ?? []) {
      const child = this.directories.get(below(id, gone));
      if (!children.has(gone) && child !== undefined) this.#forget(child);
    }
    if (known === undefined) this.changed.add(id);
    this.directories.set(id, { id, inode: stats.ino, links: stats.nlink, mtimeMs: stats.mtimeMs, children, watch });
    for (const name of names) if (!this.directories.has(below(id, name))) this.#descend(below(id, name));
  }

  /** Names of child cgroups, those known before where they cannot be told now; undefined when the directory went meanwhile. */
  #childNames(id: string, { nlink }: Stats, known: Directory | undefined): readonly string[] | undefined {
    // Without subdirectories there are only files to be listed, forty of them.
    if (nlink === 2) return [];
    try {
      return childNames(this.root + id);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENODEV') return undefined;
      // Not for us to list: it stays so.
      if (code === 'EACCES') return [];
      this.#unlisted.add(id);
      return [...(known?.children ?? [])];
    }
  }

  #forget(directory: Directory): void {
    this.directories.delete(directory.id);
    this.#unlisted.delete(directory.id);
    this.changed.add(directory.id);
    this.#unfollow(directory.watch);
    for (const name of directory.children) {
      const child = this.directories.get(below(directory.id, name));
      if (child !== undefined) this.#forget(child);
    }
  }

  #follow(id: string): number {
    if (this.#watch === undefined || this.#obstacle !== '') return -1;
    try {
      const number = this.#watch.add(this.root + id, true);
      this.#watched.set(number, id);
      return number;
    } catch (error) {
      const code = reason(error);
      // Gone meanwhile, or not for us to list: no reason to give up the others.
      if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'ENODEV') this.#obstacle = code;
      return -1;
    }
  }

  #unfollow(watch: number): void {
    if (watch < 0 || this.#watch === undefined) return;
    this.#watch.remove(watch);
    this.#watched.delete(watch);
  }

  #giveUpIfHindered(): string {
    if (this.#obstacle !== '') this.close();
    return this.#obstacle;
  }
}

function below(id: string, name: string): string {
  return id === '/' ? `/${name}` : `${id}/${name}`;
}

function parentOf(id: string): string {
  return id.slice(0, Math.max(1, id.lastIndexOf('/')));
}

function adopt(parent: Directory, name: string): void {
  if (parent.children === NO_CHILDREN) parent.children = new Set();
  parent.children.add(name);
}

/** systemd makes a cgroup per mount unit: no container, and many of them (the peer leaves them out as well). */
function isShown(name: string): boolean {
  return !name.endsWith('.mount');
}

function reason(error: unknown): string {
  if (error instanceof ReaderError) return error.code;
  throw error;
}

function childNames(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isShown(entry.name))
    .map((entry) => entry.name);
}

function look(root: string, id: string): Stats | undefined {
  try {
    return statSync(root + id, { throwIfNoEntry: false });
  } catch {
    return undefined; // ENODEV, EACCES: a cgroup that cannot be seen is not there for us.
  }
}
