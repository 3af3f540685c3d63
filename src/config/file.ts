import type { Node, Pair } from 'yaml';
import { type Draft, type Mapping, mapping, type Step } from './draft.ts';
import type { Place, Problem } from './problems.ts';

/** Aliases can make a small file endless; no real configuration comes near. */
const MAX_NODES = 100_000;
const MAX_DEPTH = 64;

type FilePlace = Extract<Place, { source: 'file' }>;

export interface FileInput {
  /** As the user wrote it; problems repeat it. */
  readonly name: string;
  readonly text: string;
  /** Keys of the schema's object at a path; undefined where there is a value or the path is unknown. */
  readonly keysAt: (path: readonly string[]) => readonly string[] | undefined;
}

/**
 * Reads YAML 1.2 into the draft. Problems (syntax, a key given twice) are returned with line and column; unknown keys are
 * left to validation. A key may be written with dots (`web.listen_address:`) wherever the schema has objects.
 */
export async function readFileInto(draft: Draft, input: FileInput): Promise<Problem[]> {
  // Some 25 ms of import that a daemon without a file need not pay.
  const { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  // Keys given twice are found here, so that the text can name both places.
  const document = parseDocument(input.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const problems: Problem[] = [];
  const leaves = new Map<string, FilePlace>();
  let nodes = 0;

  function at(offset: number | undefined): FilePlace {
    const { line, col } = offset === undefined ? { line: 1, col: 1 } : lines.linePos(offset);
    return { source: 'file', file: input.name, line: Math.max(1, line), column: Math.max(1, col) };
  }

  function complain(place: Place, path: readonly Step[], text: string): void {
    problems.push({ place, key: path.join('.'), text });
  }

  function resolved(node: unknown): unknown {
    if (!isAlias(node)) return node;
    const target = node.resolve(document);
    if (target === undefined) complain(at(node.range?.[0]), [], 'an alias (*name) without an anchor (&name) in front of it; quote a text that begins with *');
    return target;
  }

  /** The pairs of a mapping with their keys as text; a key that comes twice is a problem and counts once. */
  function* entries(pairs: readonly Pair[], path: readonly Step[]): Generator<[key: string, value: unknown, place: FilePlace]> {
    const seen = new Map<string, FilePlace>();
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null;
      const place = at(keyNode?.range?.[0]);
      if (!isScalar(keyNode)) {
        complain(place, path, 'expected a plain key');
        continue;
      }
      const key = String(keyNode.value);
      const first = seen.get(key);
      if (first !== undefined) {
        complain(place, [...path, key], `given twice, first in line ${first.line}`);
        continue;
      }
      seen.set(key, place);
      yield [key, resolved(pair.value), place];
    }
  }

  /** A value below which the schema knows no keys: taken as it is, its places noted. */
  function plain(node: unknown, path: readonly Step[], place: Place): unknown {
    nodes += 1;
    if (nodes > MAX_NODES || path.length > MAX_DEPTH) {
      if (nodes <= MAX_NODES + 1) complain(place, path.slice(0, 4), 'the configuration is too large or refers to itself');
      nodes = MAX_NODES + 1;
      return undefined;
    }
    if (isMap(node)) {
      const into: Mapping = mapping();
      for (const [key, value, where] of entries(node.items, path)) {
        draft.mark([...path, key], where);
        into[key] = plain(value, [...path, key], where);
      }
      return into;
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const where = at((item as Node | null)?.range?.[0]);
        draft.mark([...path, index], where);
        return plain(resolved(item), [...path, index], where);
      });
    }
    return isScalar(node) ? node.value : undefined;
  }

  function assign(path: readonly string[], node: unknown, place: FilePlace): void {
    const known = input.keysAt(path);
    if (known !== undefined && isMap(node)) {
      draft.ensure(path, place);
      visit(node.items, path);
    } else if (known !== undefined && (node === null || (isScalar(node) && node.value === null))) {
      // `postgres:` without anything behind it is an empty block, not a wrong value.
      draft.ensure(path, place);
    } else assignValue(path, node, place);
  }

  function assignValue(path: readonly string[], node: unknown, place: FilePlace): void {
    const key = path.join('\u0000');
    const first = leaves.get(key);
    if (first !== undefined) {
      complain(place, path, `given twice, first in line ${first.line}`);
      return;
    }
    leaves.set(key, place);
    // Set first, since it forgets the places below, which `plain` then notes.
    draft.set(path, undefined, place);
    draft.fill(path, plain(node, path, place));
  }

  function visit(pairs: readonly Pair[], path: readonly string[]): void {
    for (const [key, value, place] of entries(pairs, path)) {
      const steps = input.keysAt(path)?.includes(key) === true ? [key] : key.split('.');
      assign([...path, ...steps], value, place);
    }
  }

  for (const error of [...document.errors, ...document.warnings]) complain(at(error.pos[0]), [], withoutContent(error.message));
  if (problems.length > 0) return problems;
  const top: unknown = document.contents;
  if (isMap(top)) visit(top.items, []);
  else if (!(top === null || (isScalar(top) && top.value === null))) complain(at(0), [], 'expected keys at the top of the file, such as `web:`');
  return problems;
}

/** Behind a colon the parser quotes from the file, and what it quotes may be half a password; behind a semicolon it speaks to programmers. */
function withoutContent(message: string): string {
  return `not YAML: ${message.split(/[:;\n]/, 1)[0] ?? message}`;
}
