import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sheet } from '../../collect/sheet.ts';
import { family } from '../../model/family.ts';
import { referenceReaders } from '../../readers/reference.ts';
import { numberOf, ViewRows } from './view-rows.ts';

const ZERO = family('zero', 'gauge', 'h', ['a']);
const OMIT = family('omit', 'gauge', 'h', ['a']);
const SKIP = family('skip', 'gauge', 'h', ['a']);

function samples(sheet: Sheet): string[] {
  return sheet
    .text()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function fresh(): { rows: ViewRows; sheet: Sheet } {
  const rows = new ViewRows([
    { family: ZERO, ifNull: 'zero' },
    { family: OMIT, ifNull: 'omit', over: 1000 },
    { family: SKIP, ifNull: 'skip' },
  ]);
  return { rows, sheet: new Sheet(referenceReaders(), { maxSeries: 100, maxBytes: 1 << 16 }) };
}

test('NULL is zero, nothing, or the end of its row', () => {
  const { rows, sheet } = fresh();
  sheet.begin();
  rows.write(
    [
      ['x', null, null, '1'],
      ['y', '2', '3', null],
      [null, '4', '5', '6'],
    ],
    sheet,
  );
  assert.deepEqual(samples(sheet), ['omit{a=""} 0.005', 'skip{a=""} 6', 'skip{a="x"} 1', 'zero{a=""} 4', 'zero{a="x"} 0']);
});

test('rows may change place, vanish and come back', () => {
  const { rows, sheet } = fresh();
  const runs = [
    [
      ['x', '1', '1000', '1'],
      ['y', '2', '2000', '2'],
    ],
    [
      ['y', '3', '3000', '3'],
      ['x', '4', '4000', '4'],
    ],
    [['x', '5', null, '5']],
    [
      ['x', '6', '6000', '6'],
      ['y', '7', '7000', '7'],
    ],
  ];
  const pages = runs.map((run) => {
    sheet.begin();
    rows.write(run, sheet);
    return samples(sheet).join(' ');
  });
  assert.deepEqual(pages, [
    'omit{a="x"} 1 omit{a="y"} 2 skip{a="x"} 1 skip{a="y"} 2 zero{a="x"} 1 zero{a="y"} 2',
    'omit{a="x"} 4 omit{a="y"} 3 skip{a="x"} 4 skip{a="y"} 3 zero{a="x"} 4 zero{a="y"} 3',
    'skip{a="x"} 5 zero{a="x"} 5',
    'omit{a="x"} 6 omit{a="y"} 7 skip{a="x"} 6 skip{a="y"} 7 zero{a="x"} 6 zero{a="y"} 7',
  ]);
});

test('slots are asked for again after runs without rows, when the sheet may have given them away', () => {
  const { rows, sheet } = fresh();
  sheet.begin();
  rows.write([['x', '1', '1000', '1']], sheet);
  const other = family('other', 'gauge', 'h', ['a']);
  for (let run = 0; run < 200; run++) {
    sheet.begin();
    for (const label of ['p', 'q', 'r', 's']) sheet.sample(other, [label], 9);
  }
  sheet.begin();
  for (const label of ['p', 'q', 'r', 's']) sheet.sample(other, [label], 9);
  rows.write([['x', '1', '1000', '1']], sheet);
  assert.deepEqual(samples(sheet), ['omit{a="x"} 1', 'other{a="p"} 9', 'other{a="q"} 9', 'other{a="r"} 9', 'other{a="s"} 9', 'skip{a="x"} 1', 'zero{a="x"} 1']);
});

for (const [text, value] of [
  ['42', 42],
  ['-1', -1],
  ['0.002', 0.002],
  ['9223372036854775807', 2 ** 63],
  ['t', 1],
  ['f', 0],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['NaN', Number.NaN],
  ['', Number.NaN],
  ['x', Number.NaN],
] as const) {
  test(`cell ${JSON.stringify(text)} is ${value}`, () => assert.deepEqual(numberOf(text), value));
}
