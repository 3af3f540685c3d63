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

/** A query that cannot be decoded: to be answered with 400 and this message. */
export class FilterError extends Error {
  readonly code = 'BAD_QUERY';
  constructor(place: string) {
    super(`malformed percent escape in query: ${place}`);
    this.name = 'FilterError';
  }
}

/**
 * The filter in a raw query string (the text behind `?`), undefined where none of its keys occurs. Other keys are passed
 * over unread. Throws FilterError for a key or a filter's value with an escape that is no UTF-8.
 */
export function parseFilter(query: string): ScrapeFilter | undefined {
  if (query === '') return undefined;
  const collect = new Set<string>();
  const exclude = new Set<string>();
  const name = new Set<string>();
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const key = decode(equals < 0 ? pair : pair.slice(0, equals));
    const list = key === 'collect[]' ? collect : key === 'exclude[]' ? exclude : key === 'name[]' ? name : undefined;
    // A key without a value stands for '', as in Go: node_exporter answers it with an error, so it must not be lost.
    list?.add(equals < 0 ? '' : decode(pair.slice(equals + 1)));
  }
  if (collect.size + exclude.size + name.size === 0) return undefined;
  return { collect: [...collect], exclude: [...exclude], name: [...name] };
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw new FilterError(text.length > 80 ? `${text.slice(0, 80)}...` : text);
  }
}
