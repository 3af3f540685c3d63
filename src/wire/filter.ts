/** The filter a scrape may carry in its query: `collect[]`, `exclude[]` (node_exporter) and `name[]` (Go client library). */

/** Each list in the order sent, without repetitions; an empty list where the key is absent. */
export interface ScrapeFilter {
  /** Collectors to run. */
  readonly collect: readonly string[];
  /** Collectors to leave out. */
  readonly exclude: readonly string[];
  /** Families to show. */
  readonly name: readonly string[];
}

/**
 * The filter in a raw query string (the text behind `?`), undefined where none of its keys occurs. As `URL.Query` of Go's
 * net/url reads it, and with it every peer: pairs with a semicolon or a broken escape count as not sent, bytes that are no
 * UTF-8 make names that nobody has.
 */
export function parseFilter(query: string): ScrapeFilter | undefined {
  if (query === '') return undefined;
  const collect = new Set<string>();
  const exclude = new Set<string>();
  const name = new Set<string>();
  for (const pair of query.split('&')) {
    if (pair.includes(';') || BROKEN_ESCAPE.test(pair)) continue;
    const equals = pair.indexOf('=');
    const key = decode(equals < 0 ? pair : pair.slice(0, equals));
    const list = key === 'collect[]' ? collect : key === 'exclude[]' ? exclude : key === 'name[]' ? name : undefined;
    // A key without a value stands for '', as in Go: node_exporter answers it with an error, so it must not be lost.
    list?.add(equals < 0 ? '' : decode(pair.slice(equals + 1)));
  }
  if (collect.size + exclude.size + name.size === 0) return undefined;
  return { collect: [...collect], exclude: [...exclude], name: [...name] };
}

const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** Escapes are whole here. */
function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    // No UTF-8: what cannot be decoded becomes U+FFFD, as such a name is printed.
    const bytes = Buffer.from(spaced, 'utf8')
      .toString('latin1')
      .replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return Buffer.from(bytes, 'latin1').toString();
  }
}
