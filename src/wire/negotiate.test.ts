import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptsGzip, contentTypeFor } from './negotiate.ts';

const OM1 = 'application/openmetrics-text;version=1.0.0';
const OM0 = 'application/openmetrics-text;version=0.0.1';
const TEXT1 = 'text/plain;version=1.0.0';
const TEXT0 = 'text/plain;version=0.0.4';
const PROTO = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
const UTF8 = ';escaping=allow-utf-8';

/** Accept headers as sent by each Prometheus (platform.md, section 1), then by others, with the escaping answered. */
const ACCEPTS: readonly (readonly [who: string, accept: string, escaping: string])[] = [
  ['Prometheus <= 2.48', `${OM1},${OM0};q=0.75,${TEXT0};q=0.5,*/*;q=0.1`, 'underscores'],
  ['2.53', `${OM1};q=0.5,${OM0};q=0.4,${TEXT0};q=0.3,*/*;q=0.2`, 'underscores'],
  ['2.55, UTF-8', `${OM1}${UTF8};q=0.5,${OM0}${UTF8};q=0.4,${TEXT0}${UTF8};q=0.3,*/*;q=0.2`, 'allow-utf-8'],
  ['3.0 - 3.2', `${OM1}${UTF8};q=0.6,${OM0}${UTF8};q=0.5,${TEXT1}${UTF8}${UTF8};q=0.4,${TEXT0}${UTF8};q=0.3,*/*;q=0.2`, 'allow-utf-8'],
  ['3.3', `${OM1}${UTF8};q=0.6,${OM0}${UTF8};q=0.5,${TEXT1}${UTF8};q=0.4,${TEXT0}${UTF8};q=0.3,*/*;q=0.2`, 'allow-utf-8'],
  ['>= 3.4', `${OM1}${UTF8};q=0.6,${OM0};q=0.5,${TEXT1}${UTF8};q=0.4,${TEXT0};q=0.3,*/*;q=0.2`, 'allow-utf-8'],
  ['>= 3.4, protobuf', `${PROTO};q=0.6,${OM1}${UTF8};q=0.5,${OM0};q=0.4,${TEXT1}${UTF8};q=0.3,${TEXT0};q=0.2,*/*;q=0.1`, 'allow-utf-8'],
  ['>= 3.4, values', `${OM1};escaping=values;q=0.6,${OM0};q=0.5,${TEXT1};escaping=values;q=0.4,${TEXT0};q=0.3,*/*;q=0.2`, 'values'],
  ['no header', '', 'underscores'],
  ['curl', '*/*', 'underscores'],
  ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 'underscores'],
  ['text without version', 'text/plain;escaping=dots', 'dots'],
  ['nothing we serve', 'application/json', 'underscores'],
  ['unknown scheme is ignored', `${TEXT0};escaping=rot13`, 'underscores'],
  ['inherited names are no schemes', `${TEXT0};escaping=toString`, 'underscores'],
  ['latest before the answer', `${OM1}${UTF8},${TEXT0};escaping=dots;q=0.9`, 'dots'],
  ['behind the answer does not count', `${OM1}${UTF8};q=0.1,${TEXT0};q=0.9`, 'underscores'],
  ['q orders, not place', `${TEXT0};q=0.2,${OM1}${UTF8};q=0.9`, 'allow-utf-8'],
  ['specific before wildcard at equal q', `*/*${UTF8},${TEXT0}`, 'underscores'],
  ['spaces and capitals', ` Text/Plain ; Version=0.0.4 ; Escaping=dots ; q=0.5 , */* ; q=0.1`, 'dots'],
  ['malformed q counts as 1', `${OM1}${UTF8};q=high,${TEXT0};q=0.9`, 'allow-utf-8'],
  ['rubbish', ',;=,;;q=,=', 'underscores'],
];

for (const [who, accept, escaping] of ACCEPTS) {
  test(`Accept: ${who}`, () => {
    assert.equal(contentTypeFor(accept), `text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`);
  });
}

const ENCODINGS: readonly (readonly [acceptEncoding: string, isGzip: boolean])[] = [
  ['gzip', true],
  ['identity', false],
  ['', false],
  ['*', true],
  ['*;q=0', false],
  ['gzip;q=0', false],
  ['gzip;q=0, *', false],
  ['gzip;q=0.001', true],
  ['GZIP', true],
  ['gzip, deflate, br, zstd', true],
  ['deflate, br', false],
  ['gzip, identity', false],
  ['gzip, identity;q=0.5', true],
  ['gzip;q=0.5, identity', false],
  ['gzip;q=0.5, *', false],
  ['*;q=0.5, identity;q=0.8', false],
  ['gzip;q=0.8, *;q=0.1', true],
  ['gzip, identity;q=0', true],
  ['x-gzip', false],
];

for (const [acceptEncoding, isGzip] of ENCODINGS) {
  test(`Accept-Encoding: ${acceptEncoding || '(none)'} is gzip: ${isGzip}`, () => {
    assert.equal(acceptsGzip(acceptEncoding), isGzip);
  });
}

test('the memo stays right over more texts than it holds', () => {
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 500; i++) {
      assert.match(contentTypeFor(`${TEXT0};escaping=${i % 2 === 0 ? 'dots' : 'values'};n=${i}`), i % 2 === 0 ? /dots$/ : /values$/);
      assert.equal(acceptsGzip(`gzip;q=${i / 1000}`), i > 0);
    }
  }
});
