import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadReaders } from '../../src/readers/load.ts';
import { discoverCollectors } from '../../src/collect/discover.ts';
import { loadConfig } from '../../src/cli/load.ts';
import { NODE_EXPORTER } from '../../src/cli/personas/node-exporter.ts';
import { type Plan, type PlanInputs, plan } from '../../src/daemon/plan.ts';

const definitions = await discoverCollectors();

async function inputs(argv: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<PlanInputs> {
  const loaded = await loadConfig({ argv, env: environment, cwd: '/', definitions, readFile: () => '', version: '0' });
  if (!('config' in loaded)) throw new Error(loaded.text);
  return { config: loaded.config, definitions, environment, readSecret: () => '', readers: loadReaders() };
}

const planned = async (argv: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Plan> => plan(await inputs(argv, environment));
const rolesOf = (one: Plan): string[] => [...new Set(one.jobs.map((job) => job.role))].sort();
const paths = (one: Plan): string[] => one.listeners[0]?.routes.map(({ path }) => path).sort() ?? [];

test('the same inputs give the same plan, and nothing of them is changed', async () => {
  const given = await inputs(['--interval=3s'], { DATA_SOURCE_NAME: 'postgresql://u@127.0.0.1:1/a' });
  const before = structuredClone(given.config);
  const [first, second] = [plan(given), plan(given)];
  assert.deepEqual(first, second);
  assert.notEqual(first, second);
  assert.deepEqual(given.config, before);
  assert.doesNotThrow(() => structuredClone(first), 'data only');
});

test("without configuration node, container and the daemon itself run; a back end comes with its peer's variable", async () => {
  assert.deepEqual(rolesOf(await planned([])), ['container', 'exporterd', 'node']);
  assert.deepEqual(rolesOf(await planned([], { DATA_SOURCE_NAME: 'postgresql://u@h/d' })), ['container', 'exporterd', 'node', 'postgres']);
  assert.deepEqual(rolesOf(await planned(['--no-node.enabled'])), ['container', 'exporterd']);
});

test('runtimes are asked where one is installed, or where it is asked for', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'exporterd-root-'));
  t.after(() => rmSync(root, { recursive: true }));
  const asks = async (...argv: string[]): Promise<boolean> =>
    (await planned([`--path.rootfs=${root}`, ...argv])).jobs.some(({ collector, part }) => collector === 'container' && part === 'runtimes');
  assert.equal(await asks(), false);
  assert.equal(await asks('--container.collectors.runtimes'), true);
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'usr/bin/dockerd'), '');
  assert.equal(await asks(), true);
  assert.equal(await asks('--no-container.collectors.runtimes'), false);
  assert.equal(await asks('--container.disable-defaults'), false);
});

test('every role has its page and a page per target; /metrics shows each role once', async () => {
  const one = await planned([], { DATA_SOURCE_NAME: 'postgresql://u@h/d,postgresql://u@i/d' });
  assert.deepEqual(paths(one), [
    '/metrics',
    '/metrics/cadvisor',
    '/metrics/container',
    '/metrics/container/local',
    '/metrics/exporterd',
    '/metrics/node',
    '/metrics/node/local',
    '/metrics/postgres',
    '/metrics/postgres/default',
    '/metrics/postgres/default2',
    '/metrics/resource',
  ]);
  assert.deepEqual(one.severalTargets, ['postgres']);
  const roles = one.listeners[0]?.routes.find(({ path }) => path === '/metrics')?.filter.roles ?? [];
  assert.deepEqual([...roles].sort(), ['container', 'exporterd', 'node', 'postgres']);
});

test("roles limits what runs and what /metrics shows; the daemon's own page stays", async () => {
  const one = await planned(['--role=node']);
  assert.deepEqual(rolesOf(one), ['exporterd', 'node']);
  assert.deepEqual(one.listeners[0]?.routes[0], { path: '/metrics', filter: { roles: ['node'] } });
  assert.ok(paths(one).includes('/metrics/exporterd'));
  const both = await planned(['--role=node', '--role=exporterd']);
  assert.deepEqual(both.listeners[0]?.routes[0]?.filter.roles, ['node', 'exporterd']);
});

