import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { connected } from './connected.ts';
import { AGENT_PORT } from './settings.ts';

/**
 * Runs in the virtual machine: commands for the test on the host, and a way to unix sockets.
 * `POST /` with a JSON list of arguments answers `{code, stdout, stderr}`; an upgrade to `unix` goes through to the socket
 * that the path names.
 */

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run([program = '', ...args]: readonly string[]): Promise<Ran> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve({ code: null, stdout, stderr: message }));
    // Not `close`: what it leaves running may hold the pipes.
    child.once('exit', (code) => setImmediate(() => resolve({ code, stdout, stderr })));
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
  return body;
}

const server = createServer((request, response) => {
  bodyOf(request)
    .then(async (body) => response.end(JSON.stringify(await run(JSON.parse(body) as string[]))))
    .catch((error: unknown) => response.writeHead(400).end(String(error)));
});
server.on('upgrade', ({ url = '' }: IncomingMessage, client) => {
  const socket = connect(url, () => client.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: unix\r\n\r\n'));
  connected(client, socket);
});
server.listen(AGENT_PORT);
