import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { backendOf, skipUnless } from '../support/backends/availability.ts';
import { type PostgresBackend, startPostgres } from '../support/backends/postgres.ts';
import { type RunningDaemon, sampleValue, startDaemon, until } from '../support/daemon.ts';
import { labelNames, readFamilies, seriesOf } from './exposition.ts';

const state = await startPostgres();
const skip = skipUnless(state) || ('backend' in state && state.backend.server === undefined ? 'the server of TEST_POSTGRES_URI is not ours to freeze' : false);

// Not with the suite: its `after` is not called when its `before` has failed.
after(async () => {
  if ('backend' in state) await state.backend.stop();
});

const INTERVAL_MS = 1000;
const DEADLINE_MS = 500;
/** What a test machine with busy cores may add. */
const SLACK_MS = 1500;

describe('two databases of one server as two targets', { skip, timeout: 120_000 }, () => {
  let server: PostgresBackend;
  let daemon: RunningDaemon;
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-targets-'));

  before(async () => {
    server = backendOf(state);
    await server.query(`CREATE ROLE watcher LOGIN PASSWORD 'watch-me' IN ROLE pg_monitor`);
    await server.query('CREATE DATABASE second');
    writeFileSync(join(folder, 'secret'), 'watch-me\n');
    const file = join(folder, 'exporterd.yaml');
    writeFileSync(
      file,
      `interval: ${INTERVAL_MS}ms
roles: [node, postgres]
postgres:
  deadline: ${DEADLINE_MS}ms
  targets:
    - {name: first, dsn: '${server.dsn}'}
    - {name: second.db, host: ${server.host}, port: ${server.port}, user: watcher, password_file: secret, database: second, sslmode: disable}
`,
    );
    daemon = await startDaemon([`--config=${file}`]);
    await until(15_000, 'both targets are up', async () => {
      const page = await daemon.page('/metrics');
      // `up` is shown first of a round, the other parts follow one by one.
      return ['first', 'second.db'].every(
        (target) => up(page, target) === 1 && page.includes(`pg_scrape_collector_success{collector="stat_database",target="${target}"} 1`),
      );
    });
  });
  after(async () => {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const up = (page: string, target: string): number => sampleValue(page, `pg_up{target="${target}"}`);

  test('merged pages tell targets apart by a label in wire order, and each family stands once', async () => {
    for (const path of ['/metrics', '/metrics/postgres']) {
      const families = readFamilies(await daemon.page(path)).filter(({ name }) => name.startsWith('pg_'));
      assert.ok(families.length > 100, path);
      for (const { name, lines } of families) {
        const targets = new Set<string>();
        for (const line of lines) {
          const names = labelNames(line);
          assert.deepEqual(names, names.toSorted(), line);
          targets.add(/[{,]target="([^"]*)"/.exec(line)?.[1] ?? '');
        }
        assert.deepEqual([...targets], ['first', 'second.db'], `${path} ${name}`);
      }
    }
    // A role with one target carries no such label.
    for (const { lines } of readFamilies(await daemon.page('/metrics/node'))) for (const line of lines) assert.doesNotMatch(line, /target="(local|first)/);
  });

  for (const target of ['first', 'second.db']) {
    test(`the page of ${target} has exactly the peer's labels`, async () => {
      // Sessions come and go between two scrapes, and with them what is shown of activity and locks.
      await until(20_000, "the target's page is its part of the merged one", async () => {
        const [single, merged] = await Promise.all([daemon.page(`/metrics/postgres/${target}`), daemon.page('/metrics/postgres')]);
        const lines = readFamilies(single).flatMap((family) => family.lines.map(seriesOf));
        assert.ok(lines.every((line) => !labelNames(`${line} 0`).includes('target')));
        const label = `target="${target}"`;
        const part = readFamilies(merged)
          .flatMap((family) => family.lines.map(seriesOf))
          .filter((line) => line.includes(label))
          .map((line) => line.replace(`{${label}}`, '').replace(`,${label}`, '').replace(`${label},`, ''));
        return JSON.stringify(lines) === JSON.stringify(part);
      });
    });
  }

  test('one target goes down and comes back; the other is not affected', async () => {
    const runs = async (): Promise<number> =>
      sampleValue(await daemon.page('/metrics/exporterd'), 'exporterd_collector_runs_total{collector="up",result="failed",role="postgres",target="first"}');
    const failed = await runs();
    await server.query('ALTER DATABASE second ALLOW_CONNECTIONS false');
    await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'second'`);
    const page = await until(INTERVAL_MS + DEADLINE_MS + SLACK_MS, 'the second is down', async () => {
      const text = await daemon.page('/metrics');
      assert.equal(up(text, 'first'), 1);
      return up(text, 'second.db') === 0 && text;
    });
    // Nothing old is left of it.
    assert.deepEqual(page.match(/^pg_settings_\S*target="second\.db"/gm), null);
    assert.ok((page.match(/^pg_settings_\S*target="first"/gm)?.length ?? 0) > 100);
    assert.equal(sampleValue(await daemon.page('/metrics/postgres/second.db'), 'pg_up'), 0);

    await server.query('ALTER DATABASE second ALLOW_CONNECTIONS true');
    await until(2 * INTERVAL_MS + SLACK_MS, 'the second is back', async () => up(await daemon.page('/metrics'), 'second.db') === 1);
    assert.equal(await runs(), failed, 'no run of the first failed');
    const words = daemon.log.filter((line) => line['role'] === 'postgres').map((line) => `${line['msg']} ${line['target']}`);
    assert.ok(words.includes('collector failed second.db') && words.includes('collector recovered second.db'), words.join('; '));
  });

  test('the whole server freezes: both are down in time, the node goes on, and both come back', async () => {
    const server1 = server.server;
    assert.ok(server1 !== undefined);
    for (let round = 0; round < 2; round++) {
      const forks: { atMs: number; value: number }[] = [];
      const look = async (): Promise<string> => {
        const text = await daemon.page('/metrics');
        const value = sampleValue(text, 'node_context_switches_total');
        if (value !== forks.at(-1)?.value) forks.push({ atMs: performance.now(), value });
        return text;
      };
      await look();
      server1.freeze();
      try {
        const page = await until(INTERVAL_MS + DEADLINE_MS + SLACK_MS, 'both are down', async () => {
          const text = await look();
          return up(text, 'first') === 0 && up(text, 'second.db') === 0 && text;
        });
        assert.deepEqual(page.match(/^pg_settings_/gm), null);
        const end = performance.now() + 3 * INTERVAL_MS;
        while (performance.now() < end) {
          const text = await look();
          assert.equal(up(text, 'first') + up(text, 'second.db'), 0);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        const gaps = forks.slice(1).map(({ atMs }, i) => atMs - (forks[i]?.atMs ?? 0));
        assert.ok(gaps.length >= 3, `${gaps.length} changes of the node's counter`);
        for (const gap of gaps) assert.ok(gap < INTERVAL_MS + SLACK_MS, `the node's counter stood still for ${gap} ms`);
      } finally {
        server1.thaw();
      }
      await until(2 * INTERVAL_MS + SLACK_MS, 'both are back', async () => {
        const text = await daemon.page('/metrics');
        return up(text, 'first') === 1 && up(text, 'second.db') === 1;
      });
    }
    assert.equal(await server.connections('exporterd'), 2, 'one connection per target, none left behind');
  });
});
