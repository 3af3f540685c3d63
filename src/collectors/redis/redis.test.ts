import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { backendOf, skipUnless } from '../../../test/support/backends/availability.ts';
import { freePort, until } from '../../../test/support/backends/processes.ts';
import { startPeer } from '../../../test/support/backends/peer.ts';
import { type RedisBackend, startRedis } from '../../../test/support/backends/redis.ts';
import { openRounds, type PageFamily, pageDifferences, type Rounds, readPage, shapeOf } from '../../../test/support/backends/rounds.ts';
import { CollectError } from '../../collect/contract.ts';
import * as worker from './collect.ts';
import definition from './collector.ts';

/** Families of Redis 7.0 as redis_exporter 1.88 prints them, of what we have. */
const FAMILIES = `
redis_active_defrag_running gauge
redis_allocator_active_bytes gauge
redis_allocator_allocated_bytes gauge
redis_allocator_frag_bytes gauge
redis_allocator_frag_ratio gauge
redis_allocator_resident_bytes gauge
redis_allocator_rss_bytes gauge
redis_allocator_rss_ratio gauge
redis_aof_current_rewrite_duration_sec gauge
redis_aof_enabled gauge
redis_aof_last_bgrewrite_status gauge
redis_aof_last_cow_size_bytes gauge
redis_aof_last_rewrite_duration_sec gauge
redis_aof_last_write_status gauge
redis_aof_rewrite_in_progress gauge
redis_aof_rewrite_scheduled gauge
redis_async_loading gauge
redis_blocked_clients gauge
redis_client_recent_max_input_buffer_bytes gauge
redis_client_recent_max_output_buffer_bytes gauge
redis_clients_in_timeout_table gauge
redis_cluster_connections gauge
redis_cluster_enabled gauge
redis_commands_duration_seconds_total counter cmd
redis_commands_failed_calls_total counter cmd
redis_commands_processed_total counter
redis_commands_rejected_calls_total counter cmd
redis_commands_total counter cmd
redis_config_client_output_buffer_limit_bytes gauge class,limit
redis_config_client_output_buffer_limit_overcome_seconds gauge class,limit
redis_config_io_threads gauge
redis_config_maxclients gauge
redis_config_maxmemory gauge
redis_config_repl_backlog_size gauge
redis_configured_hz gauge
redis_connected_clients gauge
redis_connected_slaves gauge
redis_connections_received_total counter
redis_cpu_sys_children_seconds_total counter
redis_cpu_sys_main_thread_seconds_total counter
redis_cpu_sys_seconds_total counter
redis_cpu_user_children_seconds_total counter
redis_cpu_user_main_thread_seconds_total counter
redis_cpu_user_seconds_total counter
redis_current_eviction_exceeded_time_ms gauge
redis_db_avg_ttl_seconds gauge db
redis_db_keys gauge db
redis_db_keys_expiring gauge db
redis_defrag_hits gauge
redis_defrag_key_hits gauge
redis_defrag_key_misses gauge
redis_defrag_misses gauge
redis_dump_payload_sanitizations counter
redis_evicted_clients_total counter
redis_evicted_keys_total counter
redis_eviction_exceeded_time_ms_total counter
redis_expire_cycle_cpu_time_ms_total counter
redis_expired_keys_total counter
redis_expired_stale_percentage gauge
redis_expired_time_cap_reached_total counter
redis_exporter_last_scrape_connect_time_seconds gauge
redis_exporter_last_scrape_duration_seconds gauge
redis_exporter_last_scrape_error gauge err
redis_exporter_scrape_duration_seconds summary
redis_exporter_scrapes_total counter
redis_hz gauge
redis_instance_info gauge master_replid,maxmemory_policy,os,process_id,redis_build_id,redis_mode,redis_version,role,run_id,tcp_port
redis_io_threaded_reads_processed counter
redis_io_threaded_writes_processed counter
redis_io_threads_active gauge
redis_keyspace_hits_total counter
redis_keyspace_misses_total counter
redis_last_slow_execution_duration_seconds gauge
redis_latency_percentiles_usec summary cmd,quantile|cmd
redis_latest_fork_seconds gauge
redis_lazyfree_pending_objects gauge
redis_lazyfreed_objects gauge
redis_loading_dump_file gauge
redis_master_repl_offset gauge
redis_max_clients gauge
redis_mem_aof_buffer_bytes gauge
redis_mem_clients_normal gauge
redis_mem_clients_slaves gauge
redis_mem_cluster_links_bytes gauge
redis_mem_fragmentation_bytes gauge
redis_mem_fragmentation_ratio gauge
redis_mem_not_counted_for_eviction_bytes gauge
redis_mem_replication_backlog_bytes gauge
redis_mem_total_replication_buffers_bytes gauge
redis_memory_max_bytes gauge
redis_memory_used_bytes gauge
redis_memory_used_dataset_bytes gauge
redis_memory_used_functions_bytes gauge
redis_memory_used_lua_bytes gauge
redis_memory_used_overhead_bytes gauge
redis_memory_used_peak_bytes gauge
redis_memory_used_rss_bytes gauge
redis_memory_used_scripts_bytes gauge
redis_memory_used_scripts_eval_bytes gauge
redis_memory_used_startup_bytes gauge
redis_memory_used_vm_eval_bytes gauge
redis_memory_used_vm_functions_bytes gauge
redis_memory_used_vm_total gauge
redis_migrate_cached_sockets_total gauge
redis_module_fork_in_progress gauge
redis_module_fork_last_cow_size gauge
redis_net_input_bytes_total counter
redis_net_output_bytes_total counter
redis_net_repl_input_bytes_total counter
redis_net_repl_output_bytes_total counter
redis_number_of_cached_scripts gauge
redis_number_of_functions gauge
redis_number_of_libraries gauge
redis_process_id gauge
redis_pubsub_channels gauge
redis_pubsub_patterns gauge
redis_pubsubshard_channels gauge
redis_rdb_bgsave_in_progress gauge
redis_rdb_changes_since_last_save gauge
redis_rdb_current_bgsave_duration_sec gauge
redis_rdb_last_bgsave_duration_sec gauge
redis_rdb_last_bgsave_status gauge
redis_rdb_last_cow_size_bytes gauge
redis_rdb_last_load_expired_keys gauge
redis_rdb_last_load_loaded_keys gauge
redis_rdb_last_save_timestamp_seconds gauge
redis_rdb_saves_total gauge
redis_rejected_connections_total counter
redis_repl_backlog_first_byte_offset gauge
redis_repl_backlog_history_bytes gauge
redis_repl_backlog_is_active gauge
redis_replica_partial_resync_accepted gauge
redis_replica_partial_resync_denied gauge
redis_replica_resyncs_full gauge
redis_replication_backlog_bytes gauge
redis_reply_buffer_expands_total counter
redis_reply_buffer_shrinks_total counter
redis_second_repl_offset gauge
redis_slave_expires_tracked_keys gauge
redis_slowlog_last_id gauge
redis_slowlog_length gauge
redis_start_time_seconds gauge
redis_total_error_replies counter
redis_total_reads_processed counter
redis_total_writes_processed counter
redis_tracking_clients gauge
redis_tracking_total_items gauge
redis_tracking_total_keys gauge
redis_tracking_total_prefixes gauge
redis_unexpected_error_replies counter
redis_up gauge
redis_uptime_in_seconds gauge
`;

