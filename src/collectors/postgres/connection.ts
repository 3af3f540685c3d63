import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { CollectError, type FailureCode } from '../../collect/contract.ts';
import { unlessAborted } from '../../collect/unless-aborted.ts';
import { type PostgresSettings, serverLabel } from './dsn.ts';

/** A cell as the server sent it, in PostgreSQL's text format; null for SQL NULL. */
export type Cell = string | null;
export type Row = readonly Cell[];

/** Facts that hold for as long as the connection does. */
export interface ServerFacts {
  /** Text of `version()`. */
  readonly version: string;
  /** `server_version_num`: 150018 is 15.18. */
  readonly versionNumber: number;
}

export interface Statement {
  /** Name of the prepared statement on the server: planned once per connection. */
  readonly name: string;
  readonly text: string;
}

/** Costs the server about as much as `SELECT 1` and cannot be answered by anything but a live session. */
const LIVENESS: Statement = { name: 'exporterd_alive', text: 'SELECT pg_is_in_recovery()' };

const TEXT_ONLY = { getTypeParser: () => (text: string) => text };

/**
 * The one kept connection to a target. Any abort or broken socket discards it for good: an answer that is still under way
 * could otherwise be taken for that of the next query.
 */
export class PostgresConnection {
  readonly #settings: PostgresSettings;
  readonly #deadlineMs: number;
  readonly #place: string;
  #client: pg.Client | undefined;
  #socket: Socket | undefined;
  #facts: ServerFacts | undefined;
  /** A pooler in front of the server (pgbouncer) may refuse the start-up option that shows whether there is one. */
  #withMark = true;
  #closed = false;

  constructor(settings: PostgresSettings, deadlineMs: number) {
    this.#settings = settings;
    this.#deadlineMs = deadlineMs;
    this.#place = serverLabel(settings);
  }

