import { parseProblem } from './file-error.ts';

const BACKSLASHED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

/** What is wrong with a value, for the message. */
class ValueProblem extends Error {}

/** Between double quotes a backslash escapes; `\u` and four digits are a UTF-16 unit. Returns the text and how far it was read. */
function doubleQuoted(text: string, from: number): [value: string, end: number] {
  let value = '';
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') return [value, at];
    if (character !== '\\') {
      value += character;
      continue;
    }
    at += 1;
    const escaped = text.charAt(at);
    if (escaped === '') break;
    if (escaped === 'u') {
      const digits = /^[0-9a-fA-F]{4}/.exec(text.slice(at + 1))?.[0];
      if (digits === undefined) throw new ValueProblem('four hexadecimal digits behind \\u');
      value += String.fromCharCode(Number.parseInt(digits, 16));
      at += 4;
    } else if (!/["'\\/$`bfnrt]/.test(escaped)) throw new ValueProblem(`an escape sequence, not \\${escaped}`);
    else value += BACKSLASHED[escaped] ?? escaped;
  }
  throw new ValueProblem('a closing "');
}

/** Unquoted, 'single' and "double" quoted pieces side by side; # outside of quotes begins a comment. */
function readValue(text: string): string {
  let value = '';
  /** Length up to which blanks count: those in front of a comment do not. */
  let significant = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '#') return value.slice(0, significant);
    if (character === '"') {
      const [piece, end] = doubleQuoted(text, at + 1);
      value += piece;
      at = end;
    } else if (character === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) throw new ValueProblem("a closing '");
      value += text.slice(at + 1, end);
      at = end;
    } else value += character;
    if (character !== ' ' && character !== '\t') significant = value.length;
  }
  return value;
}

/**
 * Assignments of an os-release file, the way the peer's library reads them: `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`.
 * Throws CollectError `parse` naming the line: one bad line spoils the file.
 */
export function parseOsRelease(path: string, text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [line, content] of text.split('\n').entries()) {
    const trimmed = content.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const equals = trimmed.indexOf('=');
    if (equals < 0) throw parseProblem(path, line + 1, 'KEY=VALUE');
    const key = trimmed
      .slice(0, equals)
      .trim()
      .replace(/^export (?=.)/, '');
    if (!/^[A-Za-z_][A-Za-z0-9_./]*$/.test(key)) throw parseProblem(path, line + 1, `a name in front of =, not ${JSON.stringify(key)}`);
    const value = trimmed.slice(equals + 1).trim();
    if (/[\u0000-\u001f]/.test(value)) throw parseProblem(path, line + 1, 'a value without control characters');
    try {
      values.set(key, readValue(value).replace(/\uFFFD+/g, '\uFFFD'));
    } catch (error) {
      if (!(error instanceof ValueProblem)) throw error;
      throw parseProblem(path, line + 1, error.message);
    }
  }
  return values;
}
