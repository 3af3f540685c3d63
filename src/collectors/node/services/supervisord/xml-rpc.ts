/**
 * The text of an XML-RPC response, as far as a client needs it. Markup that the format does not have, a document type
 * above all, is refused. Source: the XML-RPC specification (1999), with the extensions i8 and nil.
 */

export type Value = string | number | boolean | null | readonly Value[] | ReadonlyMap<string, Value>;

/** Arrays of structs of scalars is all that is asked for. */
const MAX_DEPTH = 32;
const TOKEN = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z][\w.]*)\s*(\/?)>|([^<]+)/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** The server answered with a fault. */
export class FaultError extends Error {
  constructor(fault: Value) {
    const code = fault instanceof Map ? fault.get('faultCode') : undefined;
    const text = fault instanceof Map ? fault.get('faultString') : undefined;
    super(`fault ${String(code)}: ${String(text)}`);
    this.name = 'FaultError';
  }
}

/** The result. Throws FaultError, or Error that says where the text is not what was expected. */
export function readResponse(text: string): Value {
  const reader = new Reader(text);
  reader.open('methodResponse');
  if (reader.opens('fault')) throw new FaultError(value(reader, 0));
  reader.open('params');
  reader.open('param');
  const result = value(reader, 0);
  reader.close('param');
  reader.close('params');
  reader.close('methodResponse');
  return result;
}

function value(reader: Reader, depth: number): Value {
  if (depth > MAX_DEPTH) throw reader.problem('no more levels');
  reader.open('value');
  const type = reader.openName();
  // A text need not say that it is one.
  if (type === undefined) return reader.textUntil('value');
  const result = typed(reader, type, depth);
  reader.close('value');
  return result;
}

function typed(reader: Reader, type: string, depth: number): Value {
  switch (type) {
    case 'array':
      return array(reader, depth);
    case 'struct':
      return struct(reader, depth);
    case 'int':
    case 'i4':
    case 'i8': {
      const text = reader.textUntil(type).trim();
      if (!/^[+-]?\d+$/.test(text)) throw reader.problem('an integer');
      return Number(text);
    }
    case 'boolean': {
      const text = reader.textUntil(type).trim();
      if (text !== '0' && text !== '1') throw reader.problem('0 or 1');
      return text === '1';
    }
    case 'double': {
      const number = Number(reader.textUntil(type).trim() || Number.NaN);
      if (Number.isNaN(number)) throw reader.problem('a number');
      return number;
    }
    case 'nil':
      reader.close('nil');
      return null;
    case 'string':
    case 'base64':
    case 'dateTime.iso8601':
      return reader.textUntil(type);
    default:
      throw reader.problem(`a type of XML-RPC, not ${type}`);
  }
}

function array(reader: Reader, depth: number): Value {
  const values: Value[] = [];
  reader.open('data');
  while (!reader.closes('data')) values.push(value(reader, depth + 1));
  reader.close('array');
  return values;
}

function struct(reader: Reader, depth: number): Value {
  const members = new Map<string, Value>();
  while (!reader.closes('struct')) {
    reader.open('member');
    reader.open('name');
    const name = reader.textUntil('name');
    members.set(name, value(reader, depth + 1));
    reader.close('member');
  }
  return members;
}

/** Tags and text in their order; `<x/>` is `<x></x>`. */
class Reader {
  readonly #text: string;
  #at = 0;
  /** The token at hand: a tag's name, or text. */
  #kind: 'open' | 'close' | 'text' | 'end' = 'end';
  #token = '';
  #pendingClose: string | undefined;

  constructor(text: string) {
    this.#text = text;
    this.#next();
  }

  open(name: string): void {
    if (!this.opens(name)) throw this.problem(`<${name}>`);
  }

  close(name: string): void {
    if (!this.closes(name)) throw this.problem(`</${name}>`);
  }

  /** Passes the tag if it is there. Space in front of it is nobody's text. */
  opens(name: string): boolean {
    return this.#passes('open', name);
  }

  closes(name: string): boolean {
    return this.#passes('close', name);
  }

  /** Passes any opening tag. */
  openName(): string | undefined {
    if (this.#kind === 'text' && this.#token.trim() === '' && /^<[^/]/.test(this.#text.slice(this.#at, this.#at + 2))) this.#next();
    if (this.#kind !== 'open') return undefined;
    const name = this.#token;
    this.#next();
    return name;
  }

  /** Text up to a closing tag, both passed. */
  textUntil(name: string): string {
    let text = '';
    for (; this.#kind === 'text'; this.#next()) text += this.#token;
    this.close(name);
    return text;
  }

  problem(expected: string): Error {
    return new Error(`at character ${this.#at} of the answer: expected ${expected}`);
  }

  #passes(kind: 'open' | 'close', name: string): boolean {
    while (this.#kind === 'text' && this.#token.trim() === '') this.#next();
    if (this.#kind !== kind || this.#token !== name) return false;
    this.#next();
    return true;
  }

  #next(): void {
    if (this.#pendingClose !== undefined) {
      [this.#kind, this.#token, this.#pendingClose] = ['close', this.#pendingClose, undefined];
      return;
    }
    for (;;) {
      if (this.#at >= this.#text.length) {
        this.#kind = 'end';
        return;
      }
      TOKEN.lastIndex = this.#at;
      const match = TOKEN.exec(this.#text);
      if (match === null) throw this.problem('a tag of XML-RPC, or text');
      this.#at = TOKEN.lastIndex;
      const [, slash, name, isEmpty, text] = match;
      if (text !== undefined) {
        this.#kind = 'text';
        this.#token = text.includes('&') ? this.#decoded(text) : text;
        return;
      }
      if (name === undefined) continue;
      this.#kind = slash === '' ? 'open' : 'close';
      this.#token = name;
      if (isEmpty === '/') this.#pendingClose = name;
      return;
    }
  }

  #decoded(text: string): string {
    return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));|&/g, (_, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined && name in ENTITIES) return ENTITIES[name] ?? '';
      const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
      if (!(code <= 0x10ffff)) throw this.problem('one of the five entities of XML, or a character');
      return String.fromCodePoint(code);
    });
  }
}
