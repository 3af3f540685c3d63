import { Redis, type RedisOptions as DriverOptions } from 'ioredis';
import { CollectError, type FailureCode } from '../../collect/contract.ts';
import { unlessAborted } from '../../collect/unless-aborted.ts';
import { addressLabel } from './address.ts';
import type { RedisSettings } from './targets.ts';

/** An answer of the server: text, number, nil, array of such; or the error it answered with. */
export type Reply = string | number | null | readonly Reply[] | Error;
export type Command = readonly [name: string, ...args: string[]];

/** The one kept connection to a target. An abort or a broken socket discards it for good. */
export class RedisConnection {
  readonly #settings: RedisSettings;
  readonly #place: string;
  readonly #monotonicMs: () => number;
  readonly #warn: (message: string) => void;
  #redis: Redis | undefined;
  #closed = false;
  /** Seconds the last connecting took, login included. */
  connectSeconds = 0;

  constructor(settings: RedisSettings, monotonicMs: () => number, warn: (message: string) => void) {
    this.#settings = settings;
    this.#place = addressLabel(settings.address);
    this.#monotonicMs = monotonicMs;
    this.#warn = warn;
  }

  get place(): string {
    return this.#place;
  }

  /**
   * Sends the commands in one go and gives an answer for each. Connects first when there is no connection; one that turns
   * out broken (the server was restarted) is replaced at once. Errors the server answers with are among the replies.
   * Throws CollectError `connect`, `auth`, `query` or `timeout`.
   */
  async exchange(commands: readonly Command[], signal: AbortSignal): Promise<readonly Reply[]> {
    if (this.#closed) throw new CollectError('connect', this.#place, 'the session is closed');
    if (this.#redis !== undefined) {
      try {
        return await this.#send(this.#redis, commands, signal);
      } catch (error) {
        this.discard();
        if (signal.aborted) throw this.#failure(error, signal);
      }
    }
    try {
      return await this.#connect(commands, signal);
    } catch (error) {
      this.discard();
      throw this.#failure(error, signal);
    }
  }

  /** Destroys the socket; the server notices by itself. */
  discard(): void {
    const redis = this.#redis;
    this.#redis = undefined;
    redis?.disconnect();
    redis?.stream?.destroy();
  }

  close(): void {
    this.#closed = true;
    this.discard();
  }

  /** Connects, then logs in and asks in the same round trip. */
  async #connect(commands: readonly Command[], signal: AbortSignal): Promise<readonly Reply[]> {
    const redis = new Redis(driverOptions(this.#settings));
    this.#redis = redis;
    let firstError: Error | undefined;
    redis.on('error', (error: Error) => {
      firstError ??= error; // connect() itself only says that the connection is closed
    });
    redis.on('end', () => {
      if (this.#redis === redis) this.#redis = undefined;
    });
    const started = this.#monotonicMs();
    try {
      await this.#unlessAborted(redis.connect(), signal);
    } catch (error) {
      throw firstError ?? error;
    } finally {
      this.connectSeconds = (this.#monotonicMs() - started) / 1000;
    }
    const { user, password, db } = this.#settings.address;
    const login: Command[] = password === '' ? [] : [user === '' ? ['AUTH', password] : ['AUTH', user, password]];
    if (db !== 0) login.push(['SELECT', String(db)]);
    const replies = await this.#send(redis, [...login, ['CLIENT', 'SETNAME', 'exporterd'], ...commands], signal);
    for (let i = 0; i < login.length; i++) this.#checkLogin(login[i]?.[0] ?? '', replies[i]);
    return replies.slice(login.length + 1);
  }

  #checkLogin(command: string, reply: Reply | undefined): void {
    if (!(reply instanceof Error)) return;
    if (command === 'AUTH' && /without any password configured|no password is set/.test(reply.message)) {
      this.#warn(`${this.#place} wants no password, but one is configured`);
      return;
    }
    throw new CollectError(command === 'AUTH' ? 'auth' : 'query', this.#place, `${command}: ${this.#scrub(reply.message)}`);
  }

  async #send(redis: Redis, commands: readonly Command[], signal: AbortSignal): Promise<readonly Reply[]> {
    const pipeline = redis.pipeline();
    for (const [name, ...args] of commands) pipeline.call(name, ...args);
    const results = (await this.#unlessAborted(pipeline.exec(), signal)) ?? [];
    return results.map(([error, reply]) => {
      if (error === null) return reply as Reply;
      if (error.name !== 'ReplyError') throw error; // not an answer: the connection broke
      return error;
    });
  }

  #unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    return unlessAborted(promise, signal, () => {
      this.discard();
      return new CollectError('timeout', this.#place, 'no answer within the deadline');
    });
  }

  /** A server error as the part's failure; the driver's error holds the command with its arguments, so it is no cause. */
  refusal(command: string, error: Error): CollectError {
    return new CollectError(refusalCode(error.message), this.#place, `${command}: ${this.#scrub(error.message)}`);
  }

  #failure(error: unknown, signal: AbortSignal): CollectError {
    if (error instanceof CollectError) return error;
    if (signal.aborted) return new CollectError('timeout', this.#place, 'no answer within the deadline');
    return new CollectError('connect', this.#place, `cannot connect: ${this.#scrub(describe(error))}`);
  }

  #scrub(text: string): string {
    const { password } = this.#settings.address;
    return password === '' ? text : text.split(password).join('***');
  }
}

function refusalCode(message: string): FailureCode {
  return /^(NOAUTH|NOPERM|WRONGPASS)\b|invalid password|operation not permitted/.test(message) ? 'auth' : 'query';
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describe))].join('; '); // every address of a name refused
  return error instanceof Error && error.message !== '' ? error.message : String(error);
}

/** One attempt, no queue, no commands of the driver's own: reconnecting is the next round's business. */
function driverOptions({ address, tls }: RedisSettings): Omit<DriverOptions, 'replyMapping'> {
  return {
    ...(address.path === undefined ? { host: address.host, port: address.port } : { path: address.path }),
    ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true,
    connectTimeout: 0, // the signal ends connecting too
    protocol: 2,
  };
}

function tlsOptions(tls: NonNullable<RedisSettings['tls']>): NonNullable<DriverOptions['tls']> {
  return {
    rejectUnauthorized: !tls.skipVerification,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  };
}
