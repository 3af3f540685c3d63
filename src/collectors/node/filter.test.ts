import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Filter, regexpProblem } from './filter.ts';

const CASES: readonly { exclude?: string; include?: string; name: string; keeps: boolean }[] = [
  { name: 'sda', keeps: true },
  { exclude: 'd', name: 'sda', keeps: false },
  { exclude: '^d', name: 'sda', keeps: true },
  { include: 'd', name: 'sda', keeps: true },
  { include: '^d', name: 'sda', keeps: false },
  { include: 'sd', exclude: 'a$', name: 'sda', keeps: false },
  { include: 'sd', exclude: 'a$', name: 'sdb', keeps: true },
  // Where RE2 and JavaScript part ways.
  { include: '(?i)ETH', name: 'eth0', keeps: true },
  { include: '^[[:alpha:]]+$', name: 'lo', keeps: true },
  { include: '^[[:alpha:]]+$', name: 'lo0', keeps: false },
  { include: '(?P<kind>veth)', name: 'veth1', keeps: true },
  { include: '\\Aeth\\z', name: 'eth', keeps: true },
  { include: '\\Qa.b\\E', name: 'axb', keeps: false },
];

for (const { exclude = '', include = '', name, keeps } of CASES) {
  test(`exclude ${JSON.stringify(exclude)}, include ${JSON.stringify(include)}: ${name} is ${keeps ? 'kept' : 'left out'}`, () => {
    const filter = new Filter(exclude, include);
    assert.equal(filter.keeps(name), keeps);
    assert.equal(filter.keeps(name), keeps, 'from memory');
  });
}

test('names are remembered but not for ever', () => {
  const filter = new Filter('', '7$');
  for (let i = 0; i < 20_000; i++) assert.equal(filter.keeps(`veth${i}`), i % 10 === 7);
  assert.equal(filter.keeps('veth7'), true);
});

test('a backtracking trap takes linear time', () => {
  const started = performance.now();
  assert.equal(new Filter('', '^(a+)+$').keeps(`${'a'.repeat(5000)}b`), false);
  assert.ok(performance.now() - started < 2000);
});

test('problems of expressions', () => {
  assert.equal(regexpProblem('^(a|b)$'), undefined);
  assert.match(regexpProblem('a(') ?? '', /missing closing \)/);
  assert.match(regexpProblem('(?=a)') ?? '', /invalid|unsupported/i);
});
