/**
 * ntp against a server whose answers a test writes, since a real one neither lies nor falls silent when asked to. A real
 * one (chronyd): test/compare/services.test.ts.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { servicePage } from '../../../../../test/compare/service-page.ts';
import { freePort } from '../../../../../test/support/backends/processes.ts';
import { leastError, nanoseconds, ntpTime, offset, question, readAnswer, roundTrip, unixNanoseconds } from './packet.ts';
import { FineWallClock } from './wall-clock.ts';

type Change = (answer: Buffer, asked: Buffer) => Buffer | readonly Buffer[] | undefined;

interface NtpServer {
  readonly port: number;
  change: Change;
  readonly asked: Buffer[];
  close(): void;
}

/** Answers as a stratum 2 server whose clock is this machine's. */
async function ntpServer(address = '127.0.0.1'): Promise<NtpServer> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const server: NtpServer = { port: 0, change: (answer) => answer, asked: [], close: () => socket.close() };
  socket.on('message', (asked, from) => {
    server.asked.push(asked);
    const answer = Buffer.alloc(48);
    answer[0] = (4 << 3) | 4;
    answer[1] = 2;
    answer.writeUInt32BE(0x8000, 4); // 0.5 s
    answer.writeUInt32BE(0x4001, 8); // a quarter and a little
    const now = ntpTime(Date.now());
    answer.writeBigUInt64BE(now - (60n << 32n), 16);
    asked.copy(answer, 24, 40, 48);
    answer.writeBigUInt64BE(now, 32);
    answer.writeBigUInt64BE(now, 40);
    const said = server.change(answer, asked);
    for (const one of said === undefined ? [] : Buffer.isBuffer(said) ? [said] : said) socket.send(one, from.port, from.address);
  });
  socket.bind(0, address);
  await once(socket, 'listening');
  return Object.assign(server, { port: socket.address().port });
}

