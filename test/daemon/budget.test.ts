import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, plant } from '../../src/collectors/container/harness.ts';
import { sampleValue, startDaemon, until } from '../support/daemon.ts';

const OVER = 'exporterd_collector_over_budget_total{collector="memory",role="container",target="local"}';

const RESCANS = ['count', 'lost', 'unwatched', 'watched'].map((reason) => `exporterd_container_rescans_total{reason="${reason}"}`);

test('how often the hierarchies of cgroups were looked through is told, from the first page on', { timeout: 60_000 }, async () => {
  const tree = plant(fixture('v2.tree'));
  const paths = [`--path.procfs=${tree.roots.procfs}`, `--path.sysfs=${tree.roots.sysfs}`, `--path.rootfs=${tree.roots.rootfs}`];
  const daemon = await startDaemon([...paths, '--role=container', '--role=exporterd', '--interval=200ms', '--no-phase-lock']);
  try {
    const page = await daemon.page('/metrics/exporterd');
    const numbers = RESCANS.map((series) => sampleValue(page, series));
    const isWatched = sampleValue(page, 'exporterd_native_readers') === 1;
    if (isWatched) assert.deepEqual(numbers, [0, 0, 0, 1]);
    else assert.ok((numbers[2] ?? 0) > 0 && numbers[3] === 0, String(numbers));
    assert.doesNotMatch(await daemon.page('/metrics/container'), /exporterd_/);
  } finally {
    await daemon.stop();
    tree.remove();
  }
});

test('series of containers beyond the budget: left out, counted, told in one line; those that are shown stay', { timeout: 60_000 }, async () => {
  const tree = plant(fixture('v1.tree'));
  const memory = (name: string) => tree.write(`sys/fs/cgroup/memory/${name}/memory.usage_in_bytes`, '5\n');
  for (let i = 0; i < 20; i++) memory(`many${i}`);
  const paths = [`--path.procfs=${tree.roots.procfs}`, `--path.sysfs=${tree.roots.sysfs}`, `--path.rootfs=${tree.roots.rootfs}`];
  const only = ['--role=container', '--role=exporterd', '--container.max-series=100', '--container.collectors.memory'];
  const daemon = await startDaemon([...paths, ...only, '--interval=200ms', '--no-phase-lock']);
  try {
    const usages = async () => (await daemon.page('/metrics/container')).match(/^container_memory_\w+\{/gm)?.length ?? 0;
    assert.equal(await usages(), 100);
    const over = async (): Promise<number> => sampleValue(await daemon.page('/metrics/exporterd'), OVER);
    const before = await until(10_000, 'it is counted', async () => (await over()) > 0 && over());
    memory('late');
    await until(10_000, 'newcomers are refused too', async () => (await over()) > before);
    assert.equal(await usages(), 100);
    const lines = daemon.log.filter(({ msg, collector }) => String(msg).startsWith('series or byte budget used up') && collector === 'memory');
    assert.equal(lines.length, 1, JSON.stringify(daemon.log));
    assert.match(String(lines[0]?.['family']), /^container_memory_/);
  } finally {
    await daemon.stop();
    tree.remove();
  }
});
