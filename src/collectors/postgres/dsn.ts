/**
 * Data source names of PostgreSQL: URLs (`postgresql://user:password@host:port/database?key=value`) and libpq's
 * key=value text (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING).
 */

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** What a session needs; structured-clonable, holds secrets, is never logged. */
export interface PostgresSettings {
  /** Name, address without brackets, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly sslmode: SslMode;
  /** PEM texts, not paths. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Command-line options for the server session, as in libpq's `options`. */
  readonly options?: string;
  readonly applicationName: string;
}

/** libpq's keywords that mean something here; every other key of a DSN is passed to the server as a run-time parameter. */
const KEYWORDS = new Set([
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'options',
  'application_name',
  'fallback_application_name',
]);
/** Keywords without a use here: the collector's deadline covers connecting, and the text protocol is always UTF-8. */
const WITHOUT_USE = new Set([
  'connect_timeout',
  'client_encoding',
  'sslinline',
  'sslsni',
  'channel_binding',
  'gssencmode',
  'krbsrvname',
  'target_session_attrs',
  'binary_parameters',
  'keepalives',
  'keepalives_idle',
]);

export type DsnFields = ReadonlyMap<string, string>;

/** Cuts a DSN into libpq's keywords. Throws Error; its text never repeats the DSN, which holds a password. */
export function parseDsn(dsn: string): DsnFields {
  const text = dsn.trim();
  return /^postgres(ql)?:\/\//.test(text) ? parseUrl(text) : parseKeyValues(text);
}

function parseUrl(text: string): DsnFields {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error('not a valid PostgreSQL URL; expected postgresql://user:password@host:port/database?sslmode=...');
  }
  const fields = new Map<string, string>();
  const put = (key: string, value: string): void => {
    if (value !== '') fields.set(key, decode(value));
  };
  put('host', url.hostname.replace(/^\[(.*)\]$/, '$1'));
  put('port', url.port);
  put('user', url.username);
  put('password', url.password);
  put('dbname', url.pathname.replace(/^\//, ''));
  for (const [key, value] of url.searchParams) fields.set(key === 'database' ? 'dbname' : key, value);
  return fields;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('a percent sign in the PostgreSQL URL is not followed by two hexadecimal digits; write %25 for a percent sign');
  }
}

/** `host=db port=5432 password='it''s'`: values may be quoted, a backslash takes the next character as it is. */
function parseKeyValues(text: string): DsnFields {
  const fields = new Map<string, string>();
  const item = /\s*([A-Za-z_][A-Za-z_0-9.]*)\s*=\s*(?:'((?:\\.|[^'\\])*)'|((?:\\.|[^\s'\\])*))(?:\s+|$)/uy;
  while (item.lastIndex < text.length) {
    const match = item.exec(text);
    if (match === null) throw new Error("not a valid PostgreSQL data source name; expected a URL or key=value pairs such as host=db user=me password='secret'");
    fields.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replace(/\\(.)/gu, '$1'));
  }
  return fields;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** libpq's variables stand in for what a DSN leaves out, as they do for the peer's driver. */
const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  dbname: 'PGDATABASE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
};

/** Completes the fields of a DSN from the environment and from defaults. Throws Error naming the field. */
export function settingsOf(fields: DsnFields, environment: Environment, readSecret: (path: string) => string): PostgresSettings {
  const field = (key: string): string | undefined => {
    const variable = VARIABLES[key];
    const value = fields.get(key) ?? (variable === undefined ? undefined : environment[variable]);
    return value === '' ? undefined : value;
  };
  const host = field('host') ?? 'localhost';
  const portText = field('port') ?? '5432';
  const port = Number(portText);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`port must be a number from 1 to 65535${quoted(portText, /^\d+$/)}`);
  // TLS is never spoken over a unix socket.
  const sslmode = host.startsWith('/') ? 'disable' : (field('sslmode') ?? 'require');
  if (!isSslMode(sslmode)) throw new Error(`sslmode must be one of ${SSL_MODES.join(', ')}${quoted(sslmode, /^[\w-]+$/)}`);
  const user = field('user') ?? 'postgres';
  const pem = (key: string): string | undefined => {
    const path = field(key);
    return path === undefined || sslmode === 'disable' ? undefined : readSecret(path);
  };
  const parameters = [...fields].filter(([key]) => !KEYWORDS.has(key) && !WITHOUT_USE.has(key));
  const options = [field('options') ?? '', ...parameters.map(([key, value]) => `-c ${key}=${value.replace(/([\s\\])/g, '\\$1')}`)].join(' ').trim();
  const optional = { ca: pem('sslrootcert'), cert: pem('sslcert'), key: pem('sslkey'), options: options === '' ? undefined : options };
  return {
    host,
    port,
    user,
    password: field('password') ?? '',
    database: field('dbname') ?? user,
    sslmode,
    applicationName: field('application_name') ?? 'exporterd',
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Pick<PostgresSettings, 'ca' | 'cert' | 'key' | 'options'>),
  };
}

function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text);
}

/** The label `server`: host and port; a host without a colon (IPv6 without brackets) as the peer prints it. */
export function serverLabel(settings: Pick<PostgresSettings, 'host' | 'port'>): string {
  return `${settings.host}:${settings.port}`;
}

/** What stands in a value's place, if it looks like one: a stray `/` or `@` puts half a password there. */
function quoted(text: string, looks: RegExp): string {
  return looks.test(text) ? `, not ${JSON.stringify(text)}` : '';
}
