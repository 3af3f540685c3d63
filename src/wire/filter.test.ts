import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFilter, type ScrapeFilter } from './filter.ts';

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
  // What Go's URL.Query passes over: seen with node_exporter 1.12.1, which answers with its whole page.
  ['collect[]=%', undefined],
  ['collect[]=cpu;meminfo', undefined],
  ['name[]=%G0&collect[]=a%2', undefined],
  ['%E0%A4%A=1&collect[]=cpu', filter({ collect: ['cpu'] })],
  ['collect[]=cpu&%=1&;=1', filter({ collect: ['cpu'] })],
  // Whole escapes of bytes that are no UTF-8 are a name, though nobody has it.
  ['collect[]=%FF', filter({ collect: ['\ufffd'] })],
  ['name[]=%C3', filter({ name: ['\ufffd'] })],
  ['name[]=%C3%A9%ffé', filter({ name: ['é\ufffdé'] })],
];

for (const [query, expected] of QUERIES) {
  test(`query ?${query}`, () => assert.deepEqual(parseFilter(query), expected));
}