const DOWN_FAMILIES = `
redis_exporter_last_scrape_duration_seconds gauge
redis_exporter_last_scrape_error gauge err
redis_exporter_scrape_duration_seconds summary
redis_exporter_scrapes_total counter
redis_up gauge
`;

function roundsOf(address: string, options: unknown = {}, environment: Record<string, string> = {}): Rounds {
  const [target] = definition.targets(definition.options.parse({}), { REDIS_ADDR: address, ...environment }, () => '');
  assert.ok(target);
  return openRounds(definition, worker, target, options);
}

function value(page: Map<string, PageFamily>, name: string, labels = ''): string | undefined {
  return page.get(name)?.samples.get(labels);
}

async function assertUp(rounds: Rounds): Promise<Map<string, PageFamily>> {
  const { info } = await rounds.run();
  assert.equal(info?.ending, 'ok', String(info?.error));
  const page = readPage(rounds.page());
  assert.equal(value(page, 'redis_up'), '1');
  assert.equal(value(page, 'redis_exporter_last_scrape_error', '{err=""}'), '0');
  return page;
}

async function assertDown(rounds: Rounds, code: string, deadlineMs = 2_000): Promise<CollectError> {
  const { info } = await rounds.run(deadlineMs);
  assert.equal(info?.ending, 'down');
  assert.ok(info.error instanceof CollectError, String(info.error));
  assert.equal(info.error.code, code, info.error.message);
  const page = readPage(rounds.page());
  assert.deepEqual(pageDifferences(page, DOWN_FAMILIES), []);
  assert.equal(value(page, 'redis_up'), '0');
  assert.equal(value(page, 'redis_exporter_last_scrape_error', '{err="cannot connect or log in"}'), '1');
  return info.error;
}

