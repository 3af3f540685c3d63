import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { parseProblem } from '../file-error.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';

const ENTRIES = family('node_arp_entries', 'gauge', 'IPv4 neighbours that the kernel knows behind a device, resolved or not.', ['device']);

const HEADING_WORDS = 9;
const ROW_WORDS = 6;

/** Rows per device of `192.0.2.1  0x1  0x2  52:54:00:12:34:56  *  eth0`. Throws CollectError `parse`. */
function countRows(text: string, path: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [line, content] of text.split('\n').entries()) {
    const words = wordsOf(content);
    if (words.length === 0 || words.length === HEADING_WORDS) continue;
    const device = words[ROW_WORDS - 1];
    if (words.length !== ROW_WORDS || device === undefined) throw parseProblem(path, line + 1, `${ROW_WORDS} words, the last a device`);
    counts.set(device, (counts.get(device) ?? 0) + 1);
  }
  return counts;
}

/**
 * net/arp below the procfs root: the kernel prints there what it tells over netlink, without what needs no ARP. The peer's
 * default is netlink; the option is accepted and changes nothing.
 */
export const part: NodePart = {
  name: 'arp',
  enabledByDefault: true,
  families: [ENTRIES],
  options: [
    { flag: 'device-include', kind: 'regexp', default: '', help: 'devices: only those that match' },
    { flag: 'device-exclude', kind: 'regexp', default: '', help: 'devices: leave out those that match' },
    { flag: 'netlink', kind: 'boolean', default: true, help: 'accepted for its old name; the table is the same either way' },
  ],
  open(scope) {
    const filter = scope.options.filter('device-exclude', 'device-include');
    const table = new ParsedSource(scope.source(scope.proc('net/arp'), { text: true }), countRows);
    const entries = scope.constants();
    return {
      collect(sheet) {
        const counts = table.read();
        if (counts === undefined) return scope.missing(table);
        if (table.hasChanged) {
          entries.clear();
          for (const [device, count] of counts) if (filter.keeps(device)) entries.add(ENTRIES, [device], count);
        }
        entries.collect(sheet);
        return OK;
      },
      replay: (_, steps) => table.replay(steps),
      close: () => table.close(),
    };
  },
};
