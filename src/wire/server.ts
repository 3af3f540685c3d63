/**
 * The line between HTTP and the rest of the daemon. Two adapters stand behind it, `uws.ts` and `http.ts`, and one contract
 * test holds both to it. An adapter knows sockets, never metrics; a site knows paths and pages, never sockets.
 */

/**
 * One request as the site sees it. Header values are '' when absent; names that nothing asks for are not read. A request that
 * says the same as the one before may come as the same object, so that a site need not look at it again.
 */
export interface WireRequest {
  /** Upper case. */
  readonly method: string;
  /** Path without query, as sent (not decoded). */
  readonly path: string;
  /** Text behind `?`, not decoded, '' when there is none. */
  readonly query: string;
  readonly accept: string;
  readonly acceptEncoding: string;
}

/**
 * Bytes that live in shared memory and are pinned while a response reads them.
 * `release` is called exactly once by the adapter: when the last byte was handed to the kernel, or the connection ended.
 */
export interface PinnedBody {
  /** Sent one after the other; never copied by the adapter except what the kernel takes. Usually one part. */
  readonly parts: readonly Uint8Array[];
  /** Sum of the parts' lengths: the Content-Length. */
  readonly length: number;
  release(): void;
  /**
   * Called by the adapter when the body could not be sent at once. The owner may later call `cut` (at most once, never
   * after `release`) to end the connection of a reader that is too slow.
   */
  waiting(cut: () => void): void;
}

export interface WireAnswer {
  readonly status: number;
  /** Header names and values in sending order, without Content-Length and Date. The array may be shared between answers. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | PinnedBody;
}

/** The route table of one listener. Must not throw; a rejected promise is answered with 500. */
export interface Site {
  /** Paths that are asked for most, as they are known when a listener starts; the others are answered no less. */
  readonly paths?: readonly string[];
  answer(request: WireRequest): WireAnswer | Promise<WireAnswer>;
}

export interface Listening {
  /** What was bound, `host:port` with brackets around an IPv6 host: `127.0.0.1:43211`, `[::]:9100`. */
  readonly address: string;
  /** Stops accepting. Connections under way go on. */
  stop(): void;
}

export interface WireServer {
  /** `uWebSockets.js` or `node:http`. */
  readonly kind: string;
  /** Which package and version serve, for the log line at start. */
  readonly describe: string;
  /** Rejects with ListenError when the address cannot be bound. `host` '' means all addresses, IPv6 included where there is. */
  listen(host: string, port: number, site: Site): Promise<Listening>;
  /** Responses under way (sent partly, or waited for); a request is not among them while the site looks at it. */
  readonly active: number;
  /** Stops every listener and closes connections: idle ones at once, others when their response ended or after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** What adapters cannot do themselves: Node.js has no call for it. */
export interface WireTools {
  /** Bounds what the kernel buffers for each connection that is accepted on a port from now on. */
  readonly limitSendBuffers: (port: number, bytes: number) => void;
}

/**
 * SO_SNDBUF of every connection; the kernel counts its own overhead in and takes twice the number. Left alone it lets the
 * buffer of a reader that does not read grow to 4 MB. Twice a loopback packet is the least that does not wait for delayed
 * acknowledgements (half of this: 40 ms a page); with this much, pages of 60 kB to 1 MB went as fast as without a bound.
 */
export const SEND_BUFFER_BYTES = 128 * 1024;

export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, address: string, detail: string) {
    super(`cannot listen on ${address}: ${detail}`);
    this.name = 'ListenError';
    this.code = code;
  }
}

/** The server that was asked for by name is not to be had here. */
export class NoServerError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'NoServerError';
  }
}
