import { lstatSync, readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { compareBytes } from '../../model/escape.ts';

const SPECIAL = /[*?[\\]/;

/** One part of a path as a regular expression, in the syntax of Go's filepath.Match; undefined when it is malformed. */
function segmentPattern(segment: string): RegExp | undefined {
  let pattern = '';
  for (let at = 0; at < segment.length; at++) {
    const character = segment.charAt(at);
    if (character === '*') pattern += '[^/]*';
    else if (character === '?') pattern += '[^/]';
    else if (character === '[') {
      const [, negation = '', ranges = ''] = /^\[(\^?)((?:\\.|[^\]\\])+)\]/su.exec(segment.slice(at)) ?? [];
      if (ranges === '') return undefined;
      at += negation.length + ranges.length + 1;
      pattern += `[${negation}${ranges.replace(/\\(.)/gsu, '$1').replace(/[\\\]^[]/g, '\\$&')}]`;
    } else {
      if (character === '\\') at += 1;
      const literal = segment.charAt(at);
      if (literal === '') return undefined;
      pattern += literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  try {
    return new RegExp(`^${pattern}$`, 'su');
  } catch {
    return undefined;
  }
}

function matching(folders: readonly string[], segment: string): string[] | undefined {
  const pattern = segmentPattern(segment);
  if (pattern === undefined) return undefined;
  return folders.flatMap((folder) => {
    let names: string[];
    try {
      names = readdirSync(folder);
    } catch {
      // As in Go: what cannot be listed has nothing that matches.
      return [];
    }
    return names
      .filter((name) => pattern.test(name))
      .sort(compareBytes)
      .map((name) => posix.join(folder, name));
  });
}

/**
 * Paths that a pattern finds, as Go's filepath.Glob: `*`, `?`, `[a-z]`, `[^a-z]` and backslashes within one part of a path, names
 * with a leading dot included. A pattern that finds nothing, or is malformed, stands for itself.
 */
export function globbed(pattern: string): readonly string[] {
  if (!SPECIAL.test(pattern)) return [pattern];
  let found: string[] = [pattern.startsWith('/') ? '/' : '.'];
  for (const segment of pattern.split('/').filter((part) => part !== '')) {
    if (SPECIAL.test(segment)) {
      const next = matching(found, segment);
      if (next === undefined) return [pattern];
      found = next;
    } else found = found.map((folder) => posix.join(folder, segment)).filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  }
  return found.length === 0 ? [pattern] : found;
}
