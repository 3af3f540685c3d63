/** Reads a page back far enough to know that it is the page that was meant. */

export interface Page {
  /** Names in the order of their TYPE lines. */
  readonly families: ReadonlySet<string>;
  /** Value by `name{labels}`. */
  readonly samples: ReadonlyMap<string, number>;
}

/** Throws Error naming the line when the text is not text format 0.0.4, has a family twice or a series twice. */
export function parsePage(text: string, from: string): Page {
  if (text !== '' && !text.endsWith('\n')) throw new Error(`${from}: the page does not end with a line feed but with ${JSON.stringify(text.slice(-80))}`);
  const families = new Set<string>();
  const samples = new Map<string, number>();
  for (const [index, line] of text.split('\n').slice(0, -1).entries()) {
    const fail = (what: string): Error => new Error(`${from}, line ${index + 1}: ${what}: ${line}`);
    if (line.startsWith('#')) {
      const [, keyword, name = ''] = line.split(' ', 3);
      if (keyword !== 'TYPE') continue;
      if (families.has(name)) throw fail('a family twice');
      families.add(name);
      continue;
    }
    const blank = line.lastIndexOf(' ');
    const series = line.slice(0, blank);
    const value = parseValue(line.slice(blank + 1));
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})?$/.test(series) || value === undefined) throw fail('not a sample');
    if (samples.has(series)) throw fail('a series twice');
    samples.set(series, value);
  }
  return { families, samples };
}

const WORDS: Readonly<Record<string, number>> = { NaN: Number.NaN, '+Inf': Number.POSITIVE_INFINITY, '-Inf': Number.NEGATIVE_INFINITY };

function parseValue(text: string): number | undefined {
  if (text in WORDS) return WORDS[text];
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

/** Sum of all series of a family whose labels hold `part`. */
export function sumOf(page: Page, family: string, part = ''): number {
  let sum = 0;
  for (const [series, value] of page.samples) if ((series === family || series.startsWith(`${family}{`)) && series.includes(part)) sum += value;
  return sum;
}

/** Collectors on a node page, as node_scrape_collector_success names them. Throws when there are none or one failed. */
export function nodeCollectors(page: Page, from: string): string[] {
  const found: string[] = [];
  for (const [series, value] of page.samples) {
    const name = /^node_scrape_collector_success\{collector="([^"]+)"\}$/.exec(series)?.[1];
    if (name === undefined) continue;
    // Where the kernel has no source both programs say 0, and both do no work.
    if (value === 1) found.push(name);
  }
  if (found.length === 0) throw new Error(`${from}: no collector succeeded`);
  return found.sort();
}

/** Families of one page that the other lacks, both ways. */
export function familyDifferences(ours: Page, theirs: Page): { readonly missing: string[]; readonly extra: string[] } {
  return { missing: [...theirs.families].filter((name) => !ours.families.has(name)), extra: [...ours.families].filter((name) => !theirs.families.has(name)) };
}
