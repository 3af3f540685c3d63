/**
 * The wire over uWebSockets.js: a scrape is answered inside the read callback of its socket, with no stream, timer or
 * promise between. Facts about uWebSockets relied on here are from its v20.30 sources (HttpContext.h, HttpResponse.h,
 * AsyncSocket.h), checked by `contract.test.ts`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bindHost, formatAddress, listenError, probeListen } from './address.ts';
import { type Listening, type PinnedBody, SEND_BUFFER_BYTES, type Site, type WireAnswer, type WireRequest, type WireServer, type WireTools } from './server.ts';
import type { UwsApp, UwsListenToken, UwsModule, UwsRequest, UwsResponse } from './uws-types.ts';

/**
 * A body up to this size goes out by one `end`: uWebSockets then copies what the kernel does not take, which is the most
 * that a reader can make it buffer. Larger bodies go by `tryEnd`, which buffers nothing.
 */
const END_BYTES_MAX = 64 * 1024;

/**
 * The most of one body that is handed over in one turn of the loop. A socket on loopback takes 4 MB at once, which is some
 * milliseconds in which no other scrape is answered.
 */
const TURN_BYTES_MAX = 512 * 1024;

/** A constant as uWebSockets takes it fastest: a string would be copied to a new place each time, a view asked for its buffer. */
function constant(text: string): ArrayBuffer {
  return Uint8Array.from(new TextEncoder().encode(text)).buffer;
}

const ACCEPT = constant('accept');
const ACCEPT_ENCODING = constant('accept-encoding');

const PACKAGES = ['uWebSockets.js', '@trufflesuite/uws-js-unofficial', '@btc-vision/uwebsockets.js'] as const;

/** A loaded native module with its name and version. */
export interface LoadedUws {
  readonly uws: UwsModule;
  readonly describe: string;
}

/** Loads the first package that is installed and native on this Node and libc; else says of each why it is not. */
export function loadUws(): LoadedUws | { readonly reason: string } {
  const require = createRequire(import.meta.url);
  const reasons: string[] = [];
  for (const name of PACKAGES) {
    try {
      return { uws: requireNative(require, name), describe: `${name}@${packageVersion(require, name)}` };
    } catch (error) {
      reasons.push(`${name}: ${firstLine(error)}`);
    }
  }
  return { reason: reasons.join('; ') };
}

function requireNative(require: NodeJS.Require, name: string): UwsModule {
  // The loader of this republication answers a binary that does not load with a slow JavaScript twin and a console
  // warning, so its binary is asked for directly: the error then is the true one (ABI, glibc, no such file).
  const entry = name === '@trufflesuite/uws-js-unofficial' ? `${name}/binaries/uws_${process.platform}_${process.arch}_${process.versions.modules}.node` : name;
  const uws: UwsModule = require(entry);
  if (!Function.prototype.toString.call(uws.App).includes('[native code]')) {
    throw new Error('loads only as a JavaScript imitation, not as native code');
  }
  return uws;
}

function packageVersion(require: NodeJS.Require, name: string): string {
  // By hand: an `exports` map may hide package.json from require.
  let folder = dirname(require.resolve(name));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}

/** The wire server over a loaded uWebSockets.js. Idle keep-alive connections end after 10 s: fixed in uWebSockets. */
export function createUwsServer(loaded: LoadedUws, tools?: WireTools): WireServer {
  return new UwsServer(loaded, tools);
}

class UwsServer implements WireServer {
  readonly kind = 'uWebSockets.js';
  readonly describe: string;
  /** Counted as responses come and go, not when asked: a site asks at each request. */
  active = 0;
  readonly #uws: UwsModule;
  readonly #tools: WireTools | undefined;
  readonly #grounds = new Set<Ground>();
  #closed: Promise<void> | undefined;

  constructor(loaded: LoadedUws, tools: WireTools | undefined) {
    this.#uws = loaded.uws;
    this.#tools = tools;
    this.describe = loaded.describe;
  }

