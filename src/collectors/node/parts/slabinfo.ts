import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

function gauge(name: string, help: string): Family {
  return family(`node_slabinfo_${name}`, 'gauge', help, ['slab']);
}

/** In the order of the columns behind the name. */
const COLUMNS = [
  gauge('active_objects', 'Objects of a slab cache that are in use.'),
  gauge('objects', 'Objects of a slab cache, in use or not.'),
  gauge('object_size_bytes', 'Size of an object, in bytes.'),
  gauge('objects_per_slab', 'Objects that fit into a slab.'),
  gauge('pages_per_slab', 'Pages that a slab takes.'),
];
/** Words of a line of version 2.1; these are numbers. */
const WORDS = 16;
const NUMBERS = [1, 2, 3, 4, 5, 8, 9, 10, 13, 14, 15];

/** /proc/slabinfo, for root only: `dentry 20 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0`. */
export const part: NodePart = {
  name: 'slabinfo',
  enabledByDefault: false,
  families: COLUMNS,
  options: [
    { flag: 'slabs-include', kind: 'regexp', default: '.*', help: 'slab caches: only those that match' },
    { flag: 'slabs-exclude', kind: 'regexp', default: '', help: 'slab caches: leave out those that match' },
  ],
  open(scope) {
    const filter = scope.options.filter('slabs-exclude', 'slabs-include');
    const slabs = scope.bound(scope.proc('slabinfo'), { keys: 1 }, (rows, series) => {
      for (const [line, words] of rows.entries()) {
        const text = words.map((word) => word.text).join(' ');
        if (text.includes('slabinfo -') || text.includes('# name')) continue;
        if (words.length !== WORDS) throw series.problem(line, `${WORDS} words, not ${words.length}`);
        for (const at of NUMBERS) if ((words[at]?.at ?? -1) < 0) throw series.problem(line, `a number as word ${at + 1}`);
        const slab = words[0]?.text ?? '';
        if (!filter.keeps(slab)) continue;
        for (const [i, family] of COLUMNS.entries()) series.number(line, words[i + 1], family, [slab]);
      }
    });
    return {
      collect: (sheet) => (slabs.collect(sheet) ? OK : scope.missing(slabs)),
      replay: (_, steps) => slabs.replay(steps),
      close: () => slabs.close(),
    };
  },
};