test('a refused port is down at once, not after the deadline', async () => {
  const rounds = roundsOf(`redis://:geheim@127.0.0.1:${await freePort()}`);
  const started = performance.now();
  const error = await assertDown(rounds, 'connect');
  assert.match(error.message, /^127\.0\.0\.1:\d+: cannot connect: .*ECONNREFUSED/);
  assert.ok(!error.message.includes('geheim'));
  assert.ok(performance.now() - started < 1_000);
  await rounds.close();
});

test('a name that does not resolve is down', async () => {
  const rounds = roundsOf('redis://nowhere.invalid');
  assert.match((await assertDown(rounds, 'connect', 4_000)).message, /nowhere\.invalid/);
  await rounds.close();
});

test('a server that accepts and says nothing is down at the deadline, and its socket is closed', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => {}).resume())).listen(0, '127.0.0.1');
  await until(() => server.listening, 1_000);
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const rounds = roundsOf(`redis://127.0.0.1:${address.port}`);
  try {
    const started = performance.now();
    await assertDown(rounds, 'timeout', 300);
    assert.ok(performance.now() - started < 1_000);
    assert.equal(sockets.length, 1);
    assert.ok(await until(() => sockets.every((socket) => socket.readableEnded || socket.destroyed), 1_000), 'the socket stayed open');
  } finally {
    await rounds.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('a server that speaks another protocol is down, not a hang', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  }).listen(0, '127.0.0.1');
  await until(() => server.listening, 1_000);
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const rounds = roundsOf(`redis://127.0.0.1:${address.port}`);
  await assertDown(rounds, 'connect', 2_000);
  await rounds.close();
  server.close();
});

/** The variable by which a server's password is told, where it has one. */
function passwordOf({ password }: RedisBackend): Record<string, string> {
  return password === '' ? {} : { REDIS_PASSWORD: password };
}

