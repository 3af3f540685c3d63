import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dialect, type FlagForm, parseArguments } from './args.ts';

const FORMS: readonly FlagForm[] = [
  { name: 'help', isSwitch: true, isRepeatable: true, short: 'h' },
  { name: 'path.procfs', isSwitch: false, isRepeatable: false },
  { name: 'web.listen-address', isSwitch: false, isRepeatable: true },
  { name: 'collector.cpu', isSwitch: true, isRepeatable: false },
  { name: 'no-op', isSwitch: true, isRepeatable: false },
];

interface Row {
  readonly argv: readonly string[];
  /** name=value of every flag, in order. */
  readonly flags?: readonly string[];
  readonly words?: readonly string[];
  /** `written: text` of every problem. */
  readonly problems?: readonly string[];
}

function check(dialect: Dialect, rows: readonly Row[]): void {
  for (const { argv, flags = [], words = [], problems = [] } of rows) {
    const parsed = parseArguments(argv, FORMS, dialect);
    const seen = {
      flags: parsed.flags.map((flag) => `${flag.name}=${flag.value}`),
      words: parsed.words,
      problems: parsed.problems.map((problem) => `${problem.written}: ${problem.text}`),
    };
    assert.deepEqual(seen, { flags, words, problems }, `${dialect}: ${argv.join(' ')}`);
  }
}

test('kingpin command lines', () => {
  check('kingpin', [
    { argv: [] },
    { argv: ['--path.procfs=/p'], flags: ['path.procfs=/p'] },
    { argv: ['--path.procfs', '/p'], flags: ['path.procfs=/p'] },
    { argv: ['--path.procfs='], flags: ['path.procfs='] },
    { argv: ['--path.procfs=a=b'], flags: ['path.procfs=a=b'] },
    { argv: ['--path.procfs', '-'], flags: ['path.procfs=-'] },
    { argv: ['--path.procfs=-x'], flags: ['path.procfs=-x'] },
    { argv: ['--web.listen-address=:1', '--web.listen-address', ':2'], flags: ['web.listen-address=:1', 'web.listen-address=:2'] },
    { argv: ['--collector.cpu'], flags: ['collector.cpu=true'] },
    { argv: ['--no-collector.cpu'], flags: ['collector.cpu=false'] },
    { argv: ['--collector.cpu=false'], flags: ['collector.cpu=false'] },
    { argv: ['--no-op'], flags: ['no-op=true'] },
    { argv: ['--no-no-op'], flags: ['no-op=false'] },
    { argv: ['-h'], flags: ['help=true'] },
    { argv: ['once', '--collector.cpu', 'x'], flags: ['collector.cpu=true'], words: ['once', 'x'] },
    { argv: ['--', '--collector.cpu'], words: ['--collector.cpu'] },
    { argv: ['-'], words: ['-'] },
    { argv: ['--path.procfs'], problems: ['--path.procfs: expected a value'] },
    { argv: ['--path.procfs', '--collector.cpu'], flags: ['collector.cpu=true'], problems: ['--path.procfs: expected a value'] },
    { argv: ['--path.procfs=a', '--path.procfs=b'], flags: ['path.procfs=a', 'path.procfs=b'], problems: ['--path.procfs: may be given only once'] },
    {
      argv: ['--collector.cpu', '--no-collector.cpu'],
      flags: ['collector.cpu=true', 'collector.cpu=false'],
      problems: ['--no-collector.cpu: may be given only once, and contradicts --collector.cpu'],
    },
    { argv: ['--collector.cpu=maybe'], problems: ['--collector.cpu: expected true or false behind ='] },
    { argv: ['--no-collector.cpu=true'], problems: ['--no-collector.cpu: takes no value'] },
    { argv: ['--no-path.procfs'], problems: ['--no-path.procfs: unknown flag'] },
    { argv: ['-path.procfs=x'], problems: ['-path.procfs: unknown flag'] },
    { argv: ['--h'], problems: ['--h: unknown flag'] },
    { argv: ['--nope=1', '--nope2'], problems: ['--nope: unknown flag', '--nope2: unknown flag'] },
  ]);
});

test('go command lines', () => {
  check('go', [
    { argv: ['-path.procfs=/p'], flags: ['path.procfs=/p'] },
    { argv: ['--path.procfs', '/p'], flags: ['path.procfs=/p'] },
    { argv: ['-path.procfs', '-x'], flags: ['path.procfs=-x'] },
    { argv: ['-path.procfs=a', '-path.procfs=b'], flags: ['path.procfs=a', 'path.procfs=b'] },
    { argv: ['-collector.cpu', 'false'], flags: ['collector.cpu=true'], words: ['false'] },
    { argv: ['-collector.cpu=F'], flags: ['collector.cpu=false'] },
    { argv: ['-collector.cpu=t'], flags: ['collector.cpu=true'] },
    { argv: ['-help'], flags: ['help=true'] },
    { argv: ['x', '-collector.cpu'], words: ['x', '-collector.cpu'] },
    { argv: ['--', '-collector.cpu'], words: ['-collector.cpu'] },
    { argv: ['-path.procfs'], problems: ['-path.procfs: expected a value'] },
    { argv: ['-no-collector.cpu'], problems: ['-no-collector.cpu: unknown flag'] },
    { argv: ['-collector.cpu=yes'], problems: ['-collector.cpu: expected true or false behind ='] },
  ]);
});

test('a problem with an unknown flag carries the name, for the hint', () => {
  assert.equal(parseArguments(['--web.listn-address=x'], FORMS, 'kingpin').problems[0]?.unknown, 'web.listn-address');
});
