/**
 * systemd, logind, ntp and supervisord as the real node_exporter prints them, whose path TEST_NODE_EXPORTER gives: both programs
 * ask the same servers. systemd and logind are stand-ins on a real bus (see fake-systemd.ts); supervisord and chronyd are real.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { SYSTEM_BUS } from '../../src/collectors/node/services/dbus/address.ts';
import { skipUnless } from '../support/backends/availability.ts';
import { chronyd, startChronyd } from '../support/backends/chronyd.ts';
import { dbusDaemon, startBus } from '../support/backends/dbus.ts';
import { answerAsLogind, answerAsSystemd, fakeLogind, type FakeSystemd, fakeSystemd, text } from '../support/backends/fake-systemd.ts';
import { until } from '../support/backends/processes.ts';
import { startSupervisord, supervisord } from '../support/backends/supervisord.ts';
import { startPeer } from './node-exporter.ts';
import { comparable, optionsFrom } from './node-fixtures.ts';
import { LIVE_ROOTS } from './node-page.ts';
import { servicePage } from './service-page.ts';

const program = process.env['TEST_NODE_EXPORTER'];
const noPeer = program === undefined || program === '' ? 'TEST_NODE_EXPORTER does not name a node_exporter' : false;

interface Pages {
  readonly ours: string;
  readonly theirs: string;
}

/** Both pages of one collector, without HELP. */
async function bothPages(part: string, flags: readonly string[], systemBus = 'unix:path=/nowhere/bus', volatile: readonly string[] = []): Promise<Pages> {
  const peer = await startPeer(program ?? '', [part], LIVE_ROOTS, flags, { DBUS_SYSTEM_BUS_ADDRESS: systemBus });
  const page = servicePage(part, (await optionsFrom(flags))[part] ?? {}, systemBus);
  try {
    return { theirs: comparable(await peer.page(), volatile), ours: comparable((await page.run()).page, volatile) };
  } finally {
    await page.close();
    await peer.stop();
  }
}

const EVERYTHING = ['enable-task-metrics', 'enable-restarts-metrics', 'enable-start-time-metrics'].map((flag) => `--collector.systemd.${flag}`);
const NOTHING = '--collector.systemd.unit-exclude=';

const SYSTEMD_CASES: readonly (readonly [name: string, flags: readonly string[], change: (systemd: FakeSystemd) => void])[] = [
  ['by default', [], () => undefined],
  ['with everything', [...EVERYTHING, NOTHING], () => undefined],
  ['some units', ['--collector.systemd.unit-include=(ssh|gone|telnet).*|.*mer', '--collector.systemd.unit-exclude=.*timer'], () => undefined],
  ['part of a name is no match', ['--collector.systemd.unit-include=ssh'], () => undefined],
  ['degraded, bare metal', [], (systemd) => Object.assign(systemd, { systemState: text('degraded'), virtualization: text('') })],
  ['release 211', [], (systemd) => Object.assign(systemd, { version: text('systemd 211'), systemState: undefined })],
  ['a release with a letter', [], (systemd) => Object.assign(systemd, { version: text('v255~rc1') })],
  ['a release that is no number', [], (systemd) => Object.assign(systemd, { version: text('19') })],
  ['nothing known of the manager', [], (systemd) => Object.assign(systemd, { version: undefined, virtualization: undefined })],
  ['no state of the system: samples and no success', [], (systemd) => Object.assign(systemd, { systemState: undefined })],
  ['no units', [], (systemd) => systemd.units.clear()],
];

test('systemd', { skip: noPeer || skipUnless(dbusDaemon()) }, async (context) => {
  const bus = await startBus();
  try {
    const program = await bus.serve('org.freedesktop.systemd1', () => 'nothing');
    for (const [name, flags, change] of SYSTEMD_CASES) {
      await context.test(name, async () => {
        const systemd = fakeSystemd();
        change(systemd);
        program.answer = answerAsSystemd(systemd);
        const { ours, theirs } = await bothPages('systemd', flags, bus.address);
        assert.match(theirs, /node_systemd_units/);
        assert.equal(ours, theirs);
      });
    }
  } finally {
    await bus.close();
  }
});

test('logind', { skip: noPeer || skipUnless(dbusDaemon()) }, async () => {
  const bus = await startBus();
  try {
    const logind = fakeLogind();
    await bus.serve('org.freedesktop.login1', answerAsLogind(logind));
    const { ours, theirs } = await bothPages('logind', [], bus.address);
    assert.match(theirs, /node_logind_sessions\{class="user",remote="true",seat="",type="tty"\} 2/);
    assert.equal(ours, theirs);
    logind.seats.length = 0;
    logind.sessions.clear();
    const empty = await bothPages('logind', [], bus.address);
    assert.equal(empty.ours, empty.theirs);
  } finally {
    await bus.close();
  }
});

/** Where systemd is the first process: in the virtual machine of test/vm. */
const noSystemd = existsSync('/run/systemd/system') ? false : 'systemd does not run here';

const LIVE_CASES: readonly (readonly [part: string, flags: readonly string[]])[] = [
  ['systemd', []],
  ['systemd', [...EVERYTHING, NOTHING]],
  ['systemd', [...EVERYTHING, '--collector.systemd.private']],
  ['logind', []],
];

for (const [part, flags] of LIVE_CASES) {
  test(`the machine itself: ${part} ${flags.join(' ')}`, { skip: noPeer || noSystemd }, async () => {
    let pages: Pages = { ours: '', theirs: '' };
    const volatile = ['node_systemd_unit_tasks_current', 'node_systemd_timer_last_trigger_seconds'];
    // Units start and stop: some time nothing happens between two scrapes.
    await until(async () => {
      pages = await bothPages(part, flags, SYSTEM_BUS, volatile);
      return pages.ours === pages.theirs;
    }, 60_000);
    assert.equal(pages.ours, pages.theirs);
    assert.match(pages.theirs, new RegExp(`node_scrape_collector_success\\{collector="${part}"\\} 1\n`));
    assert.ok(pages.theirs.split('\n').length > 50, pages.theirs);
  });
}

test('supervisord, by port and by socket', { skip: noPeer || skipUnless(supervisord()) }, async () => {
  const server = await startSupervisord();
  try {
    for (const url of [`http://127.0.0.1:${server.port}/RPC2`, `unix://${server.socketPath}`]) {
      let pages: Pages = { ours: '', theirs: '' };
      // A program that fails, the last to get where it stays.
      await until(async () => {
        pages = await bothPages('supervisord', [`--collector.supervisord.url=${url}`]);
        return pages.theirs.includes('node_supervisord_state{group="broken",name="broken"} 200') && pages.ours === pages.theirs;
      }, 20_000);
      assert.match(pages.theirs, /node_supervisord_state\{group="broken",name="broken"\} 200/);
      assert.equal(pages.ours, pages.theirs);
    }
  } finally {
    await server.close();
  }
});

test('ntp', { skip: noPeer || skipUnless(chronyd()) }, async () => {
  const server = await startChronyd();
  try {
    const flags = [`--collector.ntp.server-port=${server.port}`, '--collector.ntp.local-offset-tolerance=500ms'];
    // What depends on the moment of the question.
    const volatile = ['rtt_seconds', 'offset_seconds', 'reference_timestamp_seconds', 'root_dispersion_seconds'].map((name) => `node_ntp_${name}`);
    const { ours, theirs } = await bothPages('ntp', flags, undefined, volatile);
    assert.match(theirs, /node_ntp_stratum 10\n/);
    assert.equal(ours, theirs);
  } finally {
    await server.stop();
  }
});
