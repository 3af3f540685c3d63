import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunningDaemon, sampleValue, startDaemon, until } from '../support/daemon.ts';
import { ask } from './http.ts';
import { block, procTree } from './proc-tree.ts';

const scrapes = (page: string): number => sampleValue(page, 'exporterd_scrapes_total{status="200",view="/metrics/node"}');

test('/metrics/exporterd has the numbers of now though nothing was collected since, for any number of readers', { timeout: 60_000 }, async () => {
  const daemon: RunningDaemon = await startDaemon(['--role=node', '--interval=1h', '--no-phase-lock']);
  try {
    await daemon.page('/metrics/node');
    const before = scrapes(await daemon.page('/metrics/exporterd'));
    assert.equal(before, 1);
    for (let i = 0; i < 3; i++) await daemon.page('/metrics/node');
    await until(5000, 'it has counted', async () => scrapes(await daemon.page('/metrics/exporterd')) === before + 3);
    const builds = (page: string): number => sampleValue(page, 'exporterd_view_builds_total{view="/metrics/node"}');
    const page = await daemon.page('/metrics/exporterd');
    assert.equal(builds(page), 1, 'and only that page was built anew');

    const old = sampleValue(page, 'exporterd_view_builds_total{view="/metrics/exporterd"}');
    await until(5000, 'a burst finds an old page', async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => ask(`${daemon.url}/metrics/exporterd`)));
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      return answers.some(({ text }) => sampleValue(text, 'exporterd_view_builds_total{view="/metrics/exporterd"}') > old);
    });
  } finally {
    await daemon.stop();
  }
});

test('/metrics tells how it stands when every collector hangs', { timeout: 60_000 }, async () => {
  const root = procTree();
  block(root, 'loadavg');
  const node = ['--role=node', '--role=exporterd', '--node.disable-defaults', '--node.collectors.loadavg', '--node.deadline=200ms'];
  const daemon = await startDaemon([...node, `--path.procfs=${root}`, '--interval=400ms', '--exporterd.interval=1h', '--no-phase-lock']);
  try {
    const skips = async (): Promise<number> =>
      sampleValue(await daemon.page('/metrics'), 'exporterd_collector_skips_total{collector="loadavg",role="node",target="local"}');
    const before = await until(10_000, 'it is skipped', async () => (await skips()) >= 1 && skips());
    await until(10_000, 'and again', async () => (await skips()) > before + 1);
  } finally {
    await daemon.stop();
  }
});

test('a scraper that stays away is counted no longer as one whose rhythm is known', { timeout: 90_000 }, async () => {
  const daemon = await startDaemon(['--role=node', '--interval=1s']);
  try {
    const trains = async (): Promise<number> => sampleValue(await daemon.page('/metrics/exporterd'), 'exporterd_scrape_trains{view="/metrics/node"}');
    // Once a second by the clock, whatever an answer takes.
    const visits = setInterval(() => void daemon.page('/metrics/node').catch(() => undefined), 1000);
    try {
      await until(40_000, 'its rhythm is known', async () => (await trains()) === 1);
    } finally {
      clearInterval(visits);
    }
    await until(15_000, 'it is missed', async () => (await trains()) === 0);
  } finally {
    await daemon.stop();
  }
});
