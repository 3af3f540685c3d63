import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { CollectorDefinition } from '../collect/contract.ts';
import { type Loaded, type LoadInput, loadConfig } from './load.ts';
import { UsageError } from '../config/problems.ts';

function definition(name: 'node' | 'postgres', parts: Readonly<Record<string, boolean>>, options: z.ZodType): CollectorDefinition {
  return {
    name,
    role: name,
    replaces: `${name}_exporter`,
    pool: name === 'node' ? 'host' : 'network',
    enabledByDefault: name === 'node',
    parts: Object.entries(parts).map(([part, enabledByDefault]) => ({ name: part, enabledByDefault, families: [] })),
    options,
    targets: () => [],
    report: () => undefined,
    worker: new URL('file:///nowhere/collect.js'),
  };
}

const regexp = z.string().refine((text) => {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}, 'expected a regular expression');

const NODE = definition(
  'node',
  { cpu: true, meminfo: true, wifi: false },
  z.strictObject({
    filesystem: z.strictObject({ mount_points_exclude: regexp.optional(), stat_workers: z.int().min(1).default(4) }).prefault({}),
    textfile: z.strictObject({ directory: z.array(z.string().meta({ isPath: true })).default([]) }).prefault({}),
    labels: z.record(z.string(), z.string()).default({}),
  }),
);

const POSTGRES = definition(
  'postgres',
  { stat_database: true },
  z.strictObject({
    targets: z
      .array(z.strictObject({ name: z.string(), port: z.int().default(5432), password: z.string().optional(), password_file: z.string().optional() }))
      .default([]),
  }),
);

interface Given {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
}

function input({ argv = [], env = {}, file }: Given): LoadInput {
  return {
    argv: file === undefined ? argv : ['--config=conf/x.yaml', ...argv],
    env,
    cwd: '/work',
    definitions: [NODE, POSTGRES],
    readFile(path) {
      if (path === '/work/conf/x.yaml' && file !== undefined) return file;
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    },
    version: '0.1.0',
  };
}

type Configured = Extract<Loaded, { config: unknown }>;

async function configured(given: Given): Promise<Configured> {
  const loaded = await loadConfig(input(given));
  if (!('config' in loaded)) throw new Error(`no configuration: ${loaded.kind}`);
  return loaded;
}

function nodeOptions({ config }: Configured): Readonly<Record<string, unknown>> {
  const options = config.collectors['node']?.options;
  assert.ok(typeof options === 'object' && options !== null);
  return options as Readonly<Record<string, unknown>>;
}

/** The lines of the error, without the program's name and the last hint. */
async function refused(given: Given): Promise<string[]> {
  try {
    await loadConfig(input(given));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const lines = error.text.trimEnd().split('\n');
    assert.equal(lines.pop(), 'exporterd: try --help');
    return lines.map((line) => line.replace(/^exporterd: error: /, ''));
  }
  return [];
}

test('defaults', async () => {
  const { kind, config, persona, warnings } = await configured({});
  assert.equal(kind, 'run');
  assert.equal(persona, undefined);
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    { ...config, collectors: undefined },
    {
      web: { listenAddresses: [{ host: '', port: 9100 }], telemetryPath: '/metrics', maxRequests: 40, disableExporterMetrics: false, server: 'auto' },
      path: { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '/run/udev/data' },
      log: { level: 'info', format: 'auto' },
      roles: [],
      intervalSeconds: 15,
      phaseLock: true,
      views: { idleSeconds: 300, filteredMax: 32 },
      readers: 'auto',
      network: { shards: undefined },
      collectors: undefined,
    },
  );
  assert.deepEqual(config.collectors['node'], {
    enabled: undefined,
    isConfigured: false,
    intervalSeconds: undefined,
    deadlineSeconds: undefined,
    parts: { cpu: true, meminfo: true, wifi: false },
    maxSeries: 200_000,
    maxBytes: 67_108_864,
    options: { filesystem: { stat_workers: 4 }, textfile: { directory: [] }, labels: {} },
  });
  assert.deepEqual(Object.keys(config.collectors), ['node', 'postgres']);
});

