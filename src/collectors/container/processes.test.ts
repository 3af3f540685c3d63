import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bench, fixture, plant, samples, type TestTree } from './harness.ts';

const APP = '/system.slice/app.service';
const PROCS = `sys/fs/cgroup${APP}/cgroup.procs`;

function withTree(body: (tree: TestTree) => void): void {
  const tree = plant(fixture('v2.tree'));
  try {
    tree.write(PROCS, '');
    body(tree);
  } finally {
    tree.remove();
  }
}

test('descriptors and sockets of the processes of a cgroup; one that is gone is passed over', () => {
  withTree((tree) => {
    tree.write(PROCS, '77\n78\n79\n');
    for (const pid of [77, 78]) mkdirSync(join(tree.path, `proc/${pid}/fd`), { recursive: true });
    for (const [at, target] of ['/dev/null', 'socket:[1]', 'socket:[2]', 'pipe:[3]'].entries()) symlinkSync(target, join(tree.path, `proc/77/fd/${at}`));
    symlinkSync('socket:[9]', join(tree.path, 'proc/78/fd/0'));
    tree.write(
      'proc/1/limits',
      'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n',
    );
    const bench = new Bench(tree.roots, ['process_files']);
    const found = samples(bench.page('process_files'));
    assert.equal(found.get(`container_file_descriptors{id="${APP}"}`), 5);
    assert.equal(found.get(`container_sockets{id="${APP}"}`), 3);
    assert.equal(found.get('container_ulimits_soft{id="/",ulimit="max_open_files"}'), 1024);
    assert.equal(found.has(`container_ulimits_soft{id="${APP}",ulimit="max_open_files"}`), false, 'only of containers and /');
    tree.write('proc/1/limits', 'Max open files            unlimited            unlimited            files     \n');
    assert.equal(samples(bench.page('process_files')).get('container_ulimits_soft{id="/",ulimit="max_open_files"}'), -1);
    rmSync(join(tree.path, 'proc/1/limits'));
    assert.equal(samples(bench.page('process_files')).has('container_ulimits_soft{id="/",ulimit="max_open_files"}'), false);
    bench.session.close();
  });
});

test('scheduler times count children in, and keep what ended processes had', () => {
  withTree((tree) => {
    const bench = new Bench(tree.roots, ['sched']);
    const value = (id: string, name = 'run_seconds'): number | undefined =>
      samples(bench.sheet('sched').text()).get(`container_cpu_schedstat_${name}_total{id="${id}"}`);
    tree.write(PROCS, '77\n78\n');
    tree.write('proc/77/schedstat', '1000000000 500000000 10\n');
    tree.write('proc/78/schedstat', '2000000000 0 5\n');
    bench.page('sched');
    assert.deepEqual([value(APP), value(APP, 'runqueue_seconds'), value(APP, 'run_periods')], [3, 0.5, 15]);
    assert.equal(value('/system.slice'), 3, 'the parent too');
    assert.ok((value('/') ?? 0) >= 3);
    tree.write(PROCS, '78\n');
    rmSync(join(tree.path, 'proc/77'), { recursive: true });
    bench.page('sched');
    assert.equal(value(APP), 3, 'one ended');
    tree.write('proc/78/schedstat', '250000000 0 1\n');
    bench.page('sched');
    assert.equal(value(APP), 3.25, 'the other too, and a new one has its number');
    tree.write('proc/78/schedstat', 'what is this\n');
    bench.page('sched');
    assert.equal(value(APP), 3.25, 'nothing understood: nothing lost');
    bench.session.close();
  });
});

