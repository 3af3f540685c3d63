import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { backendOf, skipUnless } from '../../../test/support/backends/availability.ts';
import { startPeer } from '../../../test/support/backends/peer.ts';
import { type PostgresBackend, startPostgres } from '../../../test/support/backends/postgres.ts';
import { freePort, until } from '../../../test/support/backends/processes.ts';
import { openRounds, type PageFamily, pageDifferences, type Rounds, readPage, shapeOf } from '../../../test/support/backends/rounds.ts';
import { CollectError } from '../../collect/contract.ts';
import * as worker from './collect.ts';
import definition from './collector.ts';

/** What other versions print differently. */
function familiesOf(versionNumber: number): string {
  let lines = FAMILIES.trim().split('\n');
  if (versionNumber < 140000) lines = lines.filter((line) => !line.includes('active_time'));
  if (versionNumber >= 160000) lines.push('pg_stat_database_conflicts_confl_active_logicalslot untyped datid,datname,server');
  if (versionNumber >= 170000) lines = lines.filter((line) => !line.includes('bgwriter_buffers_backend'));
  return lines.join('\n');
}

/** Families of PostgreSQL 15 except pg_settings_*: as postgres_exporter 0.20.1 prints them, of the parts we have. */
const FAMILIES = `
pg_database_connection_limit gauge datname
pg_database_size_bytes gauge datname
pg_exporter_last_scrape_duration_seconds gauge
pg_exporter_last_scrape_error gauge
pg_exporter_scrapes_total counter
pg_locks_count gauge datname,mode
pg_scrape_collector_duration_seconds gauge collector
pg_scrape_collector_success gauge collector
pg_stat_activity_count gauge application_name,backend_type,datname,state,usename,wait_event,wait_event_type
pg_stat_activity_max_tx_duration gauge application_name,backend_type,datname,state,usename,wait_event,wait_event_type
pg_stat_bgwriter_buffers_alloc_total counter
pg_stat_bgwriter_buffers_backend_fsync_total counter
pg_stat_bgwriter_buffers_backend_total counter
pg_stat_bgwriter_buffers_checkpoint_total counter
pg_stat_bgwriter_buffers_clean_total counter
pg_stat_bgwriter_checkpoint_sync_time_total counter
pg_stat_bgwriter_checkpoint_write_time_total counter
pg_stat_bgwriter_checkpoints_req_total counter
pg_stat_bgwriter_checkpoints_timed_total counter
pg_stat_bgwriter_maxwritten_clean_total counter
pg_stat_bgwriter_stats_reset_total counter
pg_stat_database_active_time_seconds_total counter datid,datname
pg_stat_database_blk_read_time counter datid,datname
pg_stat_database_blk_write_time counter datid,datname
pg_stat_database_blks_hit counter datid,datname
pg_stat_database_blks_read counter datid,datname
pg_stat_database_conflicts counter datid,datname
pg_stat_database_conflicts_confl_bufferpin counter datid,datname,server
pg_stat_database_conflicts_confl_deadlock counter datid,datname,server
pg_stat_database_conflicts_confl_lock counter datid,datname,server
pg_stat_database_conflicts_confl_snapshot counter datid,datname,server
pg_stat_database_conflicts_confl_tablespace counter datid,datname,server
pg_stat_database_deadlocks counter datid,datname
pg_stat_database_numbackends gauge datid,datname
pg_stat_database_stats_reset counter datid,datname
pg_stat_database_temp_bytes counter datid,datname
pg_stat_database_temp_files counter datid,datname
pg_stat_database_tup_deleted counter datid,datname
pg_stat_database_tup_fetched counter datid,datname
pg_stat_database_tup_inserted counter datid,datname
pg_stat_database_tup_returned counter datid,datname
pg_stat_database_tup_updated counter datid,datname
pg_stat_database_xact_commit counter datid,datname
pg_stat_database_xact_rollback counter datid,datname
pg_static untyped server,short_version,version
pg_up gauge
`;