test('file, environment and flags set the same key, each stronger than the one before', async () => {
  const file = 'web:\n  max_requests: 1\n  telemetry_path: /file\n  listen_address: [":1", ":2"]\n';
  const env = { EXPORTERD_WEB_MAX_REQUESTS: '2', EXPORTERD_WEB_TELEMETRY_PATH: '/env' };
  const argv = ['--web.max-requests=3', '--web.listen-address=127.0.0.1:0'];
  assert.equal((await configured({ file })).config.web.maxRequests, 1);
  assert.equal((await configured({ file, env })).config.web.maxRequests, 2);
  const { web } = (await configured({ file, env, argv })).config;
  assert.equal(web.maxRequests, 3);
  assert.equal(web.telemetryPath, '/env');
  assert.deepEqual(web.listenAddresses, [{ host: '127.0.0.1', port: 0 }], 'a list is replaced, not extended');
});

test('every way to write a value', async () => {
  const rows: readonly (readonly [Given, (loaded: Configured) => unknown, unknown])[] = [
    [{ argv: ['--web.listen-address', ':1', '--web.listen-address=[::1]:2'] }, (l) => l.config.web.listenAddresses.map(({ port }) => port), [1, 2]],
    [{ env: { EXPORTERD_WEB_LISTEN_ADDRESS: ':1, :2' } }, (l) => l.config.web.listenAddresses.map(({ port }) => port), [1, 2]],
    [{ file: 'web: {listen_address: ":7"}' }, (l) => l.config.web.listenAddresses.map(({ port }) => port), [7]],
    [{ file: 'web.listen_address: ":7"' }, (l) => l.config.web.listenAddresses.map(({ port }) => port), [7]],
    [{ file: 'web.max_requests: 5\nweb:\n  telemetry_path: /x\n' }, (l) => [l.config.web.maxRequests, l.config.web.telemetryPath], [5, '/x']],
    [{ argv: ['--role=node', '--role', 'postgres', '--role=node'] }, (l) => l.config.roles, ['node', 'postgres']],
    [{ argv: ['--roles=node'] }, (l) => l.config.roles, ['node']],
    [{ file: 'roles: [node]' }, (l) => l.config.roles, ['node']],
    [{ argv: ['--no-phase-lock'] }, (l) => l.config.phaseLock, false],
    [{ env: { EXPORTERD_PHASE_LOCK: 'false' } }, (l) => l.config.phaseLock, false],
    [{ env: { EXPORTERD_PHASE_LOCK: '', EXPORTERD_ROLES: '' } }, (l) => [l.config.phaseLock, l.config.roles], [true, []]],
    [{ env: { EXPORTERD_READERS: 'reference' } }, (l) => l.config.readers, 'reference'],
    [{ argv: ['--interval=1m30s'] }, (l) => l.config.intervalSeconds, 90],
    [{ argv: ['--path.udev.data=/u/'] }, (l) => l.config.path.udevData, '/u'],
    [{ argv: ['--path.procfs=fix/proc'] }, (l) => l.config.path.procfs, '/work/fix/proc'],
    [{ env: { EXPORTERD_PATH_PROCFS: 'fix/proc' } }, (l) => l.config.path.procfs, '/work/fix/proc'],
    [{ file: 'path: {procfs: fix/proc, rootfs: ..}' }, (l) => [l.config.path.procfs, l.config.path.rootfs], ['/work/conf/fix/proc', '/work']],
    [{ argv: ['--no-node.collectors.cpu', '--node.collectors.wifi'] }, (l) => l.config.collectors['node']?.parts, { cpu: false, meminfo: true, wifi: true }],
    [{ env: { EXPORTERD_NODE_COLLECTORS_CPU: '0' } }, (l) => l.config.collectors['node']?.parts['cpu'], false],
    [
      { file: 'node: {disable_defaults: true, collectors: {wifi: true}}' },
      (l) => l.config.collectors['node']?.parts,
      { cpu: false, meminfo: false, wifi: true },
    ],
    [{ argv: ['--node.filesystem.stat-workers=9'] }, (l) => nodeOptions(l)['filesystem'], { stat_workers: 9 }],
    [{ file: 'node:\n  textfile: {directory: [a, /b]}' }, (l) => nodeOptions(l)['textfile'], { directory: ['/work/conf/a', '/b'] }],
    [{ file: 'node: {labels: {a.b: c}}' }, (l) => nodeOptions(l)['labels'], { 'a.b': 'c' }],
    [{ env: { EXPORTERD_POSTGRES_TARGETS: '[{"name":"a"}]' } }, (l) => l.config.collectors['postgres']?.options, { targets: [{ name: 'a', port: 5432 }] }],
    [
      { file: 'postgres:\n  targets:\n    - {name: a, password_file: pw}\n' },
      (l) => l.config.collectors['postgres']?.options,
      { targets: [{ name: 'a', port: 5432, password_file: '/work/conf/pw' }] },
    ],
    [{ file: 'postgres:\n' }, (l) => [l.config.collectors['postgres']?.isConfigured, l.config.collectors['postgres']?.enabled], [true, undefined]],
    [{ file: 'postgres: {enabled: false}' }, (l) => l.config.collectors['postgres']?.enabled, false],
    [{ file: 'log: {level: &l warn}\n# comment\nlog.format: json\n' }, (l) => l.config.log, { level: 'warn', format: 'json' }],
    [{ file: '' }, (l) => l.config.web.maxRequests, 40],
  ];
  for (const [given, look, wanted] of rows) assert.deepEqual(look(await configured(given)), wanted, JSON.stringify(given));
});