  listen(host: string, port: number, site: Site): Promise<Listening> {
    return bindHost(host, port, (ip) => this.#bind(ip, port, site));
  }

  async #bind(ip: string, port: number, site: Site): Promise<Listening> {
    const ground = new Ground(this.#uws, site, (change) => {
      this.active += change;
    });
    const bound = ground.bind(ip, port);
    if (bound === undefined) {
      ground.closeAll();
      // uWebSockets says no more than "no"; a bind of our own gives the errno.
      throw listenError((await probeListen(ip, port)) ?? 'EUNKNOWN', ip, port);
    }
    this.#tools?.limitSendBuffers(bound, SEND_BUFFER_BYTES);
    this.#grounds.add(ground);
    return { address: formatAddress(ip, bound), stop: () => ground.stop() };
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  async #close(graceMs: number): Promise<void> {
    await Promise.all([...this.#grounds].map((ground) => ground.close(graceMs)));
  }
}

/** What uWebSockets takes for a pattern: a route of it would answer for other paths too. */
const PATTERN = /[:*]/;

/** One listener: an app, its site, and what is under way on it. */
class Ground {
  /** Responses that were not finished inside their handler. */
  #active = 0;
  readonly #uws: UwsModule;
  readonly #app: UwsApp;
  readonly #onActive: (change: 1 | -1) => void;
  #token: UwsListenToken | undefined;
  #isClosing = false;
  #idle: (() => void) | undefined;
  readonly #heads = new Heads();

  constructor(uws: UwsModule, site: Site, onActive: (change: 1 | -1) => void) {
    this.#uws = uws;
    this.#onActive = onActive;
    this.#app = uws.App();
    // A route of its own says method and path without asking for them, each of which makes a string.
    for (const path of site.paths ?? []) if (!PATTERN.test(path)) this.#app.get(path, this.#handler(site, 'GET', path));
    this.#app.any('/*', this.#handler(site));
  }

