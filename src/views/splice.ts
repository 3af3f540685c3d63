import { crc32, deflateRawSync, constants } from 'node:zlib';
import { TIME_TEXT } from './merge.ts';

/**
 * A gzip form whose time can be replaced without compressing again: deflate blocks before and behind it, each ended by a
 * full flush, and the number itself in a stored block. The checksum follows from the linearity of CRC-32: changing `n`
 * bytes at distance `d` from the end changes the checksum by the checksum of the difference, shifted by `d` zero bytes.
 */

const WIDTH = TIME_TEXT.length;
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
/** Stored, not final; length and its complement. */
const STORED = Uint8Array.of(0, WIDTH, 0, ~WIDTH & 0xff, 0xff);
/** A final, empty block with fixed codes. */
const FINAL = Uint8Array.of(3, 0);
const LEVEL = 1;

export const GZIP_TRAILER_BYTES = 8;

export interface Gzipped {
  readonly bytes: number;
  /** Offset of the time's number in the gzip form, or -1. */
  readonly timeAt: number;
  /** CRC-32 of the page as it was given. */
  readonly crc: number;
}

/** Compresses a page. Returns undefined when `reserve` refuses the room. */
export function gzipPage(page: Uint8Array, timeAt: number, target: { readonly bytes: Uint8Array; reserve(bytes: number): boolean }): Gzipped | undefined {
  const parts: Uint8Array[] = [HEADER];
  if (timeAt < 0) parts.push(deflate(page));
  else parts.push(deflate(page.subarray(0, timeAt)), STORED, page.subarray(timeAt, timeAt + WIDTH), deflate(page.subarray(timeAt + WIDTH)));
  parts.push(FINAL);
  const trailer = new Uint8Array(GZIP_TRAILER_BYTES);
  const view = new DataView(trailer.buffer);
  const crc = crc32(page);
  view.setUint32(0, crc, true);
  view.setUint32(4, page.length, true);
  parts.push(trailer);
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  if (!target.reserve(bytes)) return undefined;
  let at = 0;
  for (const part of parts) {
    target.bytes.set(part, at);
    at += part.length;
  }
  const before = timeAt < 0 ? 0 : (parts[1] as Uint8Array).length;
  return { bytes, timeAt: timeAt < 0 ? -1 : HEADER.length + before + STORED.length, crc };
}

function deflate(bytes: Uint8Array): Uint8Array {
  return deflateRawSync(bytes, { level: LEVEL, finishFlush: constants.Z_FULL_FLUSH, chunkSize: Math.max(1024, (bytes.length >> 2) + 64) });
}

/** The matrix (32 columns) that advances a CRC-32 register over `zeros` zero bytes, written into `out`. */
export function crcShift(zeros: number, out: Uint32Array): void {
  // Squaring doubles the distance; start with the matrix of one zero bit.
  let square = new Uint32Array(32);
  square[0] = 0xedb88320;
  for (let bit = 1; bit < 32; bit++) square[bit] = 1 << (bit - 1);
  for (let i = 0; i < 3; i++) square = multiply(square, square);
  for (let bit = 0; bit < 32; bit++) out[bit] = 1 << bit;
  for (let rest = zeros; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) out.set(multiply(square, out));
    square = multiply(square, square);
  }
}

/** One register through a matrix. */
export function crcApply(matrix: Uint32Array, register: number): number {
  let sum = 0;
  for (let bit = 0, rest = register; rest !== 0; bit++, rest >>>= 1) if ((rest & 1) === 1) sum ^= matrix[bit] as number;
  return sum >>> 0;
}

function multiply(left: Uint32Array, right: Uint32Array): Uint32Array<ArrayBuffer> {
  const product = new Uint32Array(32);
  for (let bit = 0; bit < 32; bit++) product[bit] = crcApply(left, right[bit] as number);
  return product;
}

const TABLE = (() => {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    table[i] = value;
  }
  return table;
})();

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
