import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partOn } from '../../../../test/compare/node-tree.ts';
import { formatNumber } from '../../../model/number.ts';
import { pageSizeBytes } from '../page-size.ts';

test('memory is pages and bytes of this machine', (context) => {
  const { run } = partOn(context, 'sockstat', { 'proc/net/sockstat': 'sockets: used 9\nTCP: inuse 4 mem 37\n' });
  assert.match(
    run(),
    new RegExp(`^node_sockstat_TCP_mem 37\n[^\n]*\nnode_sockstat_TCP_mem_bytes ${formatNumber(37 * pageSizeBytes()).replace('+', '\\+')}$`, 'm'),
  );
});
