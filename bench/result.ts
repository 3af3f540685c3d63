import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Missing, RESULTS, SOURCES } from './place.ts';

/** What a bench found: the content of bench/results/NAME.json and of a section of RESULTS.md. */
export interface BenchResult {
  readonly name: string;
  readonly title: string;
  readonly takenAt: string;
  readonly command: string;
  readonly machine: Machine;
  readonly tables: readonly Table[];
  readonly verdicts: readonly Verdict[];
  readonly notes: readonly string[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly node: string;
  readonly kernel: string;
  /** Of the checkout, with a `+` when sources had changes that are not committed. */
  readonly commit: string;
  /** Share of CPU time that was idle in the second before the bench. */
  readonly idleBefore: number;
}

export type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface Verdict {
  readonly what: string;
  /** NaN, written as null, when it could not be measured. */
  readonly figure: number | null;
  readonly unit: string;
  readonly target: string;
  /** Undefined: not measured; the reason is in the notes. */
  readonly met?: boolean;
}

export const atMost = (what: string, figure: number, limit: number, unit = ''): Verdict => judged(what, figure, `<= ${format(limit)}`, unit, figure <= limit);
export const atLeast = (what: string, figure: number, limit: number, unit = ''): Verdict => judged(what, figure, `>= ${format(limit)}`, unit, figure >= limit);
export const exactly = (what: string, figure: number, wanted: number, unit = ''): Verdict =>
  judged(what, figure, `= ${format(wanted)}`, unit, figure === wanted);

function judged(what: string, figure: number, target: string, unit: string, met: boolean): Verdict {
  return Number.isNaN(figure) ? { what, figure: null, unit, target } : { what, figure, unit, target, met };
}

/** Three digits that count; whole numbers whole. */
export function format(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (Number.isNaN(cell)) return '–';
  if (Number.isInteger(cell)) return String(cell);
  return Math.abs(cell) >= 100 ? String(Math.round(cell)) : String(Number(cell.toPrecision(3)));
}

export type Findings = Pick<BenchResult, 'tables' | 'verdicts' | 'notes'>;

/**
 * Runs a bench, prints what it found and, unless it is a smoke run, writes bench/results/NAME.json. Exit codes: 0 targets met,
 * or a smoke run; 1 a page or a program was wrong; 2 something is missing on this machine; 3 a target was missed.
 * `mustHold` makes missed targets count in smoke runs too: for benches that show behaviour, not speed.
 */
export async function runBench(
  name: string,
  title: string,
  options: { readonly smoke: boolean; readonly mustHold?: boolean },
  bench: () => Promise<Findings>,
): Promise<never> {
  const takenAt = new Date().toISOString();
  const machine = await describeMachine();
  let code = 1;
  try {
    const findings = await bench();
    const command = `node dist/bench/${name}.js ${process.argv.slice(2).join(' ')}`.trim();
    const result: BenchResult = { name, title, takenAt, command, machine, ...findings };
    print(result);
    if (!options.smoke) {
      mkdirSync(RESULTS, { recursive: true });
      writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
    }
    const isMissed = result.verdicts.some((verdict) => verdict.met === false);
    code = isMissed && (!options.smoke || options.mustHold === true) ? 3 : 0;
  } catch (error) {
    if (error instanceof Missing) code = 2;
    process.stderr.write(`${name}: ${error instanceof Missing ? error.message : error instanceof Error ? error.stack : String(error)}\n`);
  }
  process.exit(code);
}

async function describeMachine(): Promise<Machine> {
  const [idleBefore] = await Promise.all([idleShare(1000)]);
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    kernel: release(),
    commit: commit(),
    idleBefore,
  };
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', ['-C', SOURCES, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const isChanged = git('status', '--porcelain', '--', ':/src', ':/native-readers/src') !== '';
    return git('rev-parse', '--short', 'HEAD') + (isChanged ? '+' : '');
  } catch {
    return 'unknown'; // not a checkout
  }
}

/** Share of all CPU time that is idle over `ms`, from the first line of /proc/stat. */
export async function idleShare(ms: number): Promise<number> {
  const read = (): number[] => (readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '').trim().split(/\s+/).slice(1, 9).map(Number);
  const before = read();
  await sleep(ms);
  const spent = read().map((ticks, i) => ticks - (before[i] ?? 0));
  const idle = (spent[3] ?? 0) + (spent[4] ?? 0);
  return idle / spent.reduce((sum, ticks) => sum + ticks, 0);
}

function print({ title, tables, verdicts, notes, machine }: BenchResult): void {
  const lines = [`# ${title}`, ''];
  if (machine.idleBefore < QUIET) lines.push(busyRemark(machine), '');
  for (const table of tables) lines.push(table.title, ...aligned([table.columns, ...table.rows]), '');
  if (verdicts.length > 0) lines.push(...aligned([['target', 'figure', 'wanted', 'met'], ...verdicts.map(verdictCells)]), '');
  lines.push(...notes.map((note) => `- ${note}`));
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Below this share of idle time before a bench its figures are those of a loaded machine. */
export const QUIET = 0.9;

export function busyRemark(machine: Machine): string {
  return `Taken on a loaded machine: only ${Math.round(machine.idleBefore * 100)} % of its CPU time was idle before the run.`;
}

export function verdictCells({ what, figure, unit, target, met }: Verdict): string[] {
  const with_ = (text: string): string => (unit === '' ? text : `${text} ${unit}`);
  return [what, figure === null ? '–' : with_(format(figure)), with_(target), met === undefined ? 'not measured' : met ? 'yes' : 'NO'];
}

function aligned(rows: readonly (readonly Cell[])[]): string[] {
  const texts = rows.map((row) => row.map(format));
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  return texts.map((row) => `  ${row.map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0))).join('  ')}`);
}
