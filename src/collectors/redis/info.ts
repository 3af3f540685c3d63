/** The text of INFO: sections headed by `# Name`, lines `key:value`. */
export interface InfoLine {
  /** Section in which the line stands, without the sharp sign; '' before the first. */
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** Cuts INFO or CLUSTER INFO into lines; what is not `key:value` is left out. */
export function parseInfo(text: string): InfoLine[] {
  const lines: InfoLine[] = [];
  let section = '';
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    const line = text.slice(start, end).trim();
    start = end + 1;
    if (line.startsWith('#')) {
      section = line.slice(1).trim();
      continue;
    }
    const colon = line.indexOf(':');
    if (colon > 0) lines.push({ section, key: line.slice(0, colon), value: line.slice(colon + 1) });
  }
  return lines;
}

const WORDS: ReadonlyMap<string, number> = new Map([
  ['ok', 1],
  ['true', 1],
  ['err', 0],
  ['fail', 0],
  ['false', 0],
  ['', Number.NaN],
]);

/** `ok` and `true` are 1; `err`, `fail` and `false` are 0; NaN for what is not a number. */
export function infoNumber(value: string): number {
  return WORDS.get(value) ?? Number(value);
}

/** `a=1,b=2` as pairs; undefined when a part has no equals sign. */
export function parsePairs(value: string): Map<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (const part of value.split(',')) {
    const equals = part.indexOf('=');
    if (equals <= 0) return undefined;
    pairs.set(part.slice(0, equals), part.slice(equals + 1));
  }
  return pairs;
}
