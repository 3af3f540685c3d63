import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type RunningDaemon, startDaemon, until, sampleValue } from '../support/daemon.ts';
import { skipWithout } from '../support/programs.ts';
import { type RunningPrometheus, startPrometheus } from '../support/prometheus.ts';
import { readFamilies, sampleCount } from './exposition.ts';

const PATHS = { all: '/metrics', node: '/metrics/node', container: '/metrics/container', exporterd: '/metrics/exporterd' };

describe('a real Prometheus scrapes a running daemon', { skip: skipWithout('prometheus'), timeout: 90_000 }, () => {
  let daemon: RunningDaemon;
  let prometheus: RunningPrometheus;
  before(async () => {
    daemon = await startDaemon([]);
    prometheus = await startPrometheus(Object.fromEntries(Object.entries(PATHS).map(([job, path]) => [job, daemon.url + path])));
  });
  after(async () => {
    await prometheus?.stop();
    await daemon?.stop();
  });

  test('every path is up, again and again, and no scrape fails', async () => {
    await until(30_000, 'three scrapes of every path', async () => {
      const counts = await prometheus.query('min(count_over_time(up[1m]))');
      return Number(counts[0]?.value[1]) >= 3;
    });
    const targets = await prometheus.targets();
    assert.deepEqual(
      targets.map(({ labels, health, lastError }) => [labels['job'], health, lastError]).sort(),
      Object.keys(PATHS)
        .sort()
        .map((job) => [job, 'up', '']),
    );
    const worst = await prometheus.query('min by (job) (min_over_time(up[1m]))');
    assert.deepEqual(
      worst.map(({ metric, value }) => [metric['job'], value[1]]).sort(),
      Object.keys(PATHS)
        .sort()
        .map((job) => [job, '1']),
    );
    assert.doesNotMatch(prometheus.log(), /level=(?:warn|error).*component="?scrape/);
  });

  for (const [job, path] of Object.entries(PATHS)) {
    test(`${path}: every family is known to Prometheus by its type and help, and every sample arrived`, async () => {
      await until(15_000, `as many samples as the page has: ${path}`, async () => {
        const page = await daemon.page(path);
        const [scraped] = await prometheus.query(`scrape_samples_scraped{job="${job}"}`);
        return Number(scraped?.value[1]) === sampleCount(page);
      });
      const families = readFamilies(await daemon.page(path));
      const metadata = new Map((await prometheus.metadata(job)).map((one) => [one.metric, one]));
      for (const { name, type, help } of families) {
        const known = metadata.get(name);
        assert.deepEqual([known?.type, known?.help], [type === 'untyped' ? 'unknown' : type, unescapeHelp(help)], name);
      }
    });
  }

  test('samples can be queried', async () => {
    for (const expression of [
      'node_memory_MemTotal_bytes{job="node"} > 0',
      'machine_memory_bytes{job="container"} > 0',
      'exporterd_build_info{job="exporterd"} == 1',
    ]) {
      assert.equal((await prometheus.query(expression)).length, 1, expression);
    }
    assert.equal((await prometheus.query('count({job="all",__name__=~"node_load1|machine_memory_bytes|process_open_fds"})'))[0]?.value[1], '3');
  });

  test('it was sent gzip', async () => {
    const self = await daemon.page('/metrics/exporterd');
    for (const path of Object.values(PATHS)) {
      const gzip = sampleValue(self, `exporterd_view_bytes{encoding="gzip",view="${path}"}`);
      const identity = sampleValue(self, `exporterd_view_bytes{encoding="identity",view="${path}"}`);
      assert.ok(gzip > 0 && gzip < identity, `${path}: ${gzip} of ${identity} bytes`);
    }
  });
});

test('promtool has nothing to say about our own families', { skip: skipWithout('promtool'), timeout: 30_000 }, async () => {
  const daemon = await startDaemon([]);
  try {
    // Scrapes of both forms, so that the families about scrapes and pages are there too.
    for (const headers of [{}, { 'accept-encoding': 'gzip' }]) await daemon.page('/metrics', headers);
    const page = await daemon.page('/metrics/exporterd');
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' });
    assert.equal(stdout + stderr, '');
    assert.equal(status, 0);
  } finally {
    await daemon.stop();
  }
});

/** Prometheus shows HELP as it was meant, the page has it escaped. */
function unescapeHelp(text: string): string {
  return text.replace(/\\(\\|n)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : '\\'));
}
