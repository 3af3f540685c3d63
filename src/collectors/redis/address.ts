/**
 * Where a Redis server is: `redis://[user[:password]@]host[:port][/db]`, `rediss://` (TLS), `valkey://` and `valkeys://`
 * for the same, `tcp://host:port`, `unix:///path`, or `host[:port]`.
 */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  /** Path of a unix socket; host and port are then without meaning. */
  readonly path?: string;
  readonly tls: boolean;
  readonly user: string;
  readonly password: string;
  readonly db: number;
}

const TLS_BY_SCHEME: Readonly<Record<string, boolean>> = { redis: false, valkey: false, tcp: false, rediss: true, valkeys: true };

/** Throws Error; its text never repeats the address, which may hold a password. */
export function parseAddress(text: string): RedisAddress {
  const [, scheme = 'redis', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/s.exec(text.trim()) ?? [];
  if (scheme === 'unix') {
    if (!rest.startsWith('/')) throw new Error('unix:// must be followed by the absolute path of a socket');
    return { host: 'localhost', port: 6379, path: rest, tls: false, user: '', password: '', db: 0 };
  }
  const tls = TLS_BY_SCHEME[scheme];
  if (tls === undefined) throw new Error(`the scheme of a Redis address must be redis, rediss, valkey, valkeys, tcp or unix, not ${JSON.stringify(scheme)}`);
  let url: URL;
  try {
    url = new URL(`redis://${rest}`);
  } catch {
    throw new Error('not a valid Redis address; expected redis://user:password@host:port/db');
  }
  const db = url.pathname.replace(/^\//, '');
  if (!/^\d*$/.test(db)) throw new Error('the path of a Redis address must be a database number; a / in the password is written %2F');
  // A lone name before the @ is a password, which is how the peer's library reads it.
  const lone = url.password === '' && !rest.split('@')[0]?.includes(':');
  return {
    host: decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, '$1')) || 'localhost',
    port: url.port === '' ? 6379 : Number(url.port),
    tls,
    user: lone ? '' : decode(url.username),
    password: lone ? decode(url.username) : decode(url.password),
    db: db === '' ? 0 : Number(db),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('a percent sign in the Redis address is not followed by two hexadecimal digits; write %25 for a percent sign');
  }
}

/** Host and port, or the path of the socket: what may be shown to anyone. */
export function addressLabel(address: Pick<RedisAddress, 'host' | 'port' | 'path'>): string {
  return address.path ?? `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/**
 * The password for an address in a file of the peer's form: a JSON object from addresses without password, with the user
 * where there is one, to passwords. Undefined when no entry fits. Throws Error when the text is no such object.
 */
export function passwordFromMap(json: string, address: string, user: string): string | undefined {
  let map: unknown;
  try {
    map = JSON.parse(json);
  } catch {
    throw new Error('the password file is not valid JSON'); // the parser's own message would quote a part of it
  }
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw new Error('the password file must hold one JSON object of addresses and passwords');
  const full = address.includes('://') ? address : `redis://${address}`;
  const bare = full.replace(/:\/\/[^@/]*@/, '://');
  const named = user === '' ? bare : bare.replace('://', `://${user}@`);
  for (const key of [named, full, bare]) {
    const found = (map as Record<string, unknown>)[key];
    if (typeof found === 'string') return found;
  }
  return undefined;
}
