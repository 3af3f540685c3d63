import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PostgresSettings, parseDsn, serverLabel, settingsOf } from './dsn.ts';
import { postgresOptions, postgresTargets } from './targets.ts';

const noSecret = (path: string): string => {
  throw new Error(`${path}: no such file`);
};

function settings(dsn: string, environment: Record<string, string> = {}): PostgresSettings {
  return settingsOf(parseDsn(dsn), environment, noSecret);
}

const defaults = { host: 'localhost', port: 5432, user: 'postgres', password: '', database: 'postgres', sslmode: 'require', applicationName: 'exporterd' };

for (const [dsn, expected] of [
  ['postgresql://', {}],
  ['postgres://u:p@db:6432/shop?sslmode=disable', { host: 'db', port: 6432, user: 'u', password: 'p', database: 'shop', sslmode: 'disable' }],
  ['postgresql://u:p%40%3A%2F%25%2C@db', { host: 'db', user: 'u', password: 'p@:/%,', database: 'u' }],
  ['postgresql://u@[::1]:5433/', { host: '::1', port: 5433, user: 'u', database: 'u' }],
  ['postgresql:///shop?host=/var/run/postgresql', { host: '/var/run/postgresql', database: 'shop', sslmode: 'disable' }],
  ['postgresql://%2Fvar%2Frun%2Fpostgresql/shop', { host: '/var/run/postgresql', database: 'shop', sslmode: 'disable' }],
  ['postgresql://db/?application_name=mine&connect_timeout=3&search_path=a%20b', { host: 'db', applicationName: 'mine', options: '-c search_path=a\\ b' }],
  [
    "host=db port=5433 user='my user' password='it\\'s' dbname=shop sslmode=verify-full",
    { host: 'db', port: 5433, user: 'my user', password: "it's", database: 'shop', sslmode: 'verify-full' },
  ],
  ['host=db  user=u', { host: 'db', user: 'u', database: 'u' }],
  ['host = /run/pg user=u', { host: '/run/pg', user: 'u', database: 'u', sslmode: 'disable' }],
] as const) {
  test(`data source name ${dsn}`, () => {
    assert.deepEqual(settings(dsn), { ...defaults, ...expected });
  });
}

for (const [dsn, message] of [
  ['postgresql://u:geheim@db:port/x', /not a valid PostgreSQL URL/],
  ['postgresql://u:geheim%zz@db', /percent sign/],
  ['geheim', /not a valid PostgreSQL data source name/],
  ["host=db password='geheim", /not a valid PostgreSQL data source name/],
  ['host=db password=geheim port=0', /port must be a number from 1 to 65535, not "0"/],
  ['host=db port=geheim', /port must be a number from 1 to 65535$/],
  ["host=db sslmode='no password=geheim'", /sslmode must be one of .*verify-full$/],
  ['host=db password=geheim sslmode=maybe', /sslmode must be one of .*, not "maybe"/],
  ['host=db password=geheim sslrootcert=/nowhere/ca.pem', /\/nowhere\/ca\.pem: no such file/],
] as const) {
  test(`data source name refused without naming the password: ${dsn}`, () => {
    assert.throws(
      () => settings(dsn),
      (error: Error) => message.test(error.message) && !error.message.includes('geheim'),
    );
  });
}

test('the variables of libpq stand in for what the DSN leaves out', () => {
  const environment = { PGHOST: 'other', PGPORT: '7000', PGUSER: 'me', PGPASSWORD: 'pw', PGSSLMODE: 'prefer', PGAPPNAME: 'app' };
  assert.deepEqual(settings('postgresql://db/shop', environment), {
    ...defaults,
    host: 'db',
    port: 7000,
    user: 'me',
    password: 'pw',
    database: 'shop',
    sslmode: 'prefer',
    applicationName: 'app',
  });
});

test('the server label drops the brackets of an IPv6 address, as the peer does', () => {
  assert.equal(serverLabel(settings('postgresql://[::1]:5433/x')), '::1:5433');
  assert.equal(serverLabel(settings('host=/var/run/postgresql')), '/var/run/postgresql:5432');
});

test('targets of the configuration win over the environment', () => {
  const options = postgresOptions.parse({
    targets: [
      { name: 'a', dsn_file: '/secrets/a' },
      { name: 'b', host: 'db-b', port: 6000, user: 'mon', password_file: '/secrets/b', database: 'x', sslmode: 'verify-ca' },
    ],
  });
  const secrets: Record<string, string> = { '/secrets/a': 'postgresql://u:one@db-a/y\n', '/secrets/b': 'two\n' };
  const targets = postgresTargets(options, { DATA_SOURCE_NAME: 'postgresql://ignored' }, (path) => secrets[path] ?? '');
  assert.deepEqual(targets, [
    { name: 'a', address: 'db-a:5432', settings: { ...defaults, host: 'db-a', user: 'u', password: 'one', database: 'y' } },
    { name: 'b', address: 'db-b:6000', settings: { ...defaults, host: 'db-b', port: 6000, user: 'mon', password: 'two', database: 'x', sslmode: 'verify-ca' } },
  ]);
});

const none = postgresOptions.parse({});

test('DATA_SOURCE_NAME is cut at commas', () => {
  const targets = postgresTargets(none, { DATA_SOURCE_NAME: 'postgresql://a,host=b port=6000', DATA_SOURCE_URI: 'c' }, noSecret);
  assert.deepEqual(
    targets.map(({ name, address }) => `${name} ${address}`),
    ['default a:5432', 'default2 b:6000'],
  );
});

test('DATA_SOURCE_URI with user and password, files first and trimmed', () => {
  const environment = { DATA_SOURCE_URI: 'db:6000/shop?sslmode=disable', DATA_SOURCE_USER: 'u', DATA_SOURCE_PASS: 'wrong', DATA_SOURCE_PASS_FILE: '/pass' };
  const [target] = postgresTargets(none, environment, () => 'p@:/%,w\n');
  assert.deepEqual(target?.settings, { ...defaults, host: 'db', port: 6000, user: 'u', password: 'p@:/%,w', database: 'shop', sslmode: 'disable' });
});

test('an unreadable secret file is an error that names the target and the file', () => {
  assert.throws(() => postgresTargets(none, { DATA_SOURCE_URI: 'db', DATA_SOURCE_PASS_FILE: '/nowhere' }, noSecret), /\/nowhere: no such file/);
  const options = postgresOptions.parse({ targets: [{ name: 'a', host: 'db', password_file: '/nowhere' }] });
  assert.throws(() => postgresTargets(options, {}, noSecret), /postgres target a: \/nowhere: no such file/);
});

test('without anything configured there is no target', () => {
  assert.deepEqual(postgresTargets(none, { DATA_SOURCE_USER: 'u', DATA_SOURCE_NAME: '' }, noSecret), []);
});

for (const [why, block] of [
  ['an unknown key', { targets: [{ name: 'a', host: 'h', hots: 'x' }] }],
  ['two ways to say where', { targets: [{ name: 'a', host: 'h', dsn: 'postgresql://x' }] }],
  ['no way to say where', { targets: [{ name: 'a' }] }],
  ['a password twice', { targets: [{ name: 'a', host: 'h', password: 'x', password_file: '/y' }] }],
  ['a name that is no label', { targets: [{ name: 'a b', host: 'h' }] }],
] as const) {
  test(`the block refuses ${why}`, () => assert.equal(postgresOptions.safeParse(block).success, false));
}
