import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const AVAILABLE = family('node_entropy_available_bits', 'gauge', 'Entropy that the kernel has gathered, in bits.');
const POOL = family('node_entropy_pool_size_bits', 'gauge', 'Size of the pool of entropy, in bits.');

/** /proc/sys/kernel/random/entropy_avail and poolsize. */
export const part: NodePart = {
  name: 'entropy',
  enabledByDefault: true,
  families: [AVAILABLE, POOL],
  open(scope) {
    const available = scope.bound(scope.proc('sys/kernel/random/entropy_avail'), {}, (rows, series) => series.number(0, rows[0]?.[0], AVAILABLE));
    const pool = scope.bound(scope.proc('sys/kernel/random/poolsize'), {}, (rows, series) => series.number(0, rows[0]?.[0], POOL));
    return {
      collect(sheet) {
        const hasPool = pool.scan(sheet);
        if (!available.collect(sheet)) return scope.missing(available);
        if (!hasPool) return scope.missing(pool);
        pool.apply(sheet);
        return OK;
      },
      replay(_, steps) {
        pool.replay(steps);
        available.replay(steps);
      },
      close() {
        available.close();
        pool.close();
      },
    };
  },
};
