import { readFileSync } from 'node:fs';

/**
 * The abbreviation of the local time zone (`CET`), which JavaScript does not know: from the zone's file (TZif, RFC 8536),
 * chosen by the offset that JavaScript does know. Files: /etc/localtime, or what TZ names.
 */
const FOLDERS = ['/usr/share/zoneinfo', '/usr/share/lib/zoneinfo', '/usr/lib/locale/TZ', '/etc/zoneinfo'];

const HEADER_BYTES = 44;

/** @param setting value of TZ, undefined when it is not set */
export function zoneFile(setting: string | undefined, read: (path: string) => Buffer = (path) => readFileSync(path)): Buffer | undefined {
  const name = setting?.replace(/^:/, '');
  if (name === '') return undefined;
  const paths = name === undefined ? ['/etc/localtime'] : name.startsWith('/') ? [name] : FOLDERS.map((folder) => `${folder}/${name}`);
  for (const path of paths) {
    try {
      return read(path);
    } catch {
      // As in C and Go: what cannot be read is not there, and without any file the zone is UTC.
    }
  }
  return undefined;
}

/** Offset in seconds east of Greenwich; `UTC` for a file that does not know the offset. */
export function abbreviation(file: Buffer | undefined, offsetSeconds: number, unixSeconds: number): string {
  if (file === undefined || file.length < HEADER_BYTES || file.toString('latin1', 0, 4) !== 'TZif') return 'UTC';
  return fromRule(ruleOf(file), offsetSeconds) ?? fromTypes(file, offsetSeconds, unixSeconds) ?? 'UTC';
}

interface Counts {
  readonly utIndicators: number;
  readonly standardIndicators: number;
  readonly leaps: number;
  readonly times: number;
  readonly types: number;
  readonly characters: number;
}

function countsAt(file: Buffer, at: number): Counts {
  const count = (i: number): number => file.readUInt32BE(at + 20 + 4 * i);
  return { utIndicators: count(0), standardIndicators: count(1), leaps: count(2), times: count(3), types: count(4), characters: count(5) };
}

function dataBytes(counts: Counts, timeBytes: number): number {
  const { utIndicators, standardIndicators, leaps, times, types, characters } = counts;
  return times * (timeBytes + 1) + types * 6 + characters + leaps * (timeBytes + 4) + standardIndicators + utIndicators;
}

/** The line behind a file of version 2 or later: `CET-1CEST,M3.5.0,M10.5.0/3`, the rule since the last listed change. */
function ruleOf(file: Buffer): string {
  if (file[4] === 0) return '';
  const second = HEADER_BYTES + dataBytes(countsAt(file, 0), 4);
  if (second + HEADER_BYTES > file.length) return '';
  const end = second + HEADER_BYTES + dataBytes(countsAt(file, second), 8);
  return file.toString('latin1', end).trim();
}

const NAME = '(?:<([A-Za-z0-9+-]+)>|([A-Za-z]+))';
const OFFSET = '([+-]?\\d+(?::\\d+){0,2})';
const RULE = new RegExp(`^${NAME}${OFFSET}(?:${NAME}${OFFSET}?)?`);

/** Seconds east; POSIX writes them west: `-1`, `3:30`. */
function east(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.replace(/^[+-]/, '').split(':').map(Number);
  const total = hours * 3600 + minutes * 60 + seconds;
  return text.startsWith('-') ? total : -total;
}

function fromRule(rule: string, offsetSeconds: number): string | undefined {
  const found = RULE.exec(rule);
  if (found === null) return undefined;
  const standard = east(found[3] ?? '0');
  if (standard === offsetSeconds) return found[1] ?? found[2];
  const summerName = found[4] ?? found[5];
  const summer = found[6] === undefined ? standard + 3600 : east(found[6]);
  return summer === offsetSeconds ? summerName : undefined;
}

/** The name in force at a time according to the listed changes, if it has this offset. */
function fromTypes(file: Buffer, offsetSeconds: number, unixSeconds: number): string | undefined {
  const isSecond = file[4] !== 0;
  const header = isSecond ? HEADER_BYTES + dataBytes(countsAt(file, 0), 4) : 0;
  const timeBytes = isSecond ? 8 : 4;
  if (header + HEADER_BYTES > file.length) return undefined;
  const counts = countsAt(file, header);
  const times = header + HEADER_BYTES;
  const types = times + counts.times * (timeBytes + 1);
  if (types + counts.types * 6 + counts.characters > file.length) return undefined;
  let type = 0;
  for (let i = 0; i < counts.times; i++) {
    const at = times + i * timeBytes;
    const change = isSecond ? Number(file.readBigInt64BE(at)) : file.readInt32BE(at);
    if (change <= unixSeconds) type = file[times + counts.times * timeBytes + i] ?? 0;
  }
  const entry = types + type * 6;
  if (file.readInt32BE(entry) !== offsetSeconds) return undefined;
  const name = types + counts.types * 6 + (file[entry + 5] ?? 0);
  return file.toString('latin1', name, file.indexOf(0, name));
}