  /** The bound port, or undefined. */
  bind(ip: string, port: number): number | undefined {
    // Without this option uSockets sets SO_REUSEPORT, and a second daemon would silently take half of the scrapes.
    this.#app.listen(ip, port, this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
      if (token) this.#token = token;
    });
    return this.#token && this.#uws.us_socket_local_port(this.#token);
  }

  stop(): void {
    if (this.#token === undefined) return;
    this.#uws.us_listen_socket_close(this.#token);
    this.#token = undefined;
  }

  /** uWebSockets does not list its connections, so idle ones of a listener go with the last response under way on it. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    this.stop();
    if (this.#active > 0) await this.#untilIdle(graceMs);
    this.closeAll();
  }

  closeAll(): void {
    this.#token = undefined;
    this.#app.close();
  }

  #untilIdle(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#idle = () => {
        clearTimeout(timer);
        // Not from inside the handler that ended the response: its socket is still in use there.
        setImmediate(resolve);
      };
    });
  }

  /** Nothing may be thrown from it: an exception in a handler ends the process (std::terminate). */
  #handler(site: Site, method?: string, path?: string): (response: UwsResponse, request: UwsRequest) => void {
    // A scraper says the same each time.
    let last: WireRequest = { method: '', path: '', query: '', accept: '', acceptEncoding: '' };
    return (response, request) => {
      last = read(request, last, method ?? request.getCaseSensitiveMethod(), path ?? request.getUrl());
      this.#answer(site, response, last);
    };
  }

  #answer(site: Site, response: UwsResponse, seen: WireRequest): void {
    let answer: WireAnswer | Promise<WireAnswer>;
    try {
      answer = site.answer(seen);
    } catch {
      // A site must not throw; when it does all the same, the daemon stays up.
      answer = INTERNAL_ERROR;
    }
    // Not by `instanceof`, which looks up a symbol of Promise for each answer.
    if ('status' in answer) this.#send(response, answer, seen.method === 'HEAD');
    else this.#later(response, answer, seen.method === 'HEAD');
  }

  #later(response: UwsResponse, promise: Promise<WireAnswer>, isHead: boolean): void {
    let isAborted = false;
    // Before anything else: uWebSockets ends the process when a handler returns with neither answer nor abort handler.
    response.onAborted(() => {
      isAborted = true;
      this.#left();
    });
    this.#entered();
    const settle = (answer: WireAnswer): void => {
      if (isAborted) {
        if (typeof answer.body !== 'string') answer.body.release();
        return;
      }
      response.cork(() => this.#send(response, answer, isHead));
      // Only now: a large body counts for itself, and in between `close` must not find the listener idle.
      this.#left();
    };
    promise.then(settle, () => settle(INTERNAL_ERROR));
  }

  #send(response: UwsResponse, answer: WireAnswer, isHead: boolean): void {
    response.writeStatus(this.#heads.bytesFor(answer));
    // Set by hand: the argument of `end` does the same, but `tryEnd` has none. The connection is closed by `close`.
    if (this.#isClosing) response.writeHeader('Connection', 'close');
    const body = answer.body;
    if (isHead) sendHead(response, body);
    else if (typeof body === 'string') this.#sendText(response, body);
    // Not while closing: what `end` left in uWebSockets' buffer would be lost with the connection.
    else if (body.length <= END_BYTES_MAX && !this.#isClosing) {
      response.end(body.parts.length === 1 ? body.parts[0] : gather(body.parts, 0, 0));
      body.release();
    } else this.#sendBody(response, body);
  }

  #sendText(response: UwsResponse, text: string): void {
    // Three bytes of UTF-8 at most for one unit of a JavaScript string.
    if (text.length * 3 <= END_BYTES_MAX) {
      response.end(text);
      return;
    }
    const bytes = new TextEncoder().encode(text);
    this.#sendBody(response, { parts: [bytes], length: bytes.length, release: ignore, waiting: ignore });
  }

  #sendBody(response: UwsResponse, body: PinnedBody): void {
    if (body.length === 0) {
      response.end();
      body.release();
      return;
    }
    const pumped = pump(response, body, 0);
    if (pumped === 'ended') body.release();
    else this.#wait(response, body, pumped);
  }

  /** The rest of the body goes when the socket drains, or in the next turn. The abort handler also runs on `cut` and on close. */
  #wait(response: UwsResponse, body: PinnedBody, first: Pumped): void {
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      body.release();
      this.#left();
    };
    const after = (pumped: Pumped): boolean => {
      if (pumped === 'ended') over();
      else if (pumped === 'turn') setImmediate(resume);
      return pumped !== 'full';
    };
    const resume = (): void => {
      if (!isOver) response.cork(() => void after(pump(response, body, response.getWriteOffset())));
    };
    this.#entered();
    response.onAborted(over);
    response.onWritable((offset) => after(pump(response, body, offset)));
    after(first);
    body.waiting(() => {
      if (!isOver) response.close();
    });
  }

  #entered(): void {
    this.#active++;
    this.#onActive(1);
  }

  #left(): void {
    this.#active--;
    this.#onActive(-1);
    if (this.#active === 0) this.#idle?.();
  }
}

/** What a request says; `last` itself where it says the same. */
function read(request: UwsRequest, last: WireRequest, method: string, path: string): WireRequest {
  const query = request.getQuery() ?? '';
  const accept = request.getHeader(ACCEPT);
  const acceptEncoding = request.getHeader(ACCEPT_ENCODING);
  if (last.acceptEncoding === acceptEncoding && last.path === path && last.query === query && last.method === method && last.accept === accept) return last;
  return { method: method === 'GET' ? method : method.toUpperCase(), path, query, accept, acceptEncoding };
}

/** How handing over went: the last byte was taken, the socket takes no more, or this turn of the loop has had its share. */
type Pumped = 'ended' | 'full' | 'turn';

