import type { RowRule } from '../../readers/readers.ts';

/** In a row: this cgroup has no such series. No kernel file holds it. */
export const ABSENT = Number.NEGATIVE_INFINITY;

const NANOSECONDS = 1e9;

/** What `RowTable` does with a row whose files were read; `brought` is for rules of that kind. */
export function applyRules(row: Float64Array, rules: readonly RowRule[], brought: number): void {
  for (const rule of rules) row[rule.to] = resultOf(row, rule, brought);
}

function resultOf(row: Float64Array, rule: RowRule, brought: number): number {
  const at = (column: number): number => row[column] as number;
  switch (rule.kind) {
    case 'difference':
      return at(rule.of) === ABSENT ? ABSENT : Math.max(0, at(rule.of) - Math.max(0, at(rule.less)));
    case 'sum': {
      let nanoseconds = 0;
      for (let i = 0; i < rule.count; i++) nanoseconds += Math.round(at(rule.from + i) * NANOSECONDS);
      return nanoseconds === 0 ? ABSENT : nanoseconds / NANOSECONDS;
    }
    case 'absentAtZero':
      return at(rule.to) === 0 ? ABSENT : at(rule.to);
    case 'absentUnless':
      return at(rule.positive) > 0 ? at(rule.to) : ABSENT;
    case 'brought':
      return brought;
  }
}