test("intervals and deadlines: a part's own, the daemon's, the block's; network runs end before the next is due", async () => {
  const job = (one: Plan, key: string) => one.jobs.find((candidate) => candidate.key === key);
  const environment = { DATA_SOURCE_NAME: 'postgresql://u@h/d' };
  const usual = await planned([], environment);
  assert.deepEqual(
    [job(usual, 'node/stat/local')?.intervalMs, job(usual, 'node/stat/local')?.intervalIsSet, job(usual, 'node/stat/local')?.deadlineMs],
    [15_000, false, 1000],
  );
  assert.deepEqual([job(usual, 'postgres/up/default')?.intervalMs, job(usual, 'postgres/up/default')?.deadlineMs], [15_000, 5000]);
  assert.deepEqual([job(usual, 'container/memory/local')?.deadlineMs, job(usual, 'container/memory/local')?.firstDeadlineMs], [1000, 10_000]);
  assert.equal(job(usual, 'node/stat/local')?.firstDeadlineMs, 1000);
  const short = await planned(['--interval=2s', '--container.deadline=2s', '--node.interval=700ms', '--node.deadline=90ms'], environment);
  assert.deepEqual(
    [job(short, 'node/stat/local')?.intervalMs, job(short, 'node/stat/local')?.intervalIsSet, job(short, 'node/stat/local')?.deadlineMs],
    [700, true, 90],
  );
  assert.equal(job(short, 'postgres/up/default')?.deadlineMs, 1600);
  assert.deepEqual([job(short, 'container/memory/local')?.deadlineMs, job(short, 'container/memory/local')?.firstDeadlineMs], [2000, 2000]);
});

test("the persona's page has its role, its build info and process_*, unless switched off", async () => {
  const given = await inputs(['node_exporter']);
  const front = plan({ ...given, persona: NODE_EXPORTER.page }).listeners[0]?.routes[0]?.filter;
  assert.deepEqual(front?.fixed, ['node_exporter_build_info']);
  assert.ok(front?.parts?.includes('node.stat') && front.parts.includes('exporterd.process'));
  const without = await inputs(['node_exporter', '--web.disable-exporter-metrics']);
  assert.ok(!plan({ ...without, persona: NODE_EXPORTER.page }).listeners[0]?.routes[0]?.filter.parts?.includes('exporterd.process'));
});

test('two targets of one name are refused: only one of them could be seen', async () => {
  const twins = JSON.stringify(['a', 'b', 'a'].map((name, i) => ({ name, host: `h${i}` })));
  await assert.rejects(planned([`--postgres.targets=${twins}`]), { message: 'postgres target a: two targets have this name' });
});

test('without metrics about the exporter process_* is collected for no page', async () => {
  const parts = async (...argv: string[]): Promise<string[]> => (await planned(argv)).jobs.filter(({ role }) => role === 'exporterd').map(({ part }) => part);
  assert.deepEqual(await parts(), ['process']);
  assert.deepEqual(await parts('--web.disable-exporter-metrics'), []);
  assert.ok(paths(await planned(['--web.disable-exporter-metrics'])).includes('/metrics/exporterd'));
});

test('a target is planned alike whatever other targets there are', async () => {
  const target = (name: string): string => `{"name":"${name}","dsn":"postgresql://u:p-${name}@h/d"}`;
  const alone = await planned(['--role=postgres', `--postgres.targets=[${target('a')}]`]);
  const two = await planned(['--role=postgres', `--postgres.targets=[${target('a')},${target('b')}]`]);
  const ofA = (one: Plan) => one.jobs.filter((job) => job.role === 'postgres' && job.target.name === 'a');
  assert.ok(ofA(alone).length > 3);
  assert.deepEqual(ofA(two), ofA(alone));
  assert.ok(!JSON.stringify(ofA(two)).includes('p-b'), 'and its thread is not told their secrets');
});
