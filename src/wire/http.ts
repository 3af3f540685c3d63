/**
 * The wire over node:http: for machines without a native uWebSockets.js, and for what that one cannot do. Same contract,
 * same answers, more time per scrape.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { bindHost, errorCode, formatAddress, listenError } from './address.ts';
import { type Listening, type PinnedBody, SEND_BUFFER_BYTES, type Site, type WireAnswer, type WireRequest, type WireServer, type WireTools } from './server.ts';

/** At most this much of a body is handed to a socket before it has drained: the memory a slow reader can hold. */
const SLICE_BYTES = 64 * 1024;

/** After this much of one body the loop gets a turn, so that other scrapes are answered in between. */
const TURN_BYTES = 512 * 1024;

/** Prometheus keeps idle connections for 5 minutes; ours last longer, so that it is never the server that hangs up on a scrape. */
const KEEP_ALIVE_MS = 310_000;

/** A client gets this long to send its header, and its whole request; node:http answers 408 afterwards. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** The wire server over node:http. */
export function createHttpServer(tools?: WireTools): WireServer {
  return new HttpServer(tools);
}

class HttpServer implements WireServer {
  readonly kind = 'node:http';
  readonly describe = `node:http of Node.js ${process.versions.node}`;
  readonly #tools: WireTools | undefined;
  readonly #grounds = new Set<Ground>();
  #closed: Promise<void> | undefined;

  constructor(tools: WireTools | undefined) {
    this.#tools = tools;
  }

  get active(): number {
    let sum = 0;
    for (const ground of this.#grounds) sum += ground.active;
    return sum;
  }

  listen(host: string, port: number, site: Site): Promise<Listening> {
    return bindHost(host, port, async (ip) => {
      const ground = new Ground(site);
      const bound = await ground.bind(ip, port);
      this.#tools?.limitSendBuffers(bound, SEND_BUFFER_BYTES);
      this.#grounds.add(ground);
      return { address: formatAddress(ip, bound), stop: () => ground.stop() };
    });
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  async #close(graceMs: number): Promise<void> {
    await Promise.all([...this.#grounds].map((ground) => ground.close(graceMs)));
  }
}

/** One listener: a node:http server, its site, and what is under way on it. */
class Ground {
  active = 0;
  /** Per connection, what must run when it ends under responses that were not yet sent. */
  readonly #open = new WeakMap<Socket, Set<() => void>>();
  readonly #server: Server;
  #isClosing = false;

  constructor(site: Site) {
    this.#server = createServer({
      noDelay: true,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
    });
    // No 'clientError' listener: without one node:http itself answers 400, 408 or 431, and never into a response begun.
    this.#server.on('connection', (socket) => this.#watch(socket));
    this.#server.on('request', (request, response) => this.#handle(site, request, response));
  }

  /** The bound port. */
  bind(ip: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const refused = (error: Error): void => reject(listenError(errorCode(error), ip, port));
      this.#server.once('error', refused);
      this.#server.listen({ host: ip, port, exclusive: true }, () => {
        this.#server.off('error', refused);
        // What accept() may report later (EMFILE, say) costs one connection, not the daemon.
        this.#server.on('error', ignore);
        resolve((this.#server.address() as AddressInfo).port); // An AddressInfo for every TCP listener.
      });
    });
  }

  stop(): void {
    if (this.#server.listening) this.#server.close();
  }

  close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
      const finished = (): void => {
        clearTimeout(timer);
        resolve();
      };
      // 'close' comes once the last connection has ended.
      if (this.#server.listening) this.#server.close(finished);
      else this.#whenNoConnection(finished);
      this.#server.closeIdleConnections();
    });
  }

  /** For a server that was stopped before: its 'close' may already have been. */
  #whenNoConnection(finished: () => void): void {
    this.#server.getConnections((_error, count) => {
      if (count === 0) finished();
      else this.#server.once('close', finished);
    });
  }

  #watch(socket: Socket): void {
    const open = new Set<() => void>();
    this.#open.set(socket, open);
    socket.once('close', () => {
      for (const over of open) over();
    });
  }

  #handle(site: Site, request: IncomingMessage, response: ServerResponse): void {
    const seen = readRequest(request);
    let answer: WireAnswer | Promise<WireAnswer>;
    try {
      answer = site.answer(seen);
    } catch {
      // A site must not throw; when it does all the same, the daemon stays up.
      answer = INTERNAL_ERROR;
    }
    const turn = this.#begin(request.socket, response);
    if (answer instanceof Promise) {
      const settle = (settled: WireAnswer): void => this.#send(response, settled, seen.method === 'HEAD', turn);
      answer.then(settle, () => settle(INTERNAL_ERROR));
    } else this.#send(response, answer, seen.method === 'HEAD', turn);
  }

  /** Counts a response in, and out again when it was handed to the kernel or its connection ended. */
  #begin(socket: Socket, response: ServerResponse): Turn {
    const turn: Turn = { isOver: false, body: undefined };
    const open = this.#open.get(socket);
    const over = (): void => {
      if (turn.isOver) return;
      turn.isOver = true;
      open?.delete(over);
      this.active--;
      turn.body?.release();
      if (this.#isClosing) setImmediate(() => this.#server.closeIdleConnections());
    };
    this.active++;
    // The socket is watched as well: a pipelined response behind another gets no 'close' of its own when it breaks off.
    response.once('close', over);
    open?.add(over);
    return turn;
  }

  #send(response: ServerResponse, answer: WireAnswer, isHead: boolean, turn: Turn): void {
    const body = typeof answer.body === 'string' ? pinText(answer.body) : answer.body;
    if (turn.isOver) {
      body.release();
      return;
    }
    turn.body = body;
    response.writeHead(answer.status, flatHeaders(answer, body.length, this.#isClosing));
    if (isHead || body.length === 0) response.end();
    else sendSlices(response, body);
    // What the kernel takes at once is out of our hands within one turn of the loop.
    setImmediate(() => {
      if (!turn.isOver) body.waiting(() => cut(response, turn));
    });
  }
}

