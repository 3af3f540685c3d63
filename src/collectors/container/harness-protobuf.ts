import protobuf from 'protobufjs/light.js';

/** Messages field by field, for tests that play the part of a kubelet or of a runtime. */
export function bytesField(number: number, value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.from(
    protobuf.Writer.create()
      .uint32(number * 8 + 2)
      .bytes(bytes)
      .finish(),
  );
}

export function varintField(number: number, value: number): Buffer {
  return Buffer.from(
    protobuf.Writer.create()
      .uint32(number * 8)
      .uint64(value)
      .finish(),
  );
}

/** The text in field 1; '' without. */
export function firstText(message: Uint8Array): string {
  const reader = protobuf.Reader.create(message);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 1 * 8 + 2) return Buffer.from(reader.bytes()).toString();
    reader.skipType(tag & 7);
  }
  return '';
}