test('commands', async () => {
  const rows: readonly (readonly [readonly string[], string, string])[] = [
    [[], 'run', ''],
    [['run'], 'run', ''],
    [['once', '--role=node'], 'once', ''],
    [['--role=node', 'once'], 'once', ''],
    [['check-config'], 'check-config', 'configuration: valid\n'],
    [['--version'], 'version', 'exporterd 0.1.0\n'],
    [['node_exporter', '--version'], 'version', 'node_exporter, version 1.12.1 (exporterd 0.1.0)\n'],
  ];
  for (const [argv, kind, text] of rows) {
    const loaded = await loadConfig(input({ argv }));
    assert.equal(loaded.kind, kind, argv.join(' '));
    assert.equal(loaded.text, text, argv.join(' '));
  }
  assert.equal((await configured({ argv: ['check-config'], file: 'roles: node' })).text, 'conf/x.yaml: valid\n');
  assert.equal((await loadConfig(input({ argv: ['--nonsense', '--help'] }))).kind, 'help', 'help is given whatever else is wrong');
});

test('what is refused, and how it is said', async () => {
  const rows: readonly (readonly [Given, readonly string[]])[] = [
    [{ file: 'web:\n  listn_address: ":1"\n' }, ['conf/x.yaml:2:3: web.listn_address: unknown key; did you mean web.listen_address?']],
    [{ file: '\nlisten_address: ":1"\n' }, ['conf/x.yaml:2:1: listen_address: unknown key; did you mean web.listen_address?']],
    [{ file: 'web.listn_address: ":1"\n' }, ['conf/x.yaml:1:1: web.listn_address: unknown key; did you mean web.listen_address?']],
    [{ file: 'nod:\n  interval: 5s\n' }, ['conf/x.yaml:1:1: nod: unknown key; did you mean node?']],
    [{ file: 'node:\n  collectors:\n    cpux: true\n' }, ['conf/x.yaml:3:5: node.collectors.cpux: unknown key; did you mean node.collectors.cpu?']],
    [
      { file: 'node: {filesystem: {stat_worker: 1}}' },
      ['conf/x.yaml:1:21: node.filesystem.stat_worker: unknown key; did you mean node.filesystem.stat_workers?'],
    ],
    [
      { file: 'postgres:\n  targets:\n    - name: a\n      prt: 1\n' },
      ['conf/x.yaml:4:7: postgres.targets.0.prt: unknown key; did you mean postgres.targets.0.port?'],
    ],
    // A missing blank makes a value part of its key, and a comma makes the rest of it a key.
    [{ file: 'postgres: {address:u-SECRET@h}\n' }, ['conf/x.yaml:1:12: postgres.address...: unknown key']],
    [{ file: 'postgres:\n  targets:\n    - {name: a, SECRET}\n' }, ['conf/x.yaml:3:17: postgres.targets.0: unknown key']],
    [{ file: 'zzzzzzzz: 1' }, ['conf/x.yaml:1:1: zzzzzzzz: unknown key']],
    [{ file: '__proto__: 1' }, ['conf/x.yaml:1:1: __proto__: unknown key']],
    [{ file: 'web: {max_requests: many}' }, ['conf/x.yaml:1:7: web.max_requests: expected a number, got "many"']],
    [{ file: 'web: {max_requests: -1}' }, ['conf/x.yaml:1:7: web.max_requests: expected at least 0, got -1']],
    [{ file: 'web: {max_requests: 1.5}' }, ['conf/x.yaml:1:7: web.max_requests: expected a whole number, got 1.5']],
    [{ file: 'web: 5' }, ['conf/x.yaml:1:1: web: expected keys and values, got 5']],
    [{ file: 'web: 5', argv: ['--web.max-requests=3'] }, ['conf/x.yaml:1:1: web: expected keys and values, got 5']],
    [{ file: 'node: [1]' }, ['conf/x.yaml:1:1: node: expected keys and values, got a list']],
    [{ file: 'phase_lock: yes' }, ['conf/x.yaml:1:1: phase_lock: expected true or false, got "yes"']],
    [{ file: 'interval: 15' }, ['conf/x.yaml:1:1: interval: expected a duration such as 15s, 1m30s or 500ms, got 15']],
    [{ file: 'interval:' }, ['conf/x.yaml:1:1: interval: expected a duration such as 15s, 1m30s or 500ms, got nothing']],
    [
      { file: 'interval: 24h1s\nviews.idle: 1000h' },
      ['conf/x.yaml:1:1: interval: expected at most 24h, got "24h1s"', 'conf/x.yaml:2:1: views.idle: expected at most 24h, got "1000h"'],
    ],
    [{ file: 'interval: 1ms' }, ['conf/x.yaml:1:1: interval: expected at least 100ms, got "1ms"']],
    [
      { file: 'web:\n  listen_address:\n    - ":1"\n    - ":99999"\n' },
      ['conf/x.yaml:4:7: web.listen_address.1: expected host:port, such as :9100, 127.0.0.1:0 or [::1]:9100, got ":99999"'],
    ],
    [{ file: 'web: {telemetry_path: metrics}' }, ['conf/x.yaml:1:7: web.telemetry_path: expected a path that begins with /, got "metrics"']],
    [{ file: 'log: {level: warning}' }, ['conf/x.yaml:1:7: log.level: expected one of debug, info, warn, error, got "warning"']],
    [{ file: 'log: {level: infos}' }, ['conf/x.yaml:1:7: log.level: expected one of debug, info, warn, error, got "infos"; did you mean info?']],
    [{ file: 'node: {filesystem: {mount_points_exclude: "("}}' }, ['conf/x.yaml:1:21: node.filesystem.mount_points_exclude: expected a regular expression']],
    [{ file: 'web: {max_requests: 1}\nweb: {max_requests: 1}\n' }, ['conf/x.yaml:2:1: web: given twice, first in line 1']],
    [{ file: 'web: {max_requests: 1}\nweb.max_requests: 1\n' }, ['conf/x.yaml:2:1: web.max_requests: given twice, first in line 1']],
    [{ file: 'postgres:\n  targets: [{name: a, name: b}]\n' }, ['conf/x.yaml:2:23: postgres.targets.0.name: given twice, first in line 2']],
    [{ argv: ['--config='] }, ['--config: expected a path']],
    [{ file: 'a: [1' }, ['conf/x.yaml:1:6: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]']],
    [{ file: '- a' }, ['conf/x.yaml:1:1: expected keys at the top of the file, such as `web:`']],
    [
      { file: 'roles: &a [*a]' },
      [
        'conf/x.yaml:1:12: roles.0.0.0: the configuration is too large or refers to itself',
        'conf/x.yaml:1:12: roles.0: expected one of node, container, postgres, redis, mongodb, elasticsearch, kafka, nginx, kubernetes, exporterd, got a list',
      ],
    ],
    [{ argv: ['--config=none.yaml'] }, ['--config: cannot read none.yaml: ENOENT']],
    [{ env: { EXPORTERD_CONFIG: 'none.yaml' } }, ['EXPORTERD_CONFIG: cannot read none.yaml: ENOENT']],
    [{ env: { EXPORTERD_WEB_LISTN_ADDRESS: 'x' } }, ['EXPORTERD_WEB_LISTN_ADDRESS: unknown variable; did you mean EXPORTERD_WEB_LISTEN_ADDRESS?']],
    [{ env: { EXPORTERD_WEB_MAX_REQUESTS: 'x' } }, ['EXPORTERD_WEB_MAX_REQUESTS: web.max_requests: expected a number, got "x"']],
    [{ argv: ['--web.max-requests=x'] }, ['--web.max-requests: web.max_requests: expected a number, got "x"']],
    [{ argv: ['--web.max-requests='] }, ['--web.max-requests: web.max_requests: expected a number, got ""']],
    [{ argv: ['--web.listn-address=:1'] }, ['--web.listn-address: unknown flag; did you mean --web.listen-address?']],
    [{ argv: ['--max-requests=1'] }, ['--max-requests: unknown flag; did you mean --web.max-requests?']],
    [{ argv: ['--interval=1s', '--interval=2s'] }, ['--interval: may be given only once']],
    [{ argv: ['--phase-lock', '--no-phase-lock'] }, ['--no-phase-lock: may be given only once, and contradicts --phase-lock']],
    [
      { argv: ['--role=nod'] },
      [
        '--role: roles.0: expected one of node, container, postgres, redis, mongodb, elasticsearch, kafka, nginx, kubernetes, exporterd, got "nod"; did you mean node?',
      ],
    ],
    [{ argv: ['--role=kafka'] }, ['--role: roles: this release has no collector for the role kafka']],
    [{ file: 'roles: [node, exporterd, kafka]' }, ['conf/x.yaml:1:26: roles: this release has no collector for the role kafka']],
    [{ argv: ['onec'] }, ['onec: unexpected word; did you mean once?']],
    [{ argv: ['once', 'run'] }, ['run: unexpected word']],
    [
      { argv: ['--web.listen-address=vsock://:9100'] },
      ['--web.listen-address: web.listen_address.0: vsock listeners are not yet supported, got "vsock://:9100"'],
    ],
  ];
  for (const [given, wanted] of rows) assert.deepEqual(await refused(given), wanted, JSON.stringify(given));
});

