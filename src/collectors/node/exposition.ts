/**
 * Text format 0.0.4, read as strictly as the peer reads textfiles: one mistake refuses the whole text. Unlike a scraper, a
 * writer can mend its file.
 */
import { escapeLabelValue } from '../../model/escape.ts';
import type { MetricType } from '../../model/family.ts';

/** A line of numbers, its labels in the order of the file. `bound` is le or quantile of a part of a distribution. */
export interface ReadMetric {
  readonly labels: ReadonlyMap<string, string>;
  /** Of a counter, gauge or untyped metric; NaN until the sample was read, and of distributions. */
  value: number;
  /** Of a summary or histogram. */
  count: number;
  sum: number;
  /** Of a histogram: cumulative counts by bound; of a summary: values by quantile. The last of equal bounds counts. */
  readonly parts: Map<number, number>;
  /** A count or a bucket of a histogram was not a whole number; then all are shown as 0. */
  isFractional: boolean;
}

export interface ReadFamily {
  readonly name: string;
  type: MetricType;
  help: string | undefined;
  readonly metrics: ReadMetric[];
}

export class ExpositionError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.name = 'ExpositionError';
    this.line = line;
  }
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const BLANKS = /[ \t]*/y;
const TOKEN = /[^ \t]*/y;
const FLOAT = /^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)$/;
const INFINITE = /^([+-]?)(?:inf|infinity)$/i;
/** Counts are numbers of 64 bits in the peer. */
const MOST_COUNT = 2 ** 64;
const TYPES: ReadonlySet<string> = new Set(['counter', 'gauge', 'untyped', 'histogram', 'summary']);