/** Settings of every PostgreSQL 10 to 18, with the values of the server under test where it was told them. */
const SETTINGS: Readonly<Record<string, string | undefined>> = {
  pg_settings_autovacuum: '1',
  pg_settings_autovacuum_naptime_seconds: '60',
  pg_settings_autovacuum_vacuum_scale_factor: '0.2',
  pg_settings_autovacuum_vacuum_threshold: '50',
  pg_settings_block_size: '8192',
  pg_settings_checkpoint_timeout_seconds: '300',
  pg_settings_deadlock_timeout_seconds: '1',
  pg_settings_effective_cache_size_bytes: '4.294967296e+09',
  pg_settings_fsync: '0',
  pg_settings_lock_timeout_seconds: '0',
  pg_settings_log_min_duration_statement_seconds: '-1',
  pg_settings_max_connections: '30',
  pg_settings_max_locks_per_transaction: '64',
  pg_settings_max_wal_size_bytes: '1.073741824e+09',
  pg_settings_seq_page_cost: '1',
  pg_settings_shared_buffers_bytes: '1.6777216e+07',
  pg_settings_statement_timeout_seconds: '0',
  pg_settings_superuser_reserved_connections: '3',
  pg_settings_temp_file_limit_bytes: '-1',
  pg_settings_wal_buffers_bytes: '524288',
  pg_settings_work_mem_bytes: '4.194304e+06',
};

const DOWN_FAMILIES = `
pg_exporter_last_scrape_duration_seconds gauge
pg_exporter_last_scrape_error gauge
pg_exporter_scrapes_total counter
pg_up gauge
`;

function roundsOf(dsn: string, options: unknown = {}, deadlineMs = 5_000): Rounds {
  const [target] = definition.targets(definition.options.parse({}), { DATA_SOURCE_NAME: dsn }, () => '');
  assert.ok(target);
  return openRounds(definition, worker, target, options, deadlineMs);
}

function value(page: Map<string, PageFamily>, name: string, labels = ''): string | undefined {
  return page.get(name)?.samples.get(labels);
}

/** Every part ended so; the message shows the first that did not. */
function assertEndings(ends: Awaited<ReturnType<Rounds['run']>>, ending: string): void {
  for (const [part, end] of Object.entries(ends)) assert.equal(end.ending, ending, `${part}: ${String(end.error)}`);
}

function assertDown(rounds: Rounds, ends: Awaited<ReturnType<Rounds['run']>>, code: string): CollectError {
  assertEndings(ends, 'down');
  const error = ends['up']?.error;
  assert.ok(error instanceof CollectError, String(error));
  assert.equal(error.code, code, error.message);
  const page = readPage(rounds.page());
  assert.deepEqual(pageDifferences(page, DOWN_FAMILIES), []);
  assert.equal(value(page, 'pg_up'), '0');
  assert.equal(value(page, 'pg_exporter_last_scrape_error'), '1');
  return error;
}

test('a refused port is down at once, not after the deadline', async () => {
  const rounds = roundsOf(`postgresql://u:p@127.0.0.1:${await freePort()}/x?sslmode=disable`);
  const started = performance.now();
  const error = assertDown(rounds, await rounds.run(2_000), 'connect');
  assert.match(error.message, /^127\.0\.0\.1:\d+: cannot connect: .*ECONNREFUSED/);
  assert.ok(performance.now() - started < 1_000);
  await rounds.close();
});

test('a name that does not resolve is down', async () => {
  const rounds = roundsOf('postgresql://u:p@nowhere.invalid/x?sslmode=disable');
  assert.match(assertDown(rounds, await rounds.run(4_000), 'connect').message, /nowhere\.invalid/);
  await rounds.close();
});

