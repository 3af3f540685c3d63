import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import * as own from '../../src/self/families.ts';
import { compareBytes } from '../../src/model/escape.ts';
import { type RunningDaemon, startDaemon, until, sampleValue } from '../support/daemon.ts';
import { WIRES } from '../support/wires.ts';
import { readFamilies, seriesOf } from './exposition.ts';
import { ask } from './http.ts';
import { block, procTree } from './proc-tree.ts';

/** One collection and no second: everything but the time stands still. */
const STILL = ['--interval=1h', '--no-phase-lock'];

async function ready(daemon: RunningDaemon): Promise<RunningDaemon> {
  await until(10_000, 'the daemon is ready', async () => (await ask(`${daemon.url}/-/ready`)).status === 200);
  return daemon;
}

describe('pages of a daemon on a tree that stands still', { timeout: 60_000 }, () => {
  let daemon: RunningDaemon;
  before(async () => {
    daemon = await ready(await startDaemon([...STILL, '--no-node.collectors.vmstat', `--path.procfs=${procTree()}`]));
  });
  after(async () => {
    await daemon?.stop();
  });
  const get = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') => ask(daemon.url + path, headers, method);

  test('content types follow Accept, and Vary says so', async () => {
    const openMetrics = 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const expected: [accept: string | undefined, escaping: string][] = [
      [undefined, 'underscores'],
      ['*/*', 'underscores'],
      ['text/plain', 'underscores'],
      [openMetrics, 'underscores'],
      ['text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', 'allow-utf-8'],
      ['application/json', 'underscores'],
    ];
    for (const path of ['/metrics', '/metrics/node', '/metrics/exporterd']) {
      for (const [accept, escaping] of expected) {
        const { status, headers } = await get(path, accept === undefined ? {} : { accept });
        assert.equal(status, 200);
        assert.equal(headers['content-type'], `text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`, `${path} ${accept}`);
        assert.equal(headers.vary, 'Accept, Accept-Encoding');
      }
    }
  });

  test('gzip is the identity page, but for the time', async () => {
    for (const path of ['/metrics', '/metrics/node', '/metrics/container', '/metrics/node?collect[]=loadavg']) {
      const gzip = await get(path, { 'accept-encoding': 'gzip' });
      assert.equal(gzip.headers['content-encoding'], 'gzip', path);
      assert.equal(gzip.headers['content-length'], String(gzip.body.length));
      const identity = await get(path);
      assert.equal(identity.headers['content-encoding'], undefined);
      const still = (text: string): string => text.replace(/^(node_time_seconds|exporterd_\S+|process_\S+) .*$/gm, '$1');
      // The page about the daemon is written anew with each build, so only the families stand still there.
      const lines = (text: string): string[] =>
        still(text)
          .split('\n')
          .filter((line) => !line.startsWith('exporterd_'));
      assert.deepEqual(lines(gunzipSync(gzip.body).toString()), lines(identity.text));
    }
    for (const refusal of ['identity', 'gzip;q=0', 'br'])
      assert.equal((await get('/metrics/node', { 'accept-encoding': refusal })).headers['content-encoding'], undefined, refusal);
  });

  test('HEAD answers as GET without a body', async () => {
    for (const path of ['/metrics', '/metrics/node', '/', '/-/healthy', '/nowhere']) {
      const head = await get(path, {}, 'HEAD');
      const page = await get(path);
      assert.equal(head.status, page.status, path);
      assert.equal(head.body.length, 0);
      assert.equal(head.headers['content-type'], page.headers['content-type']);
      if (path !== '/metrics') assert.equal(head.headers['content-length'], String(page.body.length), path);
    }
  });

  test('404 for what is not there, 405 with Allow for what is', async () => {
    for (const path of ['/nowhere', '/metrics/', '/metrics/postgres', '/metrics/node/other', '/Metrics']) {
      assert.equal((await get(path)).status, 404, path);
      assert.equal((await get(path, {}, 'POST')).status, 404, path);
    }
    for (const path of ['/metrics', '/metrics/node', '/', '/-/ready', '/healthz']) {
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
        const answer = await get(path, {}, method);
        assert.equal(answer.status, 405, `${method} ${path}`);
        assert.equal(answer.headers.allow, 'GET, HEAD');
      }
    }
  });

  test('the landing page links every page, and every link works', async () => {
    const { status, headers, text } = await get('/');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    const links = [...text.matchAll(/<a href="([^"]+)">/g)].map((match) => match[1] ?? '');
    const pages = [
      '/metrics',
      '/metrics/node',
      '/metrics/node/local',
      '/metrics/container',
      '/metrics/container/local',
      '/metrics/exporterd',
      '/metrics/cadvisor',
      '/metrics/resource',
    ];
    assert.deepEqual(links.toSorted(), [...pages, '/-/healthy', '/-/ready'].sort());
    for (const link of links) assert.equal((await get(link)).status, 200, link);
  });

  test('health pages', async () => {
    for (const path of ['/-/healthy', '/-/ready', '/healthz', '/livez', '/readyz', '/health']) {
      const { status, text } = await get(path);
      assert.equal(status, 200, path);
      assert.match(text, /^(ok|ready)\n$/);
    }
  });

  test('a merged page has every family once, with HELP and TYPE, in byte order of names', async () => {
    for (const path of ['/metrics', '/metrics/node', '/metrics/container', '/metrics/exporterd']) {
      const names = readFamilies((await get(path)).text).map(({ name }) => name);
      assert.ok(names.length >= 5, path);
      assert.deepEqual(names, names.toSorted(compareBytes), path);
    }
    const all = readFamilies((await get('/metrics')).text);
    assert.equal(all.filter(({ name }) => name === 'node_scrape_collector_success').length, 1);
    for (const prefix of ['node_', 'container_', 'machine_', 'process_', 'exporterd_'])
      assert.ok(
        all.some(({ name }) => name.startsWith(prefix)),
        prefix,
      );
  });

  test("a page of one role is that role's part of the merged page", async () => {
    const merged = new Set(readFamilies((await get('/metrics')).text).flatMap(({ lines }) => lines.map(seriesOf)));
    const node = readFamilies((await get('/metrics/node')).text).flatMap(({ lines }) => lines.map(seriesOf));
    assert.deepEqual(
      node.filter((series) => !merged.has(series)),
      [],
    );
    assert.deepEqual(
      [...merged].filter((series) => series.startsWith('node_')),
      node,
    );
  });

  test("collect[], exclude[] and name[] on a role's page take the peer's names", async () => {
    const collectors = async (query: string): Promise<string[]> => {
      const { status, text } = await get(`/metrics/node?${query}`);
      assert.equal(status, 200, text);
      return [...text.matchAll(/^node_scrape_collector_success\{collector="(\w+)"\}/gm)].map((match) => match[1] ?? '');
    };
    const every = await collectors('');
    assert.deepEqual(await collectors('collect[]=loadavg&collect[]=stat'), ['loadavg', 'stat']);
    assert.deepEqual(await collectors('collect%5B%5D=meminfo'), ['meminfo']);
    assert.deepEqual(
      await collectors('exclude[]=meminfo&exclude[]=no-such'),
      every.filter((name) => name !== 'meminfo'),
    );
    // node_exporter 1.12.1 as well: nothing left to collect, and pairs that Go's URL.Query drops, mean the whole page.
    const pairs = (key: string): string => every.map((name) => `${key}[]=${name}`).join('&');
    for (const query of ['other=1', pairs('exclude'), pairs('collect'), 'exclude[]=', 'collect[]=%', 'collect[]=no;such'])
      assert.deepEqual(await collectors(query), every, query);
    const loadavg = readFamilies((await get('/metrics/node?collect[]=loadavg')).text).map(({ name }) => name);
    assert.deepEqual(loadavg, ['node_load1', 'node_load15', 'node_load5', 'node_scrape_collector_duration_seconds', 'node_scrape_collector_success']);
    const named = readFamilies((await get('/metrics/node?name[]=node_load1&name[]=node_boot_time_seconds')).text).map(({ name }) => name);
    assert.deepEqual(named, ['node_boot_time_seconds', 'node_load1']);
    // Two names, and one that looks like both, are different pages, whichever is asked for first.
    assert.equal((await get('/metrics/node?name[]=node_load1,node_load5')).text, '');
    const both = readFamilies((await get('/metrics/node?name[]=node_load1&name[]=node_load5')).text).map(({ name }) => name);
    assert.deepEqual(both, ['node_load1', 'node_load5']);
  });

  test('on /metrics collectors are named role.collector', async () => {
    const { status, text } = await get('/metrics?collect[]=node.loadavg&collect[]=container.machine');
    assert.equal(status, 200, text);
    const names = readFamilies(text).map(({ name }) => name);
    assert.ok(names.includes('node_load1') && names.includes('machine_memory_bytes'));
    assert.ok(
      names.every((name) => /^(node_load|node_scrape_|machine_)/.test(name)),
      names.join(),
    );
    const without = readFamilies((await get('/metrics?exclude[]=node.loadavg')).text).map(({ name }) => name);
    assert.ok(without.includes('node_boot_time_seconds') && !without.includes('node_load1'));
  });

  test('wrong filters are answered as node_exporter answers them', async () => {
    const wrong: [path: string, text: string][] = [
      ['/metrics/node?collect[]=no-such', "Couldn't create filtered metrics handler: couldn't create collector: missing collector: no-such"],
      ['/metrics/node?collect[]=', "Couldn't create filtered metrics handler: couldn't create collector: missing collector: "],
      ['/metrics/node?collect[]=vmstat', "Couldn't create filtered metrics handler: couldn't create collector: disabled collector: vmstat"],
      ['/metrics?collect[]=node.vmstat', "Couldn't create filtered metrics handler: couldn't create collector: disabled collector: node.vmstat"],
      ['/metrics/node?collect[]=stat&exclude[]=loadavg', 'Combined collect and exclude queries are not allowed.'],
      ['/metrics?collect[]=loadavg', "Couldn't create filtered metrics handler: couldn't create collector: missing collector: loadavg"],
      ['/metrics/node?collect[]=%E0%A4', "Couldn't create filtered metrics handler: couldn't create collector: missing collector: \ufffd"],
    ];
    for (const [path, text] of wrong) {
      const answer = await get(path);
      assert.equal(answer.status, 400, path);
      assert.equal(answer.text, `${text}\n`);
      assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
    }
    // A page that nobody has asked for yet, so that it is built now.
    const self = (await get('/metrics/exporterd?name[]=exporterd_scrapes_total')).text;
    assert.equal(sampleValue(self, 'exporterd_scrapes_total{status="400",view="/metrics/node"}'), 5);
  });

  test('node_time_seconds is the time of the answer, plain and compressed', async () => {
    for (let round = 0; round < 20; round++) {
      for (const headers of [{}, { 'accept-encoding': 'gzip' }]) {
        const asked = Date.now();
        const { body } = await get('/metrics/node', headers);
        const answered = Date.now();
        const text = 'accept-encoding' in headers ? gunzipSync(body).toString() : body.toString();
        const shown = sampleValue(text, 'node_time_seconds') * 1000;
        // The number has whole milliseconds.
        assert.ok(shown >= asked - 1.5 && shown <= answered + 1, `asked at ${asked}, shown ${shown}, answered at ${answered}`);
        if (answered - asked <= 10) assert.ok(Math.abs(shown - answered) <= 11.5);
      }
    }
  });

  test('/metrics/exporterd has every own family that applies, and process_* stands nowhere else', async () => {
    await get('/metrics', { 'accept-encoding': 'gzip' });
    // What counts only when something has gone wrong, which here it has not.
    const unhappy = new Set<string>([own.failures.name, own.skips.name, own.restarts.name]);
    const families = readFamilies((await get('/metrics/exporterd')).text);
    const types = new Map(families.map(({ name, type }) => [name, type]));
    for (const { name, type } of own.SELF_FAMILIES) if (!unhappy.has(name) || types.has(name)) assert.equal(types.get(name), type, name);
    for (const { name } of families) assert.match(name, /^(exporterd|process)_/);
    assert.ok(types.has('process_cpu_seconds_total') && types.has('process_resident_memory_bytes'));
    for (const path of ['/metrics/node', '/metrics/container', '/metrics/node/local'])
      assert.doesNotMatch((await get(path)).text, /^(process|exporterd)_/m, path);
    const info = families.find(({ name }) => name === own.buildInfo.name)?.lines[0] ?? '';
    assert.match(info, new RegExp(`^exporterd_build_info\\{arch="${process.arch}",node="${process.version}",version="[0-9.]+"\\} 1$`));
  });
});

