import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/model/clock.ts';
import { HostLanes } from '../../src/schedule/host-lanes.ts';
import { Shards } from '../../src/schedule/shards.ts';
import { type RunningDaemon, startDaemon, until } from '../support/daemon.ts';
import { WIRES } from '../support/wires.ts';
import { ask } from './http.ts';
import { TOY_HOST, TOY_NETWORK } from './toys/definitions.ts';
import { shown, specOf } from './toys/specs.ts';

const folder = mkdtempSync(join(tmpdir(), 'exporterd-leaks-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Holdings {
  readonly descriptors: number;
  readonly threads: number;
}

/**
 * What a process holds, by /proc; `self` counts without the descriptor that the count itself opens. Files of cgroups are left out:
 * how many there are is for the machine to say, whose cgroups come and go.
 */
function holdings(pid: number | 'self'): Holdings {
  const own = pid === 'self' ? 1 : 0;
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).filter((number) => !isOfCgroup(`/proc/${pid}/fd/${number}`)).length - own,
    threads: Number(/^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]),
  };
}

function isOfCgroup(link: string): boolean {
  try {
    return readlinkSync(link).startsWith('/sys/fs/cgroup/');
  } catch {
    return false; // closed since it was listed
  }
}

/** The holdings once they equal what is expected, else those after five seconds: connections that were just closed leave a moment later. */
async function settled(pid: number | 'self', expected: Holdings): Promise<Holdings> {
  const isBack = async (): Promise<boolean> => JSON.stringify(holdings(pid)) === JSON.stringify(expected);
  await until(5000, 'holdings are back', isBack).catch(() => undefined);
  return holdings(pid);
}

/** Plain, compressed, filtered and refused requests, a connection each; ends with some that are broken off. */
async function scrape(daemon: RunningDaemon, times: number): Promise<void> {
  const paths = [
    '/metrics',
    '/metrics/node',
    '/metrics/container',
    '/metrics/exporterd',
    '/metrics/node?collect[]=stat',
    '/metrics/node?collect[]=no',
    '/',
    '/nowhere',
  ];
  for (let i = 0; i < times; i++) {
    const { status } = await ask(daemon.url + paths[i % paths.length], i % 3 === 0 ? { 'accept-encoding': 'gzip' } : {});
    assert.ok([200, 400, 404].includes(status), String(status));
  }
  for (let i = 0; i < 10; i++) {
    const controller = new AbortController();
    const broken = fetch(`${daemon.url}/metrics`, { signal: controller.signal }).then(
      (response) => response.text(),
      () => '',
    );
    controller.abort();
    await broken.catch(() => undefined);
  }
}

for (const { server, skip } of WIRES) {
  test(`200 scrapes leave descriptors and threads as they were: ${server}`, { timeout: 60_000, skip }, async () => {
    const daemon = await startDaemon(['--interval=200ms', `--web.server=${server}`]);
    try {
      const pid = daemon.process.pid as number;
      await scrape(daemon, 60);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const before = holdings(pid);
      await scrape(daemon, 200);
      assert.deepEqual(await settled(pid, before), before);
    } finally {
      await daemon.stop();
    }
  });
}

test('lanes and shards that are started and closed, or crash and are restarted, leave nothing behind', { timeout: 60_000 }, async () => {
  const crashFile = join(folder, 'crash');
  const builderBell = new SharedArrayBuffer(8);
  const quiet = { builderBell, monotonicMs: systemClock.monotonicMs, onNews: () => undefined, onTimeout: () => undefined };
  const round = async (): Promise<void> => {
    let crashes = 0;
    writeFileSync(crashFile, 'yes');
    const lanes = new HostLanes({ ...quiet, onUnplanned: () => undefined, onCrash: () => crashes++ });
    const shards = new Shards({ ...quiet, shards: 1, onCrash: () => crashes++, onStuck: () => assert.fail('stuck') });
    const local = { name: 'local', settings: undefined, address: 'local' };
    const target = { name: 'calm', settings: { name: 'calm' }, address: 'calm' };
    const calm = specOf(TOY_HOST, 0, 'calm', local, { crash_file: crashFile }, 1000);
    const crashing = specOf(TOY_HOST, 1, 'crashes', local, { crash_file: crashFile }, 1000);
    const remote = specOf(TOY_NETWORK, 2, 'only', target, {}, 1000);
    const exiting = specOf(TOY_NETWORK, 3, 'only', { ...target, name: 'exits', settings: { name: 'exits', exits: true } }, {}, 1000);
    lanes.add([calm, crashing]);
    shards.add([remote, exiting]);
    await until(10_000, 'crashes of both, and runs of the others', async () => {
      lanes.watch();
      shards.watch();
      if (crashes < 3) {
        lanes.start([0, 1]);
        shards.start([3]);
      } else {
        lanes.start([0]);
        shards.start([2]);
      }
      return crashes >= 3 && shown(calm).includes('toy_up{part="calm"} 1') && shown(remote).includes('toy_up{part="only"} 1');
    });
    await Promise.all([lanes.close(), shards.close()]);
  };
  // What is loaded for good at the first time is no leak.
  await round();
  await round();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const before = holdings('self');
  for (let i = 0; i < 4; i++) await round();
  assert.deepEqual(await settled('self', before), before);
});
