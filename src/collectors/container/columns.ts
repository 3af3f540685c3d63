import type { Family } from '../../model/family.ts';
import type { Target } from './cgroup-file.ts';
import type { Column } from './group.ts';

const NONE: readonly string[] = [];

/** Collects the columns of a part and hands out their places by a name of our own. */
export class Columns<Name extends string> {
  readonly list: Column[] = [];
  readonly #places = new Map<string, number>();

  /** A column; `labels` besides the cgroup's own; `variant` where it is on one page only. */
  add(name: Name, family: Family, labels: Readonly<Record<string, string>> = {}, variant?: string): this {
    const names = Object.keys(labels).sort();
    this.#places.set(name, this.list.length);
    const column = { family, names: names.length === 0 ? NONE : names, values: names.map((label) => labels[label] ?? '') };
    this.list.push(variant === undefined ? column : { ...column, variant });
    return this;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** Place of a column in the row. */
  at(name: Name): number {
    const place = this.#places.get(name);
    if (place === undefined) throw new Error(`no column ${name}`);
    return place;
  }

  /** The column as the target of a number that the peer divides by `over`. */
  to(name: Name, over = 1): Target {
    return { column: this.at(name), over };
  }
}

/** Columns straight from a table of families: its keys name them. */
export function columnsOf<Table extends Readonly<Record<string, Family>>>(
  table: Table,
  left: readonly (keyof Table & string)[] = [],
): Columns<keyof Table & string> {
  const columns = new Columns<keyof Table & string>();
  for (const [name, family] of Object.entries(table)) if (!left.includes(name)) columns.add(name, family);
  return columns;
}
