import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const INFO = family('node_uname_info', 'gauge', 'What uname(2) says of the system, as labels.', [
  'sysname',
  'release',
  'version',
  'machine',
  'nodename',
  'domainname',
]);

/** uname(2), in the UTS namespace of this process. Asked in each run: a machine may be renamed. */
export const part: NodePart = {
  name: 'uname',
  enabledByDefault: true,
  families: [INFO],
  open(scope) {
    return {
      collect(sheet) {
        const { domainname, machine, nodename, release, sysname, version } = scope.readers.uname();
        sheet.sample(INFO, [domainname, machine, nodename, release, sysname, version], 1);
        return OK;
      },
      replay: (_, steps) => steps.uname(scope.readers.uname()),
    };
  },
};
