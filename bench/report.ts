/** Writes bench/RESULTS.md from bench/results/*.json. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RESULTS, SOURCES } from './place.ts';
import { type BenchResult, busyRemark, type Cell, format, QUIET, type Table, verdictCells } from './result.ts';

const ORDER = ['latency', 'cpu', 'node-cost', 'age', 'faults', 'memory', 'container'];

mkdirSync(RESULTS, { recursive: true });
const results = readdirSync(RESULTS)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(RESULTS, name), 'utf8')) as BenchResult) // written by result.ts
  .sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));

const path = join(SOURCES, 'RESULTS.md');
writeFileSync(path, page(results));
process.stdout.write(`${path}: ${results.length} benches\n`);

function page(results: readonly BenchResult[]): string {
  const lines = [
    '# Results',
    '',
    'This file is made by `node dist/bench/report.js` from `bench/results/*.json`; do not edit it. `npm run bench` measures everything anew.',
    '',
    ...table({
      title: 'Targets',
      columns: ['bench', 'what', 'figure', 'target', 'met'],
      rows: results.flatMap((result) => result.verdicts.map((verdict) => [result.name, ...verdictCells(verdict)])),
    }),
  ];
  for (const result of results) lines.push(...section(result));
  return `${lines.join('\n').trimEnd()}\n`;
}

function section({ title, takenAt, command, machine, tables, notes }: BenchResult): string[] {
  const gib = Math.round(machine.memoryBytes / 2 ** 30);
  return [
    `## ${title}`,
    '',
    `\`${command}\` at ${takenAt}, commit ${machine.commit}; ${machine.cpu}, ${machine.cores} cores, ${gib} GiB, Node ${machine.node}, Linux ${machine.kernel}.`,
    ...(machine.idleBefore < QUIET ? ['', `**${busyRemark(machine)}**`] : []),
    '',
    ...tables.flatMap(table),
    ...(notes.length > 0 ? [...notes.map((note) => `- ${note}`), ''] : []),
  ];
}

function table({ title, columns, rows }: Table): string[] {
  const line = (cells: readonly Cell[]): string => `| ${cells.map((cell) => format(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [`**${title}**`, '', line(columns), `|${columns.map((_, i) => (i === 0 ? ' --- ' : ' ---: ')).join('|')}|`, ...rows.map(line), ''];
}
