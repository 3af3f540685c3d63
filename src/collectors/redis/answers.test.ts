import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sheet } from '../../collect/sheet.ts';
import { referenceReaders } from '../../readers/reference.ts';
import { writeAnswers } from './answers.ts';
import { parseCommandStat } from './command-stats.ts';
import { databasesOf, parseConfig, parseOutputBufferLimits } from './config.ts';
import { FieldWriter } from './fields.ts';
import { INFO_FIELDS } from './info-fields.ts';
import { infoNumber, parseInfo, parsePairs } from './info.ts';
import { StartTime } from './instance.ts';
import { parseKeyspace } from './keyspace.ts';
import { parseConnectedReplica } from './replication.ts';
import { writeSlowlog } from './slowlog.ts';

/** Samples of an INFO text without CONFIG, slow log and empty databases. */
function samplesOf(info: string, cluster = ''): string[] {
  const sheet = new Sheet(referenceReaders(), { maxSeries: 1000, maxBytes: 1 << 20 });
  sheet.begin();
  writeAnswers({ info: parseInfo(info), config: undefined, slowlog: [], cluster: parseInfo(cluster) }, false, new FieldWriter(false), sheet);
  return sheet
    .text()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('redis_instance_info'));
}

/** Texts put together from the documentation and release notes of each server: lines that distinguish it. */
const TEXTS: readonly (readonly [server: string, info: string, samples: readonly string[]])[] = [
  [
    'Redis 2.8: few fields, a replica line without lag',
    '# Server\r\nredis_version:2.8.24\r\n# Clients\r\nclient_longest_output_list:0\r\nclient_biggest_input_buf:3\r\n# Replication\r\nrole:master\r\nslave0:ip=10.0.0.2,port=6380,state=online,offset=15\r\n# Keyspace\r\ndb0:keys=2,expires=0\r\n',
    [
      'redis_client_biggest_input_buf 3',
      'redis_client_longest_output_list 0',
      'redis_connected_slave_offset_bytes{slave_ip="10.0.0.2",slave_port="6380",slave_state="online"} 15',
      'redis_db_keys{db="db0"} 2',
      'redis_db_keys_expiring{db="db0"} 0',
    ],
  ],
  [
    'Redis 5: command statistics of three fields, text and computed fields left out',
    '# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nused_memory_peak_perc:97.50%\r\nmaxmemory_policy:noeviction\r\n# Stats\r\ninstantaneous_ops_per_sec:7\r\nlatest_fork_usec:285\r\nrdb_last_bgsave_status:err\r\n# Commandstats\r\ncmdstat_get:calls=4,usec=10,usec_per_call=2.50\r\n',
    [
      'redis_commands_duration_seconds_total{cmd="get"} 1e-05',
      'redis_commands_total{cmd="get"} 4',
      'redis_latest_fork_seconds 0.000285',
      'redis_memory_used_bytes 1.048576e+06',
      'redis_rdb_last_bgsave_status 0',
    ],
  ],
  [
    'Redis 6.2: rejected and failed calls, error statistics',
    '# Commandstats\r\ncmdstat_get:calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=2\r\n# Errorstats\r\nerrorstat_WRONGTYPE:count=3\r\nerrorstat_ODD:count=3,other=1\r\n',
    [
      'redis_commands_duration_seconds_total{cmd="get"} 1e-05',
      'redis_commands_failed_calls_total{cmd="get"} 2',
      'redis_commands_rejected_calls_total{cmd="get"} 1',
      'redis_commands_total{cmd="get"} 4',
      'redis_errors_total{err="WRONGTYPE"} 3',
    ],
  ],
  [
    'Redis 7: percentiles before and without their command, subcommands',
    '# Latencystats\r\nlatency_percentiles_usec_config|get:p50=79.359,p99=174.079,p99.9=208.895\r\nlatency_percentiles_usec_gone:p50=1\r\n# Commandstats\r\ncmdstat_config|get:calls=2,usec=150,usec_per_call=75.00,rejected_calls=0,failed_calls=0\r\n',
    [
      'redis_commands_duration_seconds_total{cmd="config|get"} 0.00015',
      'redis_commands_failed_calls_total{cmd="config|get"} 0',
      'redis_commands_rejected_calls_total{cmd="config|get"} 0',
      'redis_commands_total{cmd="config|get"} 2',
      'redis_latency_percentiles_usec{cmd="config|get",quantile="50"} 79.359',
      'redis_latency_percentiles_usec{cmd="config|get",quantile="99"} 174.079',
      'redis_latency_percentiles_usec{cmd="config|get",quantile="99.9"} 208.895',
      'redis_latency_percentiles_usec_sum{cmd="config|get"} 150',
      'redis_latency_percentiles_usec_count{cmd="config|get"} 2',
    ],
  ],
  [
    'Redis 7: percentiles set to 0 and 100, one of them empty',
    '# Commandstats\r\ncmdstat_x:calls=1,usec=1\r\n# Latencystats\r\nlatency_percentiles_usec_x:p0=1.5,p50=,p100=9\r\n',
    [
      'redis_commands_duration_seconds_total{cmd="x"} 1e-06',
      'redis_commands_total{cmd="x"} 1',
      'redis_latency_percentiles_usec{cmd="x",quantile="0"} 1.5',
      'redis_latency_percentiles_usec{cmd="x",quantile="100"} 9',
      'redis_latency_percentiles_usec_sum{cmd="x"} 1',
      'redis_latency_percentiles_usec_count{cmd="x"} 1',
    ],
  ],
  [
    'Redis 7.4: expiring hash fields',
    '# Clients\r\ntotal_watched_keys:1\r\npubsub_clients:2\r\n# Stats\r\nexpired_subkeys:4\r\n# Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=1500,subexpiry=3\r\ndb0_distrib_strings_sizes:1=2\r\n',
    [
      'redis_db_avg_ttl_seconds{db="db0"} 1.5',
      'redis_db_keys{db="db0"} 5',
      'redis_db_keys_expiring{db="db0"} 2',
      'redis_db_keys_with_expiring_items{db="db0"} 3',
      'redis_expired_subkeys_total 4',
      'redis_pubsub_clients 2',
      'redis_total_watched_keys 1',
    ],
  ],
  [
    'Valkey 9: threads, volatile items',
    '# CPU\r\nused_active_time_main_thread:1.25\r\nused_active_time_io_thread_1:0.5\r\nused_active_time_io_thread_2:0.75\r\n# Keyspace\r\ndb1:keys=5,expires=2,avg_ttl=0,keys_with_volatile_items=1\r\n',
    [
      'redis_active_time_io_thread_seconds_total{thread="1"} 0.5',
      'redis_active_time_io_thread_seconds_total{thread="2"} 0.75',
      'redis_active_time_main_thread_seconds_total 1.25',
      'redis_db_avg_ttl_seconds{db="db1"} 0',
      'redis_db_keys{db="db1"} 5',
      'redis_db_keys_expiring{db="db1"} 2',
      'redis_db_keys_with_expiring_items{db="db1"} 1',
    ],
  ],
  [
    'KeyDB: two masters, cached keys, its threads',
    '# Replication\r\nrole:active-replica\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\nmaster_1_host:10.0.0.2\r\nmaster_1_port:6380\r\nmaster_1_link_status:down\r\nmaster_1_last_io_seconds_ago:-1\r\n# KeyDB\r\nserver_threads:2\r\n# Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=0,cached_keys=4\r\n',
    [
      'redis_db_avg_ttl_seconds{db="db0"} 0',
      'redis_db_keys{db="db0"} 5',
      'redis_db_keys_cached{db="db0"} 4',
      'redis_db_keys_expiring{db="db0"} 2',
      'redis_master_last_io_seconds_ago{master_host="10.0.0.2",master_port="6380"} -1',
      'redis_master_link_up{master_host="10.0.0.1",master_port="6379"} 1',
      'redis_master_link_up{master_host="10.0.0.2",master_port="6380"} 0',
      'redis_server_threads_total 2',
    ],
  ],
  [
    'Dragonfly: hits in the place of the time to live',
    '# Keyspace\r\ndb0:keys=5,expires=2,hits=9,misses=1,evicted=0,avg_ttl=2000\r\n',
    ['redis_db_avg_ttl_seconds{db="db0"} 2', 'redis_db_keys{db="db0"} 5', 'redis_db_keys_expiring{db="db0"} 2'],
  ],
  [
    'a replica whose link is down',
    '# Replication\r\nrole:slave\r\nmaster_host:fe80::1\r\nmaster_port:6379\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:42\r\nslave_priority:100\r\nslave_read_only:1\r\nmaster_link_down_since_seconds:5\r\n',
    [
      'redis_master_last_io_seconds_ago{master_host="fe80::1",master_port="6379"} -1',
      'redis_master_link_up{master_host="fe80::1",master_port="6379"} 0',
      'redis_master_sync_in_progress{master_host="fe80::1",master_port="6379"} 1',
      'redis_slave_info{master_host="fe80::1",master_port="6379",read_only="1"} 1',
      'redis_slave_priority 100',
      'redis_slave_repl_offset{master_host="fe80::1",master_port="6379"} 42',
    ],
  ],
  ['nothing that is understood', 'no colon\r\n# \r\n:novalue\r\nused_memory:\r\nused_memory_rss:abc\r\nstranger:5\r\n', []],
];

