import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { Row } from './connection.ts';

/** What a NULL does: `zero` prints 0, `omit` leaves the sample out, `skip` leaves the whole row out. */
export type IfNull = 'zero' | 'omit' | 'skip';

export interface ValueColumn {
  readonly family: Family;
  readonly ifNull: IfNull;
  /** The printed value is the column divided by this; 1 when left out. */
  readonly over?: number;
}

const NOT_ASKED = -2;

interface BoundRow {
  readonly labels: readonly string[];
  readonly slots: Int32Array;
}

/**
 * Writes rows of a query to a sheet: the first columns are label values in wire order, the others samples.
 * Rows mostly come in the same order with the same labels, so slots are kept by row and asked for again only when a label
 * differs. A slot is trusted only while it was set in the run before, since the sheet forgets series that stay away.
 */
export class ViewRows {
  readonly #columns: readonly ValueColumn[];
  readonly #bound: BoundRow[] = [];
  #sheet: Sheet | undefined;
  #run = 0;

  constructor(columns: readonly ValueColumn[]) {
    this.#columns = columns;
  }

  write(rows: readonly Row[], sheet: Sheet): void {
    if (this.#sheet !== sheet || sheet.run !== this.#run + 1) this.#bound.length = 0;
    this.#sheet = sheet;
    this.#run = sheet.run;
    for (let i = 0; i < rows.length; i++) this.#writeRow(rows[i] as Row, i, sheet);
    this.#bound.length = rows.length;
  }

  #writeRow(row: Row, i: number, sheet: Sheet): void {
    const columns = this.#columns;
    const labelCount = row.length - columns.length;
    const bound = this.#rowSlots(row, i, labelCount);
    for (let c = 0; c < columns.length; c++) {
      if (row[labelCount + c] === null && columns[c]?.ifNull === 'skip') {
        bound.slots.fill(NOT_ASKED);
        return;
      }
    }
    for (let c = 0; c < columns.length; c++) {
      const { family, ifNull, over } = columns[c] as ValueColumn;
      const cell = row[labelCount + c] as string | null;
      const value = cell === null ? (ifNull === 'zero' ? 0 : Number.NaN) : numberOf(cell);
      if (Number.isNaN(value) && cell !== 'NaN') {
        bound.slots[c] = NOT_ASKED;
        continue;
      }
      let slot = bound.slots[c] as number;
      if (slot === NOT_ASKED) {
        slot = sheet.slot(family, bound.labels);
        bound.slots[c] = slot < 0 ? NOT_ASKED : slot;
      }
      sheet.set(slot, over === undefined ? value : value / over);
    }
  }

  #rowSlots(row: Row, i: number, labelCount: number): BoundRow {
    const known = this.#bound[i];
    if (known !== undefined && sameLabels(known.labels, row, labelCount)) return known;
    const labels = row.slice(0, labelCount).map((cell) => cell ?? '');
    const bound = { labels, slots: new Int32Array(this.#columns.length).fill(NOT_ASKED) };
    this.#bound[i] = bound;
    return bound;
  }
}

function sameLabels(labels: readonly string[], row: Row, count: number): boolean {
  for (let i = 0; i < count; i++) if (labels[i] !== (row[i] ?? '')) return false;
  return true;
}

/** A number in PostgreSQL's text format; booleans are 1 and 0. NaN for anything else. */
export function numberOf(cell: string): number {
  if (cell === 't') return 1;
  if (cell === 'f') return 0;
  if (cell === 'Infinity') return Number.POSITIVE_INFINITY;
  if (cell === '-Infinity') return Number.NEGATIVE_INFINITY;
  return cell === '' ? Number.NaN : Number(cell);
}
