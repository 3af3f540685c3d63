/**
 * Messages of the D-Bus wire protocol, as far as a client needs them: calls whose arguments are strings, and replies.
 * Source: D-Bus Specification, "Message Protocol" and "Marshaling".
 */

export const METHOD_RETURN = 2;
export const ERROR = 3;

/** Bytes of a message up to its header fields, whose length is the last four of these. */
export const FIXED_HEADER_BYTES = 16;
const SERIAL_AT = 8;

const METHOD_CALL = 1;
const FIELD = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const;
const LITTLE = 0x6c;
const BIG = 0x42;

/** Something that is no D-Bus, or not the types that were expected. Nothing that follows on the connection can be understood. */
export class FormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FormatError';
  }
}

export interface Call {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly arguments?: readonly string[];
}

/** `org.freedesktop.DBus.Properties.Get`. */
export function propertyCall(destination: string, path: string, interfaceName: string, property: string): Call {
  return { destination, path, interface: 'org.freedesktop.DBus.Properties', member: 'Get', arguments: [interfaceName, property] };
}

/** A call as it travels, with serial 0: `setSerial` numbers it each time it is sent. */
export function encodeCall(call: Call): Buffer {
  const parameters = call.arguments ?? [];
  const body = new Writer();
  for (const text of parameters) body.text(text);
  const head = new Writer();
  head.bytes.push(LITTLE, METHOD_CALL, 0, 1);
  head.word(body.bytes.length);
  head.word(0);
  const fields = new Writer();
  fields.field(FIELD.path, 'o', call.path);
  fields.field(FIELD.interface, 's', call.interface);
  fields.field(FIELD.member, 's', call.member);
  fields.field(FIELD.destination, 's', call.destination);
  if (parameters.length > 0) fields.signatureField(FIELD.signature, 's'.repeat(parameters.length));
  head.word(fields.bytes.length);
  head.bytes.push(...fields.bytes);
  head.align(8);
  head.bytes.push(...body.bytes);
  return Buffer.from(head.bytes);
}

export function setSerial(message: Buffer, at: number, serial: number): void {
  message.writeUInt32LE(serial, at + SERIAL_AT);
}

/** Only for what is encoded once. */
class Writer {
  readonly bytes: number[] = [];

  align(to: number): void {
    while (this.bytes.length % to !== 0) this.bytes.push(0);
  }

  word(value: number): void {
    this.align(4);
    this.bytes.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  }

  text(value: string): void {
    const utf8 = Buffer.from(value);
    this.word(utf8.length);
    this.bytes.push(...utf8, 0);
  }

  signature(value: string): void {
    this.bytes.push(value.length, ...Buffer.from(value, 'latin1'), 0);
  }

  /** One of the header's array of (byte, variant), each of which starts at a multiple of eight. */
  field(code: number, type: 's' | 'o', value: string): void {
    this.align(8);
    this.bytes.push(code);
    this.signature(type);
    this.text(value);
  }

  signatureField(code: number, value: string): void {
    this.align(8);
    this.bytes.push(code);
    this.signature('g');
    this.signature(value);
  }
}

/** Length of the message that starts at `at`, of which at least FIXED_HEADER_BYTES are there. Throws FormatError. */
export function messageLength(bytes: Buffer, at: number, maxBytes: number): number {
  const order = bytes[at];
  if (order !== LITTLE && order !== BIG) throw new FormatError(`expected a message, which starts with l or B, not byte ${order}`);
  if (bytes[at + 3] !== 1) throw new FormatError(`expected protocol version 1, not ${bytes[at + 3]}`);
  const isLittle = order === LITTLE;
  const body = isLittle ? bytes.readUInt32LE(at + 4) : bytes.readUInt32BE(at + 4);
  const fields = isLittle ? bytes.readUInt32LE(at + 12) : bytes.readUInt32BE(at + 12);
  const length = FIXED_HEADER_BYTES + Math.ceil(fields / 8) * 8 + body;
  if (length > maxBytes) throw new FormatError(`a message of ${length} bytes, at most ${maxBytes} are taken`);
  return length;
}