test('a server that accepts and says nothing is down at the deadline, and its socket is closed', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => {}).resume())).listen(0, '127.0.0.1');
  await until(() => server.listening, 1_000);
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const rounds = roundsOf(`postgresql://u:p@127.0.0.1:${address.port}/x?sslmode=disable`);
  try {
    const started = performance.now();
    assertDown(rounds, await rounds.run(300), 'timeout');
    assert.ok(performance.now() - started < 1_000);
    assert.equal(sockets.length, 1);
    assert.ok(await until(() => sockets.every((socket) => socket.readableEnded || socket.destroyed), 1_000), 'the socket stayed open');
  } finally {
    await rounds.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

describe('a real server', async () => {
  const state = await startPostgres();
  const skip = skipUnless(state);
  const opened: Rounds[] = [];
  const open = (dsn: string, options: unknown = {}, deadlineMs = 5_000): Rounds => {
    const rounds = roundsOf(dsn, options, deadlineMs);
    opened.push(rounds);
    return rounds;
  };
  const ours = (): PostgresBackend => backendOf(state);
  /** What changes a server, or holds up its other clients, is done to a server of our own only. */
  const skipForeign = skip !== false ? skip : ours().server === undefined ? 'the server of TEST_POSTGRES_URI is not ours to stop' : false;

  after(async () => {
    for (const rounds of opened) await rounds.close();
    if (!('missing' in state)) await state.backend.stop();
  });

  test('prints the families of the peer, with its types and labels', { skip }, async () => {
    const rounds = open(ours().dsn);
    await rounds.run();
    assertEndings(await rounds.run(), 'ok');
    const page = readPage(rounds.page());
    const settings = new Map([...page].filter(([name]) => name.startsWith('pg_settings_')));
    const others = new Map([...page].filter(([name]) => !name.startsWith('pg_settings_')));
    assert.deepEqual(pageDifferences(others, familiesOf(Number((await ours().query('SHOW server_version_num')).flat()[0]))), []);
    if (ours().server !== undefined) for (const [name, text] of Object.entries(SETTINGS)) assert.equal(value(settings, name), text, name);
    for (const [name, family] of settings) assert.equal(`${family.type} ${family.labels.join()} ${family.samples.size}`, 'gauge  1', name);
    assert.ok(settings.size > 180, `${settings.size} settings`);
    assert.deepEqual(rounds.warnings, []);
    for (const [name, family] of page) assert.ok(family.help.length > 10, `${name} has no HELP`);
  });

  test('values are those of the server', { skip }, async () => {
    const rounds = open(ours().dsn);
    await rounds.run();
    assertEndings(await rounds.run(), 'ok');
    const page = readPage(rounds.page());
    assert.equal(value(page, 'pg_up'), '1');
    assert.equal(value(page, 'pg_exporter_last_scrape_error'), '0');
    assert.equal(value(page, 'pg_exporter_scrapes_total'), '2');
    const [version] = (await ours().query('SELECT version()')).flat();
    const [statics] = [...(page.get('pg_static')?.samples.keys() ?? [])];
    assert.ok(statics?.includes(`server="${ours().host}:${ours().port}"`) && statics.includes(`version="${version}"`), statics);
    const databases = await ours().query('SELECT datname, pg_database_size(oid), datconnlimit FROM pg_database ORDER BY 1');
    for (const [name, size, limit] of databases) {
      assert.ok(Math.abs(Number(value(page, 'pg_database_size_bytes', `{datname="${name}"}`)) - Number(size)) < 1e6, `${name}`);
      assert.equal(value(page, 'pg_database_connection_limit', `{datname="${name}"}`), limit);
    }
    assert.equal(page.get('pg_locks_count')?.samples.size, 9 * databases.length);
    // Our own session reads pg_locks while it counts.
    const database = new URL(ours().dsn).pathname.slice(1);
    assert.notEqual(value(page, 'pg_locks_count', `{datname="${database}",mode="accesssharelock"}`), '0');
    for (const part of ['database', 'locks', 'settings', 'stat_activity', 'stat_bgwriter', 'stat_database']) {
      assert.equal(value(page, 'pg_scrape_collector_success', `{collector="${part}"}`), '1');
    }
    // Before PostgreSQL 15 the counters reach their view with a delay.
    const commits = async (): Promise<number> =>
      Number((await ours().query(`SELECT xact_commit FROM pg_stat_database WHERE datname = '${database}'`)).flat()[0]);
    assert.ok(await until(async () => (await commits()) > 0, 5_000));
    assertEndings(await rounds.run(), 'ok');
    const samples = readPage(rounds.page()).get('pg_stat_database_xact_commit')?.samples ?? new Map<string, string>();
    const printed = Number([...samples].find(([labels]) => labels.includes(`datname="${database}"`))?.[1]);
    assert.ok(printed > 0 && printed <= (await commits()) + 10, `${printed}`);
  });

  test('sessions are grouped, ours is left out, an unused state is one zero', { skip: skipForeign }, async () => {
    const pg = (await import('pg')).default;
    const { host, port, user, password } = ours();
    const other = new pg.Client({ host, port, user, password, database: 'template1', ssl: false, application_name: 'odd "name"\\' });
    await other.connect();
    await other.query('BEGIN');
    const rounds = open(ours().dsn);
    await rounds.run();
    assertEndings(await rounds.run(), 'ok');
    const page = readPage(rounds.page(['stat_activity']));
    await other.end();
    const label =
      '{application_name="odd \\"name\\"\\\\",backend_type="client backend",datname="template1",state="idle in transaction",usename="postgres",wait_event="ClientRead",wait_event_type="Client"}';
    assert.equal(value(page, 'pg_stat_activity_count', label), '1');
    const age = Number(value(page, 'pg_stat_activity_max_tx_duration', label));
    assert.ok(age > 0 && age < 30, `${age}`);
    const zero = '{application_name="",backend_type="",datname="template1",state="active",usename="",wait_event="",wait_event_type=""}';
    assert.equal(value(page, 'pg_stat_activity_count', zero), '0');
    assert.deepEqual(
      [...(page.get('pg_stat_activity_count')?.samples.keys() ?? [])].filter(
        (one) => one.includes('application_name="exporterd"') && one.includes('state="active"'),
      ),
      [],
    );
  });

  test('excluded databases have no size and no limit', { skip: skipForeign }, async () => {
    const rounds = open(ours().dsn, { exclude_databases: ['template0', 'template1'] });
    assertEndings(await rounds.run(), 'ok');
    const page = readPage(rounds.page());
    assert.deepEqual([...(page.get('pg_database_size_bytes')?.samples.keys() ?? [])], ['{datname="postgres"}']);
    assert.deepEqual([...(page.get('pg_database_connection_limit')?.samples.keys() ?? [])], ['{datname="postgres"}']);
  });

  test('one connection is used, kept and left by close', { skip }, async () => {
    const dsn = `${ours().dsn}&application_name=counted`;
    const rounds = roundsOf(dsn);
    for (let round = 0; round < 20; round++) assertEndings(await rounds.run(), 'ok');
    assert.equal(await ours().connections('counted'), 1);
    await rounds.close();
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('counted')) === 0, 2_000));
    assertEndings(await rounds.run(), 'down');
    assert.equal(await ours().connections('counted'), 0);
  });

  test('a wrong password is refused as auth and not told to anyone', { skip: skipForeign }, async () => {
    const rounds = open(ours().dsn.replace(/:[^:@]+@/, ':s3cr%25t%2Fwrong@'));
    const error = assertDown(rounds, await rounds.run(), 'auth');
    assert.match(error.message, /password authentication failed.*28P01/);
    for (const text of [error.message, error.stack ?? '', rounds.page(), JSON.stringify(error)]) assert.ok(!/s3cr/.test(text), text);
    assert.equal(error.cause, undefined);
  });

  test('a database that does not exist is named', { skip }, async () => {
    const rounds = open(ours().dsn.replace(/\/[^/?]*\?/, '/nowhere?'));
    assert.match(assertDown(rounds, await rounds.run(), 'connect').message, /database "nowhere" does not exist.*3D000/);
  });

  for (const [mode, ending] of [
    ['require', 'down'],
    ['verify-full', 'down'],
    ['prefer', 'ok'],
    ['allow', 'ok'],
  ] as const) {
    test(`sslmode=${mode} on a server without TLS is ${ending}`, { skip: skipForeign }, async () => {
      const rounds = open(ours().dsn.replace('sslmode=disable', `sslmode=${mode}`));
      const ends = await rounds.run();
      assertEndings(ends, ending);
      if (ending === 'down') assert.match(assertDown(rounds, ends, 'connect').message, /does not support SSL/);
    });
  }

  test('a part that waits for a lock fails alone; the connection stays', { skip: skipForeign }, async () => {
    const pg = (await import('pg')).default;
    const { host, port, user, password } = ours();
    const blocker = new pg.Client({ host, port, user, password, database: 'postgres', ssl: false });
    await blocker.connect();
    const rounds = open(`${ours().dsn}&application_name=locked`, {}, 1_000);
    assertEndings(await rounds.run(2_000), 'ok');
    const pid = await backendPid(ours(), 'locked');
    await blocker.query('BEGIN; LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE');
    const ends = await rounds.run(2_000, ['database', 'settings', 'stat_bgwriter']);
    await blocker.query('ROLLBACK');
    await blocker.end();
    assert.equal(ends['database']?.ending, 'failed');
    assert.ok(ends['database']?.error instanceof CollectError && ends['database'].error.code === 'timeout', String(ends['database']?.error));
    assert.equal(ends['settings']?.ending, 'ok');
    assert.equal(ends['stat_bgwriter']?.ending, 'ok');
    assert.equal(value(readPage(rounds.page(['database'])), 'pg_scrape_collector_success', '{collector="database"}'), '0');
    assertEndings(await rounds.run(2_000), 'ok');
    assert.equal(await backendPid(ours(), 'locked'), pid);
  });

  test('a role without rights reads what it may: one hidden thing does not spoil the rest', { skip: skipForeign }, async () => {
    await ours().query('CREATE DATABASE closed');
    await ours().query('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
    await ours().query("CREATE ROLE modest LOGIN PASSWORD 'm'");
    const { host, port } = ours();
    const rounds = open(`postgresql://modest:m@${host}:${port}/postgres?sslmode=disable`);
    assertEndings(await rounds.run(), 'ok');
    const page = readPage(rounds.page(['database']));
    assert.equal(value(page, 'pg_database_connection_limit', '{datname="closed"}'), '-1');
    assert.equal(value(page, 'pg_database_size_bytes', '{datname="closed"}'), undefined);
    assert.ok(Number(value(page, 'pg_database_size_bytes', '{datname="postgres"}')) > 1e6);
    await rounds.close();
    await ours().query('DROP DATABASE closed');
    await ours().query('DROP ROLE modest');
  });

  test('a stricter statement_timeout of the role is kept, a missing one is set', { skip: skipForeign }, async () => {
    const limits = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')";
    const { PostgresConnection } = await import('./connection.ts');
    const { parseDsn, settingsOf } = await import('./dsn.ts');
    const settings = settingsOf(parseDsn(ours().dsn), {}, () => '');
    const signal = AbortSignal.timeout(5_000);
    for (const [options, expected] of [
      [undefined, [['2s', '1s']]],
      ['-c statement_timeout=300', [['300ms', '1s']]],
      ['-c statement_timeout=1h', [['2s', '1s']]],
    ] as const) {
      const connection = new PostgresConnection(options === undefined ? settings : { ...settings, options }, 4_000);
      await connection.ensure(signal);
      assert.deepEqual(await connection.query({ name: 'limits', text: limits }, signal), expected);
      connection.close();
    }
  });

  test('a frozen server is down at the deadline, leaves nothing behind and is read again when thawed', { skip: skipForeign }, async () => {
    const dsn = `${ours().dsn}&application_name=frozen`;
    const rounds = roundsOf(dsn);
    assertEndings(await rounds.run(), 'ok');
    const server = ours().server ?? assert.fail();
    server.freeze();
    try {
      for (const _ of [1, 2, 3]) {
        const started = performance.now();
        assertDown(rounds, await rounds.run(300), 'timeout');
        const took = performance.now() - started;
        assert.ok(took >= 290 && took < 1_000, `${took} ms`);
      }
    } finally {
      server.thaw();
    }
    assertEndings(await rounds.run(), 'ok');
    assert.equal(value(readPage(rounds.page()), 'pg_up'), '1');
    assert.ok(await until(async () => (await ours().connections('frozen')) === 1, 5_000), 'connections of the frozen time were left');
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('frozen')) === 0, 2_000));
  });

  test('a server frozen in the middle of a round: the running part times out, the socket is not used again', { skip: skipForeign }, async () => {
    const rounds = roundsOf(`${ours().dsn}&application_name=midway`);
    const signal = AbortSignal.timeout(400);
    await rounds.session.begin(signal);
    const { Sheet } = await import('../../collect/sheet.ts');
    const { loadReaders } = await import('../../readers/load.ts');
    const sheet = new Sheet(loadReaders(), { maxSeries: 1000, maxBytes: 1 << 20 });
    sheet.begin();
    const server = ours().server ?? assert.fail();
    server.freeze();
    const isTimeout = (error: unknown): boolean => error instanceof CollectError && error.code === 'timeout';
    try {
      await assert.rejects(rounds.session.collect('locks', sheet, signal), isTimeout);
      await assert.rejects(rounds.session.collect('settings', sheet, signal), (error) => error instanceof CollectError && error.code === 'connect');
    } finally {
      server.thaw();
    }
    assertEndings(await rounds.run(), 'ok');
    assert.ok(await until(async () => (await ours().connections('midway')) === 1, 5_000));
    await rounds.close();
  });

  test('a session ended by the administrator is replaced in the same round', { skip }, async () => {
    const rounds = open(`${ours().dsn}&application_name=killed`);
    assertEndings(await rounds.run(), 'ok');
    const pid = await backendPid(ours(), 'killed');
    await ours().query(`SELECT pg_terminate_backend(${pid})`);
    assertEndings(await rounds.run(), 'ok');
    assert.notEqual(await backendPid(ours(), 'killed'), pid);
  });

  test('a restarted server is read in the first round after it is back; meanwhile it is down', { skip: skipForeign }, async () => {
    const rounds = open(ours().dsn);
    assertEndings(await rounds.run(), 'ok');
    await ours().restart();
    assertEndings(await rounds.run(), 'ok');
    await ours().server?.stop();
    assertDown(rounds, await rounds.run(), 'connect');
    await ours().restart();
    assertEndings(await rounds.run(), 'ok');
    assert.equal(value(readPage(rounds.page()), 'pg_exporter_scrapes_total'), '4');
  });

  test('a hundred aborted rounds leave no connection and no socket', { skip }, async () => {
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    const before = sockets();
    const rounds = roundsOf(`${ours().dsn}&application_name=aborted`);
    for (let round = 0; round < 100; round++) await rounds.run(1 + (round % 8));
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('aborted')) === 0, 5_000), `${await ours().connections('aborted')} left`);
    assert.ok(await until(() => sockets() <= before, 1_000), `${sockets()} sockets, ${before} before`);
  });
});

