import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { CollectorDefinition } from '../../collect/contract.ts';
import { discoverCollectors } from '../../collect/discover.ts';
import { type Loaded, loadConfig } from '../load.ts';
import { UsageError } from '../../config/problems.ts';
import { schemaFor } from '../../config/schema.ts';
import { NODE_EXPORTER } from './node-exporter.ts';

const NODE: CollectorDefinition = {
  name: 'node',
  role: 'node',
  replaces: 'node_exporter',
  pool: 'host',
  enabledByDefault: true,
  parts: ['cpu', 'filesystem', 'netdev', 'textfile', 'bcache', 'supervisord'].map((name) => ({ name, enabledByDefault: name !== 'supervisord', families: [] })),
  options: z.strictObject({
    cpu: z.strictObject({ info: z.boolean().default(false), info_flags_include: z.string().default('') }).prefault({}),
    bcache: z.strictObject({ priority_stats: z.boolean().default(false) }).prefault({}),
    filesystem: z.strictObject({ mount_points_exclude: z.string().optional(), stat_workers: z.int().default(4) }).prefault({}),
    textfile: z.strictObject({ directory: z.array(z.string()).default([]) }).prefault({}),
    supervisord: z.strictObject({ url: z.string().default('http://localhost:9001/RPC2') }).prefault({}),
  }),
  targets: () => [],
  report: () => undefined,
  worker: new URL('file:///nowhere/collect.js'),
};

type Configured = Extract<Loaded, { config: unknown }>;
type Options = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}, files: Readonly<Record<string, string>> = {}): Promise<Configured> {
  const loaded = await loadConfig({
    argv: ['node_exporter', ...argv],
    env,
    cwd: '/work',
    definitions: [NODE],
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
      return text;
    },
    version: '0.1.0',
  });
  if (!('config' in loaded)) throw new Error(`no configuration: ${loaded.kind}`);
  return loaded;
}

function options(loaded: Configured): Options {
  return loaded.config.collectors['node']?.options as Options;
}

test('the persona starts out as the peer does', async () => {
  const { config, persona, kind, warnings } = await run([]);
  assert.equal(kind, 'run');
  assert.equal(persona, NODE_EXPORTER);
  assert.deepEqual(config.web.listenAddresses, [{ host: '', port: 9100 }]);
  assert.deepEqual(config.roles, ['node']);
  assert.equal(config.log.format, 'logfmt');
  assert.deepEqual(warnings, []);
});

test('flags of the peer set keys of ours', async () => {
  const rows: readonly (readonly [readonly string[], (loaded: Configured) => unknown, unknown])[] = [
    [['--path.procfs=fixtures/proc'], (l) => l.config.path.procfs, '/work/fixtures/proc'],
    [['--path.udev.data', '/u'], (l) => l.config.path.udevData, '/u'],
    [['--web.listen-address=:1', '--web.listen-address=[::1]:0'], (l) => l.config.web.listenAddresses.length, 2],
    [['--web.max-requests=-3'], (l) => l.config.web.maxRequests, 0],
    [['--web.disable-exporter-metrics'], (l) => l.config.web.disableExporterMetrics, true],
    [['--log.level=debug', '--log.format=json'], (l) => l.config.log, { level: 'debug', format: 'json' }],
    [['--log.level=WARN'], (l) => l.config.log.level, 'warn'],
    [['--no-collector.cpu'], (l) => l.config.collectors['node']?.parts['cpu'], false],
    [['--collector.supervisord'], (l) => l.config.collectors['node']?.parts['supervisord'], true],
    [
      ['--collector.cpu', '--collector.disable-defaults'],
      (l) => Object.entries(l.config.collectors['node']?.parts ?? {}).filter(([, isOn]) => isOn),
      [['cpu', true]],
    ],
    [['--collector.cpu.info.flags-include=^aes$'], (l) => options(l)['cpu'], { info: false, info_flags_include: '^aes$' }],
    [['--collector.cpu.info'], (l) => options(l)['cpu']?.['info'], true],
    [['--collector.bcache.priorityStats'], (l) => options(l)['bcache'], { priority_stats: true }],
    [['--collector.filesystem.stat-workers=9'], (l) => options(l)['filesystem'], { stat_workers: 9 }],
    [['--collector.textfile.directory=a', '--collector.textfile.directory=b,c'], (l) => options(l)['textfile'], { directory: ['a', 'b,c'] }],
    [['--collector.filesystem.mount-points-exclude='], (l) => options(l)['filesystem']?.['mount_points_exclude'], ''],
    [['--interval=5s', '--no-phase-lock'], (l) => [l.config.intervalSeconds, l.config.phaseLock], [5, false]],
    [['--role=node'], (l) => l.config.roles, ['node']],
  ];
  for (const [argv, look, wanted] of rows) {
    const loaded = await run(argv);
    assert.deepEqual(look(loaded), wanted, argv.join(' '));
    assert.deepEqual(loaded.warnings, [], argv.join(' '));
  }
});

