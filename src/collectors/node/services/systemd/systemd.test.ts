/** systemd over a real dbus-daemon; systemd itself is a stand-in (fake-systemd.ts says why). Values against the peer's: test/compare/services.test.ts. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { comparable } from '../../../../../test/compare/node-fixtures.ts';
import { type ServicePage, servicePage } from '../../../../../test/compare/service-page.ts';
import { skipUnless } from '../../../../../test/support/backends/availability.ts';
import { type Bus, type BusProgram, dbusDaemon, startBus } from '../../../../../test/support/backends/dbus.ts';
import { answerAsSystemd, type FakeSystemd, fakeSystemd, text, u32 } from '../../../../../test/support/backends/fake-systemd.ts';

const SYSTEMD = 'org.freedesktop.systemd1';

function line(page: string, start: string): string | undefined {
  return page.split('\n').find((one) => one.startsWith(start));
}

/** The names asked for since the last time, without the manager's. */
function asked(program: BusProgram): string[] {
  const names = program.calls.filter(({ path, member }) => member === 'Get' && path !== '/org/freedesktop/systemd1').map((call) => call.arguments[1] ?? '');
  program.calls.length = 0;
  return names.sort();
}

describe('systemd', { skip: skipUnless(dbusDaemon()) }, () => {
  let bus: Bus;
  let program: BusProgram;
  let systemd: FakeSystemd;

  before(async () => {
    bus = await startBus();
    program = await bus.serve(SYSTEMD, () => 'nothing');
  });
  after(() => bus.close());
  beforeEach(() => {
    systemd = fakeSystemd();
    program.answer = answerAsSystemd(systemd);
    program.calls.length = 0;
  });

  const open = async (options: Parameters<typeof servicePage>[1], body: (page: ServicePage) => Promise<void>): Promise<void> => {
    const mine = servicePage('systemd', options, bus.address);
    try {
      await body(mine);
    } finally {
      await mine.close();
    }
  };

  test('what never changes is asked once a minute, the rest in every run', async () => {
    await open({}, async (page) => {
      const first = (await page.run()).page;
      assert.deepEqual(asked(program).length, 5 + 2 + 3 * 4, 'the type of services, timers, sockets');
      const second = (await page.run()).page;
      // Two timers, and the two sockets that accept connections.
      assert.deepEqual(
        asked(program),
        [...Array(2).fill('LastTriggerUSec'), ...['NAccepted', 'NConnections', 'NRefused'].flatMap((name) => [name, name])].sort(),
      );
      assert.equal(comparable(second), comparable(first));
      page.clock.nowMs += 61_000;
      await page.run();
      assert.equal(asked(program).length, 19);
    });
  });

  test('units come, change and go; a property that changes is seen in the next run, a type within a minute', async () => {
    await open({ enable_start_time_metrics: true }, async (page) => {
      await page.run();
      systemd.units.set('new.service', { state: 'active', properties: { 'Service.Type': text('dbus') } });
      systemd.units.set('telnet.socket', { state: 'failed', properties: { ...systemd.units.get('telnet.socket')?.properties, 'Socket.NAccepted': u32(99) } });
      systemd.units.set('idle.service', { state: 'active', properties: { ...systemd.units.get('ssh.service')?.properties } });
      systemd.units.delete('ssh.service');
      const changed = (await page.run()).page;
      assert.equal(
        line(changed, 'node_systemd_unit_state{name="new.service",state="active"'),
        'node_systemd_unit_state{name="new.service",state="active",type="dbus"} 1',
      );
      assert.equal(line(changed, 'node_systemd_socket_accepted_connections_total{name="telnet.socket"}')?.split(' ')[1], '99');
      assert.equal(line(changed, 'node_systemd_unit_start_time_seconds{name="idle.service"}')?.split(' ')[1], '1.700000000123456e+09');
      assert.equal(line(changed, 'node_systemd_unit_start_time_seconds{name="new.service"}'), undefined, 'systemd does not know it');
      assert.equal(changed.includes('ssh.service'), false);
      assert.match(changed, /name="idle.service",state="active",type="oneshot"\} 1/);
      page.clock.nowMs += 61_000;
      assert.match((await page.run()).page, /name="idle.service",state="active",type="notify"\} 1/);
    });
  });

  test('hundreds of units: more calls than a bus allows at once', async () => {
    for (let i = 0; i < 700; i++)
      systemd.units.set(`many-${i}.service`, { state: 'active', properties: { 'Service.Type': text('simple'), 'Service.NRestarts': u32(i) } });
    await open({ enable_restarts_metrics: true }, async (page) => {
      const { page: shown, error } = await page.run();
      assert.equal(error, undefined);
      for (const i of [0, 350, 699]) assert.equal(line(shown, `node_systemd_service_restart_total{name="many-${i}.service"}`)?.split(' ')[1], String(i));
      assert.equal(comparable((await page.run()).page), comparable(shown));
    });
  });

  test('the bus goes and comes back: no success and nothing old, then all again', async () => {
    await open({}, async (page) => {
      const whole = comparable((await page.run()).page);
      await bus.process.stop();
      for (let run = 0; run < 2; run++) {
        const { page: shown, error } = await page.run();
        assert.equal(comparable(shown), '# TYPE node_scrape_collector_success gauge\nnode_scrape_collector_success{collector="systemd"} 0\n');
        assert.equal(error?.code, 'connect');
        assert.match(error?.message ?? '', /bus: /);
      }
      program.close();
      await bus.restart();
      const without = await page.run();
      assert.equal(without.error?.code, 'query', 'a bus without systemd');
      assert.match(without.error?.message ?? '', /ListUnits: org\.freedesktop\.DBus\.Error\.ServiceUnknown/);
      program = await bus.serve(SYSTEMD, answerAsSystemd(systemd));
      assert.equal(comparable((await page.run()).page), whole);
    });
  });

  test('systemd does not answer: the deadline ends the run, a late answer harms nobody', async () => {
    await open({}, async (page) => {
      const whole = comparable((await page.run()).page);
      program.answer = () => 'nothing';
      const { page: shown, error } = await page.run(200);
      assert.equal(error?.code, 'timeout');
      assert.match(error?.message ?? '', /0 of \d+ calls were answered in time/);
      assert.equal(shown.includes('node_systemd'), false);
      program.answer = answerAsSystemd(systemd);
      assert.equal(comparable((await page.run()).page), whole);
    });
  });

  test('answers of other types than systemd gives', async () => {
    const answer = answerAsSystemd(systemd);
    const rows: readonly (readonly [member: string, said: ReturnType<typeof answer>])[] = [
      ['ListUnits', { signature: 's', values: ['no list'] }],
      ['Get', { signature: 's', values: ['no variant'] }],
      ['Get', { signature: 'v', values: [u32(7)] }],
      ['Get', { signature: 'v', values: [{ variantOf: 'as', value: ['a'] }] }],
      ['Get', { signature: '', values: [] }],
    ];
    for (const [member, said] of rows) {
      await open({}, async (page) => {
        program.answer = (call) => (call.member === member ? said : answer(call));
        const { page: shown, error } = await page.run();
        assert.equal(error?.code, 'parse', JSON.stringify(said));
        assert.equal(shown.includes('node_systemd'), false);
        program.answer = answer;
        assert.equal((await page.run()).error, undefined);
      });
    }
  });
});

test('a bus that forbids the call', { skip: skipUnless(dbusDaemon()) }, async () => {
  const bus = await startBus(`<deny send_destination="${SYSTEMD}" send_interface="${SYSTEMD}.Manager" send_member="ListUnits"/>`);
  const page = servicePage('systemd', {}, bus.address);
  try {
    await bus.serve(SYSTEMD, answerAsSystemd(fakeSystemd()));
    const { page: shown, error } = await page.run();
    assert.equal(error?.code, 'auth');
    assert.match(error?.message ?? '', /ListUnits: org\.freedesktop\.DBus\.Error\.AccessDenied/);
    assert.equal(shown.includes('node_systemd'), false);
  } finally {
    await page.close();
    await bus.close();
  }
});
