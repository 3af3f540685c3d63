/**
 * As much of protobuf's wire format as the CRI's list calls need: messages of strings, varints and messages. Unknown fields
 * are passed over, as the format asks for. Source: protobuf.dev, "Encoding".
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export class ProtobufError extends Error {
  constructor(at: number, message: string) {
    super(`byte ${at}: ${message}`);
    this.name = 'ProtobufError';
  }
}

/** What a field may hold: a number for varints, else the bytes of a string or message. */
export type FieldValue = number | Buffer;

/** Calls `field` for each varint and each length-delimited field, in the order of the message. Throws ProtobufError. */
export function readMessage(bytes: Buffer, field: (number: number, value: FieldValue) => void): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1, start = at; ; shift *= 128) {
      const byte = bytes[at];
      if (byte === undefined) throw new ProtobufError(at, 'a number is cut off');
      at += 1;
      // Beyond 2^53 (negative numbers, ten bytes) precision is lost, which no field that is read here can be.
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
      if (at - start >= 10) throw new ProtobufError(start, 'a number of more than ten bytes');
    }
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new ProtobufError(at, `${length} bytes expected, ${bytes.length - at} are left`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (number === 0) throw new ProtobufError(start, 'a field without a number');
    switch (tag % 8) {
      case VARINT:
        field(number, varint());
        break;
      case BYTES:
        field(number, take(varint()));
        break;
      case FIXED64:
        take(8);
        break;
      case FIXED32:
        take(4);
        break;
      default:
        throw new ProtobufError(start, `wire type ${tag % 8} is not known`);
    }
  }
}

/** A field of a string or a message. */
export function bytesField(number: number, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varintOf(number * 8 + BYTES), varintOf(bytes.length), bytes]);
}

/** A field of a bool, an enum or an unsigned number below 2^53. */
export function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varintOf(number * 8 + VARINT), varintOf(value)]);
}

function varintOf(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
