/** Exponent form starts here; below 1e-4 it starts again. */
const SMALLEST_LARGE = 1e6;
const SMALLEST_PLAIN = 1e-4;

/**
 * A sample value as Prometheus' Go library prints it: strconv.FormatFloat(f, 'g', -1, 64) as expfmt calls it
 * (prometheus/common, expfmt/text_create.go, writeFloat). Shortest digits that read back as the same double; exponents have
 * at least two digits; both zeros are `0`, because writeFloat compares with 0 before it formats.
 * The C++ twin is native-readers/src/core/go_number.cpp.
 */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  if (magnitude === Number.POSITIVE_INFINITY) return value > 0 ? '+Inf' : '-Inf';
  // In this range JavaScript's own form is the plain one too.
  if (magnitude >= SMALLEST_PLAIN && magnitude < SMALLEST_LARGE) return String(value);
  if (Number.isNaN(value)) return 'NaN';
  // Without an argument toExponential prints the shortest digits: "1.5e+6", which lacks only the exponent's zero.
  return value.toExponential().replace(/e[+-](?=\d$)/, '$&0');
}
