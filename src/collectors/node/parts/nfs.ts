import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { layoutOf, type RpcLine } from '../nfs-lines.ts';
import type { NodePart } from '../part.ts';

const PACKETS = family('node_nfs_packets_total', 'counter', 'Packets sent to and received from NFS servers, by transport.', ['protocol']);
const CONNECTIONS = family('node_nfs_connections_total', 'counter', 'Connections made to NFS servers over TCP.');
const RPCS = family('node_nfs_rpcs_total', 'counter', 'Remote procedure calls of the NFS client.');
const RETRANSMISSIONS = family('node_nfs_rpc_retransmissions_total', 'counter', 'Remote procedure calls of the NFS client that were sent again.');
const REFRESHES = family('node_nfs_rpc_authentication_refreshes_total', 'counter', 'Times that the NFS client renewed its credentials.');
const REQUESTS = family('node_nfs_requests_total', 'counter', 'Requests of the NFS client, by version of the protocol and method.', ['proto', 'method']);

/** Spelt as the peer does, which is not the same in all three versions. In the order of the kernel's numbers. */
const METHODS_2 = 'Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir ReadDir FsStat';
const METHODS_3 =
  'Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit';
const METHODS_4 =
  'Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup ' +
  'LookupRoot Remove Rename Link Symlink Create Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner Secinfo FsidPresent ' +
  'ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete GetDeviceInfo LayoutGet LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID ' +
  'GetDeviceList BindConnToSession DestroyClientID Seek Allocate DeAllocate LayoutStats Clone';

function methods(proto: string, names: string, fewest: number): RpcLine {
  const counted = names.split(' ').map((method, i) => ({ position: i + 1, family: REQUESTS, labels: [method, proto] }));
  return { key: `proc${proto}`, counted: true, fewest, series: counted };
}

const LINES: readonly RpcLine[] = [
  {
    key: 'net',
    exactly: 4,
    series: [
      { position: 1, family: PACKETS, labels: ['udp'] },
      { position: 2, family: PACKETS, labels: ['tcp'] },
      { position: 3, family: CONNECTIONS, labels: [] },
    ],
  },
  {
    key: 'rpc',
    exactly: 3,
    series: [
      { position: 0, family: RPCS, labels: [] },
      { position: 1, family: RETRANSMISSIONS, labels: [] },
      { position: 2, family: REFRESHES, labels: [] },
    ],
  },
  methods('2', METHODS_2, 18),
  methods('3', METHODS_3, 22),
  methods('4', METHODS_4, 0),
];

/** net/rpc/nfs below the procfs root: `net 18628 0 18628 6`, `rpc 4329785 0 4338291`, `proc3 22 1 4084749 29200 ...`. */
export const part: NodePart = {
  name: 'nfs',
  enabledByDefault: true,
  families: [PACKETS, CONNECTIONS, RPCS, RETRANSMISSIONS, REFRESHES, REQUESTS],
  open(scope) {
    const stats = scope.bound(scope.proc('net/rpc/nfs'), { keys: 1 }, layoutOf(LINES));
    return {
      collect: (sheet) => (stats.collect(sheet) ? OK : scope.missing(stats)),
      replay: (_, steps) => stats.replay(steps),
      close: () => stats.close(),
    };
  },
};