async function backendPid(backend: PostgresBackend, applicationName: string): Promise<string> {
  const rows = await backend.query(`SELECT pid FROM pg_stat_activity WHERE application_name = '${applicationName}'`);
  assert.equal(rows.length, 1, `${rows.length} sessions named ${applicationName}`);
  return rows[0]?.[0] ?? '';
}

/** A pooler as pgbouncer behaves without `ignore_startup_parameters`: refuses a start-up packet with options, else passes bytes on. */
test('behind a pooler that refuses start-up options the session has no limits of ours', async (t) => {
  const state = await startPostgres();
  const skip = skipUnless(state);
  if (skip !== false) {
    t.skip(skip);
    return;
  }
  const backend = backendOf(state);
  const refusal = poolerRefusal('unsupported startup parameter: options');
  const pooler = createServer((client) => {
    client.on('error', () => {});
    client.once('data', (first) => {
      if (first.includes('options\0')) {
        client.end(refusal);
        return;
      }
      const upstream = connect(backend.port, backend.host);
      upstream.on('error', () => client.destroy());
      client.on('close', () => upstream.destroy());
      upstream.write(first);
      upstream.pipe(client);
      client.pipe(upstream);
    });
  }).listen(0, '127.0.0.1');
  await until(() => pooler.listening, 1_000);
  const address = pooler.address();
  assert.ok(address !== null && typeof address === 'object');
  const rounds = roundsOf(backend.dsn.replace(`:${backend.port}/`, `:${address.port}/`));
  try {
    assertEndings(await rounds.run(), 'ok');
    assertEndings(await rounds.run(), 'ok');
  } finally {
    await rounds.close();
    pooler.close();
    await backend.stop();
  }
});

