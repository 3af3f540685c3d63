import { CollectError } from '../../../../collect/contract.ts';

/** Where the system bus listens when DBUS_SYSTEM_BUS_ADDRESS does not say; its historical name, which is a link on newer systems. */
export const SYSTEM_BUS = 'unix:path=/var/run/dbus/system_bus_socket';

/** Where systemd answers root without a bus. */
export const SYSTEMD_PRIVATE = 'unix:path=/run/systemd/private';

/**
 * The sockets of a list of bus addresses, to be tried in order: `unix:path=/run/bus;unix:abstract=/tmp/x` is
 * `/run/bus` and `\0/tmp/x`. Addresses of other transports are left out; throws CollectError when nothing else is there.
 * Source: D-Bus Specification, "Server Addresses".
 */
export function socketPaths(addresses: string): string[] {
  const paths: string[] = [];
  for (const address of addresses.split(';')) {
    const [transport = '', pairs = ''] = split(address, ':');
    if (transport !== 'unix') continue;
    for (const pair of pairs.split(',')) {
      const [key, value] = split(pair, '=');
      if (value === undefined || value === '') continue;
      if (key === 'path') paths.push(unescaped(value));
      else if (key === 'abstract') paths.push(`\0${unescaped(value)}`);
    }
  }
  if (paths.length === 0) throw new CollectError('connect', addresses, 'expected an address with unix:path= or unix:abstract=');
  return paths;
}

/** Around the first separator; one part where there is none. */
function split(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Bytes outside [-0-9A-Za-z_/.\*] are written as %XX. */
function unescaped(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value; // Not UTF-8, or a lone percent sign: taken as it stands.
  }
}
