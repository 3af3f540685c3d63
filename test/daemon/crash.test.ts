import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sampleValue, until } from '../support/daemon.ts';
import { ask } from './http.ts';
import { open, planOf } from './in-process.ts';

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
