import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingValue, unitRule } from './settings.ts';

/** setting, vartype, unit, suffix, value; units and texts as pg_settings of PostgreSQL 10 to 18 and of hosted servers has them. */
const ROWS: readonly (readonly [string | null, string, string | null, string, number])[] = [
  ['on', 'bool', null, '', 1],
  ['off', 'bool', null, '', 0],
  ['100', 'integer', null, '', 100],
  ['-1', 'integer', null, '', -1],
  ['0.9', 'real', null, '', 0.9],
  ['1e+100', 'real', '', '', 1e100],
  ['16384', 'integer', '8kB', '_bytes', 134217728],
  ['64', 'integer', '16MB', '_bytes', 1073741824],
  ['65536', 'integer', 'kB', '_bytes', 67108864],
  ['1024', 'integer', 'MB', '_bytes', 1073741824],
  ['1', 'integer', 'GB', '_bytes', 1073741824],
  ['1', 'integer', 'TB', '_bytes', 1099511627776],
  ['8192', 'integer', 'B', '_bytes', 8192],
  ['-1', 'integer', 'kB', '_bytes', -1],
  ['2', 'real', 'ms', '_seconds', 0.002],
  ['200', 'integer', 'ms', '_seconds', 0.2],
  ['-1', 'integer', 'ms', '_seconds', -1],
  ['300', 'integer', 's', '_seconds', 300],
  ['5', 'integer', 'min', '_seconds', 300],
  ['2', 'integer', 'h', '_seconds', 7200],
  ['1', 'integer', 'd', '_seconds', 86400],
  ['10 min', 'integer', null, '', 10],
  ['64MB', 'integer', null, '', 64],
  ['', 'integer', null, '', Number.NaN],
  [null, 'integer', null, '', Number.NaN],
  ['auto', 'integer', null, '', Number.NaN],
];

for (const [setting, vartype, unit, suffix, value] of ROWS) {
  test(`setting ${JSON.stringify(setting)} of type ${vartype} in ${unit ?? 'no unit'} is ${value}`, () => {
    const rule = unitRule(unit);
    assert.equal(rule?.suffix, suffix);
    assert.deepEqual(settingValue(setting, vartype, rule ?? assert.fail('no rule')), value);
  });
}

test('an unknown unit has no rule', () => {
  for (const unit of ['xkB', 'parsec', '8', 'kb']) assert.equal(unitRule(unit), undefined, unit);
});
