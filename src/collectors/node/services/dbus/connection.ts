import { type Socket, createConnection } from 'node:net';
import { CollectError } from '../../../../collect/contract.ts';
import { errnoOf } from '../../file-error.ts';
import { unlessAborted } from '../../../../collect/unless-aborted.ts';
import { ERROR, encodeCall, FIXED_HEADER_BYTES, FormatError, METHOD_RETURN, Message, messageLength, setSerial } from './message.ts';

/** A list of 50,000 units has 12 MB. */
const MAX_MESSAGE_BYTES = 64 << 20;
/** Calls under way at the same time. dbus-daemon refuses the system bus's clients more than 128. */
const WINDOW = 64;
const READ_BYTES = 64 << 10;
const LAST_SERIAL = 0x7fff_ffff;

const HELLO = encodeCall({ destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus', member: 'Hello' });

/** What a call is answered with; read while it is handed over, since the message is used again. */
export type OnReply<C> = (call: C, reply: Message) => void;

/** A call that is encoded once and sent again and again. */
export interface Encoded {
  readonly bytes: Buffer;
}

/** An error that the other side answered a call with. Code `query`, `auth` where it forbids. */
export function replyError(place: string, what: string, reply: Message): CollectError {
  const { errorName } = reply;
  let text = '';
  if (reply.signature.startsWith('s')) text = `: ${reply.text()}`;
  return new CollectError(errorName.endsWith('.AccessDenied') || errorName.endsWith('.AuthFailed') ? 'auth' : 'query', place, `${what}: ${errorName}${text}`);
}

/** Throws CollectError where a call was answered with an error. */
export function mustBeAnswered(place: string, what: string, reply: Message): void {
  if (reply.kind === ERROR) throw replyError(place, what, reply);
}

interface Run {
  /** The serial of the first call. */
  readonly firstSerial: number;
  readonly calls: readonly Encoded[];
  /** Calls sent, calls answered. */
  sent: number;
  answered: number;
  readonly onReply: (index: number, reply: Message) => void;
  readonly end: (error?: Error) => void;
}

/**
 * A client of a bus, or of one program without a bus. Many calls travel at once and their replies are read where they
 * arrived. Whatever goes wrong ends the connection: a late reply must not be taken for another run's.
 */
export class BusConnection {
  /** For logs: the socket. */
  readonly place: string;
  readonly #socket: Socket;
  /** Received and not yet read: `#bytes` up to `#length`. */
  #bytes = Buffer.allocUnsafe(READ_BYTES);
  #length = 0;
  #sending = Buffer.alloc(0);
  /** Lines of the handshake, until messages begin. */
  #onLine: ((line: string) => void) | undefined;
  readonly #message = new Message();
  #run: Run | undefined;
  #serial = 1;
  #ended: Error | undefined;

  private constructor(path: string) {
    this.place = path.replace('\0', '@');
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    this.#socket = createConnection({ path, onread: { buffer, callback: (count) => this.#received(buffer, count) } });
    this.#socket.on('error', (error) => this.#fail(this.#socketError(error)));
    this.#socket.on('close', () => this.#fail(new CollectError('connect', this.place, 'the connection was closed by the other side')));
  }

  /**
   * Connects and authenticates as the user of this process (EXTERNAL, by the credentials of the socket).
   * @param isBus says Hello, which a program without a bus does not know
   */
  static async open(path: string, isBus: boolean, signal: AbortSignal): Promise<BusConnection> {
    const connection = new BusConnection(path);
    const aborted = (): Error => {
      connection.close();
      return new CollectError('timeout', connection.place, 'no answer to the handshake in time');
    };
    try {
      await unlessAborted(connection.#authenticate(), signal, aborted);
      if (isBus) await connection.run([{ bytes: HELLO }], (_, reply) => mustBeAnswered(connection.place, 'Hello', reply), signal);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /** Sends calls and hands over each reply as it comes, errors included. Resolves with the last one. One run at a time. */
  run<C extends Encoded>(calls: readonly C[], onReply: OnReply<C>, signal: AbortSignal): Promise<void> {
    if (calls.length === 0) return Promise.resolve();
    const answered = new Promise<void>((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      if (this.#serial + calls.length > LAST_SERIAL) this.#serial = 1;
      const end = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      // The index is one of `calls`.
      const take = (index: number, reply: Message): void => onReply(calls[index] as C, reply);
      this.#run = { firstSerial: this.#serial, calls, sent: 0, answered: 0, onReply: take, end };
      this.#serial += calls.length;
      this.#send(this.#run);
    });
    return unlessAborted(answered, signal, () => {
      const error = new CollectError('timeout', this.place, `${this.#run?.answered ?? 0} of ${calls.length} calls were answered in time`);
      this.#fail(error);
      return error;
    });
  }

  /** Safe to call twice. */
  close(): void {
    this.#fail(new CollectError('connect', this.place, 'the connection is closed'));
  }

  async #authenticate(): Promise<void> {
    const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
    // The leading zero byte carries the credentials.
    let reply = await this.#ask(`\0AUTH EXTERNAL ${uid}`);
    if (reply.startsWith('REJECTED')) {
      // In a user namespace our number of the user is not that of the other side, which the socket tells it.
      reply = await this.#ask('AUTH EXTERNAL');
      if (reply.startsWith('DATA')) reply = await this.#ask('DATA');
    }
    if (reply.startsWith('REJECTED') || reply.startsWith('ERROR')) throw new CollectError('auth', this.place, `this user is refused: ${reply}`);
    if (!reply.startsWith('OK')) throw new CollectError('parse', this.place, `expected OK from the handshake, not ${JSON.stringify(reply.slice(0, 60))}`);
    this.#socket.write('BEGIN\r\n');
  }

  #ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      this.#run = { firstSerial: 0, calls: [], sent: 0, answered: 0, onReply: () => undefined, end: (error) => error !== undefined && reject(error) };
      this.#onLine = (answer) => {
        this.#onLine = undefined;
        this.#run = undefined;
        resolve(answer);
      };
      this.#socket.write(`${line}\r\n`);
    });
  }

  /** Sends what the window has room for, in one write. */
  #send(run: Run): void {
    const until = Math.min(run.calls.length, run.answered + WINDOW);
    let length = 0;
    for (let i = run.sent; i < until; i++) length += run.calls[i]?.bytes.length ?? 0;
    // The socket may still hold the last write of this run; those of runs before have been answered.
    const message = run.sent > 0 ? Buffer.allocUnsafe(length) : this.#sendingOf(length);
    let at = 0;
    for (; run.sent < until; run.sent++) {
      const bytes = run.calls[run.sent]?.bytes;
      if (bytes === undefined) break;
      bytes.copy(message, at);
      setSerial(message, at, run.firstSerial + run.sent);
      at += bytes.length;
    }
    this.#socket.write(message.subarray(0, at));
  }

  #sendingOf(length: number): Buffer {
    if (length > this.#sending.length) this.#sending = Buffer.allocUnsafeSlow(length);
    return this.#sending;
  }

  /** @returns true: go on reading */
  #received(chunk: Uint8Array, count: number): boolean {
    if (this.#ended !== undefined) return false;
    if (this.#length + count > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#bytes.set(chunk.subarray(0, count), this.#length);
    this.#length += count;
    try {
      this.#read();
    } catch (error) {
      this.#fail(error instanceof FormatError ? new CollectError('parse', this.place, error.message, error) : (error as Error));
    }
    return this.#ended === undefined;
  }

  #read(): void {
    let at = 0;
    if (this.#onLine !== undefined) {
      const end = this.#bytes.subarray(0, this.#length).indexOf('\r\n');
      if (end < 0) {
        if (this.#length > READ_BYTES) throw new FormatError('a line of the handshake without an end');
        return;
      }
      at = end + 2;
      this.#onLine(this.#bytes.toString('latin1', 0, end));
    }
    while (this.#length - at >= FIXED_HEADER_BYTES) {
      const length = messageLength(this.#bytes, at, MAX_MESSAGE_BYTES);
      if (this.#length - at < length) break;
      this.#message.read(this.#bytes, at, length);
      this.#take(this.#message);
      if (this.#ended !== undefined) return;
      at += length;
    }
    this.#bytes.copyWithin(0, at, this.#length);
    this.#length -= at;
  }

  /** Signals (NameAcquired) and calls to us are none of our business. */
  #take(message: Message): void {
    if (message.kind !== METHOD_RETURN && message.kind !== ERROR) return;
    const run = this.#run;
    const index = run === undefined ? -1 : message.replySerial - run.firstSerial;
    if (run === undefined || index < 0 || index >= run.sent) throw new FormatError(`a reply to call ${message.replySerial}, which was not made`);
    run.onReply(index, message);
    run.answered += 1;
    if (run.answered === run.calls.length) {
      this.#run = undefined;
      run.end();
    } else if (run.sent < run.calls.length && run.sent - run.answered <= WINDOW / 2) this.#send(run);
  }

  #socketError(error: Error): CollectError {
    const errno = errnoOf(error);
    return new CollectError(errno === 'EACCES' || errno === 'EPERM' ? 'auth' : 'connect', this.place, errno || error.message, error);
  }

  #fail(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#socket.destroy();
    const run = this.#run;
    this.#run = undefined;
    run?.end(error);
  }
}
