import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { layoutOf, type RpcLine, type RpcNumber } from '../nfs-lines.ts';
import type { NodePart } from '../part.ts';

function counter(name: string, help: string, labels: readonly string[] = []): Family {
  return family(`node_nfsd_${name}`, 'counter', help, labels);
}

const HITS = counter('reply_cache_hits_total', 'Requests answered from the cache of replies.');
const MISSES = counter('reply_cache_misses_total', 'Requests that had to be done although their reply could have been cached.');
const NOCACHE = counter('reply_cache_nocache_total', 'Requests whose reply is never cached.');
const STALE = counter('file_handles_stale_total', 'File handles that were no longer valid.');
const READ = counter('disk_bytes_read_total', 'Bytes read for clients.');
const WRITTEN = counter('disk_bytes_written_total', 'Bytes written for clients.');
const THREADS = family('node_nfsd_server_threads', 'gauge', 'Threads of the NFS server.');
const CACHE_SIZE = family('node_nfsd_read_ahead_cache_size_blocks', 'gauge', 'Size of the read-ahead cache; kernels since 5.4 have none and say 0.');
const CACHE_NOT_FOUND = counter('read_ahead_cache_not_found_total', 'Reads that the read-ahead cache knew nothing of.');
const PACKETS = counter('packets_total', 'Packets received by the NFS server, by transport.', ['proto']);
const CONNECTIONS = counter('connections_total', 'Connections taken by the NFS server over TCP.');
const RPC_ERRORS = counter('rpc_errors_total', 'Remote procedure calls that the NFS server refused, by reason.', ['error']);
const RPCS = counter('server_rpcs_total', 'Remote procedure calls to the NFS server.');
const REQUESTS = counter('requests_total', 'Requests to the NFS server, by version of the protocol and method.', ['proto', 'method']);

function one(position: number, family: Family, ...labels: readonly string[]): RpcNumber {
  return { position, family, labels };
}

/** In the order of the kernel's numbers behind the count; - for what is not shown. */
const METHODS_2 = '- GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir ReadDir FsStat';
const METHODS_3 =
  '- GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit';
/** Operations of version 4.0; those of later versions follow in the file and are not shown. */
const METHODS_4 =
  '- - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - ' +
  'Read ReadDir ReadLink Remove Rename Renew RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner';

function methods(key: string, proto: string, names: string, fewest: number): RpcLine {
  const series = names.split(' ').flatMap((method, i) => (method === '-' ? [] : [one(i + 1, REQUESTS, method, proto)]));
  return { key, counted: true, fewest, series };
}

const LINES: readonly RpcLine[] = [
  { key: 'rc', exactly: 3, series: [one(0, HITS), one(1, MISSES), one(2, NOCACHE)] },
  { key: 'fh', exactly: 5, series: [one(0, STALE)] },
  { key: 'io', exactly: 2, series: [one(0, READ), one(1, WRITTEN)] },
  { key: 'th', exactly: 2, ignoresRest: true, series: [one(0, THREADS)] },
  { key: 'ra', exactly: 12, series: [one(0, CACHE_SIZE), one(11, CACHE_NOT_FOUND)] },
  { key: 'net', exactly: 4, series: [one(1, PACKETS, 'udp'), one(2, PACKETS, 'tcp'), one(3, CONNECTIONS)] },
  { key: 'rpc', exactly: 5, series: [one(0, RPCS), one(2, RPC_ERRORS, 'fmt'), one(3, RPC_ERRORS, 'auth'), one(4, RPC_ERRORS, 'cInt')] },
  methods('proc2', '2', METHODS_2, 18),
  methods('proc3', '3', METHODS_3, 22),
  { key: 'proc4', counted: true, exactly: 3, series: [] },
  methods('proc4ops', '4', METHODS_4, 39),
  { key: 'wdeleg_getattr', series: [one(0, REQUESTS, 'WdelegGetattr', '4')] },
];

/** net/rpc/nfsd below the procfs root: `rc 0 6 18622`, `th 8 0 0.000 ...`, `proc4ops 72 0 0 0 1098 2 ...`. */
export const part: NodePart = {
  name: 'nfsd',
  enabledByDefault: true,
  families: [HITS, MISSES, NOCACHE, STALE, READ, WRITTEN, THREADS, CACHE_SIZE, CACHE_NOT_FOUND, PACKETS, CONNECTIONS, RPC_ERRORS, RPCS, REQUESTS],
  open(scope) {
    const stats = scope.bound(scope.proc('net/rpc/nfsd'), { keys: 1 }, layoutOf(LINES));
    return {
      collect: (sheet) => (stats.collect(sheet) ? OK : scope.missing(stats)),
      replay: (_, steps) => stats.replay(steps),
      close: () => stats.close(),
    };
  },
};
