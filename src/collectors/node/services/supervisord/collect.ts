import { Agent, type IncomingMessage, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { CollectError, OK, type Outcome } from '../../../../collect/contract.ts';
import type { Sheet } from '../../../../collect/sheet.ts';
import { errnoOf } from '../../file-error.ts';
import type { Service, ServiceScope } from '../../service-part.ts';
import { EXIT_STATUS, START_TIME, STATE, UP } from './part.ts';
import { readResponse, type Value } from './xml-rpc.ts';

/** Ten thousand processes have 15 MB. */
const MAX_ANSWER_BYTES = 64 << 20;
const CALL = '<?xml version="1.0"?><methodCall><methodName>supervisor.getAllProcessInfo</methodName><params></params></methodCall>';
/** STARTING, RUNNING and STOPPING. Source: supervisord.org, "Process States". */
const UP_STATES = new Set([10, 20, 40]);

interface Endpoint {
  /** For logs: without user and password. */
  readonly place: string;
  readonly isTls: boolean;
  readonly where: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly path: string;
  readonly authorization: string | undefined;
  readonly hostHeader: string;
}

export function open(scope: ServiceScope): Service {
  const endpoint = endpointOf(scope.options.text('url'));
  const agent = endpoint.isTls ? new TlsAgent({ keepAlive: true, maxSockets: 1 }) : new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    async collect(sheet: Sheet, signal: AbortSignal): Promise<Outcome> {
      const text = await ask(endpoint, agent, signal);
      let processes: readonly ProcessInfo[];
      try {
        processes = processesOf(readResponse(text));
      } catch (error) {
        throw new CollectError('parse', endpoint.place, error instanceof Error ? error.message : String(error), error);
      }
      for (const one of processes) show(sheet, one);
      return OK;
    },
    close: () => agent.destroy(),
  };
}

/** Throws CollectError. */
function endpointOf(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [user = '', password = '', path = ''] = decoded(url?.username, url?.password, url?.pathname);
  if (url?.protocol === 'unix:' && path !== '') {
    return { place: path, isTls: false, where: { socketPath: path }, path: '/RPC2', authorization: undefined, hostHeader: 'unix' };
  }
  // The text may hold a password.
  if ((url?.protocol !== 'http:' && url?.protocol !== 'https:') || path === '') {
    throw new CollectError('query', 'supervisord url', 'expected http://, https:// or unix:///path');
  }
  const isTls = url.protocol === 'https:';
  return {
    place: `${url.protocol}//${url.host}${url.pathname}`,
    isTls,
    where: { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port) },
    path: url.pathname + url.search,
    authorization: user === '' && password === '' ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    hostHeader: url.host,
  };
}

/** Nothing where one of them has a percent sign that stands for no byte. */
function decoded(...texts: readonly (string | undefined)[]): string[] {
  try {
    return texts.map((text) => decodeURIComponent(text ?? ''));
  } catch {
    return [];
  }
}

async function ask(endpoint: Endpoint, agent: Agent, signal: AbortSignal): Promise<string> {
  try {
    return await post(endpoint, agent, signal);
  } catch (error) {
    if (error instanceof StaleConnection) return post(endpoint, agent, signal);
    throw error;
  }
}

/** The server had closed the kept connection before it saw the question. */
class StaleConnection extends Error {}

function post({ place, isTls, where, path, authorization, hostHeader }: Endpoint, agent: Agent, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      Host: hostHeader,
      'Content-Type': 'text/xml',
      'Content-Length': CALL.length,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    };
    const failed = (error: Error): void => {
      const errno = errnoOf(error);
      if (signal.aborted) reject(new CollectError('timeout', place, 'no answer in time'));
      else if (sent.reusedSocket && (errno === 'ECONNRESET' || errno === 'EPIPE')) reject(new StaleConnection());
      else reject(new CollectError(errno === 'EACCES' || errno === 'EPERM' ? 'auth' : 'connect', place, errno || error.message, error));
    };
    const sent = (isTls ? tlsRequest : request)({ ...where, path, method: 'POST', headers, agent, signal }, (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) {
        bodyOf(response).then(resolve, failed);
        return;
      }
      response.resume(); // Else the connection could not be used again.
      reject(new CollectError(status === 401 || status === 403 ? 'auth' : 'query', place, `HTTP status ${status}`));
    });
    sent.on('error', failed);
    sent.end(CALL);
  });
}

function bodyOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`));
      else chunks.push(chunk);
    });
    response.on('error', reject);
    response.on('end', () => resolve(Buffer.concat(chunks).toString()));
  });
}

interface ProcessInfo {
  readonly labels: readonly [group: string, name: string];
  readonly state: number;
  readonly exitStatus: number;
  /** Unix time, seconds. */
  readonly start: number;
}

/** Throws Error with the member that is missing or of another type. */
function processesOf(result: Value): ProcessInfo[] {
  if (!Array.isArray(result)) throw new Error('expected an array of processes');
  return result.map((item: Value) => {
    if (!(item instanceof Map)) throw new Error('expected a process to be a struct');
    const text = (name: string): string => {
      const value = item.get(name);
      if (typeof value === 'string') return value;
      throw new Error(`expected a process to have a text ${name}`);
    };
    const number = (name: string): number => {
      const value = item.get(name);
      if (typeof value === 'number') return value;
      throw new Error(`expected a process to have a number ${name}`);
    };
    return { labels: [text('group'), text('name')], state: number('state'), exitStatus: number('exitstatus'), start: number('start') };
  });
}

function show(sheet: Sheet, { labels, state, exitStatus, start }: ProcessInfo): void {
  const isUp = UP_STATES.has(state);
  sheet.sample(STATE, labels, state);
  sheet.sample(EXIT_STATUS, labels, exitStatus);
  sheet.sample(UP, labels, isUp ? 1 : 0);
  if (isUp) sheet.sample(START_TIME, labels, start);
}