describe('a real server', async () => {
  const state = await startRedis();
  const skip = skipUnless(state);
  const ours = (): RedisBackend => backendOf(state);
  const skipForeign = skip !== false ? skip : ours().server === undefined ? 'the server of TEST_REDIS_URI is not ours to change' : false;
  const opened: Rounds[] = [];
  const open = (...args: Parameters<typeof roundsOf>): Rounds => {
    const rounds = roundsOf(...args);
    opened.push(rounds);
    return rounds;
  };

  after(async () => {
    for (const rounds of opened) await rounds.close();
    if (!('missing' in state)) await state.backend.stop();
  });

  test('a server that is not ours is read as well, over one connection, and left as it was', { skip }, async () => {
    const rounds = roundsOf(ours().address, {}, passwordOf(ours()));
    const page = await assertUp(rounds);
    const info = await ours().command('INFO server');
    const [key = ''] = [...(page.get('redis_instance_info')?.samples.keys() ?? [])];
    for (const field of ['redis_version', 'run_id']) assert.ok(key.includes(`${field}="${new RegExp(`^${field}:(.*)\\r$`, 'm').exec(info)?.[1]}"`), key);
    assert.ok(Math.abs(Number(value(page, 'redis_uptime_in_seconds')) - Number(/^uptime_in_seconds:(\d+)/m.exec(info)?.[1])) <= 2);
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 1, 2_000));
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 0, 2_000));
  });

  test('prints the families of the peer, with its types and labels', { skip: skipForeign }, async (t) => {
    await ours().command('SET k v EX 1000');
    const rounds = open(ours().address);
    await assertUp(rounds);
    const page = await assertUp(rounds);
    const version = /redis_version="([^"]*)"/.exec([...(page.get('redis_instance_info')?.samples.keys() ?? [])][0] ?? '')?.[1] ?? '';
    if (!version.startsWith('7.0.')) {
      t.skip(`the families listed are those of Redis 7.0, the server is ${version}`);
      return;
    }
    // pageDifferences joins several label sets by ` | `.
    assert.deepEqual(
      pageDifferences(page, FAMILIES.replace('cmd,quantile|cmd', 'cmd,quantile').trim()).filter((line) => !line.includes('cmd,quantile | cmd')),
      [],
    );
    assert.deepEqual(rounds.warnings, []);
    for (const [name, one] of page) assert.ok(one.help.length > 5, `${name} has no HELP`);
  });

  test('values are those of the server', { skip: skipForeign }, async () => {
    await ours().command('SET a 1\r\nSET b 2\r\nSET c 3 EX 5000\r\nSELECT 3\r\nSET d 4');
    const rounds = open(ours().address);
    const first = await assertUp(rounds);
    const page = await assertUp(rounds);
    assert.ok(Number(value(page, 'redis_db_keys', '{db="db0"}')) >= 3);
    assert.equal(value(page, 'redis_db_keys', '{db="db3"}'), '1');
    assert.equal(value(page, 'redis_db_keys', '{db="db15"}'), '0');
    assert.equal(value(page, 'redis_db_keys', '{db="db16"}'), undefined);
    assert.ok(Number(value(page, 'redis_db_keys_expiring', '{db="db0"}')) >= 1);
    assert.equal(value(page, 'redis_process_id'), String(ours().server?.pid));
    assert.ok(Math.abs(Number(value(page, 'redis_start_time_seconds')) + Number(value(page, 'redis_uptime_in_seconds')) - Date.now() / 1000) <= 3);
    assert.equal(value(page, 'redis_config_maxclients'), value(page, 'redis_max_clients'));
    assert.equal(value(page, 'redis_config_client_output_buffer_limit_bytes', '{class="slave",limit="hard"}'), '2.68435456e+08');
    assert.equal(value(page, 'redis_exporter_scrapes_total'), '2');
    assert.equal(value(page, 'redis_exporter_scrape_duration_seconds', '_count'), '2');
    assert.ok(Number(value(page, 'redis_commands_total', '{cmd="info"}')) > Number(value(first, 'redis_commands_total', '{cmd="info"}')));
    assert.equal(value(page, 'redis_total_system_memory_bytes'), undefined);
  });

  test('options: no zeros for empty databases, memory of the machine, no CONFIG', { skip: skipForeign }, async () => {
    const rounds = open(ours().address, { include_metrics_for_empty_databases: false, include_system_metrics: true, config_command: '-' });
    const before = /cmdstat_config\|get:calls=(\d+)/.exec(await ours().command('INFO commandstats'))?.[1];
    const page = await assertUp(rounds);
    const after = /cmdstat_config\|get:calls=(\d+)/.exec(await ours().command('INFO commandstats'))?.[1];
    assert.equal(value(page, 'redis_db_keys', '{db="db15"}'), undefined);
    assert.ok(Number(value(page, 'redis_total_system_memory_bytes')) > 1e6);
    assert.equal(value(page, 'redis_config_maxclients'), undefined);
    assert.equal(after, before);
  });

  test('one connection is used, kept and left by close; a round is one INFO', { skip: skipForeign }, async () => {
    const calls = async (): Promise<number> => Number(/cmdstat_info:calls=(\d+)/.exec(await ours().command('INFO commandstats'))?.[1]);
    const others = opened.splice(0);
    for (const one of others) await one.close();
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 0, 2_000));
    const rounds = roundsOf(ours().address);
    await assertUp(rounds);
    const before = await calls();
    for (let round = 0; round < 20; round++) await assertUp(rounds);
    assert.equal((await calls()) - before, 21); // ours and the question itself
    assert.equal(await ours().connections('exporterd'), 1);
    await rounds.close();
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 0, 2_000));
    await assertDown(rounds, 'connect');
  });

  test('a database that does not exist is down with the answer of the server', { skip: skipForeign }, async () => {
    const rounds = open(`${ours().address}/99`);
    assert.match((await assertDown(rounds, 'query')).message, /SELECT: ERR DB index is out of range/);
  });

  test('a password where none is wanted is a warning', { skip: skipForeign }, async () => {
    const rounds = open(ours().address, {}, { REDIS_PASSWORD: 'geheim' });
    await assertUp(rounds);
    assert.equal(rounds.warnings.length, 1);
    assert.ok(!rounds.warnings.join().includes('geheim'));
  });

  test('a user who may use neither CONFIG nor SLOWLOG: up, and the refusal is not asked for again', { skip: skipForeign }, async () => {
    await ours().command('ACL SETUSER modest on >m allkeys +info +client +select');
    const rounds = open(ours().address.replace('://', '://modest:m@'), { config_command: 'CONFIG' });
    const page = await assertUp(rounds);
    assert.equal(value(page, 'redis_config_maxclients'), undefined);
    assert.equal(value(page, 'redis_slowlog_length'), undefined);
    assert.equal(value(page, 'redis_db_keys', '{db="db15"}'), '0');
    const rejected = async (): Promise<string | undefined> => /cmdstat_config\|get:.*rejected_calls=(\d+)/.exec(await ours().command('INFO commandstats'))?.[1];
    const before = await rejected();
    for (let round = 0; round < 3; round++) await assertUp(rounds);
    assert.equal(await rejected(), before);
  });

  test('a user who may not use INFO is refused as auth', { skip: skipForeign }, async () => {
    await ours().command('ACL SETUSER blind on >geheim allkeys +client');
    const error = await assertDown(open(ours().address.replace('://', '://blind:geheim@')), 'auth');
    assert.match(error.message, /INFO: NOPERM/);
    assert.ok(!error.message.includes('geheim'));
  });

  test('a frozen server is down at the deadline, leaves nothing behind and is read again when thawed', { skip: skipForeign }, async () => {
    for (const one of opened.splice(0)) await one.close();
    const rounds = roundsOf(ours().address);
    await assertUp(rounds);
    const server = ours().server ?? assert.fail();
    server.freeze();
    try {
      for (const _ of [1, 2, 3]) {
        const started = performance.now();
        await assertDown(rounds, 'timeout', 300);
        const took = performance.now() - started;
        assert.ok(took >= 290 && took < 1_000, `${took} ms`);
      }
    } finally {
      server.thaw();
    }
    await assertUp(rounds);
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 1, 5_000), 'connections of the frozen time were left');
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 0, 2_000));
  });

  test('a connection killed by the administrator is replaced in the same round', { skip: skipForeign }, async () => {
    const rounds = open(ours().address);
    await assertUp(rounds);
    await ours().command('CLIENT KILL TYPE normal');
    await assertUp(rounds);
  });

  test('a restarted server is read in the first round after it is back; meanwhile it is down', { skip: skipForeign }, async () => {
    const rounds = open(ours().address);
    const runId = (page: Map<string, PageFamily>): string | undefined =>
      /run_id="([^"]*)"/.exec([...(page.get('redis_instance_info')?.samples.keys() ?? [])][0] ?? '')?.[1];
    const first = runId(await assertUp(rounds));
    await ours().restart();
    assert.notEqual(runId(await assertUp(rounds)), first);
    await ours().server?.stop();
    await assertDown(rounds, 'connect');
    await ours().restart();
    assert.equal(value(await assertUp(rounds), 'redis_exporter_scrapes_total'), '4');
  });

  test('a hundred aborted rounds leave no connection and no socket', { skip: skipForeign }, async () => {
    for (const one of opened.splice(0)) await one.close();
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    assert.ok(await until(() => sockets() === 0, 1_000), `${sockets()} sockets before`);
    const rounds = roundsOf(ours().address);
    for (let round = 0; round < 100; round++) await rounds.run(1 + (round % 3));
    await rounds.close();
    assert.ok(await until(async () => (await ours().connections('exporterd')) === 0, 5_000));
    assert.ok(await until(() => sockets() === 0, 1_000), `${sockets()} sockets`);
  });
});