test('everything that is wrong is said at once, the file from top to bottom', async () => {
  const given = { file: 'log: {level: x}\nweb: {max_requests: y}\nintervall: 1s\n', env: { EXPORTERD_X: '1' }, argv: ['--interval=z'] };
  const places = (await refused(given)).map((line) => line.replace(/: .*/, ''));
  assert.deepEqual(places, ['conf/x.yaml:1:7', 'conf/x.yaml:2:7', 'conf/x.yaml:3:1', 'EXPORTERD_X', '--interval']);
});

test('no message repeats what may be a secret', async () => {
  const secret = 'hunter2';
  const rows: readonly Given[] = [
    { file: `postgres:\n  targets: ${secret}\n` },
    { file: `postgres:\n  targets:\n    - {name: a, password: {x: ${secret}}}\n` },
    { file: `postgres:\n  targets:\n    - {name: a, port: ${secret}}\n` },
    { file: `postgres:\n  targets:\n    - {name: a, password: *${secret}}\n` },
    { file: `postgres:\n  targets:\n    - {name: a, password: !${secret} x}\n` },
    { file: `postgres: ${secret}\n` },
    { env: { EXPORTERD_POSTGRES_TARGETS: `[{"password":"${secret}"` } },
    { argv: [`--postgres.targets=${secret}`] },
  ];
  for (const given of rows) {
    const lines = await refused(given);
    assert.ok(lines.length > 0, JSON.stringify(given));
    assert.doesNotMatch(lines.join('\n'), /hunter2/, JSON.stringify(given));
  }
});

