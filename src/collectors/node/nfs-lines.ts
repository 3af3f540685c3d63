import type { Family } from '../../model/family.ts';
import type { Layout } from './bound-source.ts';

/** A number of a line; `position` counts from 0 behind the key. */
export interface RpcNumber {
  readonly position: number;
  readonly family: Family;
  readonly labels: readonly string[];
}

/** A line of net/rpc/nfs or nfsd: a key and numbers. */
export interface RpcLine {
  readonly key: string;
  /** How many numbers there are; `th` alone has others behind the first two. */
  readonly exactly?: number;
  readonly ignoresRest?: boolean;
  /** The first number says how many follow. */
  readonly counted?: boolean;
  /** Fewest numbers behind that count; those missing from a longer table are 0. */
  readonly fewest?: number;
  readonly series: readonly RpcNumber[];
}

function problemOf(line: RpcLine, values: readonly { readonly text: string; readonly at: number }[]): string | undefined {
  const checked = line.ignoresRest === true ? values.slice(0, line.exactly) : values;
  if (checked.length === 0 || checked.some(({ at, text }) => at < 0 || !/^[0-9]+$/.test(text))) return `whole numbers behind ${line.key}`;
  if (line.exactly !== undefined && checked.length !== line.exactly) return `${line.exactly} numbers behind ${line.key}, not ${checked.length}`;
  if (line.counted !== true) return undefined;
  const count = values.length - 1;
  if (Number(values[0]?.text) !== count || count < (line.fewest ?? 0)) return `"${line.key} COUNT" and as many numbers, at least ${line.fewest ?? 0}`;
  return undefined;
}

/** Every series of every line; 0 for a line, or the end of a line, that the kernel does not print. An unknown key is an error, as in the peer. */
export function layoutOf(lines: readonly RpcLine[]): Layout {
  const byKey = new Map(lines.map((line) => [line.key, line]));
  return (rows, series) => {
    const missing = new Set(lines);
    for (const [row, [key, ...values]] of rows.entries()) {
      const line = byKey.get(key?.text ?? '');
      if (line === undefined) throw series.problem(row, `one of ${[...byKey.keys()].join(' ')}, not ${JSON.stringify(key?.text)}`);
      const problem = problemOf(line, values);
      if (problem !== undefined) throw series.problem(row, problem);
      missing.delete(line);
      for (const { position, family, labels } of line.series) {
        const value = values[position];
        if (value === undefined) series.constant(family, labels, 0);
        else series.number(row, value, family, labels);
      }
    }
    for (const line of missing) for (const { family, labels } of line.series) series.constant(family, labels, 0);
  };
}
