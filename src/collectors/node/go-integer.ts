const MOST_SIGNED = 2n ** 63n - 1n;
const MOST_NEGATIVE = -(2n ** 63n);
const MOST_UNSIGNED = 2n ** 64n - 1n;
const SPELLINGS = /^([+-]?)(?:(0[xX][0-9a-fA-F]+)|(0[bB][01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;

/**
 * A whole number as Go's strconv reads it with base 0: `12`, `0x1003`, `0b11`, `010` (octal). Undefined for anything else, and
 * for what does not fit 64 bits. Kernel attributes are read so by the peer.
 */
export function integerOf(text: string, isSigned = true): number | undefined {
  const found = SPELLINGS.exec(text);
  if (found === null || (!isSigned && found[1] !== '')) return undefined;
  const [, sign, hex, binary, octal, decimal] = found;
  const size = BigInt(hex ?? binary ?? (octal === undefined ? (decimal ?? '0') : `0o${octal}`));
  const value = sign === '-' ? -size : size;
  if (isSigned ? value > MOST_SIGNED || value < MOST_NEGATIVE : value > MOST_UNSIGNED) return undefined;
  return Number(value);
}

/** The same with base 10: digits only, and a sign where it is signed. */
export function decimalOf(text: string, isSigned = true): number | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  return integerOf(text.replace(/^([+-]?)0+(?=[0-9])/, '$1'), isSigned);
}
