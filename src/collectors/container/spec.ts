import { type FileKind, ordered } from './cgroup-file.ts';
import { type Columns, columnsOf } from './columns.ts';
import { SPEC } from './families.ts';
import type { GroupSpec } from './group.ts';
import type { Cgroup } from './tree.ts';
import { ABSENT } from './row-rules.ts';

/** Limits above this mean none: v1 prints the largest page-aligned int64 for "unlimited". */
const UNLIMITED = 2 ** 62;

/** A v2 weight (1 to 10000) as v1 shares, by the peer's integer map: 2 + floor((weight - 1) * 262142 / 9999). */
export function sharesOfWeight(weight: number): number {
  return weight <= 0 ? 0 : 2 + Math.floor(((weight - 1) * 262142) / 9999);
}

/**
 * Limits as configured. Sources: v1 cpu.cfs_period_us, cpu.cfs_quota_us, cpu.shares, memory.limit_in_bytes,
 * memory.soft_limit_in_bytes, memory.memsw.limit_in_bytes; v2 cpu.max, cpu.weight, memory.max, memory.min, memory.swap.max.
 * @param totals bytes of memory and swap of the machine, which stand in for the limits of `/`
 */
export function specGroup(unified: boolean, totals: () => { readonly memory: number; readonly swap: number }): GroupSpec {
  const columns = columnsOf(SPEC);
  const [period, quota, shares] = [columns.at('cpuPeriod'), columns.at('cpuQuota'), columns.at('cpuShares')];
  const [limit, reservation, swap] = [columns.at('memoryLimit'), columns.at('memoryReservation'), columns.at('swapLimit')];
  let machine = { memory: Number.NaN, swap: Number.NaN };
  const isRoot = ({ id }: Cgroup): boolean => id === '/';
  const complete = (row: Float64Array): void => {
    if (row[limit] === ABSENT) {
      row[reservation] = ABSENT;
      row[swap] = ABSENT;
      return;
    }
    if (row[limit] === 0) row[limit] = machine.memory;
    for (const column of [limit, reservation, swap]) if (row[column] === ABSENT || (row[column] as number) > UNLIMITED) row[column] = 0;
  };
  return {
    columns: columns.list,
    files: (unified ? v2(columns) : v1(columns)).map((kind) => ({ ...kind, steady: true })),
    blank: ABSENT,
    settle(row, cgroup) {
      if (unified) {
        if (row[period] === ABSENT) row[period] = 0;
        row[shares] = row[shares] === ABSENT ? 0 : sharesOfWeight(row[shares] as number);
      }
      if ((row[quota] as number) <= 0) row[quota] = ABSENT;
      if (isRoot(cgroup)) {
        row[limit] = machine.memory;
        row[swap] = machine.swap;
        if (row[reservation] === ABSENT) row[reservation] = 0;
      }
      complete(row);
    },
    // What the machine has may change without a word.
    moved() {
      const before = machine;
      machine = totals();
      return machine.memory !== before.memory || machine.swap !== before.swap;
    },
  };
}

function v1(columns: Columns<keyof typeof SPEC>): FileKind[] {
  return [
    ordered('cpu', 'cpu.cfs_period_us', [columns.to('cpuPeriod')]),
    ordered('cpu', 'cpu.cfs_quota_us', [columns.to('cpuQuota')]),
    ordered('cpu', 'cpu.shares', [columns.to('cpuShares')]),
    ordered('memory', 'memory.limit_in_bytes', [columns.to('memoryLimit')]),
    ordered('memory', 'memory.soft_limit_in_bytes', [columns.to('memoryReservation')]),
    ordered('memory', 'memory.memsw.limit_in_bytes', [columns.to('swapLimit')]),
  ];
}

function v2(columns: Columns<keyof typeof SPEC>): FileKind[] {
  // Unlimited is a word here: as a number beyond every limit it goes the way of v1's.
  const unlimited = Number.POSITIVE_INFINITY;
  return [
    ordered('', 'cpu.max', [{ ...columns.to('cpuQuota'), max: ABSENT }, columns.to('cpuPeriod')]),
    ordered('', 'cpu.weight', [columns.to('cpuShares')]),
    ordered('', 'memory.max', [{ ...columns.to('memoryLimit'), max: unlimited }]),
    ordered('', 'memory.min', [{ ...columns.to('memoryReservation'), max: unlimited }]),
    ordered('', 'memory.swap.max', [{ ...columns.to('swapLimit'), max: unlimited }]),
  ];
}