test('an old name works, warns, and cannot be combined with the new one', async () => {
  const loaded = await run(['--collector.filesystem.ignored-mount-points=^/x']);
  assert.equal(options(loaded)['filesystem']?.['mount_points_exclude'], '^/x');
  assert.deepEqual(loaded.warnings, ['--collector.filesystem.ignored-mount-points is an old name, use --collector.filesystem.mount-points-exclude']);
  const both = ['--collector.filesystem.mount-points-exclude=a', '--collector.filesystem.ignored-mount-points=b'];
  await assert.rejects(run(both), /ignored-mount-points: contradicts --collector\.filesystem\.mount-points-exclude/);
  assert.equal(options(await run([both[0] ?? '', '--collector.filesystem.ignored-mount-points=']))['filesystem']?.['mount_points_exclude'], 'a');
});

test('flags without an effect warn once and say why; those that ask for nothing do not', async () => {
  const rows: readonly (readonly [readonly string[], readonly RegExp[]])[] = [
    [['--runtime.gomaxprocs=2'], [/^--runtime\.gomaxprocs has no effect: there is no Go runtime/]],
    [['--collector.wifi'], [/^--collector\.wifi has no effect: .*collector wifi$/]],
    [['--no-collector.wifi'], []],
    [['--collector.wifi.fixtures=x', '--collector.qdisc.fixtures='], [/^--collector\.wifi\.fixtures has no effect: it is a hook of the tests/]],
    [['--collector.sysctl.include=a', '--collector.sysctl.include=b'], [/^--collector\.sysctl\.include has no effect/]],
    [['--web.config.file=', '--no-web.systemd-socket'], []],
  ];
  for (const [argv, patterns] of rows) {
    const { warnings } = await run(argv);
    assert.equal(warnings.length, patterns.length, warnings.join('; '));
    for (const [index, pattern] of patterns.entries()) assert.match(warnings[index] ?? '', pattern);
  }
});

test('what would leave something open is refused', async () => {
  for (const argv of [['--web.config.file=web.yml'], ['--web.systemd-socket'], ['--web.listen-address=vsock://:9100']]) {
    await assert.rejects(
      run(argv),
      (error) => error instanceof UsageError && /^node_exporter: error: --web\..*not yet supported/.test(error.text),
      argv.join(' '),
    );
  }
});

test('mistakes on the command line', async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['--colector.cpu'], /--colector\.cpu: unknown flag; did you mean --collector\.cpu\?/],
    [['--collector.filesystem.mount-point-exclude=x'], /did you mean --collector\.filesystem\.mount-points-exclude\?/],
    [['serve'], /serve: unexpected word/],
    [['--path.procfs'], /--path\.procfs: expected a value/],
    [['--path.procfs=a', '--path.procfs=b'], /may be given only once/],
    [['--no-web.telemetry-path'], /unknown flag/],
    [['--log.level=loud'], /expected one of debug, info, warn, error/],
    [['@none'], /@none: cannot be read: ENOENT/],
  ];
  for (const [argv, pattern] of rows) await assert.rejects(run(argv), pattern, argv.join(' '));
});