test('filtered pages are bounded: one too many is refused while the others are in use', { timeout: 60_000 }, async () => {
  const daemon = await ready(await startDaemon([...STILL, '--role=node']));
  try {
    const parts = [...(await daemon.page('/metrics/node')).matchAll(/^node_scrape_collector_success\{collector="(\w+)"\}/gm)].map((match) => match[1] ?? '');
    const queries = parts.flatMap((a, i) => parts.slice(i + 1).map((b) => `collect[]=${a}&collect[]=${b}`)).slice(0, 33);
    assert.equal(queries.length, 33);
    const started = performance.now();
    const answers = await Promise.all(queries.map((query) => ask(`${daemon.url}/metrics/node?${query}`)));
    const refused = answers.filter(({ status }) => status === 503);
    if (performance.now() - started < 1000) {
      assert.equal(refused.length, 1);
      assert.equal(refused[0]?.text, 'Too many filtered pages are in use.\n');
    }
    assert.equal(answers.filter(({ status }) => status === 200).length, 33 - refused.length);
    const filtered = async (): Promise<number> => (await daemon.page('/metrics/exporterd')).match(/^exporterd_view_builds_total\{view="[^"]*\?/gm)?.length ?? 0;
    assert.equal(await filtered(), 32);
    // One that nobody has asked for in the last second makes room.
    await until(5000, 'the 33rd has its turn', async () => (await ask(`${daemon.url}/metrics/node?${queries[32]}`)).status === 200);
    assert.equal(await filtered(), 32);
  } finally {
    await daemon.stop();
  }
});

