const UNITS: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, µs: 1e-6, μs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };
const WHOLE = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const STEP = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Seconds of a duration in Go's syntax (`15s`, `1m30s`, `500ms`, `0`); undefined when the text is not one. */
export function parseDuration(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0;
  if (!WHOLE.test(text)) return undefined;
  let seconds = 0;
  for (const [, number, unit] of text.matchAll(STEP)) seconds += Number(number) * (UNITS[unit ?? ''] ?? 0);
  // Sums such as 1m + 0.1s would otherwise carry the dust of binary fractions; nanoseconds are the unit of Go's type.
  seconds = Math.round(seconds * 1e9) / 1e9;
  return text.startsWith('-') ? -seconds : seconds;
}
