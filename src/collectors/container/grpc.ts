import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { createConnection } from 'node:net';

/** Answers beyond this are given up; a list of ten thousand containers has some ten megabytes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_TIMEOUT_SECONDS = 60;

/** A call that was answered with a status other than OK. */
export class GrpcStatusError extends Error {
  /** As in google.rpc.Code: 12 is UNIMPLEMENTED, 5 NOT_FOUND. */
  readonly status: number;
  constructor(method: string, status: number, message: string) {
    super(`${method}: status ${status}${message === '' ? '' : `, ${message}`}`);
    this.name = 'GrpcStatusError';
    this.status = status;
  }
}

/** A server of unary calls. */
export interface UnaryClient {
  /** @param method `/package.Service/Method` */
  call(method: string, request: Buffer, signal: AbortSignal): Promise<Buffer>;
  /** Safe to call twice. */
  close(): void;
}

/**
 * Unary gRPC over HTTP/2 on a unix socket, without TLS: all that a CRI socket speaks. The connection is kept and made anew
 * when it is gone. Source: grpc/grpc, PROTOCOL-HTTP2.md.
 */
export function unaryClient(socketPath: string): UnaryClient {
  let session: ClientHttp2Session | undefined;
  const connected = (): ClientHttp2Session => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    // The authority is not looked at on a unix socket; servers only want it to be a name.
    const fresh = connect('http://localhost', { createConnection: () => createConnection(socketPath) });
    fresh.on('error', () => fresh.destroy()); // The call under way is told by its stream.
    session = fresh;
    return fresh;
  };
  return {
    call: (method, request, signal) => unary(connected(), method, request, signal),
    close() {
      session?.destroy();
      session = undefined;
    },
  };
}

function unary(session: ClientHttp2Session, method: string, request: Buffer, signal: AbortSignal): Promise<Buffer> {
  const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS } = constants;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      session.off('error', fail);
      // A stream that waited for the connection is told that it was cancelled; why is what matters.
      reject(error.cause instanceof Error ? error.cause : error);
    };
    session.once('error', fail); // Refused before there is a stream.
    const stream = session.request(
      {
        [HTTP2_HEADER_METHOD]: 'POST',
        [HTTP2_HEADER_PATH]: method,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-timeout': `${MAX_TIMEOUT_SECONDS}S`,
      },
      { signal },
    );
    const chunks: Buffer[] = [];
    let bytes = 0;
    let httpStatus = 0;
    let status: unknown;
    let message: unknown;
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      status = headers['grpc-status'] ?? status;
      message = headers['grpc-message'] ?? message;
    };
    stream.on('response', (headers) => {
      httpStatus = Number(headers[HTTP2_HEADER_STATUS]);
      note(headers);
    });
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) stream.destroy(new Error(`${method}: answer of more than ${MAX_ANSWER_BYTES} bytes`));
      else chunks.push(chunk);
    });
    stream.on('error', fail);
    stream.on('close', () => {
      session.off('error', fail);
      if (httpStatus !== 200)
        return reject(new Error(`${method}: ${httpStatus === 0 ? 'the connection was closed without an answer' : `HTTP status ${httpStatus}`}`));
      if (status === undefined) return reject(new Error(`${method}: the answer ended without a status`));
      if (Number(status) !== 0) return reject(new GrpcStatusError(method, Number(status), typeof message === 'string' ? percentDecoded(message) : ''));
      try {
        resolve(messageOf(method, Buffer.concat(chunks)));
      } catch (error) {
        reject(error as Error);
      }
    });
    stream.end(framed(request));
  });
}

/** A message as it travels: one byte for compression (none), four for the length. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function messageOf(method: string, frame: Buffer): Buffer {
  if (frame.length < 5) throw new Error(`${method}: ${frame.length} bytes are no message`);
  if (frame[0] !== 0) throw new Error(`${method}: the message is compressed, which was not offered`);
  const length = frame.readUInt32BE(1);
  if (frame.length !== 5 + length) throw new Error(`${method}: a message of ${length} bytes expected, got ${frame.length - 5}`);
  return frame.subarray(5);
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A server that does not encode.
  }
}
