import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

/** Names remembered per generation; two generations are kept. More than a machine has of disks, mounts or interfaces. */
const REMEMBERED = 4096;

/** Loaded when a pattern is not one of ours: it is larger than all parts together. */
const re2 = (): typeof import('re2js') => createRequire(import.meta.url)('re2js') as typeof import('re2js');

/** What is wrong with a regular expression, or undefined. RE2's syntax, as the peer's Go programs read it. */
export function regexpProblem(pattern: string): string | undefined {
  try {
    re2().RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether a pattern is found in a name. */
interface Finder {
  test(name: string): boolean;
}

/** Of a pattern by its own engine, or by RegExp when it is `plain`: one that both read alike, in linear time. */
function finder(pattern: string, plain: boolean): Finder | undefined {
  if (pattern === '') return undefined;
  if (plain) return new RegExp(pattern, 'su');
  const compiled: RE2JS = re2().RE2JS.compile(pattern);
  return { test: (name) => compiled.matcher(name).find() };
}

/**
 * The peer's rule for include and exclude flags: a name is left out when `exclude` is not empty and is found in it, or when
 * `include` is not empty and is not found in it. RE2 and not RegExp: other syntax ((?i), (?P<n>), [[:alpha:]], \z) and linear time.
 * Each name is matched once as long as it is in use.
 */
export class Filter {
  readonly #exclude: Finder | undefined;
  readonly #include: Finder | undefined;
  #recent = new Map<string, boolean>();
  #older = new Map<string, boolean>();

  /** @param isPlain of the patterns of our own defaults */
  constructor(exclude: string, include: string, isPlain: (pattern: string) => boolean = () => false) {
    this.#exclude = finder(exclude, isPlain(exclude));
    this.#include = finder(include, isPlain(include));
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
    if (this.#exclude?.test(name) === true) return false;
    return this.#include === undefined || this.#include.test(name);
  }
}
