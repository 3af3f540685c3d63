import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilterError, parseFilter, type ScrapeFilter } from './filter.ts';

function filter(part: Partial<ScrapeFilter>): ScrapeFilter {
  return { collect: [], exclude: [], name: [], ...part };
}

const QUERIES: readonly (readonly [query: string, expected: ScrapeFilter | undefined])[] = [
  ['', undefined],
  ['target=a&module=b', undefined],
  ['collect=cpu', undefined],
  ['collect[]=cpu', filter({ collect: ['cpu'] })],
  // Prometheus encodes `params` of a scrape config by url.Values.Encode.
  ['collect%5B%5D=cpu&collect%5b%5d=meminfo', filter({ collect: ['cpu', 'meminfo'] })],
  ['collect[]=b&x=1&collect[]=a&collect[]=b', filter({ collect: ['b', 'a'] })],
  ['exclude[]=cpu&exclude[]=', filter({ exclude: ['cpu', ''] })],
  ['name[]=up&collect[]=cpu&exclude[]=arp', filter({ name: ['up'], collect: ['cpu'], exclude: ['arp'] })],
  ['name[]', filter({ name: [''] })],
  ['name[]=a+b%20c%2Bd%3De=f', filter({ name: ['a b c+d=e=f'] })],
  ['name[]=%C3%A9', filter({ name: ['é'] })],
  ['&&name[]=x&', filter({ name: ['x'] })],
  ['target=%ZZ', undefined],
];

for (const [query, expected] of QUERIES) {
  test(`query ?${query}`, () => assert.deepEqual(parseFilter(query), expected));
}

for (const query of ['collect[]=%', 'name[]=%G0', 'name[]=%C3', '%E0%A4%A=1']) {
  test(`malformed query ?${query}`, () => {
    assert.throws(
      () => parseFilter(query),
      (error) => {
        assert.ok(error instanceof FilterError);
        assert.match(error.message, /malformed percent escape in query: .*%/);
        return true;
      },
    );
  });
}
