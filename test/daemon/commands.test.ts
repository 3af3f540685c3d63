import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN, type RunningDaemon, runDaemon, sampleValue, startDaemon, until } from '../support/daemon.ts';
import { WIRES } from '../support/wires.ts';
import { readFamilies, seriesOf } from './exposition.ts';
import { block, procTree } from './proc-tree.ts';

const folder = mkdtempSync(join(tmpdir(), 'exporterd-commands-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const VERSION = (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Prefixes of the family names on a page, each once. */
function prefixes(page: string): string[] {
  return [...new Set(readFamilies(page).map(({ name }) => name.slice(0, name.indexOf('_'))))];
}

test('once collects once and prints the page on standard output', { timeout: 30_000 }, async () => {
  const { code, stdout, stderr } = await runDaemon(['once']);
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    prefixes(stdout).filter((prefix) => ['node', 'container', 'machine', 'process', 'exporterd'].includes(prefix)),
    ['container', 'exporterd', 'machine', 'node', 'process'],
  );
  const time = sampleValue(stdout, 'node_time_seconds');
  assert.ok(Math.abs(time - Date.now() / 1000) < 10, String(time));
  assert.doesNotMatch(stdout, /^node_scrape_collector_success\{.*\} NaN/m);
});

test('once --role prints that role only', { timeout: 30_000 }, async () => {
  const node = await runDaemon(['once', '--role=node']);
  assert.equal(node.code, 0, node.stderr);
  assert.deepEqual(prefixes(node.stdout), ['node']);
  const both = await runDaemon(['once', '--role=node', '--role=container']);
  assert.deepEqual(prefixes(both.stdout), ['container', 'machine', 'node']);
});

test('once ends with 3 when a collector failed, and still prints the page', { timeout: 30_000 }, async () => {
  const root = procTree();
  writeFileSync(join(root, 'stat'), 'this is no stat\n');
  const { code, stdout, stderr } = await runDaemon(['once', '--role=node', `--path.procfs=${root}`, '--log.format=json']);
  assert.equal(code, 3, stderr);
  assert.equal(sampleValue(stdout, 'node_scrape_collector_success{collector="stat"}'), 0);
  assert.ok(sampleValue(stdout, 'node_load1') >= 0);
  assert.match(stderr, /"collector":"stat".*"code":"parse"/);
});

test('once does not wait for a collector that hangs longer than its deadline', { timeout: 30_000 }, async () => {
  const root = procTree();
  block(root, 'loadavg');
  const { code, stdout } = await runDaemon(['once', '--role=node', `--path.procfs=${root}`]);
  assert.equal(code, 3);
  assert.equal(sampleValue(stdout, 'node_scrape_collector_success{collector="loadavg"}'), 0);
  assert.ok(sampleValue(stdout, 'node_memory_MemTotal_bytes') > 0);
});

test('check-config accepts a good file and names file, line and the nearest key of a bad one', { timeout: 30_000 }, async () => {
  const good = await runDaemon(['check-config', `--config=${file('good.yaml', 'interval: 5s\nnode:\n  collectors:\n    vmstat: false\n')}`]);
  assert.deepEqual([good.code, good.stderr], [0, '']);
  assert.notEqual(good.stdout, '');
  const path = file('bad.yaml', 'interval: 5s\nweb:\n  listen_adress: [":9100"]\n');
  const bad = await runDaemon(['check-config', `--config=${path}`]);
  assert.equal(bad.code, 2);
  assert.equal(bad.stdout, '');
  assert.match(bad.stderr, /bad\.yaml:3:3: .*listen_adress.*listen_address/);
  // Wrong in a way that only the collector can tell.
  const target = await runDaemon(['check-config'], { DATA_SOURCE_NAME: 'postgresql://u:secret-word@[bad' });
  assert.equal(target.code, 2);
  assert.doesNotMatch(target.stderr + target.stdout, /secret-word/);
  assert.equal((await runDaemon(['check-config', '--config=/nowhere/at/all.yaml'])).code, 2);
});

test('an unknown flag is a usage error with a hint; --version and --help print and end', { timeout: 30_000 }, async () => {
  const unknown = await runDaemon(['--intervall=5s']);
  assert.deepEqual([unknown.code, unknown.stdout], [2, '']);
  assert.match(unknown.stderr, /--intervall: unknown flag; did you mean --interval\?/);
  const version = await runDaemon(['--version']);
  assert.deepEqual([version.code, version.stdout, version.stderr], [0, `exporterd ${VERSION}\n`, '']);
  const help = await runDaemon(['--help']);
  assert.deepEqual([help.code, help.stderr], [0, '']);
  for (const flag of ['--web.listen-address', '--path.procfs', '--log.level', '--role', 'check-config', 'node_exporter'])
    assert.ok(help.stdout.includes(flag), flag);
});

test('a page that cannot be printed is one clear line and exit code 1', { timeout: 30_000 }, () => {
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'once', '--role=node'], { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
  closeSync(full);
  assert.equal(status, 1);
  assert.equal(stderr.trim().split('\n').at(-1), 'exporterd: cannot print: ENOSPC: no space left on device, write');
});

for (const { server, skip } of WIRES)
  test(`a port in use is one clear line and exit code 1: ${server}`, { timeout: 30_000, skip }, async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    try {
      const { code, stdout, stderr } = await runDaemon([`--web.listen-address=127.0.0.1:${port}`, `--web.server=${server}`, '--log.level=error']);
      assert.deepEqual([code, stdout], [1, '']);
      assert.equal(stderr, `exporterd: cannot listen on 127.0.0.1:${port}: the port is in use by another process or listener (EADDRINUSE)\n`);
    } finally {
      taken.close();
    }
  });

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends the daemon with 0; it has written nothing to standard output`, { timeout: 30_000 }, async () => {
    const daemon = await startDaemon([`--web.server=${WIRES.find(({ skip }) => skip === false)?.server}`]);
    await daemon.page('/metrics', { 'accept-encoding': 'gzip' });
    const started = performance.now();
    daemon.process.kill(signal);
    // A second signal while it stops changes nothing.
    daemon.process.kill(signal);
    const { code } = await ended(daemon);
    assert.equal(code, 0);
    assert.ok(performance.now() - started < 1500, `${performance.now() - started} ms`);
    assert.equal(daemon.stdout(), '');
    assert.deepEqual(
      daemon.log.filter(({ level }) => level !== 'info'),
      [],
    );
    assert.equal(daemon.log.at(-1)?.['msg'], 'stopping');
  });
}

function ended(daemon: RunningDaemon): Promise<{ code: number | null }> {
  return new Promise((resolve) => daemon.process.once('close', (code) => resolve({ code })));
}

test('a password is in no log, on no page, in no title', { timeout: 60_000 }, async () => {
  const secret = 'hunter2-%21-xyzzy';
  // Nobody listens there: errors of the driver are logged, and they know the connection string.
  const daemon = await startDaemon(['--interval=200ms', '--log.level=debug', '--role=postgres'], {
    DATA_SOURCE_NAME: `postgresql://somebody:${secret}@127.0.0.1:1/postgres?sslmode=disable,host=127.0.0.1 port=1 user=u password=${secret} sslmode=disable`,
  });
  try {
    await until(10_000, 'the target is down', async () => (await daemon.page('/metrics/postgres/default')).includes('pg_up 0'));
    await sleep(500);
    const pages = await Promise.all(
      ['/', '/metrics', '/metrics/postgres', '/metrics/postgres/default', '/metrics/exporterd', '/metrics?collect[]=no'].map(async (path) =>
        (await fetch(daemon.url + path)).text(),
      ),
    );
    const process = `/proc/${daemon.process.pid}`;
    const everything = [
      ...pages,
      JSON.stringify(daemon.log),
      daemon.stdout(),
      readFileSync(`${process}/cmdline`, 'latin1'),
      readFileSync(`${process}/comm`, 'latin1'),
    ].join('\n');
    for (const form of [secret, decodeURIComponent(secret), 'hunter2']) assert.ok(!everything.includes(form), form);
    assert.ok(daemon.log.some(({ msg }) => msg === 'collector failed'));
  } finally {
    await daemon.stop();
  }
});

