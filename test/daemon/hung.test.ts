import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startDaemon, until, sampleValue } from '../support/daemon.ts';

const folder = mkdtempSync(join(tmpdir(), 'exporterd-hung-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const FILES = ['stat', 'meminfo', 'loadavg', 'vmstat', 'sys/fs/file-nr', 'self/net/dev', 'net/dev'];

/** A procfs of copies of this machine's files, in which one is a FIFO: opening it blocks for as long as nobody writes. */
function procWithFifo(name: string): { root: string; fifo: string } {
  const root = mkdtempSync(join(folder, 'proc-'));
  for (const file of FILES) {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), readFileSync(`/proc/${file}`));
  }
  const fifo = join(root, name);
  rmSync(fifo);
  execFileSync('mkfifo', [fifo]);
  return { root, fifo };
}

const FLAGS = ['--role=node', '--interval=500ms', ...['loadavg', 'meminfo', 'stat', 'filefd'].map((name) => `--node.collectors.${name}`)];

test('one collector hangs in a system call: the others are served, it alone fails, and it comes back', { timeout: 60_000 }, async () => {
  const { root, fifo } = procWithFifo('loadavg');
  const daemon = await startDaemon([...FLAGS, `--path.procfs=${root}`]);
  try {
    const success = (page: string, part: string): number => sampleValue(page, `node_scrape_collector_success{collector="${part}"}`);
    const page = await until(10_000, 'the hung collector counts as failed', async () => {
      const text = await daemon.page('/metrics/node');
      return success(text, 'loadavg') === 0 && text;
    });
    assert.equal(success(page, 'meminfo'), 1);
    assert.ok(sampleValue(page, 'node_memory_MemTotal_bytes') > 0);
    assert.ok(Number.isNaN(sampleValue(page, 'node_load1')));

    // The others go on: a change in their files shows up while the hung one still hangs.
    for (const total of [111, 222]) {
      writeFileSync(join(root, 'sys/fs/file-nr'), `${total}\t0\t999\n`);
      await until(5000, `file-nr shows ${total}`, async () => sampleValue(await daemon.page('/metrics/node'), 'node_filefd_allocated') === total);
    }
    const self = await daemon.page('/metrics/exporterd');
    assert.ok(sampleValue(self, 'exporterd_collector_failures_total{code="timeout",collector="loadavg",role="node",target="local"}') >= 1);
    assert.ok(sampleValue(self, 'exporterd_collector_skips_total{collector="loadavg",role="node",target="local"}') >= 1);
    assert.equal(daemon.log.filter((line) => line['msg'] === 'collector passed its deadline').length, 1, 'logged once');

    // Somebody opens it for writing: the call returns, and from now on the file is an ordinary one.
    const writer = openSync(fifo, 'w');
    rmSync(fifo);
    writeFileSync(fifo, '0.01 0.02 0.03 1/100 1\n');
    closeSync(writer);
    await until(20_000, 'the collector has come back', async () => {
      const text = await daemon.page('/metrics/node');
      return success(text, 'loadavg') === 1 && sampleValue(text, 'node_load1') >= 0;
    });
  } finally {
    const { code, ms } = await daemon.stop();
    assert.equal(code, 0);
    assert.ok(ms < 1500, `stopped after ${ms} ms`);
  }
});

test('SIGTERM ends the daemon within a second with code 0 although a thread is stuck in open', { timeout: 30_000 }, async () => {
  const { root } = procWithFifo('meminfo');
  const daemon = await startDaemon([...FLAGS, `--path.procfs=${root}`]);
  await until(
    10_000,
    'the lane is stuck',
    async () => sampleValue(await daemon.page('/metrics/node'), 'node_scrape_collector_success{collector="meminfo"}') === 0,
  );
  const { code, ms } = await daemon.stop();
  assert.equal(code, 0);
  assert.ok(ms <= 1000, `stopped after ${ms} ms`);
});
