import { pino } from 'pino';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Errors are logged as their message and the messages of their causes; a stack only at level debug. */
export type Fields = Readonly<Record<string, string | number | boolean | readonly string[] | Error | undefined>>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** Logs the first time that the key is seen in the life of the log. */
  once(key: string, level: Level, message: string, fields?: Fields): void;
  /** Logs a key at most once a minute; the line that comes through next says in `suppressed` how many did not. */
  throttled(key: string, level: Level, message: string, fields?: Fields): void;
  /** Lines that `throttled` has left out so far. */
  readonly suppressed: number;
}

export interface LogOptions {
  readonly level: Level;
  /** `auto`: logfmt on a terminal, json elsewhere. */
  readonly format: 'auto' | 'logfmt' | 'json';
  readonly isTerminal: boolean;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  /** Takes one line with its line feed; standard error, written synchronously, when left out. */
  readonly write?: (line: string) => void;
}

const MINUTE_MS = 60_000;
/** Keys may hold names that come from outside (a container, a target), so their number is bounded: the oldest is forgotten. */
const MAX_KEYS = 1024;

/**
 * A net below the rule that no secret reaches a log: drivers put connection strings into their error texts.
 * Credentials in URLs and `password=` in key-value strings are blotted out.
 */
export function blot(line: string): string {
  if (!line.includes('@') && !/pass|pwd/i.test(line)) return line;
  return line.replace(/:\/\/[^\s"<>]*@/g, '://<secret>@').replace(/\b(password|passwd|passphrase|pwd)=(?:'[^']*'|[^\s"&;]+)/gi, '$1=<secret>');
}

/** One JSON line of pino's as `time=... level=... msg="..." key="value"`: strings are always quoted, so that a line can be searched by halves. */
export function logfmt(json: string): string {
  const { time, level, msg, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const head = `time=${String(time)} level=${String(level)} msg=${JSON.stringify(msg ?? '')}`;
  const tail = Object.entries(rest).map(([key, value]) => {
    const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
    return ` ${key}=${typeof text === 'string' ? JSON.stringify(text) : String(text)}`;
  });
  return `${head}${tail.join('')}\n`;
}

function errorText(error: Error): string {
  const texts: string[] = [];
  for (let here: unknown = error, depth = 0; here !== undefined && here !== null && depth < 4; depth++) {
    const text: string = here instanceof Error ? here.message : String(here);
    // Wrapping errors usually repeat what they wrap.
    if (!texts.some((known) => known.includes(text))) texts.push(text);
    here = here instanceof Error ? here.cause : undefined;
  }
  return texts.join(': ');
}

function plainFields(fields: Fields, withStacks: boolean): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    plain[key] = value instanceof Error ? errorText(value) : value;
    if (withStacks && value instanceof Error && value.stack !== undefined) plain[`${key}_stack`] = value.stack;
  }
  return plain;
}

/** Keeps the newest `MAX_KEYS` keys of a map that is in order of insertion. */
function bound(keys: Map<string, unknown>): void {
  if (keys.size <= MAX_KEYS) return;
  const oldest = keys.keys().next();
  if (oldest.done !== true) keys.delete(oldest.value);
}

function standardError(): (line: string) => void {
  const destination = pino.destination({ fd: 2, sync: true });
  // Nobody reads our logs any more (EPIPE): no reason to stop serving.
  destination.on('error', () => undefined);
  return (line) => {
    destination.write(line);
  };
}

export function createLog(options: LogOptions): Log {
  const isLogfmt = options.format === 'logfmt' || (options.format === 'auto' && options.isTerminal);
  const write = options.write ?? standardError();
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(options.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => write(blot(isLogfmt ? logfmt(line) : line)) },
  );
  const said = new Map<string, true>();
  let suppressed = 0;
  const repeats = new Map<string, { atMs: number; suppressed: number }>();

  function log(level: Level, message: string, fields: Fields = {}): void {
    if (logger.isLevelEnabled(level)) logger[level](plainFields(fields, options.level === 'debug'), message);
  }

  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
    get suppressed() {
      return suppressed;
    },
    once(key, level, message, fields) {
      if (said.has(key)) return;
      said.set(key, true);
      bound(said);
      log(level, message, fields);
    },
    throttled(key, level, message, fields) {
      const nowMs = options.monotonicMs();
      const last = repeats.get(key);
      if (last !== undefined && nowMs - last.atMs < MINUTE_MS) {
        last.suppressed += 1;
        suppressed += 1;
        return;
      }
      repeats.delete(key);
      repeats.set(key, { atMs: nowMs, suppressed: 0 });
      bound(repeats);
      log(level, message, last === undefined || last.suppressed === 0 ? fields : { ...fields, suppressed: last.suppressed });
    },
  };
}