test('the TypeScript readers serve the same series, and the page says which readers read', { timeout: 60_000 }, async () => {
  const root = procTree();
  const flags = ['--interval=1h', '--no-phase-lock', `--path.procfs=${root}`];
  const native = await startDaemon(flags, { EXPORTERD_READERS: 'native' });
  const reference = await startDaemon(flags, { EXPORTERD_READERS: 'reference' });
  try {
    const series = async (daemon: RunningDaemon, path: string): Promise<string[]> =>
      readFamilies(await daemon.page(path)).flatMap(({ name, type, lines }) => [`${name} ${type}`, ...lines.map(seriesOf)]);
    // adjtimex(2) is a system call that Node.js does not offer.
    const withoutTimex = (lines: readonly string[]): string[] => lines.filter((line) => !line.startsWith('node_timex_'));
    assert.deepEqual(withoutTimex(await series(reference, '/metrics/node')), withoutTimex(await series(native, '/metrics/node')));
    const families = async (daemon: RunningDaemon): Promise<string[]> =>
      readFamilies(await daemon.page('/metrics/container')).map(({ name, type }) => `${name} ${type}`);
    assert.deepEqual(await families(reference), await families(native));
    const still = (page: string): string[] => page.split('\n').filter((line) => /^node_(memory|load|boot|forks|network|filefd|vmstat)/.test(line));
    assert.deepEqual(still(await reference.page('/metrics/node')), still(await native.page('/metrics/node')));
    assert.equal(sampleValue(await reference.page('/metrics/exporterd'), 'exporterd_native_readers'), 0);
    assert.equal(sampleValue(await native.page('/metrics/exporterd'), 'exporterd_native_readers'), 1);
    const warnings = (daemon: RunningDaemon): number =>
      daemon.log.filter(({ level, msg }) => level === 'warn' && String(msg).includes('native readers')).length;
    assert.deepEqual([warnings(reference), warnings(native)], [1, 0]);
  } finally {
    await Promise.all([native.stop(), reference.stop()]);
  }
});

