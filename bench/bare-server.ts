/**
 * The least that serving a page over uWebSockets.js can cost: one handler, one body, no routing, no negotiation.
 * Argument: a JSON file of `{ headers: [name, value][], body: base64 }`. Prints the port.
 */
import { readFileSync } from 'node:fs';
import { loadUws } from '../src/wire/uws.ts';

export interface BareAnswer {
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const { headers, body } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as BareAnswer; // written by latency.ts
const bytes = Buffer.from(body, 'base64');
const loaded = loadUws();
if (!('uws' in loaded)) throw new Error(loaded.reason);
const { uws } = loaded;
uws
  .App()
  .any('/*', (response) => {
    response.writeStatus('200 OK');
    for (const [name, value] of headers) response.writeHeader(name, value);
    response.end(bytes);
  })
  .listen('127.0.0.1', 0, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
    if (token === false) throw new Error('cannot listen');
    process.stdout.write(`port ${uws.us_socket_local_port(token)}\n`);
  });
process.on('SIGTERM', () => process.exit(0));
