import type { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import { type InfoLine, parsePairs } from './info.ts';

const MASTER = ['master_host', 'master_port'];
const REPLICA = ['slave_ip', 'slave_port', 'slave_state'];
const LINK_UP = family('redis_master_link_up', 'gauge', 'Whether this replica is connected to its master: 1 yes, 0 no.', MASTER);
const LAST_IO = family('redis_master_last_io_seconds_ago', 'gauge', 'Seconds since this replica last heard of its master; -1 while the link is down.', MASTER);
const SYNC_IN_PROGRESS = family('redis_master_sync_in_progress', 'gauge', 'Whether this replica is being synchronized with its master.', MASTER);
const REPLICA_OFFSET = family('redis_slave_repl_offset', 'gauge', 'Replication offset this replica has reached.', MASTER);
const REPLICA_INFO = family('redis_slave_info', 'gauge', 'Constant 1 on a replica; the labels name its master and whether it refuses writes.', [
  ...MASTER,
  'read_only',
]);
const CONNECTED_OFFSET = family('redis_connected_slave_offset_bytes', 'gauge', 'Replication offset that a connected replica has confirmed.', REPLICA);
const CONNECTED_LAG = family('redis_connected_slave_lag_seconds', 'gauge', 'Seconds since a connected replica last confirmed its offset.', REPLICA);

export const REPLICATION_FAMILIES = [LINK_UP, LAST_IO, SYNC_IN_PROGRESS, REPLICA_OFFSET, REPLICA_INFO, CONNECTED_OFFSET, CONNECTED_LAG];

/** A replica as its master lists it. */
export interface ConnectedReplica {
  readonly ip: string;
  readonly port: string;
  readonly state: string;
  readonly offset: number;
  /** Seconds; undefined before Redis 3. */
  readonly lag: number | undefined;
}

/** `ip=10.0.0.2,port=6379,state=online,offset=42,lag=1`. Undefined when a part or a number is malformed. */
export function parseConnectedReplica(value: string): ConnectedReplica | undefined {
  const pairs = parsePairs(value);
  if (pairs === undefined) return undefined;
  const number = (name: string): number => (pairs.get(name) === '' ? Number.NaN : Number(pairs.get(name)));
  const lag = pairs.has('lag') ? number('lag') : undefined;
  const offset = number('offset');
  if (Number.isNaN(offset) || Number.isNaN(lag ?? 0)) return undefined;
  return { ip: pairs.get('ip') ?? '', port: pairs.get('port') ?? '', state: pairs.get('state') ?? '', offset, lag };
}

/** The lines of section Replication that carry labels. KeyDB lists further masters as `master_1_host` and so on. */
export function writeReplication(lines: readonly InfoLine[], sheet: Sheet): void {
  let host = '';
  let port = '';
  let isReplica = false;
  let readOnly = '';
  let first: readonly string[] | undefined;
  for (const { key, value } of lines) {
    const field = /^master(?:_\d+)?_(host|port|link_status|last_io_seconds_ago|sync_in_progress)$/.exec(key)?.[1] ?? key;
    switch (field) {
      case 'role':
        isReplica = value === 'slave';
        break;
      case 'host':
        host = value;
        break;
      case 'port':
        port = value;
        first ??= [host, port];
        break;
      case 'link_status':
        sheet.sample(LINK_UP, [host, port], value === 'up' ? 1 : 0);
        break;
      case 'last_io_seconds_ago':
        sheet.sample(LAST_IO, [host, port], integerOrZero(value));
        break;
      case 'sync_in_progress':
        sheet.sample(SYNC_IN_PROGRESS, [host, port], integerOrZero(value));
        break;
      case 'slave_repl_offset':
        sheet.sample(REPLICA_OFFSET, [host, port], integerOrZero(value));
        break;
      case 'slave_read_only':
        readOnly = value;
        break;
      default:
        if (/^slave\d+$/.test(key)) writeConnected(value, sheet);
    }
  }
  if (isReplica) sheet.sample(REPLICA_INFO, [...(first ?? [host, port]), readOnly], 1);
}

function writeConnected(value: string, sheet: Sheet): void {
  const replica = parseConnectedReplica(value);
  if (replica === undefined) return;
  const labels = [replica.ip, replica.port, replica.state];
  sheet.sample(CONNECTED_OFFSET, labels, replica.offset);
  if (replica.lag !== undefined) sheet.sample(CONNECTED_LAG, labels, replica.lag);
}

function integerOrZero(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : 0;
}
