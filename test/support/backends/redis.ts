import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Available } from './availability.ts';
import { freePort, type ServerProcess, startProcess, until } from './processes.ts';

/** A Redis server for tests. */
export interface RedisBackend {
  readonly host: string;
  readonly port: number;
  /** `redis://host:port`, without credentials. */
  readonly address: string;
  readonly password: string;
  /** Undefined for a server given by TEST_REDIS_URI: it can be neither frozen nor restarted. */
  readonly server: ServerProcess | undefined;
  /** The raw answer to one inline command, on a connection of its own. */
  command(line: string): Promise<string>;
  /** Server-side connections with this client name. */
  connections(clientName: string): Promise<number>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** TEST_REDIS_URI, else `redis-server` of the PATH with these arguments (`['--requirepass', 'x']`). */
export async function startRedis(args: readonly string[] = []): Promise<Available<RedisBackend>> {
  const given = process.env['TEST_REDIS_URI'];
  if (given !== undefined && given !== '' && args.length === 0) {
    const url = new URL(given);
    const password = decodeURIComponent(url.password);
    return { backend: { ...clientOf(url.hostname, Number(url.port || 6379), password), ...unowned } };
  }
  const home = mkdtempSync(join(tmpdir(), 'exporterd-redis-'));
  const port = await freePort();
  // By itself it takes the port that is 10,000 above, which may be somebody's.
  const bus = args.includes('--cluster-enabled') ? ['--cluster-port', String(await freePort())] : [];
  const start = async (): Promise<ServerProcess> => {
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', '', '--daemonize', 'no'];
    const server = startProcess('redis-server', [...fixed, ...bus, ...args], join(home, 'log'));
    const ready = await until(async () => !server.running() || (await raw('127.0.0.1', port, 'PING').catch(() => '')) !== '', 5_000);
    if (!ready || !server.running()) {
      await server.stop();
      throw new Error(server.pid < 0 ? 'redis-server is not on the PATH' : `redis-server does not answer: ${server.output().slice(-300)}`);
    }
    return server;
  };
  try {
    let server = await start();
    const at = args.indexOf('--requirepass');
    return {
      backend: {
        ...clientOf('127.0.0.1', port, at < 0 ? '' : (args[at + 1] ?? '')),
        get server() {
          return server;
        },
        async restart() {
          await server.stop();
          server = await start();
        },
        async stop() {
          await server.stop();
          rmSync(home, { recursive: true, force: true });
        },
      },
    };
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    return { missing: `no Redis: ${error instanceof Error ? error.message : String(error)}` };
  }
}

const unowned = {
  server: undefined,
  restart: () => Promise.reject(new Error('the server of TEST_REDIS_URI is not ours to restart')),
  stop: () => Promise.resolve(),
};

function clientOf(host: string, port: number, password: string): Omit<RedisBackend, 'server' | 'restart' | 'stop'> {
  const login = password === '' ? '' : `AUTH ${password}\r\n`;
  const command = (line: string): Promise<string> => raw(host, port, login + line);
  return {
    host,
    port,
    password,
    address: `redis://${host}:${port}`,
    command,
    async connections(clientName) {
      const list = await command('CLIENT LIST');
      return list.split('\n').filter((line) => line.includes(` name=${clientName} `)).length;
    },
  };
}

/** Sends inline commands and QUIT, and gives everything that came back. */
function raw(host: string, port: number, lines: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let text = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer in 5 s')));
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write(`${lines}\r\nQUIT\r\n`);
  });
}
