/**
 * The part of uWebSockets.js this daemon uses. The package brings declarations of its own only in some of its three
 * publications, and these have drifted apart; the face below holds for all of them.
 * Source: docs/index.d.ts and src/HttpResponseWrapper.h of uWebSockets.js v20.
 */

/** Text, or bytes over any kind of buffer: `NativeString` in src/Utilities.h reads views over shared memory too. */
export type UwsText = string | Uint8Array | ArrayBuffer;

export interface UwsResponse {
  writeStatus(status: UwsText): UwsResponse;
  writeHeader(name: UwsText, value: UwsText): UwsResponse;
  /** Copies what the socket does not take into a buffer of the socket's own. */
  end(body?: UwsText, closeConnection?: boolean): UwsResponse;
  /** Never call it with a length: v20.30 then takes the response for unfinished and ends the process. */
  endWithoutBody(): UwsResponse;
  /** `[taken, ended]`. What was not taken is not buffered; `getWriteOffset` tells how far it came. */
  tryEnd(chunk: UwsText, totalBytes: number): [taken: boolean, ended: boolean];
  getWriteOffset(): number;
  /** The handler returns whether its write was taken in full. */
  onWritable(handler: (offset: number) => boolean): UwsResponse;
  onAborted(handler: () => void): UwsResponse;
  cork(handler: () => void): UwsResponse;
  /** Drops the connection; the abort handler runs before this returns. */
  close(): UwsResponse;
}

/** Lives only during the handler's call. */
export interface UwsRequest {
  getUrl(): string;
  /** v20.30 returns undefined for a URL without `?`, other versions ''. */
  getQuery(): string | undefined;
  /** As sent, but lower case once `getMethod` was called: that one lowers the receive buffer itself. */
  getCaseSensitiveMethod(): string;
  getHeader(lowerCaseName: UwsText): string;
}

export type UwsListenToken = object;

export interface UwsApp {
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  get(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  /** Calls back before it returns, with false when the address could not be bound. */
  listen(host: string, port: number, options: number, done: (token: UwsListenToken | false) => void): UwsApp;
  /** Closes the app's listeners and connections at once. */
  close(): UwsApp;
}

export interface UwsModule {
  App(): UwsApp;
  us_listen_socket_close(token: UwsListenToken): void;
  us_socket_local_port(token: UwsListenToken): number;
  LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}