for (const [server, info, samples] of TEXTS) {
  test(`INFO of ${server}`, () => assert.deepEqual(samplesOf(info), samples));
}

test('line ends may be bare line feeds, and the text may be cut anywhere', () => {
  const text = TEXTS.map(([, info]) => info).join('');
  assert.deepEqual(parseInfo(text), parseInfo(text.replaceAll('\r\n', '\n')));
  for (let end = 0; end < text.length; end += 3) samplesOf(text.slice(0, end));
});

test('CLUSTER INFO: words become 1 and 0, odd message names are made legal', () => {
  const samples = samplesOf(
    'cluster_enabled:1\r\n',
    'cluster_state:fail\r\ncluster_slots_assigned:5461\r\ncluster_stats_messages_auth-req_sent:2\r\ncluster_stats_messages_sent:9\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n',
  );
  assert.deepEqual(samples, [
    'redis_cluster_enabled 1',
    'redis_cluster_messages_sent_total 9',
    'redis_cluster_slots_assigned 5461',
    'redis_cluster_state 0',
    'redis_cluster_stats_messages_auth_req_sent 2',
  ]);
});

test('instance labels are those of the lines, Valkey adds two', () => {
  const labelsOf = (info: string): string | undefined => {
    const sheet = new Sheet(referenceReaders(), { maxSeries: 100, maxBytes: 1 << 16 });
    sheet.begin();
    writeAnswers({ info: parseInfo(info), config: undefined, slowlog: [], cluster: [] }, false, new FieldWriter(false), sheet);
    return sheet
      .text()
      .split('\n')
      .find((line) => line.startsWith('redis_instance_info'));
  };
  assert.equal(
    labelsOf('redis_version:7.0.15\r\nos:Linux "x"\r\nrole:master\r\n'),
    'redis_instance_info{master_replid="",maxmemory_policy="",os="Linux \\"x\\"",process_id="",redis_build_id="",redis_mode="",redis_version="7.0.15",role="master",run_id="",tcp_port=""} 1',
  );
  assert.match(
    labelsOf('redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nvalkey_release_stage:ga\r\n') ?? '',
    /,tcp_port="",valkey_release_stage="ga",valkey_version="8\.0\.1"\} 1$/,
  );
});

