import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { Token } from '../../../readers/readers.ts';
import type { Layout, SeriesLayout } from '../bound-source.ts';
import { pageSizeBytes } from '../page-size.ts';
import type { NodePart } from '../part.ts';

const USED = family('node_sockstat_sockets_used', 'gauge', 'Sockets in use, of every protocol.');

/** What a key counts, for HELP. `mem` is in pages, `memory` in bytes. */
const KEYS: ReadonlyMap<string, string> = new Map([
  ['inuse', 'in use'],
  ['orphan', 'without a process that owns them'],
  ['tw', 'in TIME_WAIT'],
  ['alloc', 'that exist, unused ones included'],
  ['mem', 'counted by the pages of memory they hold'],
  ['memory', 'counted by the bytes of memory they hold'],
]);

function sockets(protocol: string, key: string, what: string) {
  return family(`node_sockstat_${protocol}_${key}`, 'gauge', `Sockets of ${protocol} ${what}.`);
}

function protocolSeries(series: SeriesLayout, line: number, protocol: string, values: ReadonlyMap<string, Token>, pageBytes: number): void {
  if (!/^[a-zA-Z0-9_]+$/.test(protocol)) throw series.problem(line, `a protocol such as TCP:, not ${JSON.stringify(protocol)}`);
  for (const [key, what] of KEYS) {
    const value = values.get(key);
    if (value !== undefined) series.number(line, value, sockets(protocol, key, what));
    else if (key === 'inuse') series.constant(sockets(protocol, key, what), [], 0);
  }
  const pages = values.get('mem');
  if (pages !== undefined) series.number(line, pages, sockets(protocol, 'mem_bytes', 'counted by the bytes of the pages they hold'), [], pageBytes);
}

function layout(pageBytes: number, hasTotal: boolean): Layout {
  return (rows, series) => {
    for (const [line, words] of rows.entries()) {
      const protocol = words[0]?.text.replace(/:$/, '') ?? '';
      if (words.length < 3 || words.length % 2 === 0) throw series.problem(line, '"PROTOCOL: KEY NUMBER ..."');
      const values = new Map<string, Token>();
      for (let i = 1; i < words.length; i += 2) {
        const [key, value] = [words[i], words[i + 1]];
        if (key === undefined || value === undefined || value.at < 0) throw series.problem(line, `a number behind ${key?.text ?? protocol}`);
        values.set(key.text, value);
      }
      if (protocol !== 'sockets') protocolSeries(series, line, protocol, values, pageBytes);
      else if (hasTotal) {
        const used = values.get('used');
        if (used === undefined) series.constant(USED, [], 0);
        else series.number(line, used, USED);
      }
    }
  };
}

/** net/sockstat and net/sockstat6 below the procfs root: `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`. Either may be missing. */
export const part: NodePart = {
  name: 'sockstat',
  enabledByDefault: true,
  families: [USED],
  open(scope) {
    const pageBytes = pageSizeBytes();
    const four = scope.bound(scope.proc('net/sockstat'), {}, layout(pageBytes, true));
    const six = scope.bound(scope.proc('net/sockstat6'), {}, layout(pageBytes, false));
    return {
      collect(sheet) {
        const hasFour = four.scan(sheet);
        const hasSix = six.scan(sheet);
        if (hasFour) four.apply(sheet);
        if (hasSix) six.apply(sheet);
        return OK;
      },
      replay(_, steps) {
        four.replay(steps);
        six.replay(steps);
      },
      close() {
        four.close();
        six.close();
      },
    };
  },
};