test('variables that Kubernetes sets for a service called exporterd are not ours', async () => {
  const env = {
    EXPORTERD_SERVICE_HOST: '10.0.0.1',
    EXPORTERD_SERVICE_PORT: '9100',
    EXPORTERD_SERVICE_PORT_HTTP_METRICS: '9100',
    EXPORTERD_PORT: 'tcp://10.0.0.1:9100',
    EXPORTERD_PORT_9100_TCP: 'tcp://10.0.0.1:9100',
    EXPORTERD_PORT_9100_TCP_ADDR: '10.0.0.1',
    UNRELATED: 'x',
  };
  assert.equal((await configured({ env })).kind, 'run');
  assert.equal((await refused({ env: { EXPORTERD_PORTS: '1' } })).length, 1);
});

test('the configuration cannot be changed, and can be sent to a worker', async () => {
  const { config } = await configured({ file: 'postgres: {targets: [{name: a}]}' });
  const options = config.collectors['postgres']?.options as { targets: { name: string }[] };
  assert.throws(() => {
    (options.targets[0] as { name: string }).name = 'b';
  }, TypeError);
  assert.throws(() => {
    (config.web as { maxRequests: number }).maxRequests = 1;
  }, TypeError);
  assert.deepEqual(structuredClone(config), config);
});

test('two definitions cannot want one key', async () => {
  const clash = { ...NODE, options: z.strictObject({ interval: z.string().optional() }) };
  await assert.rejects(loadConfig({ ...input({}), definitions: [clash] }), /collector node: every block has a key node.interval already/);
  await assert.rejects(loadConfig({ ...input({}), definitions: [{ ...NODE, name: 'web' }] }), /collector web: the daemon has a key of this name/);
});