test('whoever makes up new filters adds a bounded number of series about the daemon', { timeout: 60_000 }, async () => {
  const daemon = await ready(await startDaemon([...STILL, '--role=node', '--views.filtered-max=400']));
  try {
    const query = (i: number): string => (i === 0 ? `x${'a'.repeat(5000)}` : `x${i}`);
    for (let i = 0; i < 320; i++) assert.equal((await ask(`${daemon.url}/metrics/node?name[]=${query(i)}`)).status, 200);
    const page = await daemon.page('/metrics/exporterd');
    for (const family of [own.scrapes, own.scrapePhase, own.trains, own.viewBuilds]) {
      const views = new Set([...page.matchAll(new RegExp(`^${family.name}\\{.*view="([^"]*)"`, 'gm'))].map((match) => match[1] ?? ''));
      assert.ok(views.size > 200 && views.size <= 257, `${family.name}: ${views.size}`);
      for (const view of views) assert.ok(view.length < 4200);
    }
    const counts = [...page.matchAll(/^exporterd_scrapes_total\{status="200",view="(.*?)"\} (\d+)$/gm)].filter((match) => match[1] !== '/metrics/exporterd');
    assert.equal(
      counts.reduce((sum, match) => sum + Number(match[2]), 0),
      320,
      'each is counted somewhere',
    );
  } finally {
    await daemon.stop();
  }
});

