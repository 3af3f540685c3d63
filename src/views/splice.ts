import { crc32 } from 'node:zlib';
import type { PageDeflater, Readers } from '../readers/readers.ts';
import { type GrowingPage, TIME_TEXT } from './merge.ts';

/**
 * A gzip form whose time can be replaced without compressing again: deflate blocks before and behind it, each ended by a
 * full flush, and the number itself in a stored block. The checksum follows from the linearity of CRC-32: changing `n`
 * bytes at distance `d` from the end changes the checksum by the checksum of the difference, advanced over `d` zero bytes.
 */

const WIDTH = TIME_TEXT.length;
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
/** Stored, not final; length and its complement. */
const STORED = Uint8Array.of(0, WIDTH, 0, ~WIDTH & 0xff, 0xff);
/** A final, empty block with fixed codes. */
const FINAL = Uint8Array.of(3, 0);

export const GZIP_TRAILER_BYTES = 8;

export interface Gzipped {
  readonly bytes: number;
  /** Offset of the time's number in the gzip form, or -1. */
  readonly timeAt: number;
  /** CRC-32 of the page as it was given. */
  readonly crc: number;
  /** Whether the view's deflater knows the text. */
  readonly isKnown: boolean;
}

const results = new Float64Array(3);

/** Compresses a page, with the view's own deflater where there is one. Undefined when `target` refuses the room. */
export function gzipPage(
  readers: Pick<Readers, 'deflate'>,
  page: Uint8Array,
  timeAt: number,
  target: GrowingPage,
  deflater?: PageDeflater,
): Gzipped | undefined {
  if (deflater?.gzip(page, timeAt, WIDTH, target.bytes, results) === true) {
    return { bytes: results[0] as number, timeAt: results[1] as number, crc: results[2] as number, isKnown: true };
  }
  let at = 0;
  const put = (part: Uint8Array): boolean => {
    if (!target.reserve(at + part.length)) return false;
    target.bytes.set(part, at);
    at += part.length;
    return true;
  };
  const compress = (part: Uint8Array): boolean => {
    let bytes = readers.deflate(part, target.bytes.subarray(at));
    if (bytes < 0) {
      if (!target.reserve(at - bytes - 1)) return false;
      bytes = readers.deflate(part, target.bytes.subarray(at));
    }
    at += Math.max(0, bytes);
    return bytes >= 0;
  };
  let gzipTimeAt = -1;
  let whole = put(HEADER);
  if (timeAt < 0) whole &&= compress(page);
  else {
    whole &&= compress(page.subarray(0, timeAt)) && put(STORED);
    gzipTimeAt = at;
    whole &&= put(page.subarray(timeAt, timeAt + WIDTH)) && compress(page.subarray(timeAt + WIDTH));
  }
  const trailer = new Uint8Array(GZIP_TRAILER_BYTES);
  const view = new DataView(trailer.buffer);
  const crc = crc32(page);
  view.setUint32(0, crc, true);
  view.setUint32(4, page.length, true);
  whole &&= put(FINAL) && put(trailer);
  return whole ? { bytes: at, timeAt: gzipTimeAt, crc, isKnown: false } : undefined;
}

const POLYNOMIAL = 0xedb88320;

/** POWERS[k * 32 + bit]: what one bit of a CRC-32 register becomes over 2^k zero bytes. */
const POWERS = (() => {
  const powers = new Uint32Array(32 * 32);
  // One zero byte is eight zero bits: the matrix of one bit, squared three times.
  let matrix = Uint32Array.from({ length: 32 }, (_, bit) => (bit === 0 ? POLYNOMIAL : 2 ** (bit - 1)));
  for (let k = -3; k < 32; k++) {
    if (k >= 0) powers.set(matrix, k * 32);
    const square = matrix;
    matrix = square.map((column) => apply(square, 0, column));
  }
  return powers;
})();

function apply(matrix: Uint32Array, from: number, register: number): number {
  let sum = 0;
  for (let bit = from, rest = register; rest !== 0; bit++, rest >>>= 1) if ((rest & 1) === 1) sum ^= matrix[bit] as number;
  return sum >>> 0;
}

/** A CRC-32 register (not inverted) advanced over `zeros` zero bytes. */
export function crcAdvance(register: number, zeros: number): number {
  let advanced = register;
  for (let k = 0, rest = zeros; rest > 0; k++, rest = Math.floor(rest / 2)) if (rest % 2 === 1) advanced = apply(POWERS, k * 32, advanced);
  return advanced;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** Checksum of a difference: a register that starts at zero and is not inverted. */
export function crcOfDifference(a: Uint8Array, b: Uint8Array): number {
  let register = 0;
  for (let i = 0; i < a.length; i++) {
    register = (TABLE[(register ^ (a[i] as number) ^ (b[i] as number)) & 0xff] as number) ^ (register >>> 8);
  }
  return register >>> 0;
}

/** Writes a Unix time as the fixed-width number of `node_time_seconds` (millisecond resolution) at `at`. */
export function writeTime(wallMs: number, out: Uint8Array, at: number): void {
  // Thirteen digits until the year 2286.
  let rest = Math.floor(wallMs);
  for (let i = 13; i >= 1; i--) {
    const digit = rest % 10;
    rest = (rest - digit) / 10;
    out[at + (i === 1 ? 0 : i)] = 48 + digit;
  }
  out[at + 1] = 46;
  out[at + 14] = 101;
  out[at + 15] = 43;
  out[at + 16] = 48;
  out[at + 17] = 57;
}
