import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const LABELS = ['device', 'swap_type'];
const SIZE = family('node_swap_size_bytes', 'gauge', 'Size of a swap area, in bytes.', LABELS);
const USED = family('node_swap_used_bytes', 'gauge', 'Bytes of a swap area that are in use.', LABELS);
const PRIORITY = family('node_swap_priority', 'gauge', 'Priority of a swap area: the highest is used first.', LABELS);

const KIBIBYTE = 1024;

/** /proc/swaps: a line of headings, and `/dev/dm-2  partition  1950716  0  -2` per area, sizes in KiB. */
export const part: NodePart = {
  name: 'swap',
  enabledByDefault: false,
  families: [SIZE, USED, PRIORITY],
  open(scope) {
    const swaps = scope.bound(scope.proc('swaps'), { keys: 2 }, (rows, series) => {
      for (const [line, [device, type, size, used, priority]] of rows.entries()) {
        if (line === 0) continue;
        const labels = [device?.text ?? '', type?.text ?? ''];
        series.number(line, size, SIZE, labels, KIBIBYTE);
        series.number(line, used, USED, labels, KIBIBYTE);
        series.number(line, priority, PRIORITY, labels);
      }
    });
    return {
      collect: (sheet) => (swaps.collect(sheet) ? OK : scope.missing(swaps)),
      replay: (_, steps) => swaps.replay(steps),
      close: () => swaps.close(),
    };
  },
};
