import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const ALLOCATED = family('node_filefd_allocated', 'gauge', 'File handles in use.');
const MAXIMUM = family('node_filefd_maximum', 'gauge', 'File handles that the kernel gives out at most.');

/** /proc/sys/fs/file-nr: `349	0	2466170`. The number between is always 0 since Linux 2.6. */
export const part: NodePart = {
  name: 'filefd',
  enabledByDefault: true,
  families: [ALLOCATED, MAXIMUM],
  open(scope) {
    const handles = scope.bound(scope.proc('sys/fs/file-nr'), {}, (rows, series) => {
      series.number(0, rows[0]?.[0], ALLOCATED);
      series.number(0, rows[0]?.[2], MAXIMUM);
    });
    return {
      collect: (sheet) => (handles.collect(sheet) ? OK : scope.missing(handles)),
      replay: (_, steps) => handles.replay(steps),
      close: () => handles.close(),
    };
  },
};