describe('a server with a password', async () => {
  const state = await startRedis(['--requirepass', 's3cr/et']);
  const skip = skipUnless(state);
  after(async () => {
    if (!('missing' in state)) await state.backend.stop();
  });

  test('no password, the wrong one, the right one', { skip }, async () => {
    const { address } = backendOf(state);
    const without = roundsOf(address);
    assert.match((await assertDown(without, 'auth')).message, /INFO: NOAUTH/);
    const wrong = roundsOf(address, {}, { REDIS_PASSWORD: 'wr0ng' });
    const error = await assertDown(wrong, 'auth');
    assert.match(error.message, /AUTH: WRONGPASS/);
    for (const text of [error.message, error.stack ?? '', wrong.page(), JSON.stringify(error)]) assert.ok(!text.includes('wr0ng'), text);
    assert.equal(error.cause, undefined);
    const right = roundsOf(address, {}, { REDIS_PASSWORD: 's3cr/et' });
    await assertUp(right);
    for (const rounds of [without, wrong, right]) await rounds.close();
  });
});

test('CONFIG renamed away: up, no config families, sixteen databases', async (t) => {
  const state = await startRedis(['--rename-command', 'CONFIG', 'HIDDEN']);
  const skip = skipUnless(state);
  if (skip !== false) {
    t.skip(skip);
    return;
  }
  const backend = backendOf(state);
  const plain = roundsOf(backend.address);
  const renamed = roundsOf(backend.address, { config_command: 'HIDDEN' });
  try {
    const page = await assertUp(plain);
    assert.equal(page.get('redis_config_maxclients'), undefined);
    assert.equal(page.get('redis_db_keys')?.samples.size, 16);
    await assertUp(plain);
    assert.equal(value(await assertUp(renamed), 'redis_config_maxclients'), '10000');
  } finally {
    await plain.close();
    await renamed.close();
    await backend.stop();
  }
});

