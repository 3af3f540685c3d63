import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';

/** AT_PAGESZ of getauxval(3). */
const PAGE_SIZE_ENTRY = 6n;
/** Of every x86 machine, and of most others. */
const USUAL_BYTES = 4096;

/** Bytes per page of memory from an auxiliary vector: pairs of words, type and value. Undefined when it has no such pair. */
export function pageSizeIn(vector: Buffer, wordBytes: 4 | 8, isLittleEndian: boolean): number | undefined {
  const word = (at: number): bigint => {
    if (wordBytes === 8) return isLittleEndian ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at);
    return BigInt(isLittleEndian ? vector.readUInt32LE(at) : vector.readUInt32BE(at));
  };
  for (let at = 0; at + 2 * wordBytes <= vector.length; at += 2 * wordBytes) {
    if (word(at) === PAGE_SIZE_ENTRY) return Number(word(at + wordBytes));
  }
  return undefined;
}

/** Bytes per page of memory of this machine, from /proc/self/auxv: node has no sysconf(3). */
export function pageSizeBytes(): number {
  try {
    const wordBytes = process.arch === 'arm' || process.arch === 'ia32' || process.arch === 'mips' ? 4 : 8;
    return pageSizeIn(readFileSync('/proc/self/auxv'), wordBytes, endianness() === 'LE') ?? USUAL_BYTES;
  } catch {
    // Without a procfs of our own there is nothing to ask.
    return USUAL_BYTES;
  }
}
