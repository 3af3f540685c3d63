import { Client, credentials, type ServiceError, status as codes } from '@grpc/grpc-js';

/** Answers beyond this are given up; a list of ten thousand containers has some ten megabytes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** A call that was answered with a status other than OK, by the server or by the client for it. */
export class GrpcStatusError extends Error {
  /** As in google.rpc.Code: 12 is UNIMPLEMENTED, 5 NOT_FOUND, 14 UNAVAILABLE. */
  readonly status: number;
  /** errno name of what kept the client from connecting (ENOENT, EACCES, ECONNREFUSED); undefined for all else. */
  readonly code: string | undefined;
  constructor(method: string, status: number, message: string) {
    super(`${method}: status ${status}${message === '' ? '' : `, ${message}`}`);
    this.name = 'GrpcStatusError';
    this.status = status;
    // The library tells the reason in words only: `... Last error: connect ENOENT /run/x.sock`.
    this.code = status === codes.UNAVAILABLE ? /\bconnect (E[A-Z]+)\b/.exec(message)?.[1] : undefined;
  }
}

/** A server of unary calls. */
export interface UnaryClient {
  /** @param method `/package.Service/Method` */
  call(method: string, request: Uint8Array, signal: AbortSignal): Promise<Buffer>;
  /** Ends calls under way; safe to call twice. */
  close(): void;
}

const bytes = (message: Buffer): Buffer => message;

/**
 * Calls on a unix socket without TLS, which is all that a CRI socket speaks. The connection is made at the first call, kept,
 * and made anew when it is gone; after a refusal the library waits before it tries again, so such a client is better closed.
 */
export function unaryClient(socketPath: string): UnaryClient {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
    // Nothing of these is of use on a socket of this machine; proxies of the environment are not meant for it.
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
  });
  return {
    call: (method, request, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const call = client.makeUnaryRequest(method, bytes, bytes, Buffer.from(request), (error, answer) => {
          signal.removeEventListener('abort', cancel);
          if (error === null) resolve(answer ?? Buffer.alloc(0));
          else reject(signal.aborted ? signal.reason : statusError(method, error));
        });
        const cancel = (): void => call.cancel();
        signal.addEventListener('abort', cancel, { once: true });
      }),
    close: () => client.close(),
  };
}

function statusError(method: string, { code, details }: ServiceError): GrpcStatusError {
  return new GrpcStatusError(method, code, details);
}