/** A number as Go reads it, without the spellings that the format forbids. */
export function floatOf(text: string): number | undefined {
  if (FLOAT.test(text)) {
    const value = Number(text);
    // Go refuses what is out of range instead of calling it infinite.
    return Number.isFinite(value) ? value : undefined;
  }
  if (/^[+-]?nan$/i.test(text)) return /^[+-]/.test(text) ? undefined : Number.NaN;
  const infinite = INFINITE.exec(text);
  if (infinite === null) return undefined;
  return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** A cursor over one line. */
class Line {
  readonly text: string;
  readonly number: number;
  at = 0;

  constructor(text: string, number: number) {
    this.text = text;
    this.number = number;
  }

  get rest(): string {
    return this.text.slice(this.at);
  }

  /** The character under the cursor, '' at the end. */
  peek(): string {
    return this.text.charAt(this.at);
  }

  skipBlanks(): void {
    this.take(BLANKS);
  }

  take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  fail(message: string): ExpositionError {
    return new ExpositionError(this.number, message);
  }
}

/** Which series of a distribution a sample belongs to. */
type Role = 'value' | 'count' | 'sum';

interface Named {
  readonly family: ReadFamily;
  readonly role: Role;
}

class Exposition {
  /** The bytes were not all UTF-8: marks of that may stand in comments and HELP texts only. */
  readonly #isDamaged: boolean;
  readonly families = new Map<string, ReadFamily>();
  /** Families whose TYPE was given or whose first sample was read: TYPE may no longer come. */
  readonly #typed = new Set<ReadFamily>();
  /** Metrics of distributions by family and labels. */
  readonly #distributions = new Map<string, ReadMetric>();

  constructor(isDamaged: boolean) {
    this.#isDamaged = isDamaged;
  }

  read(line: Line): void {
    line.skipBlanks();
    if (line.rest === '') return;
    if (line.peek() === '#') this.#comment(line);
    else this.#sample(line);
  }

  #comment(line: Line): void {
    line.at += 1;
    line.skipBlanks();
    const keyword = line.take(TOKEN);
    if (keyword !== 'HELP' && keyword !== 'TYPE') return;
    line.skipBlanks();
    if (line.rest === '') return;
    const name = this.#name(line);
    if (line.rest === '') return;
    if (name === '' || (line.peek() !== ' ' && line.peek() !== '\t')) throw line.fail(`expected a metric name behind ${keyword}`);
    const { family } = this.#named(name);
    line.skipBlanks();
    if (line.rest === '') return;
    if (keyword === 'HELP') this.#help(line, family);
    else this.#type(line, family);
  }

  #help(line: Line, family: ReadFamily): void {
    if (family.help !== undefined) throw line.fail(`second HELP for ${family.name}`);
    family.help = unescaped(line, line.rest);
  }

  #type(line: Line, family: ReadFamily): void {
    if (this.#typed.has(family)) throw line.fail(`second TYPE for ${family.name}, or TYPE behind its samples`);
    const type = line.rest.toLowerCase();
    if (!TYPES.has(type)) throw line.fail(`expected counter, gauge, untyped, histogram or summary, not ${JSON.stringify(line.rest)}`);
    family.type = type as MetricType;
    this.#typed.add(family);
  }

  /** Name in front of a sample or behind a keyword; may be quoted. '' when there is none. */
  #name(line: Line): string {
    if (line.peek() !== '"') return line.take(NAME);
    const text = quoted(line);
    NAME.lastIndex = 0;
    if (NAME.exec(text)?.[0] !== text) throw line.fail(`expected a name of letters, digits, _ and :, not ${JSON.stringify(text)}`);
    return text;
  }

  /** The family that a name belongs to: names with _count, _sum or _bucket may be part of a distribution seen before. */
  #named(name: string): Named {
    const known = this.families.get(name);
    if (known !== undefined) return { family: known, role: 'value' };
    const [, stem = '', suffix = ''] = /^(.+)_(count|sum|bucket)$/s.exec(name) ?? [];
    const distribution = this.families.get(stem);
    if (distribution !== undefined && (distribution.type === 'histogram' || (distribution.type === 'summary' && suffix !== 'bucket'))) {
      return { family: distribution, role: suffix === 'bucket' ? 'value' : (suffix as Role) };
    }
    const family: ReadFamily = { name, type: 'untyped', help: undefined, metrics: [] };
    this.families.set(name, family);
    return { family, role: 'value' };
  }

  #sample(line: Line): void {
    let named: Named | undefined;
    let labels = new Map<string, string>();
    let bound = Number.NaN;
    if (line.peek() !== '{') {
      const name = this.#name(line);
      if (name === '') throw line.fail('expected a metric name');
      named = this.#named(name);
      line.skipBlanks();
    }
    if (line.peek() === '{') ({ named, labels, bound } = this.#labels(line, named));
    if (named === undefined) throw line.fail('expected a metric name');
    this.#typed.add(named.family);
    line.skipBlanks();
    const text = line.take(TOKEN);
    const value = floatOf(text);
    if (value === undefined) throw line.fail(`expected a number as value, not ${JSON.stringify(text)}`);
    this.#store(line, named, labels, bound, value);
    if (line.rest !== '') throw this.#behind(line);
  }

  /** Something stands behind the value: no time stamp is allowed here, which the peer says only when the whole file is read. */
  #behind(line: Line): ExpositionError {
    line.skipBlanks();
    const text = line.take(TOKEN);
    return line.fail(
      /^[+-]?[0-9]+$/.test(text) ? 'a sample has a time stamp, which is not supported' : `expected the end of the line, not ${JSON.stringify(text)}`,
    );
  }

  #labels(line: Line, outside: Named | undefined): { named: Named | undefined; labels: Map<string, string>; bound: number } {
    let named = outside;
    const labels = new Map<string, string>();
    let bound = Number.NaN;
    line.at += 1;
    for (;;) {
      line.skipBlanks();
      if (line.peek() === '}') break;
      const label = line.peek() === '"' ? quoted(line) : line.take(LABEL);
      line.skipBlanks();
      if (line.peek() !== '=') {
        // {"name", label="value"}
        if (outside !== undefined || named !== undefined) throw line.fail(`expected = behind the label ${JSON.stringify(label)}`);
        NAME.lastIndex = 0;
        if (label === '' || NAME.exec(label)?.[0] !== label) throw line.fail(`expected a metric name, not ${JSON.stringify(label)}`);
        named = this.#named(label);
      } else {
        if (named === undefined) throw line.fail('expected a metric name in front of labels');
        LABEL.lastIndex = 0;
        if (label === '' || LABEL.exec(label)?.[0] !== label) throw line.fail(`expected a label name, not ${JSON.stringify(label)}`);
        if (label.startsWith('__')) throw line.fail(`the label name ${label} is reserved`);
        line.at += 1;
        line.skipBlanks();
        if (line.peek() !== '"') throw line.fail(`expected a quoted value for ${label}`);
        const value = quoted(line);
        if (this.#isDamaged && value.includes('\uFFFD')) throw line.fail(`the value of the label ${label} is not UTF-8`);
        if (isBound(named.family.type, label)) {
          const number = floatOf(value);
          if (number === undefined) throw line.fail(`expected a number for ${label}, not ${JSON.stringify(value)}`);
          bound = number;
        } else if (labels.has(label)) throw line.fail(`the label ${label} is there twice`);
        else labels.set(label, value);
      }
      line.skipBlanks();
      if (line.peek() === ',') line.at += 1;
      else if (line.peek() !== '}') throw line.fail('expected , or } behind a label');
    }
    line.at += 1;
    return { named, labels, bound };
  }

  #store(line: Line, { family, role }: Named, labels: Map<string, string>, bound: number, value: number): void {
    if (family.type !== 'histogram' && family.type !== 'summary') {
      family.metrics.push({ labels, value, count: 0, sum: 0, parts: new Map(), isFractional: false });
      return;
    }
    const metric = this.#distribution(family, labels);
    if (role === 'sum') metric.sum = value;
    else if (role === 'count') metric.count = this.#whole(line, metric, family, value);
    else if (!Number.isNaN(bound)) metric.parts.set(bound, family.type === 'histogram' ? this.#whole(line, metric, family, value) : value);
  }

  #whole(line: Line, metric: ReadMetric, family: ReadFamily, value: number): number {
    if (family.type === 'summary') return value >= 0 ? Math.trunc(value) : 0;
    if (value < 0) throw line.fail(`negative count for ${family.name}`);
    if (!Number.isInteger(value) || value >= MOST_COUNT) metric.isFractional = true;
    return value;
  }

  #distribution(family: ReadFamily, labels: Map<string, string>): ReadMetric {
    const key = JSON.stringify([family.name, ...[...labels].map(([name, text]) => `${name}="${escapeLabelValue(text)}"`).sort()]);
    let metric = this.#distributions.get(key);
    if (metric === undefined) {
      metric = { labels, value: Number.NaN, count: 0, sum: 0, parts: new Map(), isFractional: false };
      this.#distributions.set(key, metric);
      family.metrics.push(metric);
    }
    return metric;
  }
}