test('the start time does not move with the clocks, but with a new run and a set clock', () => {
  const sheet = new Sheet(referenceReaders(), { maxSeries: 10, maxBytes: 1 << 16 });
  const startTime = new StartTime();
  const at = (runId: string, uptime: string, wallMs: number): string | undefined => {
    sheet.begin();
    startTime.write(
      new Map([
        ['run_id', runId],
        ['uptime_in_seconds', uptime],
      ]),
      wallMs,
      sheet,
    );
    return /^redis_start_time_seconds (\S+)$/m.exec(sheet.text())?.[1];
  };
  assert.equal(at('a', '10', 1_000_010_900), '1e+06');
  assert.equal(at('a', '11', 1_000_012_100), '1e+06');
  assert.equal(at('a', '12', 1_000_011_900), '1e+06');
  assert.equal(at('a', '13', 2_000_013_000), '2e+06');
  assert.equal(at('b', '0', 2_000_014_000), '2.000014e+06');
  assert.equal(at('b', '', 2_000_014_000), undefined);
});

for (const [value, number] of [
  ['ok', 1],
  ['true', 1],
  ['err', 0],
  ['fail', 0],
  ['false', 0],
  ['-1', -1],
  ['1.23', 1.23],
  ['1e3', 1000],
  ['', Number.NaN],
  ['1.00M', Number.NaN],
  ['97.50%', Number.NaN],
  ['constructor', Number.NaN],
] as const) {
  test(`value "${value}" of INFO is ${number}`, () => assert.deepEqual(infoNumber(value), number));
}

