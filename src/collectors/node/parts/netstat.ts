import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { Layout, SeriesLayout } from '../bound-source.ts';
import type { Filter } from '../filter.ts';
import type { NodePart } from '../part.ts';

const DEFAULT_FIELDS =
  '^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$';

function field(series: SeriesLayout, line: number, protocol: string, name: string): Family {
  const key = `${protocol}_${name}`;
  if (!/^[a-zA-Z0-9_]+$/.test(key)) throw series.problem(line, `a name of letters, digits and underscores, not ${JSON.stringify(key)}`);
  return family(`node_netstat_${key}`, 'untyped', `What the kernel's network statistics say of ${name} of ${protocol}.`);
}

/** net/netstat and net/snmp: lines in pairs, `TcpExt: SyncookiesSent ListenDrops` and `TcpExt: 0 12`. */
function pairs(filter: Filter): Layout {
  return (rows, series) => {
    for (let line = 0; line < rows.length; line += 2) {
      const names = rows[line] ?? [];
      const values = rows[line + 1] ?? [];
      const protocol = names[0]?.text.replace(/:$/, '') ?? '';
      if (names.length !== values.length || names[0]?.text !== values[0]?.text) {
        throw series.problem(line + 1, `${names.length - 1} numbers behind ${protocol}:, not ${values.length - 1}`);
      }
      for (let i = 1; i < names.length; i++) {
        const name = names[i]?.text ?? '';
        if ((values[i]?.at ?? -1) < 0) throw series.problem(line + 1, `a number for ${name} of ${protocol}, not ${JSON.stringify(values[i]?.text)}`);
        if (filter.keeps(`${protocol}_${name}`)) series.number(line + 1, values[i], field(series, line, protocol, name));
      }
    }
  };
}

/** net/snmp6: `Ip6InOctets                     128`; the protocol ends with the first 6. */
function singles(filter: Filter): Layout {
  return (rows, series) => {
    for (const [line, [key, value]] of rows.entries()) {
      const six = key?.text.indexOf('6') ?? -1;
      if (key === undefined || value === undefined || six < 0) continue;
      const protocol = key.text.slice(0, six + 1);
      const name = key.text.slice(six + 1);
      if (value.at < 0) throw series.problem(line, `a number behind ${key.text}, not ${JSON.stringify(value.text)}`);
      if (filter.keeps(`${protocol}_${name}`)) series.number(line, value, field(series, line, protocol, name));
    }
  };
}

/** net/netstat, net/snmp and, where IPv6 is on, net/snmp6 below the procfs root. Nothing is printed unless all could be read. */
export const part: NodePart = {
  name: 'netstat',
  enabledByDefault: true,
  families: [],
  options: [{ flag: 'fields', kind: 'regexp', default: DEFAULT_FIELDS, help: 'fields, as PROTOCOL_NAME: only those that match' }],
  open(scope) {
    const filter = scope.options.filter('', 'fields');
    const netstat = scope.bound(scope.proc('net/netstat'), {}, pairs(filter));
    const snmp = scope.bound(scope.proc('net/snmp'), {}, pairs(filter));
    const snmp6 = scope.bound(scope.proc('net/snmp6'), { keys: 1 }, singles(filter));
    return {
      collect(sheet) {
        if (!netstat.scan(sheet)) return scope.missing(netstat);
        if (!snmp.scan(sheet)) return scope.missing(snmp);
        const hasSix = snmp6.scan(sheet);
        netstat.apply(sheet);
        snmp.apply(sheet);
        if (hasSix) snmp6.apply(sheet);
        return OK;
      },
      replay(_, steps) {
        if (netstat.replay(steps) && snmp.replay(steps)) snmp6.replay(steps);
      },
      close() {
        for (const source of [netstat, snmp, snmp6]) source.close();
      },
    };
  },
};
