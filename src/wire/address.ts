/** Addresses for both adapters: what to bind for a host, how to write what was bound, what went wrong. */
import { lookup } from 'node:dns/promises';
import { createServer, isIP, isIPv6 } from 'node:net';
import { ListenError } from './server.ts';

/** Errors by which the kernel says that IPv6 is not to be had here at all: only then is IPv4 alone the right answer. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The error for an address that could not be bound, from an errno name such as `EADDRINUSE`. */
export function listenError(code: string, host: string, port: number): ListenError {
  return new ListenError(code, formatAddress(host, port), explain(code));
}

function explain(code: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is in use by another process or listener (EADDRINUSE)';
    case 'EACCES':
      return 'no right to bind this port: below 1024 CAP_NET_BIND_SERVICE is needed (EACCES)';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address (EADDRNOTAVAIL)';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name does not resolve (${code})`;
    default:
      return code;
  }
}

/** The errno name of a failed system call, or 'EUNKNOWN'. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'EUNKNOWN';
}

/**
 * Binds `host` with `bind`, which gets a literal IP address and throws ListenError. A name is resolved first, so that
 * both adapters bind the same address (uSockets and Node prefer different families). '' means all addresses: `::`, which
 * takes IPv4 too, or `0.0.0.0` on a machine without IPv6.
 */
export async function bindHost<T>(host: string, port: number, bind: (ip: string) => Promise<T>): Promise<T> {
  if (host !== '') return bind(await resolveHost(host, port));
  try {
    return await bind('::');
  } catch (error) {
    if (!NO_IPV6.has(errorCode(error))) throw error;
    return bind('0.0.0.0');
  }
}

async function resolveHost(host: string, port: number): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw listenError(errorCode(error), host, port);
  }
}

/** Binds and frees the address through node:net to learn why it cannot be bound. Resolves undefined when it can. */
export function probeListen(ip: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve(errorCode(error)));
    probe.listen({ host: ip, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}