/** One response from request to last byte. */
interface Turn {
  isOver: boolean;
  body: PinnedBody | undefined;
}

function readRequest(request: IncomingMessage): WireRequest {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: request.method ?? 'GET',
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    accept: request.headers.accept ?? '',
    acceptEncoding: headerText(request.headers['accept-encoding']),
  };
}

function headerText(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : (value?.join(', ') ?? '');
}

/** Names and values in turn: the form of `writeHead` that keeps order and letter case. */
function flatHeaders(answer: WireAnswer, length: number, isClosing: boolean): string[] {
  const flat: string[] = [];
  for (const header of answer.headers) flat.push(header[0], header[1]);
  flat.push('Content-Length', String(length));
  if (isClosing) flat.push('Connection', 'close');
  return flat;
}

/** Slice after slice, each only when the one before has left: node:http keeps views, so nothing is copied. */
function sendSlices(response: ServerResponse, body: PinnedBody): void {
  let sent = 0;
  let index = 0;
  let start = 0;
  let turnEnd = TURN_BYTES;
  const drained = (): void => {
    if (sent < turnEnd) next();
    else {
      turnEnd = sent + TURN_BYTES;
      setImmediate(next);
    }
  };
  const next = (): void => {
    // The connection may have ended since; a write to it would be an error event.
    while (sent < body.length && !response.destroyed) {
      const part = body.parts[index];
      if (part === undefined) break; // Parts shorter than `length`: against the contract.
      const slice = part.subarray(start, start + SLICE_BYTES);
      start += slice.length;
      if (start >= part.length) {
        index++;
        start = 0;
      }
      sent += slice.length;
      if (sent < body.length && !response.write(slice)) {
        response.once('drain', drained);
        return;
      }
      if (sent === body.length) response.end(slice);
    }
  };
  next();
}

/** RST instead of FIN: a closed socket would keep what a slow reader has not taken in kernel memory. */
function cut(response: ServerResponse, turn: Turn): void {
  if (!turn.isOver) response.socket?.resetAndDestroy();
}

function pinText(text: string): PinnedBody {
  const bytes = Buffer.from(text);
  return { parts: [bytes], length: bytes.length, release: ignore, waiting: ignore };
}

const INTERNAL_ERROR: WireAnswer = {
  status: 500,
  headers: [['Content-Type', 'text/plain; charset=utf-8']],
  body: 'internal error\n',
};

function ignore(): void {}
