/** A label value between quotes: backslash, quote and line feed are escaped (text format 0.0.4). */
export function escapeLabelValue(text: string): string {
  return /[\\"\n]/.test(text) ? text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') : text;
}

/** HELP text: backslash and line feed are escaped, quotes are not. */
export function escapeHelp(text: string): string {
  return /[\\\n]/.test(text) ? text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n') : text;
}

/** A name made legal for a metric or label as the peers do: every other character becomes an underscore. */
export function legalName(text: string): string {
  const legal = text.replace(/[^a-zA-Z0-9_]/g, '_');
  return /^[0-9]/.test(legal) ? `_${legal}` : legal;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Order of the UTF-8 bytes, which is how Go sorts strings; UTF-16 order differs only where surrogates take part. */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}