test('a master and its replica name each other', async (t) => {
  const master = await startRedis(['--repl-diskless-sync-delay', '0']);
  const skip = skipUnless(master);
  if (skip !== false) {
    t.skip(skip);
    return;
  }
  const { address, port, stop } = backendOf(master);
  const replica = backendOf(await startRedis(['--replicaof', `127.0.0.1 ${port}`]));
  const ofMaster = roundsOf(address);
  const ofReplica = roundsOf(replica.address);
  try {
    assert.ok(await until(async () => (await replica.command('INFO replication')).includes('master_link_status:up'), 10_000), 'the replica does not connect');
    assert.ok(await until(async () => (await backendOf(master).command('INFO replication')).includes('state=online'), 5_000));
    const masterLabels = `{master_host="127.0.0.1",master_port="${port}"}`;
    const page = await assertUp(ofReplica);
    assert.equal(value(page, 'redis_master_link_up', masterLabels), '1');
    assert.equal(value(page, 'redis_master_sync_in_progress', masterLabels), '0');
    assert.ok(Number(value(page, 'redis_slave_repl_offset', masterLabels)) >= 0);
    assert.equal(value(page, 'redis_slave_info', masterLabels.replace('}', ',read_only="1"}')), '1');
    const counterpart = await assertUp(ofMaster);
    assert.equal(value(counterpart, 'redis_connected_slaves'), '1');
    assert.ok(
      Number(value(counterpart, 'redis_connected_slave_offset_bytes', `{slave_ip="127.0.0.1",slave_port="${replica.port}",slave_state="online"}`)) >= 0,
    );
    assert.ok(Number(value(counterpart, 'redis_connected_slave_lag_seconds', `{slave_ip="127.0.0.1",slave_port="${replica.port}",slave_state="online"}`)) >= 0);
  } finally {
    await ofMaster.close();
    await ofReplica.close();
    await replica.stop();
    await stop();
  }
});

