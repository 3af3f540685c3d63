import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const BLOCKS = family('node_buddyinfo_blocks', 'gauge', 'Free blocks of memory of 2^size pages.', ['node', 'size', 'zone']);

/** Words in front of the numbers. */
const KEYS = 4;

/** /proc/buddyinfo: `Node 0, zone   Normal   4381   1093    185 ...`, a column per size. */
export const part: NodePart = {
  name: 'buddyinfo',
  enabledByDefault: false,
  families: [BLOCKS],
  open(scope) {
    const zones = scope.bound(scope.proc('buddyinfo'), { keys: KEYS }, (rows, series) => {
      for (const [line, words] of rows.entries()) {
        const [, node, , zone] = words;
        if (node === undefined || zone === undefined || words.length !== rows[0]?.length)
          throw series.problem(line, '"Node N, zone NAME" and as many numbers as in the first line');
        const labels = (size: number): string[] => [node.text.replace(/,$/, ''), String(size), zone.text.replace(/,$/, '')];
        for (const [size, word] of words.slice(KEYS).entries()) series.number(line, word, BLOCKS, labels(size));
      }
    });
    return {
      collect: (sheet) => (zones.collect(sheet) ? OK : scope.missing(zones)),
      replay: (_, steps) => zones.replay(steps),
      close: () => zones.close(),
    };
  },
};
