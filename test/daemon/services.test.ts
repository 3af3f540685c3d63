/** The parts of the node role that ask other programs, in the daemon: each with a session and a deadline of its own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { skipUnless } from '../support/backends/availability.ts';
import { dbusDaemon, startBus } from '../support/backends/dbus.ts';
import { answerAsSystemd, fakeSystemd } from '../support/backends/fake-systemd.ts';
import { freePort } from '../support/backends/processes.ts';
import { sampleValue, startDaemon, until } from '../support/daemon.ts';

test('a program that hangs holds up no other part; a bus that goes and comes back is followed', { skip: skipUnless(dbusDaemon()) }, async () => {
  const bus = await startBus();
  const silent = createServer((socket) => socket.on('error', () => undefined));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const daemon = await startDaemon(
    [
      'node_exporter',
      '--interval=500ms',
      '--no-phase-lock',
      '--collector.disable-defaults',
      ...['loadavg', 'systemd', 'logind', 'ntp', 'supervisord'].map((name) => `--collector.${name}`),
      '--collector.systemd.unit-blacklist=.*timer',
      '--collector.systemd.enable-start-time-metrics',
      `--collector.ntp.server-port=${await freePort()}`,
    ],
    { DBUS_SYSTEM_BUS_ADDRESS: bus.address, SUPERVISORD_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/RPC2` },
  );
  try {
    let program = await bus.serve('org.freedesktop.systemd1', answerAsSystemd(fakeSystemd()));
    const success = (page: string, name: string): number => sampleValue(page, `node_scrape_collector_success{collector="${name}"}`);
    const page = await until(30_000, 'systemd is there, and each of the others has ended once', async () => {
      const now = await daemon.page('/metrics');
      const isThere = success(now, 'systemd') === 1 && success(now, 'loadavg') === 1;
      return isThere && ['logind', 'ntp', 'supervisord'].every((name) => success(now, name) === 0) ? now : undefined;
    });
    assert.equal(sampleValue(page, 'node_systemd_unit_start_time_seconds{name="ssh.service"}'), 1_700_000_000.123456);
    assert.ok(!page.includes('fstrim.timer') && page.includes('name="-.mount"'), 'the old name of the filter');
    for (const name of ['systemd', 'logind', 'ntp', 'supervisord'])
      assert.ok(sampleValue(page, `node_scrape_collector_duration_seconds{collector="${name}"}`) >= 0, name);
    const runs = async (): Promise<number> =>
      sampleValue(await daemon.page('/metrics/exporterd'), 'exporterd_collector_runs_total{collector="systemd",result="ok",role="node",target="local"}');
    const before = await runs();
    await until(10_000, 'systemd is asked while supervisord is waited for', async () => (await runs()) > before + 3);

    program.close();
    await bus.process.stop();
    await until(10_000, 'no success and nothing old', async () => {
      const now = await daemon.page('/metrics');
      return success(now, 'systemd') === 0 && !now.includes('node_systemd_');
    });
    await bus.restart();
    program = await bus.serve('org.freedesktop.systemd1', answerAsSystemd(fakeSystemd()));
    await until(30_000, 'systemd again', async () => success(await daemon.page('/metrics'), 'systemd') === 1);
    const said = daemon.log.filter(({ msg }) => JSON.stringify(msg).includes('fail')).map((line) => JSON.stringify(line));
    for (const name of ['systemd', 'logind', 'ntp', 'supervisord'])
      assert.ok(
        said.some((line) => line.includes(`"${name}"`)),
        `${name} in ${said.join('\n')}`,
      );
  } finally {
    await daemon.stop();
    silent.close();
    await bus.close();
  }
});
