import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipUnless } from '../support/backends/availability.ts';
import { containerSuite } from './suite.ts';
import { NODE, PAYLOAD } from './settings.ts';

containerSuite('unified', (machine) => {
  const program = process.env['TEST_NODE_EXPORTER'] ?? '';
  const skip = skipUnless(program === '' ? { missing: 'TEST_NODE_EXPORTER does not name a node_exporter' } : { backend: program });
  test('the node role beside node_exporter: the same names, types and labels', { skip }, async () => {
    // Its cycles would take the CPU that the comparison needs.
    await machine().run('systemctl', 'stop', 'exporterd');
    const files = ['node', 'services'].map((name) => `${PAYLOAD}/dist/test/compare/${name}.test.js`);
    const compare = [NODE, '--test', '--test-concurrency=1', '--test-name-pattern=the machine itself', ...files];
    const { code, stdout, stderr } = await machine().attempt('env', `TEST_NODE_EXPORTER=${PAYLOAD}/node_exporter`, ...compare);
    assert.equal(code, 0, stdout + stderr);
    // In here all of them can run, those of systemd too.
    const ran = [...stdout.matchAll(/^ok \d+ - the machine itself: (.*)$/gm)].map(([, name = '']) => name);
    assert.deepEqual(
      ran.filter((name) => name.includes('# SKIP')),
      [],
    );
    for (const name of ['same names', 'no family', 'systemd', 'logind'])
      assert.ok(
        ran.some((title) => title.startsWith(name)),
        stdout,
      );
  });
});