/** What one reads of a message: header, then the body by a cursor. Used for one message after the other, nothing is copied. */
export class Message {
  kind = 0;
  replySerial = 0;
  signature = '';
  /** Of an ERROR: `org.freedesktop.DBus.Error.UnknownObject`. */
  errorName = '';
  /** Where the body starts and ends. */
  bodyAt = 0;
  end = 0;
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  #isLittle = true;
  /** Alignment counts from the start of the message. */
  #start = 0;

  /** Reads the header of a whole message, after which the cursor stands at the body. Throws FormatError. */
  read(bytes: Buffer, start: number, length: number): void {
    this.bytes = bytes;
    this.#isLittle = bytes[start] === LITTLE;
    this.kind = bytes[start + 1] ?? 0;
    this.replySerial = 0;
    this.signature = '';
    this.errorName = '';
    this.end = start + length;
    this.#start = start;
    this.at = start + FIXED_HEADER_BYTES - 4;
    const fieldsEnd = this.at + 4 + this.word();
    while (this.at < fieldsEnd) {
      this.#align(8);
      const code = this.#byte();
      const type = this.#shortText();
      if (code === FIELD.signature && type === 'g') this.signature = this.#shortText();
      else if (code === FIELD.replySerial && type === 'u') this.replySerial = this.word();
      else if (code === FIELD.errorName && type === 's') this.errorName = this.text();
      else this.skip(type);
    }
    if (this.at !== fieldsEnd) throw new FormatError('a header field that ends behind the header');
    this.#align(8);
    this.bodyAt = this.at;
  }

  /** Throws FormatError unless the body is of these types. */
  expect(signature: string): void {
    if (this.signature !== signature) throw new FormatError(`expected a reply of type ${signature}, not ${this.signature}`);
  }

  /** u. */
  word(): number {
    this.#align(4);
    const at = this.#take(4);
    return this.#isLittle ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  /** s and o. */
  text(): string {
    const length = this.word();
    return this.bytes.toString('utf8', this.#take(length + 1), this.at - 1);
  }

  /** An array: where it ends. Elements of eight-byte alignment, such as structs, start behind padding that is not counted. */
  arrayEnd(isOfStructs: boolean): number {
    const length = this.word();
    if (isOfStructs) this.#align(8);
    const end = this.at + length;
    if (end > this.end) throw new FormatError('an array that ends behind its message');
    return end;
  }

  struct(): void {
    this.#align(8);
  }

  /** A variant of a basic type; 64-bit integers become doubles. */
  variant(): string | number | boolean {
    const type = this.#shortText();
    switch (type) {
      case 's':
      case 'o':
        return this.text();
      case 'u':
        return this.word();
      case 'i':
        return this.word() | 0;
      case 'b':
        return this.word() !== 0;
      case 't':
      case 'x':
        return this.#long(type === 'x');
      default:
        throw new FormatError(`expected a text, a boolean or an integer, not type ${type}`);
    }
  }

  /** Passes over a value of the types that header fields and lists of units have. */
  skip(type: string): void {
    switch (type) {
      case 's':
      case 'o': {
        const length = this.word();
        this.#take(length + 1);
        return;
      }
      case 'u':
      case 'i':
      case 'b':
        this.word();
        return;
      case 'g':
        this.#shortText();
        return;
      default:
        throw new FormatError(`type ${type} where none such was expected`);
    }
  }

  #long(isSigned: boolean): number {
    this.#align(8);
    const first = this.word();
    const second = this.word();
    const [low, high] = this.#isLittle ? [first, second] : [second, first];
    return (isSigned ? high | 0 : high) * 2 ** 32 + low;
  }

  #byte(): number {
    return this.bytes[this.#take(1)] ?? 0;
  }

  /** g: its length is a byte. */
  #shortText(): string {
    const length = this.#byte();
    return this.bytes.toString('latin1', this.#take(length + 1), this.at - 1);
  }

  #align(to: number): void {
    const beyond = (this.at - this.#start) % to;
    if (beyond !== 0) this.#take(to - beyond);
  }

  /** Moves the cursor; returns where it was. */
  #take(count: number): number {
    const at = this.at;
    if (at + count > this.end) throw new FormatError('a value that ends behind its message');
    this.at = at + count;
    return at;
  }
}