test('cluster mode: CLUSTER INFO from the first round on, one database', async (t) => {
  const state = await startRedis(['--cluster-enabled', 'yes']);
  const skip = skipUnless(state);
  if (skip !== false) {
    t.skip(skip);
    return;
  }
  const backend = backendOf(state);
  const rounds = roundsOf(backend.address);
  try {
    for (let round = 0; round < 3; round++) {
      const page = await assertUp(rounds);
      assert.equal(value(page, 'redis_cluster_enabled'), '1');
      assert.equal(value(page, 'redis_cluster_state'), '0'); // no slots are assigned
      assert.equal(value(page, 'redis_cluster_known_nodes'), '1');
      assert.equal(page.get('redis_db_keys')?.samples.size, 1);
    }
  } finally {
    await rounds.close();
    await backend.stop();
  }
});

/** Families whose type or labels were others in redis_exporter 1.45, and those of its own process. */
const OTHER_IN_145 = new Set(['redis_expired_time_cap_reached_total', 'redis_instance_info', 'redis_exporter_build_info']);

test('side by side with a redis_exporter: its families of INFO and CONFIG are ours', async (t) => {
  const state = await startRedis();
  const skip = skipUnless(state);
  if (skip !== false) {
    t.skip(skip);
    return;
  }
  const backend = backendOf(state);
  const peer = await startPeer(['redis_exporter', 'prometheus-redis-exporter'], { REDIS_ADDR: backend.address, ...passwordOf(backend) });
  const rounds = roundsOf(backend.address, {}, passwordOf(backend));
  try {
    const without = skipUnless(peer);
    if (without !== false) return t.skip(without);
    await assertUp(rounds);
    const ours = await assertUp(rounds);
    const theirs = readPage(await backendOf(peer).page());
    const compared = [...theirs].filter(([name]) => ours.has(name) && !OTHER_IN_145.has(name));
    assert.ok(compared.length > 100, `${compared.length} families in common`);
    for (const [name, family] of compared) assert.equal(shapeOf(ours.get(name) ?? family), shapeOf(family), name);
    for (const name of [
      'redis_memory_max_bytes',
      'redis_process_id',
      'redis_config_maxclients',
      'redis_second_repl_offset',
      'redis_rdb_last_save_timestamp_seconds',
    ]) {
      assert.equal(value(ours, name), value(theirs, name), name);
    }
    assert.deepEqual([...(ours.get('redis_db_keys')?.samples ?? [])], [...(theirs.get('redis_db_keys')?.samples ?? [])]);
  } finally {
    if (!('missing' in peer)) await peer.backend.stop();
    await rounds.close();
    await backend.stop();
  }
});