function isBound(type: MetricType, label: string): boolean {
  return (type === 'summary' && label === 'quantile') || (type === 'histogram' && label === 'le');
}

/** The text between the quotes that the cursor stands on, moving behind them. */
function quoted(line: Line): string {
  let end = line.at + 1;
  while (end < line.text.length && line.text.charAt(end) !== '"') end += line.text.charAt(end) === '\\' ? 2 : 1;
  if (end >= line.text.length) throw line.fail('expected a closing "');
  const text = unescaped(line, line.text.slice(line.at + 1, end));
  line.at = end + 1;
  return text;
}

function unescaped(line: Line, text: string): string {
  return text.replace(/\\(.?)/gs, (_, character: string) => {
    if (character === 'n') return '\n';
    if (character === '\\' || character === '"') return character;
    throw line.fail(`\\${character} is not an escape sequence`);
  });
}

function decoded(bytes: Buffer): { text: string; isDamaged: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), isDamaged: false };
  } catch {
    return { text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), isDamaged: true };
  }
}

/**
 * Families in the order in which they appear; those without samples are left out.
 * Throws ExpositionError naming the line.
 */
export function parseExposition(bytes: Buffer): readonly ReadFamily[] {
  const { text, isDamaged } = decoded(bytes);
  const lines = text.split('\n');
  const exposition = new Exposition(isDamaged);
  const last = lines.pop() ?? '';
  for (const [i, content] of lines.entries()) exposition.read(new Line(content, i + 1));
  if (/[^ \t]/.test(last)) throw new ExpositionError(lines.length + 1, 'expected a line feed at the end');
  return [...exposition.families.values()].filter(({ metrics }) => metrics.length > 0);
}
