import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootsIn, nodePages } from '../../../../test/compare/node-page.ts';
import { bothReaders, partOn, temporaryTree } from '../../../../test/compare/node-tree.ts';

const FOLDER = 'sys/devices/system/clocksource/clocksource0';

for (const [name, readers] of bothReaders()) {
  test(`the clock source that the kernel changes to shows in the next run (${name})`, (context) => {
    const { tree, run } = partOn(
      context,
      'time',
      { [`${FOLDER}/available_clocksource`]: 'tsc hpet \n', [`${FOLDER}/current_clocksource`]: 'tsc\n' },
      { readers },
    );
    assert.match(run(), /current_info\{clocksource="tsc",device="0"\} 1\n/);
    tree.write(`${FOLDER}/current_clocksource`, 'hpet\n');
    const page = run();
    assert.match(page, /current_info\{clocksource="hpet",device="0"\} 1\n/);
    assert.doesNotMatch(page, /current_info\{clocksource="tsc"/);
  });

  test(`a folder without one of its files fails (${name})`, (context) => {
    const { tree, run } = partOn(context, 'time', { [`${FOLDER}/available_clocksource`]: 'tsc\n' }, { readers });
    assert.throws(run, { name: 'CollectError', code: 'read', place: tree.path(`${FOLDER}/current_clocksource`) });
  });
}

test('the time is that of the wall clock at the run', (context) => {
  const tree = temporaryTree(context);
  const [, readers] = bothReaders()[0] ?? [];
  assert.ok(readers !== undefined);
  const pages = nodePages({ readers, roots: rootsIn(tree.folder), wallMs: () => 1_795_256_947_365.5 });
  assert.match(pages.run('time').page, /^node_time_seconds 1\.7952569473655e\+09$/m);
  assert.match(pages.run('time').page, /^node_time_zone_offset_seconds\{time_zone="[^"]+"\} -?\d+(\.\d+e\+\d+)?$/m);
});
