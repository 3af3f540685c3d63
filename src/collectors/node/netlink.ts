import { endianness } from 'node:os';
import { CollectError } from '../../collect/contract.ts';

/** Messages of netlink(7), in the byte order of the machine. */
const IS_LITTLE = endianness() === 'LE';
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLA_F_NESTED = 0x8000;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type. */
const TYPE_MASK = 0x3fff;

export function u16(bytes: Buffer, at: number): number {
  return IS_LITTLE ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

export function u32(bytes: Buffer, at: number): number {
  return IS_LITTLE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

export function u64(bytes: Buffer, at: number): number {
  return Number(IS_LITTLE ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
}

function write(bytes: Buffer, at: number, length: 2 | 4, value: number): void {
  if (IS_LITTLE) bytes.writeUIntLE(value, at, length);
  else bytes.writeUIntBE(value, at, length);
}

/** A request for one thing. */
export function request(type: number, payload: Buffer): Buffer {
  return withHeader(type, NLM_F_REQUEST, payload);
}

/** A request for everything of a kind. */
export function dumpRequest(type: number, payload: Buffer): Buffer {
  return withHeader(type, NLM_F_REQUEST | NLM_F_DUMP, payload);
}

function withHeader(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  write(header, 0, 4, HEADER_BYTES + payload.length);
  write(header, 4, 2, type);
  write(header, 6, 2, flags);
  write(header, 8, 4, 1);
  return Buffer.concat([header, payload]);
}

export function u32Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  write(bytes, 0, 4, value);
  return bytes;
}

export function attribute(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(ATTRIBUTE_HEADER_BYTES);
  write(header, 0, 2, ATTRIBUTE_HEADER_BYTES + payload.length);
  write(header, 2, 2, type);
  return Buffer.concat([header, payload, Buffer.alloc(-payload.length & 3)]);
}

/** An attribute that holds attributes; newer families insist on its mark. */
export function nestedAttribute(type: number, payload: Buffer): Buffer {
  return attribute(type | NLA_F_NESTED, payload);
}

function malformed(): CollectError {
  return new CollectError('parse', 'netlink', 'the answer of the kernel is cut off');
}

/** Payloads of the messages of a type. Throws CollectError `parse`. @param fewest bytes of the shortest payload */
export function* payloads(answer: Buffer, type: number, fewest: number): Generator<Buffer> {
  for (let at = 0; at + HEADER_BYTES <= answer.length; ) {
    const length = u32(answer, at);
    if (length < HEADER_BYTES || at + length > answer.length) throw malformed();
    if (u16(answer, at + 4) === type) {
      if (length < HEADER_BYTES + fewest) throw malformed();
      yield answer.subarray(at + HEADER_BYTES, at + length);
    }
    at += (length + 3) & ~3;
  }
}

/** Attributes in their order, with their types. Throws CollectError `parse`. */
export function* attributesIn(bytes: Buffer): Generator<readonly [type: number, payload: Buffer]> {
  for (let at = 0; at + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = u16(bytes, at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) throw malformed();
    yield [u16(bytes, at + 2) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length)];
    at += (length + 3) & ~3;
  }
}

/** Attributes by type; of equal types the last. Throws CollectError `parse`. */
export function attributesOf(bytes: Buffer): ReadonlyMap<number, Buffer> {
  return new Map(attributesIn(bytes));
}

/** Offsets of the first byte and of the one behind the last. */
export type ByteRange = readonly [from: number, to: number];

/** Where bytes that were cut out of an answer are in it. */
export function rangeIn(answer: Buffer, part: Buffer): ByteRange {
  const from = part.byteOffset - answer.byteOffset;
  return [from, from + part.length];
}

/** Payloads of those attributes of the messages of a type that are loose (see ReplaySteps.answer). @param header bytes in front of the attributes */
export function looseAttributes(answer: Buffer, type: number, header: number, isLoose: (attribute: number) => boolean): ByteRange[] {
  return [...payloads(answer, type, header)].flatMap((message) =>
    [...attributesIn(message.subarray(header))].flatMap(([attribute, payload]) => (isLoose(attribute) ? [rangeIn(answer, payload)] : [])),
  );
}

/** Text up to its NUL. */
export function textOf(bytes: Buffer | undefined): string {
  if (bytes === undefined) return '';
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end).replace(/\uFFFD+/g, '\uFFFD');
}
