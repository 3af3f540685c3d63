import { constants, deflateRawSync } from 'node:zlib';

const LEVEL = 1;

/** `Readers.deflate` by node:zlib, which makes a stream for every call. */
export function deflateSlowly(input: Uint8Array, output: Uint8Array): number {
  const bytes = deflateRawSync(input, { level: LEVEL, finishFlush: constants.Z_FULL_FLUSH, chunkSize: Math.max(1024, (input.length >> 2) + 64) });
  if (bytes.length > output.length) return -(1 + bytes.length);
  output.set(bytes);
  return bytes.length;
}
