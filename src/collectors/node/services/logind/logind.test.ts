/** logind over a real dbus-daemon; logind itself is a stand-in (fake-systemd.ts says why). Values against the peer's: test/compare/services.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparable } from '../../../../../test/compare/node-fixtures.ts';
import { servicePage } from '../../../../../test/compare/service-page.ts';
import { skipUnless } from '../../../../../test/support/backends/availability.ts';
import { dbusDaemon, startBus } from '../../../../../test/support/backends/dbus.ts';
import { answerAsLogind, fakeLogind } from '../../../../../test/support/backends/fake-systemd.ts';

test('sessions and seats come and go; without logind there is no success and nothing old', { skip: skipUnless(dbusDaemon()) }, async () => {
  const bus = await startBus();
  const page = servicePage('logind', {}, bus.address);
  try {
    const logind = fakeLogind();
    const program = await bus.serve('org.freedesktop.login1', answerAsLogind(logind));
    const count = (shown: string): number => shown.split('\n').filter((line) => line.startsWith('node_logind_sessions{')).length;
    const first = (await page.run()).page;
    assert.equal(count(first), 70 * 3);
    assert.match(first, /\{class="greeter",remote="false",seat="seat0",type="wayland"\} 1\n/);
    assert.match(first, /\{class="other",remote="false",seat="",type="other"\} 1\n/, 'a class and a type that are not known');

    logind.seats.pop();
    logind.sessions.delete('c1');
    logind.sessions.delete('6');
    const second = (await page.run()).page;
    assert.equal(count(second), 70 * 2);
    assert.match(second, /\{class="greeter",remote="false",seat="seat0",type="wayland"\} 0\n/);

    program.answer = () => ({ signature: 's', values: ['no list'] });
    const wrong = await page.run();
    assert.equal(wrong.error?.code, 'parse');
    assert.match(wrong.error?.message ?? '', /expected a reply of type a\(s(o|usso)\), not s/);
    program.close();
    const gone = await page.run();
    assert.equal(gone.error?.code, 'query');
    assert.equal(comparable(gone.page), '# TYPE node_scrape_collector_success gauge\nnode_scrape_collector_success{collector="logind"} 0\n');
    await bus.serve('org.freedesktop.login1', answerAsLogind(logind));
    assert.equal(comparable((await page.run()).page), comparable(second));
  } finally {
    await page.close();
    await bus.close();
  }
});
