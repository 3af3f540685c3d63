import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressLabel, parseAddress, passwordFromMap } from './address.ts';
import { redisOptions, redisTargets } from './targets.ts';

const base = { host: 'localhost', port: 6379, tls: false, user: '', password: '', db: 0 };

for (const [text, expected, label] of [
  ['redis://', {}, 'localhost:6379'],
  ['redis://cache', { host: 'cache' }, 'cache:6379'],
  ['cache:7000', { host: 'cache', port: 7000 }, 'cache:7000'],
  ['tcp://10.0.0.1:7000', { host: '10.0.0.1', port: 7000 }, '10.0.0.1:7000'],
  ['redis://:p%40ss@cache/3', { host: 'cache', password: 'p@ss', db: 3 }, 'cache:6379'],
  ['redis://me:pw@cache:1', { host: 'cache', port: 1, user: 'me', password: 'pw' }, 'cache:1'],
  ['redis://lone@cache', { host: 'cache', password: 'lone' }, 'cache:6379'],
  ['rediss://cache', { host: 'cache', tls: true }, 'cache:6379'],
  ['valkey://cache', { host: 'cache' }, 'cache:6379'],
  ['valkeys://cache', { host: 'cache', tls: true }, 'cache:6379'],
  ['redis://[::1]:7000', { host: '::1', port: 7000 }, '[::1]:7000'],
  ['unix:///run/redis.sock', { path: '/run/redis.sock' }, '/run/redis.sock'],
] as const) {
  test(`address ${text}`, () => {
    const address = parseAddress(text);
    assert.deepEqual(address, { ...base, ...expected });
    assert.equal(addressLabel(address), label);
  });
}

for (const [text, message] of [
  ['http://u:geheim@cache', /scheme .* not "http"/],
  ['redis://u:geheim@cache:port', /not a valid Redis address/],
  ['redis://u:geheim@cache/abc', /database number; a \/ in the password is written %2F/],
  ['redis://cache/geheim@cache', /database number/],
  ['redis://u:geheim%zz@cache', /percent sign/],
  ['unix://geheim', /absolute path/],
] as const) {
  test(`address refused without naming the password: ${text}`, () => {
    assert.throws(
      () => parseAddress(text),
      (error: Error) => message.test(error.message) && !error.message.includes('geheim'),
    );
  });
}

const MAP = JSON.stringify({ 'redis://cache:6379': 'plain', 'redis://me@cache:6379': 'mine', 'rediss://cache:1': '' });

for (const [address, user, password] of [
  ['redis://cache:6379', '', 'plain'],
  ['cache:6379', '', 'plain'],
  ['redis://cache:6379', 'me', 'mine'],
  ['redis://me@cache:6379', 'me', 'mine'],
  ['redis://cache:6379', 'other', 'plain'],
  ['rediss://cache:1', '', ''],
  ['redis://elsewhere:6379', '', undefined],
] as const) {
  test(`password file, ${address} for user "${user}": ${password}`, () => assert.equal(passwordFromMap(MAP, address, user), password));
}

test('a password file that is no JSON object is refused without quoting it', () => {
  for (const text of ['geheim', '["geheim"]', 'null']) {
    assert.throws(
      () => passwordFromMap(text, 'redis://cache', ''),
      (error: Error) => /password file/.test(error.message) && !error.message.includes('geheim'),
    );
  }
});

const none = redisOptions.parse({});
const noSecret = (path: string): string => {
  throw new Error(`${path}: no such file`);
};

test('REDIS_ADDR makes the target default; password of the address before REDIS_PASSWORD before the file', () => {
  const file = JSON.stringify({ 'redis://cache:1': 'file' });
  const passwordOf = (environment: Record<string, string>): unknown => {
    const [target] = redisTargets(none, environment, () => file);
    assert.equal(target?.name, 'default');
    return (target.settings as { address: { password: string } }).address.password;
  };
  assert.equal(passwordOf({ REDIS_ADDR: 'redis://cache:1', REDIS_PASSWORD_FILE: '/f' }), 'file');
  assert.equal(passwordOf({ REDIS_ADDR: 'redis://cache:1', REDIS_PASSWORD_FILE: '/f', REDIS_PASSWORD: 'plain' }), 'plain');
  assert.equal(passwordOf({ REDIS_ADDR: 'redis://:own@cache:1', REDIS_PASSWORD: 'plain' }), 'own');
  assert.equal(passwordOf({ REDIS_ADDR: 'redis://other:1', REDIS_PASSWORD_FILE: '/f' }), '');
});

test('without REDIS_ADDR and targets there is nothing to collect', () => {
  assert.deepEqual(redisTargets(none, { REDIS_PASSWORD: 'x' }, noSecret), []);
});

test('configured targets: secrets from files, TLS texts from files', () => {
  const options = redisOptions.parse({
    targets: [
      { name: 'a', address: 'rediss://cache-a', user: 'me', password_file: '/plain', tls: { ca_file: '/ca', server_name: 'cache' } },
      { name: 'b', address: 'redis://cache-b', password_file: '/map' },
    ],
  });
  const files: Record<string, string> = { '/plain': 'secret\n', '/ca': 'PEM', '/map': '{"redis://cache-b":"mapped"}' };
  assert.deepEqual(
    redisTargets(options, { REDIS_ADDR: 'ignored' }, (path) => files[path] ?? ''),
    [
      {
        name: 'a',
        address: 'cache-a:6379',
        settings: {
          address: { ...base, host: 'cache-a', tls: true, user: 'me', password: 'secret' },
          tls: { ca: 'PEM', serverName: 'cache', skipVerification: false },
        },
      },
      { name: 'b', address: 'cache-b:6379', settings: { address: { ...base, host: 'cache-b', password: 'mapped' } } },
    ],
  );
});

test('a missing secret file names the target and the file', () => {
  const options = redisOptions.parse({ targets: [{ name: 'a', address: 'cache', password_file: '/nowhere' }] });
  assert.throws(() => redisTargets(options, {}, noSecret), /redis target a: \/nowhere: no such file/);
});

for (const [why, block] of [
  ['an unknown key', { targets: [{ name: 'a', address: 'h', adress: 'x' }] }],
  ['a password twice', { targets: [{ name: 'a', address: 'h', password: 'x', password_file: '/y' }] }],
  ['a certificate without its key', { targets: [{ name: 'a', address: 'rediss://h', tls: { cert_file: '/y' } }] }],
  ['a name that is no label', { targets: [{ name: 'a b', address: 'h' }] }],
] as const) {
  test(`the block refuses ${why}`, () => assert.equal(redisOptions.safeParse(block).success, false));
}
