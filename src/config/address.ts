import { isIPv6 } from 'node:net';

/** A place to listen on. */
export interface Address {
  /** '' means every address of the machine. */
  readonly host: string;
  /** 0: the kernel picks one. */
  readonly port: number;
}

/** Go's `host:port`: `:9100`, `127.0.0.1:0`, `[::1]:9100`, `localhost:9100`. Gives a text that says what is wrong, or the address. */
export function parseAddress(text: string): Address | string {
  if (text.startsWith('vsock://')) return 'vsock listeners are not yet supported';
  if (text.startsWith('unix:') || text.startsWith('/')) return 'unix sockets are not yet supported';
  const split = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(split?.[3]);
  if (split === null || port > 65535) return 'expected host:port, such as :9100, 127.0.0.1:0 or [::1]:9100';
  const bracketed = split[1];
  if (bracketed !== undefined && !isIPv6(bracketed)) return 'expected an IPv6 address between the brackets';
  const host = bracketed ?? split[2] ?? '';
  if (/\s/.test(host) || /[/?#@]/.test(host)) return 'expected a host name or an IP address in front of the port';
  return { host, port };
}
