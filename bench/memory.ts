/** Memory of the daemon with its default roles after many cycles, and how long it takes from start to ready. */
import { spawnDaemon, startDaemon } from './daemon.ts';
import { readFlags } from './flags.ts';
import { MIB, type Memory, memoryOf } from './memory-of.ts';
import type { Page } from './page.ts';
import { atMost, type Cell, type Findings, runBench } from './result.ts';
import { everyPeriod, fetchPage, fetchRaw, keptConnection, sleepUntil } from './scrape.ts';
import { median } from './statistics.ts';

const flags = readFlags({ cycles: 1000, interval: 0.1, starts: 10 }, { cycles: 5, starts: 2 });

await runBench('memory', 'Memory, and time to be ready', flags, async (): Promise<Findings> => {
  const starts: number[] = [];
  for (let i = 0; i < flags.starts; i++) starts.push(await startToReady());

  const every = `${flags.interval * 1000}ms`;
  // Named by collector: a general interval gives way to the rhythm of a scraper. The daemon's own page is as fresh as its role.
  const daemon = await startDaemon([`--node.interval=${every}`, `--container.interval=${every}`, '--exporterd.interval=1s']);
  const early = memoryOf(daemon.pid);
  const agent = keptConnection();
  let cycles = 0;
  // A scraper a second, as in life: its page is merged and compressed in every cycle.
  // Cycles may come slower than asked for: a collector is not run for more than a twentieth of the time.
  while (cycles < flags.cycles) {
    const before = cycles;
    await everyPeriod(1000, 10, async () => {
      await fetchPage(`${daemon.url}/metrics`, 'gzip', agent);
    });
    const own = await fetchPage(`${daemon.url}/metrics/exporterd`);
    cycles = Math.min(...['collector="stat",role="node"', 'collector="memory",role="container"'].map((labels) => runs(own, labels)));
    if (cycles === before) throw new Error(`no cycle in ten seconds behind cycle ${cycles}`);
  }
  const page = await fetchPage(`${daemon.url}/metrics`);
  for (const family of ['node_context_switches_total', 'container_memory_usage_bytes'])
    if (!page.families.has(family)) throw new Error(`${family} is not on the page`);
  const late = memoryOf(daemon.pid);
  agent.destroy();
  await daemon.stop();
  const row = (name: string, { rss, pss, peak }: Memory): Cell[] => [name, rss / MIB, pss / MIB, peak / MIB];
  return {
    tables: [
      {
        title: `Memory, MiB; ${page.samples.size} samples, ${page.text.length} bytes`,
        columns: ['when', 'RSS', 'PSS', 'greatest RSS'],
        rows: [row('ready', early), row(`after ${cycles} cycles of ${every}`, late)],
      },
      {
        title: 'From start to ready, ms',
        columns: ['starts', 'median', 'least', 'greatest'],
        rows: [[starts.length, median(starts), Math.min(...starts), Math.max(...starts)]],
      },
    ],
    verdicts: [atMost('RSS', late.rss / 1e6, 80, 'MB'), atMost('start to ready', median(starts), 400, 'ms')],
    notes: ['Start to ready: from the spawn of the process to the first 200 of /-/ready, asked every 2 ms.'],
  };
});

function runs(page: Page, labels: string): number {
  const [collector, role] = labels.split(',');
  return ['ok', 'absent', 'failed'].reduce(
    (sum, result) => sum + (page.samples.get(`exporterd_collector_runs_total{${collector},result="${result}",${role},target="local"}`) ?? 0),
    0,
  );
}

async function startToReady(): Promise<number> {
  const daemon = await spawnDaemon([]);
  const agent = keptConnection();
  for (;;) {
    const { status } = await fetchRaw(`${daemon.url}/-/ready`, 'identity', agent);
    if (status === 200) break;
    await sleepUntil(performance.now() + 2);
  }
  const took = performance.now() - daemon.spawnedMs;
  agent.destroy();
  await daemon.stop();
  return took;
}