/** Hands the body from byte `from` on to the socket. The response must not be touched once that `ended`. */
function pump(response: UwsResponse, body: PinnedBody, from: number): Pumped {
  const parts = body.parts;
  let offset = from;
  let start = 0;
  for (let i = 0; i < parts.length; ) {
    const part = parts[i] as Uint8Array; // i is below the length.
    const end = start + part.length;
    if (offset >= end) {
      start = end;
      i++;
      continue;
    }
    const share = from + TURN_BYTES_MAX - offset;
    if (share <= 0) return 'turn';
    const isAlone = end - offset >= GATHER_PART_BYTES || i + 1 === parts.length;
    const chunk = isAlone ? part.subarray(offset - start, offset - start + share) : gather(parts, i, offset - start);
    const result = response.tryEnd(chunk, body.length);
    if (result[1]) return 'ended';
    if (!result[0]) return 'full';
    offset += chunk.length;
  }
  return 'full';
}

/** Where small parts are put side by side: one for the process, free again as soon as the kernel has taken its bytes. */
const SCRATCH = new Uint8Array(END_BYTES_MAX);

/** A part shorter than this goes with its neighbours: a system call and a packet of its own would cost more than the copy. */
const GATHER_PART_BYTES = 16 * 1024;

/** The parts from `index` on, without the first `skip` bytes of that one, as many as fit in whole. */
function gather(parts: readonly Uint8Array[], index: number, skip: number): Uint8Array {
  let length = 0;
  for (let i = index; i < parts.length; i++) {
    const part = parts[i] as Uint8Array; // i is below the length.
    const rest = i === index && skip > 0 ? part.subarray(skip) : part;
    if (length + rest.length > SCRATCH.length) break;
    SCRATCH.set(rest, length);
    length += rest.length;
  }
  return SCRATCH.subarray(0, length);
}

function sendHead(response: UwsResponse, body: string | PinnedBody): void {
  const isText = typeof body === 'string';
  response.writeHeader('Content-Length', String(isText ? Buffer.byteLength(body) : body.length));
  response.endWithoutBody();
  if (!isText) body.release();
}

/**
 * Status and headers of an answer as the bytes of one write. `writeStatus` sends its text as it is, so it can carry the
 * headers behind the status; that is one call into native code instead of one for each header, and bytes go through
 * without the copy that a string costs there. Kept for as long as the site shares its array of headers between answers.
 */
class Heads {
  readonly #known = new WeakMap<WireAnswer['headers'], Head>();
  #missed: WireAnswer['headers'] | undefined;
  #last: WireAnswer['headers'] | undefined;
  #lastHead: Head | undefined;

  bytesFor(answer: WireAnswer): ArrayBuffer {
    if (this.#last === answer.headers && this.#lastHead?.status === answer.status) return this.#lastHead.bytes;
    const known = this.#known.get(answer.headers);
    if (known !== undefined && known.status === answer.status) {
      this.#last = answer.headers;
      this.#lastHead = known;
      return known.bytes;
    }
    const bytes = encodeHead(answer);
    // Only what comes twice in a row is kept: an array of headers made for one answer would only burden the collector.
    if (this.#missed === answer.headers) this.#known.set(answer.headers, { status: answer.status, bytes });
    this.#missed = answer.headers;
    return bytes;
  }
}

interface Head {
  readonly status: number;
  readonly bytes: ArrayBuffer;
}

/** Of every status that is answered with; node:http has them all, and takes longer to load than all of this. */
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Ends without a line break: `writeStatus` adds that one. */
function encodeHead(answer: WireAnswer): ArrayBuffer {
  let text = `${answer.status} ${REASONS[answer.status] ?? 'Unknown'}`;
  for (const header of answer.headers) text += `\r\n${header[0]}: ${header[1]}`;
  return constant(text);
}

const INTERNAL_ERROR: WireAnswer = {
  status: 500,
  headers: [['Content-Type', 'text/plain; charset=utf-8']],
  body: 'internal error\n',
};

function ignore(): void {}
