import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sheet } from '../collect/sheet.ts';
import { family } from '../model/family.ts';
import { referenceReaders } from '../readers/reference.ts';
import { Cells } from './cells.ts';
import { SelfPage } from './page.ts';

test('a histogram is counted by bucket and printed with each bucket holding those below it; other cells are what they are set to', () => {
  const cells = new Cells();
  cells.cell(family('visits_total', 'counter', 'Visits.')).add(2);
  const age = family('age_seconds', 'histogram', 'Age.', ['role']);
  const node = cells.distribution(age, [0.5, 1, 2.5], ['node']);
  cells.distribution(age, [0.5, 1, 2.5], ['redis']).observe(7);
  for (const seconds of [0.25, 0.5, 0.75, 2.5, 3]) node.observe(seconds);
  cells.cell(family('threads', 'gauge', 'Threads.')).set(4);

  const sheet = new Sheet(referenceReaders(), { maxSeries: 100, maxBytes: 1 << 16 });
  const page = new SelfPage(sheet, cells.memory);
  page.learn(cells.takeNew());
  sheet.begin();
  page.write([], [], 0);
  const samples = sheet
    .text()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const histogram = (role: string, counts: readonly number[], sum: number): string[] => [
    ...['0.5', '1', '2.5', '+Inf'].map((le, i) => `age_seconds_bucket{role="${role}",le="${le}"} ${counts[i]}`),
    `age_seconds_sum{role="${role}"} ${sum}`,
    `age_seconds_count{role="${role}"} ${counts.at(-1)}`,
  ];
  assert.deepEqual(samples, [...histogram('node', [2, 3, 4, 5], 7), ...histogram('redis', [0, 0, 0, 1], 7), 'threads 4', 'visits_total 2']);
});