function figures(page: string): Record<string, number> {
  return Object.fromEntries([...page.matchAll(/^node_ntp_(\w+) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

/** The clock of this test moves in milliseconds, which is more than the limit. */
const TOLERANT = { local_offset_tolerance: '100ms' };

async function withServer(body: (server: NtpServer) => Promise<void>, address?: string): Promise<void> {
  const server = await ntpServer(address);
  try {
    await body(server);
  } finally {
    server.close();
  }
}

test('a server that can be trusted', () =>
  withServer(async (server) => {
    const page = servicePage('ntp', { ...TOLERANT, server_port: server.port, protocol_version: 3 });
    const { page: shown, error } = await page.run();
    assert.equal(error, undefined);
    const { rtt_seconds: rtt = -1, offset_seconds: off = 9, reference_timestamp_seconds: reference = 0, ...rest } = figures(shown);
    assert.deepEqual(rest, { leap: 0, root_delay_seconds: 0.5, root_dispersion_seconds: 0.250015259, sanity: 1, stratum: 2 });
    assert.ok(rtt >= 0 && rtt < 1, String(rtt));
    assert.ok(Math.abs(off) < 0.5, String(off));
    assert.ok(Math.abs(reference + 60 - Date.now() / 1000) < 5, String(reference));
    // A client, of the version that was set; a token that nobody guesses.
    assert.equal(server.asked[0]?.[0], (3 << 3) | 3);
    await page.run();
    assert.notDeepEqual(server.asked[0]?.subarray(40, 48), server.asked[1]?.subarray(40, 48));
    await page.close();
    await page.close();
  }));

const NOT_SANE: readonly (readonly [name: string, change: (answer: Buffer) => void, wanted: Readonly<Record<string, number>>])[] = [
  ['stratum 0, a kiss of death', (answer) => answer.writeUInt8(0, 1), { stratum: 0 }],
  ['stratum 16', (answer) => answer.writeUInt8(16, 1), { stratum: 16 }],
  ['not synchronized', (answer) => answer.writeUInt8(0xe4, 0), { leap: 3 }],
  ['a clock that was never set', (answer) => answer.writeBigUInt64BE(0n, 16), { reference_timestamp_seconds: 0 }],
  ['a clock set long ago', (answer) => answer.writeBigUInt64BE(answer.readBigUInt64BE(40) - (131_073n << 32n), 16), {}],
  ['a clock set in the future', (answer) => answer.writeBigUInt64BE(answer.readBigUInt64BE(40) + (1n << 32n), 16), {}],
  ['a dispersion above 16 s', (answer) => answer.writeUInt32BE(17 << 16, 8), { root_dispersion_seconds: 17 }],
  ['a distance above 3.46608 s', (answer) => answer.writeUInt32BE(7 << 16, 4), { root_delay_seconds: 7 }],
  [
    'a clock five seconds ahead',
    (answer) => {
      for (const at of [32, 40]) answer.writeBigUInt64BE(answer.readBigUInt64BE(at) + (5n << 32n), at);
    },
    {},
  ],
];

for (const [name, change, wanted] of NOT_SANE) {
  test(`no sanity, but success: ${name}`, () =>
    withServer(async (server) => {
      const page = servicePage('ntp', { ...TOLERANT, server_port: server.port });
      server.change = (answer) => {
        change(answer);
        return answer;
      };
      const { page: shown, error } = await page.run();
      assert.equal(error, undefined);
      const read = figures(shown);
      assert.equal(read['sanity'], 0);
      for (const [figure, value] of Object.entries(wanted)) assert.equal(read[figure], value, figure);
      assert.match(shown, /node_scrape_collector_success\{collector="ntp"\} 1/);
      await page.close();
    }));
}

test('near a leap second another second is tolerated, also after the flag has gone', () =>
  withServer(async (server) => {
    const page = servicePage('ntp', { ...TOLERANT, server_port: server.port });
    const ahead =
      (leap: number): Change =>
      (answer) => {
        answer[0] = (leap << 6) | (4 << 3) | 4;
        for (const at of [32, 40]) answer.writeBigUInt64BE(answer.readBigUInt64BE(at) + (1n << 31n), at);
        return answer;
      };
    const sane = async (): Promise<number | undefined> => figures((await page.run()).page)['sanity'];
    server.change = ahead(0);
    assert.equal(await sane(), 0);
    server.change = ahead(1);
    assert.equal(await sane(), 1);
    server.change = ahead(0);
    assert.equal(await sane(), 1);
    await page.close();
  }));

const FAILING: readonly (readonly [name: string, change: Change, code: string, message: RegExp])[] = [
  ['a short packet', (answer) => answer.subarray(0, 47), 'parse', /expected 48 bytes or more, not 47/],
  ['an empty packet', () => Buffer.alloc(0), 'parse', /expected 48 bytes or more, not 0/],
  ['another mode', (answer) => answer.fill(0x25, 0, 1), 'parse', /expected mode 4 of a server, not 5/],
  ['no time', (answer) => answer.fill(0, 40, 48), 'parse', /does not say when it answered/],
  ['a clock that goes backwards', (answer) => answer.fill(0xff, 32, 40), 'parse', /its clock goes backwards/],
  ['silence', () => undefined, 'timeout', /no answer within 1000 ms/],
  ['garbage, which answers no question of ours', (answer) => answer.fill(0xa5), 'timeout', /no answer/],
];

for (const [name, change, code, message] of FAILING) {
  test(`failing: ${name}; then it recovers`, () =>
    withServer(async (server) => {
      const page = servicePage('ntp', { ...TOLERANT, server_port: server.port });
      assert.equal((await page.run()).error, undefined);
      server.change = change;
      const { page: shown, error } = await page.run(300);
      assert.equal(error?.code, code);
      assert.match(error?.message ?? '', message);
      assert.equal(error?.place, `127.0.0.1:${server.port}`);
      assert.equal(shown.includes('node_ntp_'), false);
      assert.match(shown, /node_scrape_collector_success\{collector="ntp"\} 0/);
      server.change = (answer) => answer;
      assert.equal((await page.run()).error, undefined);
      await page.close();
    }));
}

test('a late answer to an earlier question is passed over', () =>
  withServer(async (server) => {
    const page = servicePage('ntp', { ...TOLERANT, server_port: server.port });
    server.change = (answer) => {
      const late = Buffer.from(answer);
      late.fill(7, 24, 32);
      return [late, answer];
    };
    assert.equal((await page.run()).error, undefined);
    await page.close();
  }));

test('nobody listens; somebody does; descriptors are given back', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const page = servicePage('ntp', { server_port: await freePort() });
  for (let run = 0; run < 3; run++) {
    const { error } = await page.run();
    assert.equal(error?.code, 'connect');
    assert.match(error?.message ?? '', /ECONNREFUSED/);
  }
  await page.close();
  assert.equal(descriptors(), before);
});

test('IPv6, and a server by name or with a port of its own', async () => {
  await withServer(async (server) => {
    const page = servicePage('ntp', { ...TOLERANT, server: '::1', server_port: server.port });
    assert.equal((await page.run()).error, undefined);
    await page.close();
    const bracketed = servicePage('ntp', { ...TOLERANT, server: `[::1]:${server.port}`, server_is_local: true, server_port: 1 });
    assert.equal((await bracketed.run()).error, undefined);
    await bracketed.close();
  }, '::1');
  await withServer(async (server) => {
    const page = servicePage('ntp', { ...TOLERANT, server: `localhost:${server.port}`, server_is_local: true, ip_ttl: 0 });
    assert.equal((await page.run()).error, undefined);
    await page.close();
  });
});

test('what the peer would not start with is not asked', async () => {
  const rows: readonly (readonly [options: Parameters<typeof servicePage>[1], message: RegExp])[] = [
    [{ server: 'pool.ntp.org' }, /ntp server: pool\.ntp\.org is not a loopback address/],
    [{ server: '192.0.2.1' }, /192\.0\.2\.1 is not a loopback address/],
    [{ server: '[::1]:123' }, /is not a loopback address/],
    [{ server_port: 0 }, /server-port: expected 1 to 65535, not 0/],
    [{ server_port: 65_536 }, /server-port: expected/],
    [{ protocol_version: 5 }, /protocol-version: expected 2 to 4, not 5/],
    [{ local_offset_tolerance: '-1ms' }, /local-offset-tolerance: expected no less than 0/],
  ];
  for (const [options, message] of rows) {
    const page = servicePage('ntp', options);
    assert.match((await page.run()).error?.message ?? '', message);
    await page.close();
  }
});

test('times of the protocol', () => {
  const era1 = ntpTime(Date.UTC(2036, 1, 7, 6, 28, 16));
  assert.equal(era1, 0n, 'seconds start anew in 2036');
  assert.equal(unixNanoseconds(0n), BigInt(Date.UTC(2036, 1, 7, 6, 28, 16)) * 1_000_000n);
  assert.equal(unixNanoseconds(ntpTime(1_700_000_000_500)), 1_700_000_000_500_000_000n);
  assert.equal(nanoseconds(3n << 31n), 1_500_000_000);
  assert.equal(nanoseconds(-(3n << 31n)), -1_500_000_000);
  const second = 1n << 32n;
  // Sent at 10, received there at 13, answered at 14, back at 12 (by our clock): 2 s ahead, 1 s on the way.
  const exchange = { sent: 10n * second, receive: 13n * second, transmit: 14n * second, received: 12n * second };
  assert.deepEqual([roundTrip(exchange), offset(exchange), leastError(exchange)], [1e9, 2.5e9, 2e9]);
  const behind = { sent: 10n * second, receive: 5n * second, transmit: 5n * second, received: 11n * second };
  assert.deepEqual([roundTrip(behind), offset(behind), leastError(behind)], [1e9, -5.5e9, 5e9]);
  // Over the end of an era.
  const over = { sent: BigInt.asUintN(64, -second), receive: second, transmit: second, received: 0n };
  assert.deepEqual([roundTrip(over), offset(over)], [1e9, 1.5e9]);
  assert.equal(readAnswer(question(4, 5n), 5n), undefined, 'a question answers nothing');
});

test('the wall clock is fine, and follows when it is set', () => {
  // Monotonic time moves by 0.01 ms with each look; the wall clock shows whole milliseconds of it.
  const clock = { ms: 5000.25, aheadMs: 1_700_000_000_000.4 };
  const monotonicMs = (): number => (clock.ms += 0.01);
  const fine = new FineWallClock({ monotonicMs, wallMs: () => Math.floor(clock.ms + clock.aheadMs) });
  for (const jump of [0, 0, 10, 3_600_000, -3_600_000, 0.7]) {
    clock.aheadMs += jump;
    clock.ms += 15_000;
    const read = fine.nowMs();
    // A jump of less than a millisecond may stay unseen until the next millisecond.
    const slack = Math.abs(jump) >= 1 || jump === 0 ? 0.05 : 1;
    assert.ok(Math.abs(read - (clock.ms + clock.aheadMs)) < slack, `${read} after ${jump}, not ${clock.ms + clock.aheadMs}`);
  }
  // A clock that stands still does not hold up anybody.
  let ms = 0;
  assert.ok(Number.isFinite(new FineWallClock({ monotonicMs: () => (ms += 0.1), wallMs: () => 42 }).nowMs()));
});
