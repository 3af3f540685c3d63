import type { Place } from './problems.ts';

const SEPARATOR = '\u0000';
const DEFAULT: Place = { source: 'default' };

export type Step = string | number;

/** A mapping as the sources gave it. Without a prototype, so that no key of a file can reach one. */
export type Mapping = Record<string, unknown>;

export function mapping(): Mapping {
  return Object.create(null) as Mapping;
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The configuration while its sources are laid over each other: unchecked values, and where each was given. */
export class Draft {
  readonly root: Mapping = mapping();
  readonly #places = new Map<string, Place>();

  /** Lays a value over what is there. What stands in the way (a text where a mapping should be) stays, for validation to name it. */
  set(path: readonly string[], value: unknown, place: Place): void {
    const key = path.join(SEPARATOR);
    for (const known of this.#places.keys()) if (known.startsWith(key + SEPARATOR)) this.#places.delete(known);
    this.#lay(path, value, place);
  }

  /** Replaces a value and leaves the noted places alone. */
  fill(path: readonly string[], value: unknown): void {
    this.#lay(path, value, this.place(path));
  }

  /** Makes sure that there is a mapping, empty if need be. */
  ensure(path: readonly string[], place: Place): void {
    if (this.get(path) === undefined) this.#lay(path, mapping(), place);
  }

  #lay(path: readonly string[], value: unknown, place: Place): void {
    let here = this.root;
    for (let i = 0; i < path.length - 1; i++) {
      const step = path[i] ?? '';
      const next = here[step] ?? mapping();
      if (!isMapping(next)) return;
      here[step] = next;
      here = next;
    }
    const last = path.at(-1);
    if (last === undefined) return;
    here[last] = value;
    this.#places.set(path.join(SEPARATOR), place);
  }

  /** Notes where something inside a value stands (an element of a list in the file). */
  mark(path: readonly Step[], place: Place): void {
    this.#places.set(path.join(SEPARATOR), place);
  }

  get(path: readonly Step[]): unknown {
    let here: unknown = this.root;
    for (const step of path) {
      if (typeof here !== 'object' || here === null) return undefined;
      here = (here as Mapping)[step];
    }
    return here;
  }

  /** Where the value at `path`, or the nearest thing around it, was given. */
  place(path: readonly Step[]): Place {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(path.slice(0, length).join(SEPARATOR));
      if (place !== undefined) return place;
    }
    return DEFAULT;
  }
}
