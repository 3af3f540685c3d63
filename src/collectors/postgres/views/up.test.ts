import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortVersion } from './up.ts';

for (const [version, short] of [
  ['PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc', '15.18.0'],
  ['PostgreSQL 18beta1 on x86_64-pc-linux-gnu', '18.0.0'],
  ['PostgreSQL 9.6.24 on x86_64-pc-linux-gnu', '9.6.24'],
  ['EnterpriseDB 9.6.24.31 on x86_64-pc-linux-gnu', '9.6.24'],
  ['PostgreSQL 17devel', '17.0.0'],
  ['PostgreSQL', undefined],
  ['PostgreSQL unknown', undefined],
] as const) {
  test(`short version of "${version}"`, () => assert.equal(shortVersion(version), short));
}