test('before it is ready 16 requests wait for the first build of a page, further ones are refused', { timeout: 30_000 }, async () => {
  const root = procTree();
  block(root, 'loadavg');
  const daemon = await startDaemon([...STILL, '--role=node', `--path.procfs=${root}`]);
  try {
    assert.equal((await ask(`${daemon.url}/-/ready`)).status, 503, 'not ready while loadavg hangs within its deadline');
    assert.equal((await ask(`${daemon.url}/-/healthy`)).status, 200);
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(`${daemon.url}/metrics/node`)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 16);
    assert.equal(answers.filter(({ status }) => status === 503).length, 14);
    for (const { status, text } of answers) {
      if (status === 200) assert.equal(sampleValue(text, 'node_scrape_collector_success{collector="loadavg"}'), 0);
      else assert.equal(text, 'Too many requests wait for this page to be built.\n');
    }
    assert.equal((await ask(`${daemon.url}/-/ready`)).status, 200);
  } finally {
    await daemon.stop();
  }
});

for (const { server, skip } of WIRES)
  test(`web.max_requests bounds the pages under way: ${server}`, { timeout: 30_000, skip }, async () => {
    const root = procTree();
    block(root, 'loadavg');
    const daemon = await startDaemon([...STILL, '--role=node', `--path.procfs=${root}`, '--web.max-requests=3', `--web.server=${server}`]);
    try {
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask(`${daemon.url}/metrics/node`)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 3);
      assert.equal(answers.find(({ status }) => status === 503)?.text, 'Limit of concurrent requests reached (3), try again later.\n');
    } finally {
      await daemon.stop();
    }
  });

test('every listener has the page about the daemon', { timeout: 30_000 }, async () => {
  const daemon = await startDaemon(['--role=node', '--web.listen-address=127.0.0.1:0']);
  try {
    const listening = (): string[] => daemon.log.filter((line) => line['msg'] === 'listening').map((line) => String(line['address']));
    await until(5000, 'both listen', async () => listening().length === 2);
    const addresses = listening();
    assert.notEqual(addresses[0], addresses[1]);
    for (const address of addresses) assert.match((await ask(`http://${address}/metrics/exporterd`)).text, /^exporterd_build_info/m);
  } finally {
    await daemon.stop();
  }
});