/** ErrorResponse of the wire protocol: severity, SQLSTATE, message. */
function poolerRefusal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C08P01\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

test('side by side with a postgres_exporter: settings and counters in common are the same', async (t) => {
  const state = await startPostgres();
  const skip = skipUnless(state);
  if (skip !== false) {
    t.skip(skip);
    return;
  }
  const backend = backendOf(state);
  const peer = await startPeer(['postgres_exporter', 'prometheus-postgres-exporter'], { DATA_SOURCE_NAME: backend.dsn });
  const rounds = roundsOf(backend.dsn);
  try {
    const without = skipUnless(peer);
    if (without !== false) return t.skip(without);
    assertEndings(await rounds.run(), 'ok');
    const ours = readPage(rounds.page());
    const theirs = readPage(await backendOf(peer).page());
    // Releases before 0.20 add a server label here; the values are compared without labels.
    // extra_float_digits is what each client's driver asks for.
    const settings = [...theirs].filter(([name]) => name.startsWith('pg_settings_') && name !== 'pg_settings_extra_float_digits');
    assert.ok(settings.length > 180, `${settings.length} settings`);
    for (const [name, family] of settings) assert.deepEqual([...(ours.get(name)?.samples.values() ?? [])], [...family.samples.values()], name);
    for (const name of ['pg_up', 'pg_static', 'pg_exporter_last_scrape_error', 'pg_stat_database_conflicts_confl_lock']) {
      const family = theirs.get(name);
      assert.ok(family, `the peer prints no ${name}`);
      assert.equal(shapeOf(ours.get(name) ?? family), shapeOf(family), name);
      assert.deepEqual(ours.get(name)?.samples, family.samples, name);
    }
  } finally {
    if (!('missing' in peer)) await peer.backend.stop();
    await rounds.close();
    await backend.stop();
  }
});
