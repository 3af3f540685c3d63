/** The wire protocol: against a real dbus-daemon where it serves, else against bytes written here. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { skipUnless } from '../../../../../test/support/backends/availability.ts';
import { dbusDaemon, encode, notABus, startBus, type Value, variant } from '../../../../../test/support/backends/dbus.ts';
import { until } from '../../../../../test/support/backends/processes.ts';
import { CollectError } from '../../../../collect/contract.ts';
import { socketPaths } from './address.ts';
import { BusConnection } from './connection.ts';
import { KeptConnection } from './kept-connection.ts';
import { encodeCall, FormatError, Message, messageLength, propertyCall, setSerial } from './message.ts';

const PING = {
  bytes: encodeCall({ destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus.Peer', member: 'Ping' }),
};
const soon = (ms = 5000): AbortSignal => AbortSignal.timeout(ms);

test('addresses', () => {
  const rows: readonly (readonly [address: string, paths: readonly string[]])[] = [
    ['unix:path=/run/bus', ['/run/bus']],
    ['unix:guid=1,path=/a%20b%2cc;unix:abstract=/tmp/x', ['/a b,c', '\0/tmp/x']],
    ['tcp:host=localhost,port=1;unix:path=/x', ['/x']],
    ['unix:path=/100%', ['/100%']],
  ];
  for (const [address, paths] of rows) assert.deepEqual(socketPaths(address), paths, address);
  for (const address of ['', 'tcp:host=a,port=1', 'unix:', 'unix:path=', 'unix:tmpdir=/tmp', '/run/bus']) {
    assert.throws(() => socketPaths(address), /expected an address with unix:path=/, address);
  }
});

/** A reply with every type that is read. */
const REPLY = encode({
  kind: 2,
  serial: 9,
  fields: { replySerial: 77, destination: ':1.1', sender: '' },
  signature: 'a(ssssssouso)v',
  values: [[['n', 'd', 'l', 'a', 's', 'f', '/p', 7, 't', '/j']], variant('t', 2n ** 64n - 1n)] as readonly Value[],
});

function readWhole(bytes: Buffer): Message {
  const message = new Message();
  message.read(bytes, 0, messageLength(bytes, 0, 1 << 20));
  const end = message.arrayEnd(true);
  while (message.at < end) {
    message.struct();
    for (const type of 'ssssssouso') message.skip(type);
  }
  assert.equal(typeof message.variant(), 'number');
  return message;
}

test('a message is read, in either byte order', () => {
  const message = readWhole(REPLY);
  assert.deepEqual([message.kind, message.replySerial, message.signature], [2, 77, 'a(ssssssouso)v']);
  // A call of ours, which the reader can read as well; the same in the order of the other half of the world.
  const call = encodeCall(propertyCall('org.x', '/x', 'org.x.Y', 'Zä'));
  setSerial(call, 0, 5);
  const big = Buffer.from([
    ...[0x42, 2, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 15],
    ...[5, 1, 0x75, 0, 0, 0, 0, 77, 8, 1, 0x67, 0, 1, 0x75, 0, 0],
    ...[0, 0, 0, 42, 0, 0, 0, 0],
  ]);
  const reader = new Message();
  reader.read(call, 0, messageLength(call, 0, 1 << 20));
  assert.deepEqual([reader.text(), reader.text()], ['org.x.Y', 'Zä']);
  assert.equal(call.readUInt32LE(8), 5);
  reader.read(big, 0, messageLength(big, 0, 1 << 20));
  assert.deepEqual([reader.replySerial, reader.signature, reader.word()], [77, 'u', 42]);
});

test('integers of 64 bits, signs and booleans', () => {
  const rows: readonly (readonly [type: string, value: Value, read: string | number | boolean])[] = [
    ['t', 1_700_000_000_123_456n, 1_700_000_000_123_456],
    ['t', 2n ** 64n - 1n, 2 ** 64],
    ['i', -5, -5],
    ['b', true, true],
    ['b', false, false],
    ['o', '/x', '/x'],
  ];
  for (const [type, value, read] of rows) {
    const bytes = encode({ kind: 2, serial: 1, fields: { replySerial: 1 }, signature: 'v', values: [variant(type, value)] });
    const message = new Message();
    message.read(bytes, 0, bytes.length);
    message.expect('v');
    assert.equal(message.variant(), read, type);
  }
});

test('damaged messages: every cut, every byte changed: read, or refused with what is wrong', () => {
  let refused = 0;
  const attempt = (bytes: Buffer): void => {
    try {
      const length = messageLength(bytes, 0, 1 << 20);
      if (length > bytes.length) return; // Waited for.
      readWhole(bytes);
    } catch (error) {
      assert.ok(error instanceof FormatError || error instanceof assert.AssertionError, String(error));
      refused += 1;
    }
  };
  for (let at = 16; at < REPLY.length; at++) {
    // Cut, with the lengths of the header as they were and as they would have to be.
    const cut = Buffer.from(REPLY.subarray(0, at));
    const body = Math.max(0, at - 16 - Math.ceil(cut.readUInt32LE(12) / 8) * 8);
    cut.writeUInt32LE(body, 4);
    attempt(cut);
  }
  for (let at = 0; at < REPLY.length; at++) {
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(REPLY);
      changed[at] = value;
      attempt(changed);
    }
  }
  assert.ok(refused > 100, String(refused));
});

