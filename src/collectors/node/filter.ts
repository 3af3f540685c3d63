import { RE2JS } from 're2js';

/** Names remembered per generation; two generations are kept. More than a machine has of disks, mounts or interfaces. */
const REMEMBERED = 4096;

/** What is wrong with a regular expression, or undefined. RE2's syntax, as the peer's Go programs read it. */
export function regexpProblem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The peer's rule for include and exclude flags: a name is left out when `exclude` is not empty and is found in it, or when
 * `include` is not empty and is not found in it. RE2 and not RegExp: other syntax ((?i), (?P<n>), [[:alpha:]], \z) and linear time.
 * Each name is matched once as long as it is in use.
 */
export class Filter {
  readonly #exclude: RE2JS | undefined;
  readonly #include: RE2JS | undefined;
  #recent = new Map<string, boolean>();
  #older = new Map<string, boolean>();

  constructor(exclude: string, include: string) {
    this.#exclude = exclude === '' ? undefined : RE2JS.compile(exclude);
    this.#include = include === '' ? undefined : RE2JS.compile(include);
  }

  keeps(name: string): boolean {
    let kept = this.#recent.get(name);
    if (kept !== undefined) return kept;
    kept = this.#older.get(name) ?? this.#match(name);
    if (this.#recent.size >= REMEMBERED) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(name, kept);
    return kept;
  }

  #match(name: string): boolean {
    if (this.#exclude?.matcher(name).find() === true) return false;
    return this.#include === undefined || this.#include.matcher(name).find();
  }
}
