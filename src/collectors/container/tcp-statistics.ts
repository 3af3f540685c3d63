import type { Token } from '../../readers/readers.ts';
import type { Bindings, Bound, FileKind } from './cgroup-file.ts';
import { Columns } from './columns.ts';
import { ADVANCED_TCP } from './families.ts';
import type { GroupSpec } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { Layout } from './layout.ts';
import { networkProcess } from './network.ts';

/** The peer's choice of the kernel's names; the label has them in lower case. What a kernel does not count is 0. */
const KEYS = (
  'RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs ' +
  'OutRsts InCsumErrors EmbryonicRsts SyncookiesSent SyncookiesRecv SyncookiesFailed PruneCalled RcvPruned OfoPruned OutOfWindowIcmps ' +
  'LockDroppedIcmps TW TWRecycled TWKilled TCPTimeWaitOverflow TCPTimeouts TCPSpuriousRTOs TCPLossProbes TCPLossProbeRecovery ' +
  'TCPRenoRecoveryFail TCPSackRecoveryFail TCPRenoFailures TCPSackFailures TCPLossFailures DelayedACKs DelayedACKLocked ' +
  'DelayedACKLost ListenOverflows ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery TCPSACKReneging ' +
  'TCPFACKReorder TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPFastRetrans ' +
  'TCPSlowStartRetrans TCPLostRetransmit TCPRetransFail TCPRcvCollapsed TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv ' +
  'TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed TCPMemoryPressures ' +
  'TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure ' +
  'TCPSackShifted TCPSackMerged TCPSackShiftFallback TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop ' +
  'IPReversePathFilter TCPReqQFullDoCookies TCPReqQFullDrop TCPFastOpenActive TCPFastOpenActiveFail TCPFastOpenPassive ' +
  'TCPFastOpenPassiveFail TCPFastOpenListenOverflow TCPFastOpenCookieReqd TCPSynRetrans TCPOrigDataSent PAWSActive PAWSEstab'
).split(' ');

/**
 * TCP counters of network namespaces. Sources: /proc/PID/net/netstat `TcpExt`, then /proc/PID/net/snmp `Tcp`; each is a line
 * of names and one of numbers.
 *
 * The files are opened for each scan: a kept descriptor would hold the network namespace of a pod that has ended.
 */
export function advancedTcpGroup(layout: Layout, procfs: string): GroupSpec {
  const columns = new Columns<string>();
  for (const key of KEYS) columns.add(key.toLowerCase(), ADVANCED_TCP.stats, { tcp_state: key.toLowerCase() });
  const file = (name: string, title: string): FileKind => ({
    controller: layout.controllers.has('cpu') ? 'cpu' : 'memory',
    name: `net/${name}`,
    format: { reopen: true },
    bind: (rows) => bindNamed(rows, title, columns),
    path(cgroup) {
      const pid = networkProcess(layout, cgroup);
      return pid === 0 ? undefined : `${procfs}/${pid}/net/${name}`;
    },
  });
  return {
    columns: columns.list,
    blank: ABSENT,
    files: [file('netstat', 'TcpExt:'), file('snmp', 'Tcp:')],
    derive(row) {
      if (row.every((value) => value === ABSENT)) return;
      for (const [column, value] of row.entries()) if (value === ABSENT) row[column] = 0;
    },
  };
}

/** `Tcp: RtoAlgorithm RtoMin ...` above `Tcp: 1 200 ...`; lines of unequal length say nothing. */
function bindNamed(rows: readonly Token[][], title: string, columns: Columns<string>): Bindings {
  const numbers: Bound[] = [];
  const [names = [], values = []] = rows.filter(([first]) => first?.text === title);
  if (names.length !== values.length) return { numbers };
  for (const [i, { text }] of names.entries()) {
    const at = values[i]?.at ?? -1;
    const name = text.toLowerCase();
    if (at >= 0 && columns.has(name)) numbers.push({ at, column: columns.at(name), over: 1 });
  }
  return { numbers };
}
