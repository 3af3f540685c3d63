import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { family } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import { KeptSeries } from '../kept-series.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart, PartScope } from '../part.ts';

const ENTRIES = family('node_nf_conntrack_entries', 'gauge', 'Connections that are tracked.');
const LIMIT = family('node_nf_conntrack_entries_limit', 'gauge', 'Connections that can be tracked at most.');

/** Gauges, although they only rise: so the peer declares them. */
function statistic(name: string, help: string) {
  return family(`node_nf_conntrack_stat_${name}`, 'gauge', help);
}

/** By column, counted from 0. */
const COLUMNS = [
  [2, statistic('found', 'Lookups that found a connection.')],
  [4, statistic('invalid', 'Packets that cannot be tracked.')],
  [5, statistic('ignore', 'Packets that belong to a connection already.')],
  [8, statistic('insert', 'Connections put into the table.')],
  [9, statistic('insert_failed', 'Connections that could not be put into the table, such as one that was there already.')],
  [10, statistic('drop', 'Packets dropped because they could not be tracked.')],
  [11, statistic('early_drop', 'Connections dropped to make room for others.')],
  [16, statistic('search_restart', 'Lookups begun again because the table was resized meanwhile.')],
] as const;

const FEWEST_WORDS = 16;
const MOST_WORDS = 17;

/** net/stat/nf_conntrack: headings, then a line of hexadecimal numbers per processor. */
class ConntrackStatistics {
  readonly #source: OptionalSource;
  readonly #series = COLUMNS.map(([, family]) => new KeptSeries(family, []));
  /** Ordinals in the scan, per column of COLUMNS. */
  #at: readonly number[][] | undefined;

  constructor(scope: PartScope) {
    this.#source = scope.source(scope.proc('net/stat/nf_conntrack'), { hex: true });
  }

  get path(): string {
    return this.#source.path;
  }

  collect(sheet: Sheet): boolean {
    const scan = this.#source.scan();
    if (scan === 'absent') return false;
    if (scan === 'changed' || this.#at === undefined) {
      this.#at = undefined;
      this.#at = this.#find();
    }
    const { numbers } = this.#source;
    for (const [i, ordinals] of this.#at.entries()) {
      let sum = 0;
      for (const at of ordinals) sum += numbers[at] ?? 0;
      this.#series[i]?.set(sheet, sum);
    }
    return true;
  }

  /** What `collect` of the next runs will do, where the lines are of one width. */
  replay(sheet: Sheet, steps: ReplaySteps): void {
    const bounds: BoundNumber[] = [];
    for (const [i, ordinals] of (this.#at ?? []).entries()) {
      const slot = this.#series[i]?.slotIn(sheet) ?? -1;
      const [first, second] = ordinals;
      if (slot < 0 || first === undefined) continue;
      const by = second === undefined ? this.#source.count : second - first;
      if (this.#source.count !== by * ordinals.length) steps.until(Number.NEGATIVE_INFINITY);
      bounds.push({ at: first, slot, mode: 'sum', by });
    }
    this.#source.replay(steps, bounds);
  }

  close(): void {
    this.#source.close();
  }

  #find(): number[][] {
    const found: number[][] = COLUMNS.map(() => []);
    for (const [line, words] of this.#source.rows().entries()) {
      if (line === 0) continue;
      if (words.length < FEWEST_WORDS || words.length > MOST_WORDS || words.some(({ at }) => at < 0)) {
        throw parseProblem(this.path, line + 1, `${FEWEST_WORDS} or ${MOST_WORDS} hexadecimal numbers`);
      }
      for (const [i, [column]] of COLUMNS.entries()) {
        const word = words[column];
        if (word !== undefined) found[i]?.push(word.at);
      }
    }
    return found;
  }
}

/** /proc/sys/net/netfilter/nf_conntrack_count and nf_conntrack_max, /proc/net/stat/nf_conntrack. */
export const part: NodePart = {
  name: 'conntrack',
  enabledByDefault: true,
  families: [ENTRIES, LIMIT, ...COLUMNS.map(([, family]) => family)],
  open(scope) {
    const entries = scope.bound(scope.proc('sys/net/netfilter/nf_conntrack_count'), {}, (rows, series) => series.number(0, rows[0]?.[0], ENTRIES));
    const limit = scope.bound(scope.proc('sys/net/netfilter/nf_conntrack_max'), {}, (rows, series) => series.number(0, rows[0]?.[0], LIMIT));
    const statistics = new ConntrackStatistics(scope);
    return {
      collect(sheet) {
        // In the peer's order: what was read before a missing file stays.
        for (const source of [entries, limit, statistics]) if (!source.collect(sheet)) return scope.missing(source);
        return OK;
      },
      replay(sheet, steps) {
        if (entries.replay(steps) && limit.replay(steps)) statistics.replay(sheet, steps);
      },
      close() {
        for (const source of [entries, limit, statistics]) source.close();
      },
    };
  },
};