for (const [value, expected] of [
  ['keys=1,expires=0', { keys: 1, expires: 0, averageTtlMs: undefined, cached: undefined, withExpiringItems: undefined }],
  ['expires=0,keys=1', { keys: 1, expires: 0, averageTtlMs: undefined, cached: undefined, withExpiringItems: undefined }],
  ['keys=1', undefined],
  ['keys=x,expires=0', undefined],
  ['keys=1,expires=0,avg_ttl=', undefined],
  ['keys,expires=0', undefined],
  ['', undefined],
] as const) {
  test(`keyspace line "${value}"`, () => assert.deepEqual(parseKeyspace(value), expected));
}

for (const [value, expected] of [
  ['ip=10.0.0.2,port=6379,state=online,offset=42,lag=1', { ip: '10.0.0.2', port: '6379', state: 'online', offset: 42, lag: 1 }],
  ['ip=2001:db8::1,port=6379,state=wait_bgsave,offset=0,lag=0,type=replica', { ip: '2001:db8::1', port: '6379', state: 'wait_bgsave', offset: 0, lag: 0 }],
  ['port=6379,state=online,offset=42', { ip: '', port: '6379', state: 'online', offset: 42, lag: undefined }],
  ['ip=10.0.0.2,port=6379,state=online,offset=,lag=1', undefined],
  ['ip=10.0.0.2,port=6379,state=online,offset=1,lag=x', undefined],
  ['ip=10.0.0.2,port=6379,state=online', undefined],
  ['10.0.0.2,6379,online', undefined],
] as const) {
  test(`replica line "${value}"`, () => assert.deepEqual(parseConnectedReplica(value), expected));
}

for (const value of ['', 'calls=1', 'calls=1,usec=x', 'calls=,usec=1', 'calls=1,usec=1,failed_calls=']) {
  test(`command line "${value}" is refused`, () => assert.equal(parseCommandStat(value), undefined));
}

test('pairs need an equals sign, and a name', () => {
  assert.deepEqual(
    parsePairs('a=1,b=c=d'),
    new Map([
      ['a', '1'],
      ['b', 'c=d'],
    ]),
  );
  for (const text of ['', 'a', '=1', 'a=1,', 'a=1,b']) assert.equal(parsePairs(text), undefined, text);
});

test('CONFIG GET: pairs; anything else is no configuration', () => {
  assert.deepEqual(parseConfig(['databases', '32', 'odd']), new Map([['databases', '32']]));
  assert.equal(parseConfig(new Error('NOPERM')), undefined);
  assert.equal(parseConfig(null), undefined);
  assert.equal(databasesOf(new Map([['databases', '32']])), 32);
  assert.equal(databasesOf(new Map([['databases', 'many']])), undefined);
  assert.equal(databasesOf(undefined), undefined);
});

for (const [text, expected] of [
  ['', []],
  ['normal 0 0 0', [['normal', 0, 0, 0]]],
  [
    'normal 0 0 0 slave 268435456 67108864 60 pubsub 1 2',
    [
      ['normal', 0, 0, 0],
      ['slave', 268435456, 67108864, 60],
    ],
  ],
  ['normal x 0 0 pubsub 1 2 3', [['pubsub', 1, 2, 3]]],
] as const) {
  test(`client-output-buffer-limit "${text}"`, () => {
    assert.deepEqual(
      parseOutputBufferLimits(text).map(({ name, hardBytes, softBytes, softSeconds }) => [name, hardBytes, softBytes, softSeconds]),
      expected,
    );
  });
}

test('the slow log: empty, full, refused', () => {
  const linesOf = (replies: Parameters<typeof writeSlowlog>[0]): string[] => {
    const sheet = new Sheet(referenceReaders(), { maxSeries: 10, maxBytes: 1 << 16 });
    sheet.begin();
    writeSlowlog(replies, sheet);
    return sheet
      .text()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
  };
  assert.deepEqual(linesOf([0, []]), ['redis_last_slow_execution_duration_seconds 0', 'redis_slowlog_last_id 0', 'redis_slowlog_length 0']);
  assert.deepEqual(linesOf([3, [[7, 1700000000, 12500, ['GET', 'x']]]]), [
    'redis_last_slow_execution_duration_seconds 0.0125',
    'redis_slowlog_last_id 7',
    'redis_slowlog_length 3',
  ]);
  assert.deepEqual(linesOf([new Error('NOPERM'), new Error('NOPERM')]), []);
});

test('the table of fields has no key and no family twice', () => {
  const families = [...INFO_FIELDS.values()].map((field) => field.family.name);
  assert.equal(new Set(families).size, families.length);
  assert.ok(families.length > 150);
  for (const field of INFO_FIELDS.values()) assert.match(field.family.help, /^[A-Z].*\.$/s, field.key);
});