  /** Facts of the server; only after `ensure`. */
  get facts(): ServerFacts {
    if (this.#facts === undefined) throw new CollectError('connect', this.#place, 'there is no connection');
    return this.#facts;
  }

  /**
   * Proves that the kept connection lives, or opens one. A connection found broken (the server was restarted) is replaced
   * at once. Throws CollectError `connect`, `auth` or `timeout`.
   */
  async ensure(signal: AbortSignal): Promise<void> {
    if (this.#closed) throw new CollectError('connect', this.#place, 'the session is closed');
    if (this.#client !== undefined) {
      try {
        await this.query(LIVENESS, signal);
        return;
      } catch (error) {
        this.discard();
        if (signal.aborted) throw error;
      }
    }
    await this.#open(signal);
  }

  /** Rows of a statement as text. Throws CollectError `query`, `timeout` or `connect`; only `query` leaves the connection usable. */
  async query(statement: Statement, signal: AbortSignal): Promise<readonly Row[]> {
    const client = this.#client;
    if (client === undefined) throw new CollectError('connect', this.#place, 'the connection was lost earlier in this round');
    try {
      const answer = client.query({ ...statement, rowMode: 'array', types: TEXT_ONLY });
      return (await this.#unlessAborted(answer, signal)).rows as Row[];
    } catch (error) {
      throw this.#failure(error, statement.name, signal);
    }
  }

  /** Destroys the socket; the server notices by itself and ends its side. */
  discard(): void {
    this.#socket?.destroy();
    this.#client = undefined;
    this.#socket = undefined;
    this.#facts = undefined;
  }

  /** Says goodbye without waiting for an answer, so that a frozen server does not hold us. */
  close(): void {
    this.#closed = true;
    const socket = this.#socket;
    this.#client?.end().catch(() => {}); // the socket is destroyed below in any case
    socket?.destroySoon();
    this.#client = undefined;
    this.#socket = undefined;
    this.#facts = undefined;
  }

  async #open(signal: AbortSignal): Promise<void> {
    try {
      await this.#connect(tlsOptions(this.#settings), signal);
    } catch (error) {
      this.discard();
      if (signal.aborted) throw this.#failure(error, 'connect', signal);
      if (refusesParameters(error) && this.#withMark) {
        this.#withMark = false;
        return this.#open(signal);
      }
      const mayBePlain = this.#settings.sslmode === 'prefer' || this.#settings.sslmode === 'allow';
      if (!mayBePlain || !(error instanceof Error) || !error.message.includes('does not support SSL')) throw this.#failure(error, 'connect', signal);
      try {
        await this.#connect(false, signal);
      } catch (second) {
        this.discard();
        throw this.#failure(second, 'connect', signal);
      }
    }
  }

  async #connect(ssl: false | ConnectionOptions, signal: AbortSignal): Promise<void> {
    const { host, port, user, password, database, applicationName, options } = this.#settings;
    const socket = new Socket();
    const sessionOptions = [options ?? '', this.#withMark ? MARK : ''].join(' ').trim();
    const client = new pg.Client({
      host,
      port,
      user,
      database,
      ssl,
      ...(sessionOptions === '' ? {} : { options: sessionOptions }),
      password: () => password, // a function: the driver then looks into no environment and no ~/.pgpass
      application_name: applicationName,
      stream: () => socket,
      keepAlive: true,
    });
    this.#client = client;
    this.#socket = socket;
    // Whoever waits hears of it by rejection; between rounds the next `ensure` finds the connection gone.
    client.on('error', () => this.#forget(client));
    client.on('end', () => this.#forget(client));
    await this.#unlessAborted(client.connect(), signal);
    const answer = await this.#unlessAborted(client.query({ text: firstQuery(this.#deadlineMs), rowMode: 'array', types: TEXT_ONLY }), signal);
    const [version, number] = (answer.rows as Row[])[0] ?? [];
    if (version == null || number == null) throw new CollectError('parse', this.#place, 'version() gave no row');
    this.#facts = { version, versionNumber: Number(number) };
  }

  #forget(client: pg.Client): void {
    if (this.#client === client) this.discard();
  }

  /** The promise's result, or a rejection as soon as the signal aborts; then the connection is destroyed. */
  #unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    return unlessAborted(promise, signal, () => {
      this.discard();
      return new CollectError('timeout', this.#place, 'no answer within the deadline');
    });
  }

  #failure(error: unknown, what: string, signal: AbortSignal): CollectError {
    if (error instanceof CollectError) return error;
    if (signal.aborted) return new CollectError('timeout', this.#place, 'no answer within the deadline', error);
    const code = failureCode(error, what === 'connect');
    const text = this.#scrub(describe(error));
    // The cause is left out: driver errors carry the statement and may carry what the server echoed of the credentials.
    return new CollectError(code, this.#place, what === 'connect' ? `cannot connect: ${text}` : `${what}: ${text}`);
  }

  #scrub(text: string): string {
    const { password } = this.#settings;
    return password === '' ? text : text.split(password).join('***').split(encodeURIComponent(password)).join('***');
  }
}

/**
 * Limits are set for the session only when it is a server's own: behind a pooler they would stay on a server session that
 * other clients get next. The mark tells: a pooler refuses or swallows it.
 */
const MARK = '-c exporterd.direct=1';

/**
 * Facts of the server and limits for the session in one question. The parts of a round share its deadline and the
 * connection: the server gives up on one statement after half of the deadline, so that a blocked one fails alone and the
 * others still run; waiting for a lock may take half of that. Stricter limits of the role are left alone.
 */
function firstQuery(deadlineMs: number): string {
  const statement = Math.max(50, Math.floor(deadlineMs / 2));
  const lock = Math.max(25, Math.floor(statement / 2));
  const limit = (name: string, ms: number): string =>
    `(SELECT set_config(name, '${ms}', false) FROM pg_catalog.pg_settings WHERE name = '${name}' AND (setting::int = 0 OR setting::int > ${ms}))`;
  return `
SELECT version(), current_setting('server_version_num'),
       CASE WHEN current_setting('exporterd.direct', true) = '1'
            THEN concat(${limit('statement_timeout', statement)}, ${limit('lock_timeout', lock)}) END`;
}

/** libpq's meaning of the modes: `require` encrypts without looking at the certificate unless a CA is given. */
function tlsOptions(settings: PostgresSettings): false | ConnectionOptions {
  const { sslmode, ca, cert, key } = settings;
  if (sslmode === 'disable') return false;
  const identity = { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
  if (sslmode === 'verify-full') return identity;
  if (sslmode === 'verify-ca' || (sslmode === 'require' && ca !== undefined)) return { ...identity, checkServerIdentity: () => undefined };
  return { ...identity, rejectUnauthorized: false };
}

/** SQLSTATE of a server error, errno name of a socket error. */
function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
}

/** pgbouncer's answer to a start-up parameter that is not in its `ignore_startup_parameters`. */
function refusesParameters(error: unknown): boolean {
  return codeOf(error) === '08P01' && error instanceof Error && error.message.includes('startup parameter');
}

/** Classes of https://www.postgresql.org/docs/current/errcodes-appendix.html. */
function failureCode(error: unknown, connecting: boolean): FailureCode {
  const code = codeOf(error);
  if (!isSqlState(code)) return 'connect';
  if (code.startsWith('28')) return 'auth';
  if (code === '57014' || code === '55P03') return 'timeout'; // query_canceled, lock_not_available
  if (connecting || code.startsWith('08') || code.startsWith('57P')) return 'connect';
  return 'query';
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describe))].join('; '); // every address of a name refused
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (message === '') return code === '' ? 'unknown error' : code;
  return isSqlState(code) ? `${message} (SQLSTATE ${code})` : message;
}
