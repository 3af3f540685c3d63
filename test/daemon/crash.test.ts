import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sampleValue, until } from '../support/daemon.ts';
import { ask } from './http.ts';
import { open, planOf } from './in-process.ts';
import { systemClock } from '../../src/model/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'exporterd-crash-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('collectors that end their threads at each run: the daemon lives, the others are served, the crashing ones count as failed and come back', {
  timeout: 60_000,
}, async () => {
  const crashFile = join(folder, 'crash');
  writeFileSync(crashFile, 'yes');
  const { daemon, log } = await open();
  await daemon.apply(
    await planOf(`
interval: 200ms
roles: [nginx, kafka, node]
web: {listen_address: ["127.0.0.1:0"]}
network: {shards: 1}
toyhost: {crash_file: ${crashFile}}
toynet: {interval: 1s, targets: [{name: calm}, {name: exits, exits: true}]}
`),
  );
  await daemon.ready;
  const address = daemon.addresses[0];
  const page = async (path = '/metrics'): Promise<string> => (await ask(`http://${address}${path}`)).text;
  const up = (text: string, series: string): number => sampleValue(text, `toy_up{part="${series}}`);

  const crashed = async (pool: string, times: number): Promise<void> => {
    const series = `exporterd_pool_restarts_total{pool="${pool}",reason="crash"}`;
    await until(20_000, `${times} crashes of ${pool}`, async () => sampleValue(await page('/metrics/exporterd'), series) >= times);
  };
  await crashed('host', 3);
  await crashed('network', 2);
  const text = await page();
  assert.equal(up(text, 'crashes"'), 0);
  assert.equal(up(text, 'only",target="exits"'), 0);
  assert.equal(sampleValue(text, 'node_scrape_collector_success{collector="loadavg"}'), 1);

  // While the crashing ones wait for their next try, the others go on at their own pace.
  const before = sampleValue(text, 'toy_runs{part="calm"}');
  await until(10_000, 'the calm part of the host goes on', async () => sampleValue(await page(), 'toy_runs{part="calm"}') >= before + 3);
  await until(10_000, 'the calm target of the same shard is up', async () => up(await page(), 'only",target="calm"') === 1);

  writeFileSync(crashFile, '');
  await until(10_000, 'it comes back when it behaves', async () => up(await page(), 'crashes"') === 1);
  assert.ok(log.some((line) => line.includes('a collecting thread was replaced')));
});

test('parts that throw when they report or are printed, or do not load, fail alone: counted at each run, logged once', { timeout: 60_000 }, async () => {
  const { daemon, log } = await open();
  const wanted = await planOf(`
interval: 200ms
roles: [nginx, kafka, node]
web: {listen_address: ["127.0.0.1:0"]}
toyhost: {collectors: {misreports: true, misprints: true}}
toynet: {collectors: {misreports: true}, targets: [{name: one}]}
`);
  const worker = new URL('./toys/nowhere.js', import.meta.url).href;
  await daemon.apply({ ...wanted, jobs: wanted.jobs.map((job) => (job.key === 'toyhost/crashes/local' ? { ...job, worker } : job)) });
  await daemon.ready;
  const page = async (path: string): Promise<string> => (await ask(`http://${daemon.addresses[0]}${path}`)).text;
  const bad = [
    ['misreports', 'nginx', 'local'],
    ['misprints', 'nginx', 'local'],
    ['crashes', 'nginx', 'local'],
    ['misreports', 'kafka', 'one'],
  ];
  const failures = (text: string): number[] =>
    bad.map(([part, role, target]) =>
      sampleValue(text, `exporterd_collector_failures_total{code="bug",collector="${part}",role="${role}",target="${target}"}`),
    );
  await until(20_000, 'each has failed three times', async () => failures(await page('/metrics/exporterd')).every((count) => count >= 3));
  const text = await page('/metrics');
  for (const part of ['misreports', 'misprints', 'crashes']) assert.equal(sampleValue(text, `toy_up{part="${part}"}`), 0, part);
  for (const part of ['calm', 'only']) assert.ok(sampleValue(text, `toy_runs{part="${part}"}`) >= 3, part);
  assert.equal(sampleValue(text, 'node_scrape_collector_success{collector="loadavg"}'), 1);
  assert.doesNotMatch(text, /exporterd_pool_restarts_total/);
  const said = log.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['msg'] === 'collector failed');
  for (const [part, role] of bad) assert.equal(said.filter((line) => line['collector'] === part && line['role'] === role).length, 1, `${role} ${part}`);
  assert.equal(said.length, bad.length);
});

test('what a session says is said of the part that was running, also when another part has opened it', { timeout: 60_000 }, async () => {
  const { daemon, log } = await open();
  await daemon.apply(
    await planOf(`
interval: 200ms
roles: [nginx, kafka]
web: {listen_address: ["127.0.0.1:0"]}
toyhost: {collectors: {warns: true}}
toynet: {collectors: {warns: true}, targets: [{name: one}]}
`),
  );
  const said = (role: string): Record<string, unknown> | undefined =>
    log.map((line) => JSON.parse(line) as Record<string, unknown>).find((line) => line['msg'] === 'something is odd' && line['role'] === role);
  for (const [role, target] of [
    ['nginx', 'local'],
    ['kafka', 'one'],
  ] as const) {
    const line = await until(20_000, `${role} has said it`, async () => said(role));
    assert.deepEqual([line['collector'], line['target']], ['warns', target]);
  }
});

test('without its builder the daemon does not go on: pages would only grow old', { timeout: 60_000 }, async () => {
  let lost = 0;
  const { daemon, log } = await open(systemClock, false, () => lost++);
  const wanted = await planOf('{roles: [node], web: {listen_address: ["127.0.0.1:0"]}}');
  // What no configuration can say: a view that the builder cannot make.
  const broken = { path: '/broken', filter: { roles: ['node' as const], families: 5 as unknown as string[] } };
  await daemon.apply({ ...wanted, listeners: wanted.listeners.map((listener) => ({ ...listener, routes: [...listener.routes, broken] })) });
  await daemon.ready;
  const asked = ask(`http://${daemon.addresses[0]}/broken`).catch(() => undefined);
  await until(20_000, 'it is told', async () => lost > 0);
  assert.equal(lost, 1);
  assert.ok(log.some((line) => line.includes('the view builder ended')));
  await daemon.close(100);
  await asked;
});
