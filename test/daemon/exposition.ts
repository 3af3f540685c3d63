/** Text format 0.0.4 read back strictly, for pages over HTTP. */

export interface ReadFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Sample lines as printed. */
  readonly lines: readonly string[];
}

/**
 * The families in page order. Throws Error for what a merged page must not have: a family twice, a sample outside its
 * family, a line that is no sample, a series twice, a header without samples, no line feed at the end.
 */
export function readFamilies(page: string): ReadFamily[] {
  if (!page.endsWith('\n')) throw new Error('the page does not end with a line feed');
  const families: { name: string; type: string; help: string; lines: string[] }[] = [];
  const names = new Set<string>();
  const series = new Set<string>();
  let help: RegExpExecArray | null = null;
  for (const line of page.slice(0, -1).split('\n')) {
    const header = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (header?.[1] === 'HELP') help = header;
    else if (header !== null) {
      const [, , name = '', type = ''] = header;
      if (help?.[2] !== name) throw new Error(`TYPE without its HELP: ${line}`);
      if (names.has(name)) throw new Error(`family twice: ${name}`);
      names.add(name);
      families.push({ name, type, help: help[3] ?? '', lines: [] });
    } else {
      const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*",?)*\})? (\S+)$/.exec(line);
      const family = families.at(-1);
      if (sample === null) throw new Error(`not a sample: ${line}`);
      const suffixes = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : family?.type === 'summary' ? ['', '_sum', '_count'] : [''];
      if (family === undefined || !suffixes.some((suffix) => sample[1] === family.name + suffix)) throw new Error(`sample outside its family: ${line}`);
      if (Number.isNaN(Number(sample[3]?.replace('Inf', 'Infinity'))) && sample[3] !== 'NaN') throw new Error(`not a number: ${line}`);
      const key = `${sample[1]}${sample[2] ?? ''}`;
      if (series.has(key)) throw new Error(`series twice: ${line}`);
      series.add(key);
      family.lines.push(line);
    }
  }
  for (const { name, lines } of families) if (lines.length === 0) throw new Error(`family without samples: ${name}`);
  return families;
}

/** How many samples a page has. */
export function sampleCount(page: string): number {
  return page.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
}

/** Label names of a sample line in the order printed. */
export function labelNames(line: string): string[] {
  return [...line.slice(0, line.lastIndexOf(' ')).matchAll(/[{,]([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"/g)].map((match) => match[1] ?? '');
}

/** Name and labels of a sample line, without the number. */
export function seriesOf(line: string): string {
  return line.slice(0, line.lastIndexOf(' '));
}