test('arguments from a file, as kingpin reads them', async () => {
  const { config } = await run(['@args', '--web.max-requests=5'], {}, { '/work/args': '# ours\n--no-collector.cpu\n\n--path.sysfs=/s\r\n' });
  assert.equal(config.collectors['node']?.parts['cpu'], false);
  assert.equal(config.path.sysfs, '/s');
  assert.equal(config.web.maxRequests, 5);
});

test("the peer's variable is stronger than the file, weaker than ours and than the flag", async () => {
  const env = { SUPERVISORD_URL: 'http://peer/' };
  const files = { '/work/x.yaml': 'node: {supervisord: {url: http://file/}}' };
  const url = (loaded: Configured): unknown => options(loaded)['supervisord']?.['url'];
  assert.equal(url(await run(['--config=x.yaml'], {}, files)), 'http://file/');
  assert.equal(url(await run(['--config=x.yaml'], env, files)), 'http://peer/');
  assert.equal(url(await run([], { ...env, EXPORTERD_NODE_SUPERVISORD_URL: 'http://ours/' })), 'http://ours/');
  assert.equal(url(await run(['--collector.supervisord.url=http://flag/'], env)), 'http://flag/');
});

test('the persona is chosen by word, behind a command, or by the name of the program', async () => {
  const base = { env: {}, cwd: '/', definitions: [NODE], readFile: () => '', version: '0.1.0' };
  const rows: readonly (readonly [readonly string[], string | undefined, string, boolean])[] = [
    [['node_exporter'], 'exporterd', 'run', true],
    [['once', 'node_exporter', '--no-collector.cpu'], 'exporterd', 'once', true],
    [['node_exporter', 'once'], undefined, 'once', true],
    [['--no-collector.cpu'], 'node_exporter', 'run', true],
    [['--role=node'], 'exporterd', 'run', false],
    [['--role=node'], 'main.js', 'run', false],
  ];
  for (const [argv, program, kind, isPersona] of rows) {
    const loaded = await loadConfig({ ...base, argv, ...(program === undefined ? {} : { program }) });
    assert.equal(loaded.kind, kind, argv.join(' '));
    assert.equal('config' in loaded && loaded.persona === NODE_EXPORTER, isPersona, argv.join(' '));
  }
});

test('the tables hold every flag of release 1.12.1', () => {
  const flags = NODE_EXPORTER.flags([NODE], schemaFor([NODE]).fields);
  const names = flags.map((flag) => flag.name);
  assert.equal(new Set(names).size, names.length, 'no flag is listed twice');
  // Counted in the peer's --help-long and in its sources: 79 collectors, 9 old names, 3 other hidden flags.
  assert.equal(names.filter((name) => /^collector\.[a-z_]+$/.test(name)).length, 79);
  assert.equal(flags.filter((flag) => flag.replacedBy !== undefined).length, 9);
  assert.deepEqual(
    flags.filter((flag) => flag.isHidden && flag.replacedBy === undefined).map((flag) => flag.name),
    ['help-long', 'help-man', 'collector.filesystem.mount-timeout', 'collector.filesystem.stat-workers', 'collector.systemd.private'],
  );
  for (const flag of flags) if (flag.replacedBy !== undefined) assert.ok(names.includes(flag.replacedBy), flag.name);
});

/** Options of the node collector that the peer does not have. */
const OURS: readonly string[] = [];

test('every option and part of the node collector is reached by a flag of the peer', async () => {
  const node = (await discoverCollectors()).filter((definition) => definition.name === 'node');
  assert.equal(node.length, 1);
  const { fields, blocks } = schemaFor(node);
  const reached = new Set(NODE_EXPORTER.flags(node, fields).flatMap(({ meaning }) => (meaning.kind === 'key' ? [meaning.key] : [])));
  const common = new Set(Object.keys(blocks[0]?.common.shape ?? {}).filter((key) => key !== 'collectors'));
  const wanted = fields.filter((field) => field.path[0] === 'node' && !common.has(field.path[1] ?? '') && !OURS.includes(field.key));
  assert.ok(wanted.length > 0);
  assert.deepEqual(
    wanted.map((field) => field.key).filter((key) => !reached.has(key)),
    [],
    'name the part and the flag as the peer does, or list the key in OURS',
  );
});