test('the persona node_exporter: its page, its filters, its paths', { timeout: 60_000 }, async () => {
  const daemon = await startDaemon(['node_exporter', '--collector.disable-defaults', '--collector.loadavg', '--collector.meminfo', '--web.telemetry-path=/m']);
  try {
    const page = await daemon.page('/m');
    const names = readFamilies(page).map(({ name }) => name);
    assert.deepEqual(prefixes(page), ['node', 'process']);
    for (const name of ['node_exporter_build_info', 'node_load1', 'node_memory_MemTotal_bytes', 'process_cpu_seconds_total', 'node_scrape_collector_success'])
      assert.ok(names.includes(name), name);
    assert.deepEqual(page.match(/^node_scrape_collector_success.*$/gm), [
      'node_scrape_collector_success{collector="loadavg"} 1',
      'node_scrape_collector_success{collector="meminfo"} 1',
    ]);
    assert.match(
      page,
      new RegExp(`^node_exporter_build_info\\{branch="",goarch="[^"]+",goos="linux",goversion="",revision="exporterd",tags="",version="${VERSION}"\\} 1$`, 'm'),
    );
    // Filters name the peer's collectors; what the peer prints besides them stays on the page.
    const filtered = await daemon.page('/m?collect[]=loadavg');
    assert.match(filtered, /^node_load1 /m);
    assert.doesNotMatch(filtered, /^node_memory/m);
    assert.match(filtered, /^node_exporter_build_info\{/m);
    assert.match(filtered, /^process_cpu_seconds_total /m);
    const excluded = await daemon.page('/m?exclude[]=loadavg');
    assert.doesNotMatch(excluded, /^node_load1 /m);
    assert.match(excluded, /^process_cpu_seconds_total /m);
    const wrong = await fetch(`${daemon.url}/m?collect[]=stat`);
    assert.deepEqual(
      [wrong.status, await wrong.text()],
      [400, "Couldn't create filtered metrics handler: couldn't create collector: disabled collector: stat\n"],
    );
    assert.equal((await fetch(`${daemon.url}/m?collect[]=process`)).status, 400);
    assert.equal((await fetch(`${daemon.url}/metrics`)).status, 404);
    // The daemon's own page stays where the daemon has it.
    assert.match(await daemon.page('/m/exporterd'), /^exporterd_build_info/m);
  } finally {
    await daemon.stop();
  }
});

test('the persona without metrics about the exporter has no process_*', { timeout: 30_000 }, async () => {
  const { code, stdout, stderr } = await runDaemon(['once', 'node_exporter', '--web.disable-exporter-metrics']);
  assert.equal(code, 0, stderr);
  assert.deepEqual(prefixes(stdout), ['node']);
  assert.match(stdout, /^node_exporter_build_info\{/m);
});