test('a real bus: many calls at once, errors among the replies, descriptors given back', { skip: skipUnless(dbusDaemon()) }, async () => {
  const bus = await startBus();
  try {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const [path = ''] = socketPaths(bus.address);
    const connection = await BusConnection.open(path, true, soon());
    const unknown = { bytes: encodeCall({ destination: 'org.freedesktop.DBus', path: '/', interface: 'org.freedesktop.DBus', member: 'NoSuchThing' }) };
    const calls = Array.from({ length: 500 }, (_, i) => (i % 100 === 7 ? unknown : PING));
    for (let run = 0; run < 3; run++) {
      const kinds: [boolean, number][] = [];
      await connection.run(calls, (call, reply) => kinds.push([call === PING, reply.kind]), soon());
      assert.equal(kinds.length, 500);
      for (const [isPing, kind] of kinds) assert.equal(kind, isPing ? 2 : 3);
    }
    await connection.run([], () => assert.fail('nothing was asked'), soon());
    connection.close();
    connection.close();
    assert.equal(connection.isOpen, false);
    await assert.rejects(
      connection.run([PING], () => undefined, soon()),
      /the connection is closed/,
    );
    assert.ok(await until(() => descriptors() <= before, 2000), `${descriptors()} descriptors after ${before}`);
  } finally {
    await bus.close();
  }
});

/** What a server of no good says, and what a run makes of it. */
const BAD_SERVERS: readonly (readonly [name: string, onLine: (line: string, socket: Socket) => void, code: string, message: RegExp])[] = [
  ['refuses the user', (_, socket) => socket.write('REJECTED EXTERNAL\r\n'), 'auth', /this user is refused: REJECTED/],
  ['speaks something else', (_, socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), 'parse', /expected OK from the handshake, not "HTTP/],
  ['says nothing', () => undefined, 'timeout', /no answer to the handshake in time/],
  ['hangs up', (_, socket) => socket.destroy(), 'connect', /closed by the other side/],
  ['never ends its line', (_, socket) => socket.write('x'.repeat(100_000)), 'parse', /a line of the handshake without an end/],
  [
    'sends garbage after the handshake',
    afterHandshake((socket) => socket.write('garbage garbage garbage garbage')),
    'parse',
    /expected a message, which starts with l or B, not byte 103/,
  ],
  ['cuts its reply', afterHandshake((socket) => socket.end(REPLY.subarray(0, 40))), 'connect', /closed by the other side/],
  ['sends half a reply and waits', afterHandshake((socket) => socket.write(REPLY.subarray(0, 40))), 'timeout', /0 of 1 calls were answered in time/],
  ['announces a gigabyte', afterHandshake((socket) => socket.write(announcing(1 << 30))), 'parse', /a message of 10737419\d\d bytes, at most/],
  ['answers what was not asked', afterHandshake((socket) => socket.write(REPLY)), 'parse', /a reply to call 77, which was not made/],
];

function afterHandshake(then: (socket: Socket) => void): (line: string, socket: Socket) => void {
  return (line, socket) => {
    if (line.startsWith('\0AUTH')) socket.write('OK 1234\r\n');
    else if (line.startsWith('BEGIN')) then(socket);
  };
}

function announcing(body: number): Buffer {
  const header = Buffer.from(REPLY.subarray(0, 16));
  header.writeUInt32LE(body, 4);
  return header;
}

for (const [name, onLine, code, message] of BAD_SERVERS) {
  test(`a server that ${name}`, async () => {
    const server = await notABus(onLine);
    const [path = ''] = socketPaths(server.address);
    try {
      await assert.rejects(BusConnection.open(path, true, soon(code === 'timeout' ? 150 : 5000)), (error) => {
        assert.ok(error instanceof CollectError);
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.equal(error.place, path);
        return true;
      });
    } finally {
      await server.close();
    }
  });
}

test('a user namespace: the number of the user is refused, the credentials of the socket are taken', async () => {
  const said: string[] = [];
  const server = await notABus((line, socket) => {
    said.push(line);
    if (said.length === 1) socket.write('REJECTED EXTERNAL\r\n');
    else if (line === 'AUTH EXTERNAL') socket.write('DATA\r\n');
    else if (line === 'DATA') socket.write('OK 1234\r\n');
  });
  try {
    const connection = await BusConnection.open(socketPaths(server.address)[0] ?? '', false, soon());
    connection.close();
    assert.equal(said[1], 'AUTH EXTERNAL');
  } finally {
    await server.close();
  }
});

test('a list of addresses: the first that answers; when none does, the first one’s error', { skip: skipUnless(dbusDaemon()) }, async () => {
  const bus = await startBus();
  try {
    const there = { path: bus.socketPath, isBus: true };
    const missing = { path: `${bus.socketPath}.none`, isBus: true };
    const kept = new KeptConnection([missing, there]);
    const connection = await kept.get(soon());
    assert.equal(connection.place, bus.socketPath);
    assert.equal(await kept.get(soon()), connection);
    kept.close();
    assert.notEqual(await kept.get(soon()), connection);
    kept.close();
    const none = new KeptConnection([missing, { ...missing, path: '/nowhere' }]);
    await assert.rejects(none.get(soon()), (error) => error instanceof CollectError && error.code === 'connect' && error.message === `${missing.path}: ENOENT`);
  } finally {
    await bus.close();
  }
});