const NETSTAT = `TcpExt: SyncookiesSent TCPTimeouts Unknown
TcpExt: 3 7 9
IpExt: InNoRoutes InOctets
IpExt: 0 100
`;
const SNMP = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn CurrEstab
Tcp: 1 200 120000 -1 12
`;

test('TCP counters of a network namespace by their names, those that the kernel lacks 0', () => {
  withTree((tree) => {
    tree.write('proc/1/net/netstat', NETSTAT);
    tree.write('proc/1/net/snmp', SNMP);
    const bench = new Bench(tree.roots, ['advtcp']);
    const value = (found: Map<string, number>, name: string) => found.get(`container_network_advance_tcp_stats_total{id="/",tcp_state="${name}"}`);
    const found = samples(bench.page('advtcp'));
    assert.equal(found.size, 99, 'of / alone, which has a namespace');
    assert.deepEqual(
      ['syncookiessent', 'tcptimeouts', 'rtomin', 'maxconn', 'currestab', 'pawsestab', 'unknown'].map((name) => value(found, name)),
      [3, 7, 200, -1, 12, 0, undefined],
    );
    tree.write('proc/1/net/netstat', 'TcpExt: SyncookiesSent TCPTimeouts\nTcpExt: 3\n\n');
    const uneven = samples(bench.page('advtcp'));
    assert.deepEqual([value(uneven, 'syncookiessent'), value(uneven, 'currestab')], [0, 12], 'lines of unequal length say nothing');
    rmSync(join(tree.path, 'proc/1/net'), { recursive: true });
    bench.page('advtcp');
    assert.equal(samples(bench.page('advtcp')).size, 0);
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
  });
});

test('pages that the processes of a cgroup touched; the marks are taken off as often as is asked for', () => {
  withTree((tree) => {
    tree.write(PROCS, '77\n78\n79\n');
    tree.write('proc/77/smaps_rollup', '00400000-7ffc ---p 00000000 00:00 0    [rollup]\nRss:       900 kB\nReferenced:          892 kB\n');
    tree.write('proc/78/smaps', 'Referenced:   4 kB\nVmFlags: rd\nReferenced:            8 kB\nReferenced: many\n');
    tree.write('proc/77/clear_refs', '');
    const bench = new Bench(tree.roots, ['referenced_memory'], { referenced_reset_interval: 2 });
    const found = samples(bench.page('referenced_memory'));
    assert.equal(found.get(`container_referenced_bytes{id="${APP}"}`), (892 + 12) * 1024);
    assert.equal(found.get('container_referenced_bytes{id="/"}'), 0);
    const cleared = () => readFileSync(join(tree.path, 'proc/77/clear_refs'), 'utf8');
    assert.equal(cleared(), '');
    bench.page('referenced_memory');
    assert.equal(cleared(), '1');
    bench.session.close();
  });
});

test('a threaded cgroup without the pids controller shows its threads', () => {
  withTree((tree) => {
    const folder = 'sys/fs/cgroup/threaded';
    tree.write(`${folder}/cgroup.type`, 'threaded\n');
    tree.write(`${folder}/cgroup.threads`, '77\n78\n');
    tree.write('sys/fs/cgroup/empty/cgroup.procs', '');
    const bench = new Bench(tree.roots, ['process']);
    const found = samples(bench.page('process'));
    assert.equal(found.get('container_threads{id="/threaded"}'), 2);
    assert.equal(found.get('container_processes{id="/threaded"}'), 0);
    assert.equal(found.get('container_threads{id="/empty"}'), 0);
    bench.session.close();
  });
});

test('TCP states and UDP queues, where there is a network namespace', () => {
  withTree((tree) => {
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
    const line = (state: string, queues = '00000000:00000000', rest = '00:00000000 00000000     0        0 1065 1 0 100 0 0 10 0'): string =>
      `   0: 00000000:07E8 00000000:0000 ${state} ${queues} ${rest}\n`;
    tree.write('proc/1/net/tcp', head + line('0A') + line('01') + line('01') + line('0C') + line('FF'));
    tree.write('proc/1/net/udp', head + line('07', '00000010:00000020', '00:00000000 00000000     0        0 1065 2 0 7') + line('07'));
    const bench = new Bench(tree.roots, ['tcp', 'udp']);
    const tcp = samples(bench.page('tcp'));
    const state = (name: string): number | undefined => tcp.get(`container_network_tcp_usage_total{id="/",tcp_state="${name}"}`);
    assert.deepEqual([state('listen'), state('established'), state('synrecv'), state('closing')], [1, 2, 1, 0]);
    assert.equal(tcp.size, 22, 'all states of both families, of / alone');
    const udp = samples(bench.page('udp'));
    const queue = (name: string): number | undefined => udp.get(`container_network_udp_usage_total{id="/",udp_state="${name}"}`);
    assert.deepEqual([queue('listen'), queue('txqueued'), queue('rxqueued'), queue('dropped')], [2, 16, 32, 7]);
    rmSync(join(tree.path, 'proc/1/net'), { recursive: true });
    assert.equal(samples(bench.page('tcp')).size, 0);
    bench.session.close();
  });
});
