/**
 * What a scraper accepts: the Content-Type to answer, and whether a gzip body may be sent.
 * Sources: `Negotiate` of prometheus/common expfmt with goautoneg, `NegotiateContentEncoding` of client_golang promhttp.
 */

/** How names beyond the legacy character set are written; the values of the `escaping` parameter. */
export type EscapingScheme = 'allow-utf-8' | 'underscores' | 'dots' | 'values';

const DEFAULT_ESCAPING: EscapingScheme = 'underscores';

/** Exactly what peers built on a Go client library of 2024 or later send, for each scheme. */
const CONTENT_TYPES: Readonly<Record<EscapingScheme, string>> = {
  'allow-utf-8': 'text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8',
  underscores: 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores',
  dots: 'text/plain; version=0.0.4; charset=utf-8; escaping=dots',
  values: 'text/plain; version=0.0.4; charset=utf-8; escaping=values',
};

/**
 * Header texts kept with their result. A scraper sends one and the same text for ever, so a handful is plenty; the bound
 * only keeps a client that varies its headers from growing the map.
 */
const MEMO_ENTRIES_MAX = 64;
/** Longer texts are worked out anew: a full memo holds at most 64 KiB of them. */
const MEMO_TEXT_MAX = 1024;

/**
 * The Content-Type for an `Accept` header ('' when absent): always text 0.0.4, never a refusal (406), because every
 * Prometheus parses it. The escaping is the latest valid one among the clauses, best q first, up to the one answered.
 */
export const contentTypeFor: (accept: string) => string = memoise(negotiateContentType);

/**
 * Whether a gzip body may answer this `Accept-Encoding` header ('' when absent: no). As in promhttp the higher q wins and
 * identity wins a tie with a named gzip; a lone `*` means gzip here, where promhttp would still send identity.
 */
export const acceptsGzip: (acceptEncoding: string) => boolean = memoise(negotiateGzip);

function memoise<T>(compute: (text: string) => T): (text: string) => T {
  const memo = new Map<string, T>();
  return (text) => {
    const known = memo.get(text);
    if (known !== undefined) return known;
    const result = compute(text);
    if (text.length <= MEMO_TEXT_MAX) {
      // Emptied when full: cheaper than to keep an order of use, and who fills it up is no scraper.
      if (memo.size >= MEMO_ENTRIES_MAX) memo.clear();
      memo.set(text, result);
    }
    return result;
  };
}

function negotiateContentType(accept: string): string {
  let escaping = DEFAULT_ESCAPING;
  for (const clause of sortedClauses(accept)) {
    const wanted = clause.parameters.get('escaping');
    if (wanted !== undefined && isEscapingScheme(wanted)) escaping = wanted;
    if (isServed(clause)) break;
  }
  return CONTENT_TYPES[escaping];
}

function isEscapingScheme(text: string): text is EscapingScheme {
  return Object.hasOwn(CONTENT_TYPES, text);
}

/** Text without a version means 0.0.4. A wildcard is not an answer in expfmt: the walk goes on and ends with text anyhow. */
function isServed(clause: Clause): boolean {
  const version = clause.parameters.get('version') ?? '';
  return clause.value === 'text/plain' && (version === '' || version === '0.0.4');
}

function negotiateGzip(acceptEncoding: string): boolean {
  const best = new Map<string, number>();
  for (const { value, q } of parseClauses(acceptEncoding)) best.set(value, Math.max(q, best.get(value) ?? 0));
  const any = best.get('*');
  const named = best.get('gzip');
  const gzip = named ?? any ?? 0;
  // Where gzip itself is only meant by `*`, that same `*` must not count against it as identity's q.
  const identity = best.get('identity') ?? (named === undefined ? undefined : any);
  return gzip > 0 && (identity === undefined || gzip > identity);
}

interface Clause {
  /** Lower case: media type or content coding. */
  readonly value: string;
  readonly q: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Best q first; for equal q the specific before the wildcard, then the order sent. */
function sortedClauses(header: string): Clause[] {
  return parseClauses(header).sort((a, b) => b.q - a.q || wildcards(a) - wildcards(b));
}

function wildcards(clause: Clause): number {
  if (clause.value === '*/*') return 2;
  return clause.value.endsWith('/*') ? 1 : 0;
}

function parseClauses(header: string): Clause[] {
  const clauses: Clause[] = [];
  for (const text of header.split(',')) {
    const clause = parseClause(text);
    if (clause.value !== '') clauses.push(clause);
  }
  return clauses;
}

function parseClause(text: string): Clause {
  const [value = '', ...rest] = text.split(';');
  const parameters = new Map<string, string>();
  let q = 1;
  for (const item of rest) {
    const equals = item.indexOf('=');
    if (equals < 0) continue;
    const name = item.slice(0, equals).trim().toLowerCase();
    const content = item.slice(equals + 1).trim();
    if (name === 'q') q = parseQuality(content);
    else parameters.set(name, content); // A doubled parameter is really sent (Prometheus 3.0 to 3.2): the last counts.
  }
  return { value: value.trim().toLowerCase(), q, parameters };
}

/** 0 to 1; what is not a number counts as 1, as in goautoneg. */
function parseQuality(text: string): number {
  const q = text === '' ? Number.NaN : Number(text);
  return Number.isNaN(q) ? 1 : Math.min(1, Math.max(0, q));
}
