/** The contract of `server.ts`, held against both adapters. Loopback only. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, type RequestOptions, request as startRequest } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { extname } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PageReport } from '../../test/wire/page-server.ts';
import { addonPath } from '../readers/native.ts';
import { createHttpServer } from './http.ts';
import { openServer } from './open.ts';
import { ListenError, type PinnedBody, SEND_BUFFER_BYTES, type Site, type WireAnswer, type WireRequest, type WireServer } from './server.ts';
import { createUwsServer, loadUws } from './uws.ts';

const MIB = 1024 * 1024;

/** A body that counts what the adapter does with it. */
class Page implements PinnedBody {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
  released = 0;
  waits = 0;
  cut: () => void = () => assert.fail('cut before waiting');

  constructor(...parts: readonly Uint8Array[]) {
    this.parts = parts;
    this.length = parts.reduce((sum, part) => sum + part.length, 0);
  }

  release(): void {
    this.released++;
  }

  waiting(cut: () => void): void {
    assert.equal(this.released, 0, 'waiting after release');
    this.waits++;
    this.cut = cut;
  }

  text(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Bytes that tell their place, so that a part sent twice or out of turn is seen. */
function pattern(length: number, buffer: ArrayBufferLike = new ArrayBuffer(length)): Uint8Array {
  const bytes = new Uint8Array(buffer, 0, length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 10)) & 0xff;
  return bytes;
}

const HEADERS: WireAnswer['headers'] = [
  ['Content-Type', 'text/plain; version=0.0.4; charset=utf-8'],
  ['X-Second', 'two'],
];

function reply(body: string | PinnedBody, status = 200): WireAnswer {
  return { status, headers: HEADERS, body };
}

interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request; over a connection of its own unless an agent is given. */
function fetchPage(port: number, path: string, options: RequestOptions = {}): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = startRequest({ host: '127.0.0.1', port, path, agent: false, ...options }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** A client that has sent its request and reads nothing until it is resumed. */
function pausedClient(port: number, path: string): Socket {
  const socket = connect({ host: '127.0.0.1', port });
  socket.pause();
  socket.on('error', () => {}); // A reset is what some tests want.
  socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
  return socket;
}

/** Sends `text` and gathers what comes back until the server closes, `until` matches, or the time is over. */
function talk(port: number, text: string, until: RegExp, timeoutMs = 2_000): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ host: '127.0.0.1', port });
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    const timer = setTimeout(finish, timeoutMs);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (until.test(received)) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write(text);
  });
}

async function eventually(isTrue: () => boolean | Promise<boolean>, what: string, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`);
    await sleep(5);
  }
}

const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === '::1'));

const loaded = loadUws();
const ADAPTERS: readonly (readonly [name: string, open: (() => WireServer) | undefined])[] = [
  ['uws', 'reason' in loaded ? undefined : () => createUwsServer(loaded)],
  ['http', createHttpServer],
];

for (const [adapter, open] of ADAPTERS) {
  if (open === undefined) test(adapter, { skip: 'no native uWebSockets.js here' }, () => {});
  else describe(adapter, () => contract(adapter, open));
}

function contract(adapter: string, open: () => WireServer): void {
  /** A server on a free port with this site, closed when the test ends. */
  async function serve(t: TestContext, answer: Site['answer'], paths: readonly string[] = []): Promise<{ server: WireServer; port: number }> {
    const server = open();
    t.after(() => server.close(0));
    const { address } = await server.listen('127.0.0.1', 0, { answer, paths });
    return { server, port: Number(address.slice(address.lastIndexOf(':') + 1)) };
  }

  test('status, headers in order and case, Content-Length, Date, body', async (t) => {
    const page = new Page(pattern(45_000));
    const { server, port } = await serve(t, () => reply(page));
    const received = await fetchPage(port, '/metrics');
    assert.equal(received.status, 200);
    assert.equal(received.headers['content-type'], HEADERS[0]?.[1]);
    assert.equal(received.headers['content-length'], '45000');
    assert.ok(received.headers.date);
    assert.ok(received.body.equals(page.text()));
    await eventually(() => page.released === 1 && server.active === 0, 'released and idle');
    assert.equal(page.waits, 0);
    const raw = await talk(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', /\r\n\r\n/);
    assert.match(raw, /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; version=0\.0\.4; charset=utf-8\r\nX-Second: two\r\n/);
  });

  test('what the site sees of a request', async (t) => {
    const seen: WireRequest[] = [];
    const { port } = await serve(t, (request) => {
      seen.push(request);
      return reply('ok');
    });
    await fetchPage(port, '/a%20b/?collect[]=cpu&x=%20');
    await fetchPage(port, '/', {
      method: 'POST',
      headers: { accept: 'Text/Plain', 'accept-encoding': 'gzip', 'x-other': 'y' },
    });
    assert.deepEqual(seen, [
      { method: 'GET', path: '/a%20b/', query: 'collect[]=cpu&x=%20', accept: '', acceptEncoding: '' },
      { method: 'POST', path: '/', query: '', accept: 'Text/Plain', acceptEncoding: 'gzip' },
    ]);
  });

  test('requests that differ in one thing only are told apart, those that say the same say it', async (t) => {
    const seen: WireRequest[] = [];
    const { port } = await serve(t, (request) => {
      seen.push(request);
      return reply('ok');
    });
    const first: WireRequest = { method: 'GET', path: '/a', query: 'x=1', accept: 'text/plain', acceptEncoding: 'gzip' };
    const others = [{ method: 'PUT' }, { path: '/b' }, { query: '' }, { accept: 'text/html' }, { acceptEncoding: 'identity' }];
    const sent = others.flatMap((other) => [first, first, { ...first, ...other }, { ...first, ...other }]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (const { method, path, query, accept, acceptEncoding } of sent) {
      await fetchPage(port, query === '' ? path : `${path}?${query}`, { method, agent, headers: { accept, 'accept-encoding': acceptEncoding } });
    }
    assert.deepEqual(seen, sent);
  });

  test('paths that are told before are answered as others, and for nobody else', async (t) => {
    const seen: string[] = [];
    const site = ({ method, path, query }: WireRequest): WireAnswer => {
      seen.push(`${method} ${path} ${query}`);
      return reply('ok');
    };
    const { port } = await serve(t, site, ['/', '/a', '/a/b', '/:x', '/y/*', '/*']);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const paths = ['/', '/a', '/a/', '/a/b', '/a/bc', '//a', '/a//b', '/:x', '/other', '/y/z', '/*', '/A', '/%61', '/a;x'];
    const sent = paths.flatMap((path) => ['GET', 'HEAD', 'POST'].flatMap((method) => ['', 'x=1'].map((query) => ({ method, path, query }))));
    for (const { method, path, query } of sent) {
      assert.equal((await fetchPage(port, query === '' ? path : `${path}?${query}`, { method, agent })).status, 200);
    }
    assert.deepEqual(
      seen,
      sent.map(({ method, path, query }) => `${method} ${path} ${query}`),
    );
  });

  test('odd requests that HTTP allows reach the site as sent', async (t) => {
    const seen: WireRequest[] = [];
    const { port } = await serve(t, (request) => {
      seen.push(request);
      return reply('ok');
    });
    const long = 'a'.repeat(7000);
    const targets = [
      '/%6e%zz%',
      '/?collect[]=%',
      '/?x=%00&%ff=%',
      '//m',
      '/../m',
      '/m?a?b',
      '/m?',
      `/m?x=${long}`,
      `/m?${'collect[]=a&'.repeat(300)}`,
      "/m?'<>|^`{}",
    ];
    for (const target of targets) await talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, /ok$/);
    assert.deepEqual(
      seen.splice(0).map(({ path, query }) => (query === '' ? path : `${path}?${query}`)),
      targets.map((target) => target.replace(/\?$/, '')),
    );
    const lines: readonly (readonly [sent: string, accept: string, acceptEncoding: string])[] = [
      ['Accept-Encoding: gzip;q=0', '', 'gzip;q=0'],
      ['aCCept-encODing:identity;q=0', '', 'identity;q=0'],
      ['Accept-Encoding:   gzip , *;q=0  ', '', 'gzip , *;q=0'],
      ['Accept-Encoding:', '', ''],
      [`Accept-Encoding: ${'gzip,'.repeat(1000)}`, '', 'gzip,'.repeat(1000)],
      [`X: ${long}\r\nAccept: ;;q=\t,`, ';;q=\t,', ''],
      [Array.from({ length: 40 }, (_, i) => `X${i}: ${i}`).join('\r\n'), '', ''],
    ];
    for (const [sent] of lines) await talk(port, `GET / HTTP/1.1\r\nHost: a\r\n${sent}\r\n\r\n`, /ok$/);
    assert.deepEqual(
      seen.splice(0).map(({ accept, acceptEncoding }) => [accept, acceptEncoding]),
      lines.map(([, ...rest]) => rest),
    );
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'])
      await talk(port, `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`, /\r\n\r\n/);
    assert.deepEqual(
      seen.splice(0).map(({ method }) => method),
      ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'],
    );
    const chunked = 'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n';
    await talk(port, chunked, /ok[\s\S]*ok$/);
    assert.deepEqual(
      seen.map(({ path }) => path),
      ['/c', '/d'],
    );
  });

  test('HEAD: headers of the GET, Content-Length included, no body', async (t) => {
    const pages = [new Page(pattern(45_000)), new Page(pattern(MIB), pattern(3))];
    const { port } = await serve(t, ({ path }) => (path === '/text' ? reply('héllo') : reply(pages[Number(path.slice(1))] ?? '')));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (const [path, length] of [
      ['/0', 45_000],
      ['/1', MIB + 3],
      ['/text', 6],
    ] as const) {
      const received = await fetchPage(port, path, { method: 'HEAD', agent });
      assert.equal(received.headers['content-length'], String(length));
      assert.equal(received.headers['x-second'], 'two');
      assert.equal(received.body.length, 0);
    }
    await eventually(() => pages.every((page) => page.released === 1), 'released');
    assert.equal((await fetchPage(port, '/text', { agent })).body.toString(), 'héllo');
  });

  test('answers that share their headers, with one status and with another', async (t) => {
    const { port } = await serve(t, ({ path }) => reply(path, Number(path.slice(1))));
    for (const status of [200, 200, 200, 503, 200, 503, 503, 503, 200]) {
      const raw = await talk(port, `GET /${status} HTTP/1.1\r\nHost: a\r\n\r\n`, /\r\n\r\n\/\d+$/);
      assert.match(raw, new RegExp(`^HTTP/1\\.1 ${status} [ \\w]+\r\nContent-Type: [^\r]*\r\nX-Second: two\r\n`));
    }
  });

  test('any status the site gives, text bodies, empty bodies', async (t) => {
    const empty = new Page();
    const { port } = await serve(t, ({ path }) =>
      path === '/missing' ? reply('404 page not found\n', 404) : path === '/busy' ? reply('', 503) : reply(empty),
    );
    const missing = await fetchPage(port, '/missing');
    assert.equal(missing.status, 404);
    assert.equal(missing.body.toString(), '404 page not found\n');
    const busy = await fetchPage(port, '/busy');
    assert.deepEqual([busy.status, busy.headers['content-length'], busy.body.length], [503, '0', 0]);
    const none = await fetchPage(port, '/empty');
    assert.deepEqual([none.status, none.headers['content-length'], none.body.length], [200, '0', 0]);
    await eventually(() => empty.released === 1, 'released');
  });

  test('a text body above the buffer limit', async (t) => {
    const text = 'ä'.repeat(2 * MIB);
    const { port } = await serve(t, () => reply(text));
    assert.equal((await fetchPage(port, '/')).body.toString(), text);
  });

  test('promise answers, small and large', async (t) => {
    const page = new Page(pattern(5 * MIB));
    const { server, port } = await serve(t, async ({ path }) => {
      await sleep(10);
      return path === '/large' ? reply(page) : reply('later', 202);
    });
    const waiting = fetchPage(port, '/');
    await eventually(() => server.active === 1, 'active while waiting');
    const received = await waiting;
    assert.deepEqual([received.status, received.body.toString()], [202, 'later']);
    assert.equal((await fetchPage(port, '/', { method: 'HEAD' })).headers['content-length'], '5');
    assert.ok((await fetchPage(port, '/large')).body.equals(page.text()));
    await eventually(() => page.released === 1 && server.active === 0, 'released and idle');
  });

  test('a rejected promise, and a site that throws, are a 500 each', async (t) => {
    const { server, port } = await serve(t, ({ path }) => {
      if (path === '/throws') throw new Error('site');
      return Promise.reject(new Error('site'));
    });
    assert.equal((await fetchPage(port, '/')).status, 500);
    assert.equal((await fetchPage(port, '/throws')).status, 500);
    await eventually(() => server.active === 0, 'idle');
  });

  for (const sizes of [[10, 20, 30], [20_000, 1, 20_000, 0, 20_000], [MIB, 7, 300_000], Array<number>(100).fill(2_000)]) {
    test(`a body of ${sizes.length} parts, ${sizes.slice(0, 5)} bytes ...`, async (t) => {
      const page = new Page(...sizes.map((size) => pattern(size)));
      const { port } = await serve(t, () => reply(page));
      assert.ok((await fetchPage(port, '/')).body.equals(page.text()));
      await eventually(() => page.released === 1, 'released');
    });
  }

  test('bodies over shared memory, fixed and growable', async (t) => {
    const growable = new SharedArrayBuffer(64 * 1024, { maxByteLength: 64 * MIB });
    growable.grow(8 * MIB);
    const fixed = new SharedArrayBuffer(MIB);
    for (const [buffer, length] of [
      [growable, 6 * MIB],
      [growable, 30_000],
      [fixed, MIB],
      [fixed, 10],
    ] as const) {
      const page = new Page(pattern(length, buffer).subarray(3), new Uint8Array(buffer, 1, 2));
      const one = new Page(new Uint8Array(buffer, 5, length - 5));
      const { port } = await serve(t, ({ path }) => reply(path === '/one' ? one : page));
      assert.ok((await fetchPage(port, '/')).body.equals(page.text()));
      assert.ok((await fetchPage(port, '/one')).body.equals(one.text()));
      await eventually(() => page.released === 1 && one.released === 1, 'released');
    }
  });

  test('5 MB to fast readers at the same time', async (t) => {
    const pages: Page[] = [];
    const bytes = pattern(5 * MIB);
    const { server, port } = await serve(t, () => {
      const page = new Page(bytes);
      pages.push(page);
      return reply(page);
    });
    const all = await Promise.all(Array.from({ length: 8 }, () => fetchPage(port, '/')));
    for (const received of all) assert.ok(received.body.equals(bytes));
    await eventually(() => pages.every((page) => page.released === 1) && server.active === 0, 'released and idle');
  });

  for (const [what, parts] of [
    ['two parts', () => [pattern(5 * MIB), pattern(5 * MIB)]],
    ['4,000 parts', () => Array.from({ length: 4_000 }, (_, i) => pattern(1_000 + i))],
  ] as const) {
    test(`10 MB of ${what} to a slow reader: waiting, and whole in the end`, (t) => slowReader(t, new Page(...parts())));
  }

  async function slowReader(t: TestContext, page: Page): Promise<void> {
    const { server, port } = await serve(t, () => reply(page));
    const socket = pausedClient(port, '/');
    await eventually(() => page.waits === 1, 'waiting');
    assert.deepEqual([page.released, server.active], [0, 1]);
    await sleep(50);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      // In fits and starts, so that the socket fills up again and again.
      if (chunks.length % 40 === 0) {
        socket.pause();
        setTimeout(() => socket.resume(), 2);
      }
    });
    socket.resume();
    await eventually(() => page.released === 1, 'released', 10_000);
    const total = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    await eventually(() => total() > page.length, 'received');
    await sleep(20);
    const received = Buffer.concat(chunks);
    assert.ok(received.subarray(received.indexOf('\r\n\r\n') + 4).equals(page.text()));
    assert.deepEqual([page.waits, page.released, server.active], [1, 1, 0]);
    socket.destroy();
  }

  test('cut ends the connection of a slow reader', async (t) => {
    const page = new Page(pattern(20 * MIB));
    const { server, port } = await serve(t, () => reply(page));
    const socket = pausedClient(port, '/');
    await eventually(() => page.waits === 1, 'waiting');
    page.cut();
    await eventually(() => page.released === 1 && server.active === 0, 'released and idle');
    let isClosed = false;
    socket.on('close', () => {
      isClosed = true;
    });
    socket.resume();
    await eventually(() => isClosed, 'client sees the end');
    assert.equal(page.released, 1);
  });

  test('a client that goes away in the middle: released once', async (t) => {
    const page = new Page(pattern(20 * MIB));
    const { server, port } = await serve(t, () => reply(page));
    const socket = pausedClient(port, '/');
    await eventually(() => page.waits === 1, 'waiting');
    socket.destroy();
    await eventually(() => page.released === 1 && server.active === 0, 'released and idle');
    page.cut(); // Too late, and harmless.
    await sleep(20);
    assert.equal(page.released, 1);
  });

  test('a client that goes away before its promise is kept: released once, no crash', async (t) => {
    const pages = [new Page(pattern(10)), new Page(pattern(20 * MIB))];
    const gate: { open?: () => void } = {};
    const gated = new Promise<void>((resolve) => {
      gate.open = resolve;
    });
    const { server, port } = await serve(t, ({ path }) => gated.then(() => reply(pages[Number(path.slice(1))] ?? 'none')));
    const sockets = ['/0', '/1', '/2'].map((path) => pausedClient(port, path));
    await eventually(() => server.active === 3, 'three waiting');
    for (const socket of sockets) socket.destroy();
    await eventually(() => server.active === 0, 'idle');
    gate.open?.();
    await eventually(() => pages.every((page) => page.released === 1), 'released');
    await sleep(10);
    assert.deepEqual(
      pages.map((page) => [page.released, page.waits]),
      [
        [1, 0],
        [1, 0],
      ],
    );
  });

  test('pipelined requests are answered in order', async (t) => {
    const { port } = await serve(t, ({ path }) => reply(new Page(Buffer.from(`page ${path};`))));
    const requests = ['/1', '/2', '/3', '/4'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('');
    const received = await talk(port, requests, /page \/4;/);
    assert.deepEqual(received.match(/page \/\d;/g), ['page /1;', 'page /2;', 'page /3;', 'page /4;']);
    assert.equal(received.match(/HTTP\/1\.1 200 OK/g)?.length, 4);
  });

  test('pipelined requests behind a promise: each answered or its connection closed, all released', async (t) => {
    // uWebSockets hangs up on a request that comes before the answer to the last one; node:http puts it in a queue.
    const pages: Page[] = [];
    const { server, port } = await serve(t, async () => {
      await sleep(20);
      const page = new Page(pattern(300_000));
      pages.push(page);
      return reply(page);
    });
    await talk(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3), /never/, 150);
    await eventually(() => pages.length > 0 && pages.every((page) => page.released === 1), 'all released');
    await eventually(() => server.active === 0, 'idle');
  });

  test('keep-alive: many requests over one connection, with and without request bodies', async (t) => {
    const { port } = await serve(t, ({ path }) => reply(path));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let i = 0; i < 50; i++) assert.equal((await fetchPage(port, `/${i}`, { agent })).body.toString(), `/${i}`);
    const post = 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcdeGET /q HTTP/1.1\r\nHost: a\r\n\r\n';
    assert.match(await talk(port, post, /\/q$/), /\r\n\r\n\/p[\s\S]*\r\n\r\n\/q$/);
  });

  test('200 connections at once', async (t) => {
    const bytes = pattern(45_000);
    let released = 0;
    const { server, port } = await serve(t, () => reply({ parts: [bytes], length: bytes.length, release: () => void released++, waiting: () => {} }));
    const all = await Promise.all(Array.from({ length: 200 }, () => fetchPage(port, '/')));
    for (const received of all) assert.ok(received.body.equals(bytes));
    await eventually(() => released === 200 && server.active === 0, 'released and idle');
  });

  test('bad requests do not harm the others', async (t) => {
    const { port } = await serve(t, () => reply('fine'));
    const huge = `GET / HTTP/1.1\r\nHost: a\r\nX-Huge: ${'a'.repeat(2 * MIB)}\r\n\r\n`;
    assert.match(await talk(port, huge, /\r\n\r\n/), /^(HTTP\/1\.1 (431|400) |$)/);
    const lines = (...more: readonly string[]): string => ['GET / HTTP/1.1', 'Host: a', ...more, '', ''].join('\r\n');
    const refused = [
      '\x00\x01\x02\r\n\r\n',
      'GET\r\n\r\n',
      'GET / HTTP/9.9\r\nHost: a\r\n\r\n',
      'GET  HTTP/1.1\r\nHost: a\r\n\r\n',
      '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03',
    ];
    refused.push(...['get', 'FOO', 'A'.repeat(300)].map((method) => `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    refused.push(lines('bad header'), lines('X Y: 1'), lines('X : 1'), lines('X: 1', ' 2'), lines('X: \x01'), 'GET / HTTP/1.1\nHost: a\n\n');
    refused.push(lines('Content-Length: x'), lines('Content-Length: -1'), lines(`Content-Length: ${'9'.repeat(30)}`));
    refused.push(`${lines('Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`);
    // Answered by the one and not by the other, for different reasons; and bodies that nobody reads.
    const odd = [
      'GET / HTTP/1.0\r\n\r\n',
      'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
      'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
      'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
    ];
    odd.push(
      lines(`X: ${'a'.repeat(100_000)}`),
      lines(...Array.from({ length: 3000 }, (_, i) => `X${i}: ${i}`)),
      `GET /?${'a'.repeat(100_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    odd.push(
      lines('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'),
      lines('Expect: nothing'),
    );
    odd.push(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${MIB}\r\n\r\n${'a'.repeat(MIB)}`, `${lines()}\x00rubbish\r\n\r\n`);
    const answers = await Promise.all([...refused, ...odd].map((bad) => talk(port, bad, /\r\n\r\n/, 300)));
    for (const [i, received] of answers.entries()) {
      if (i < refused.length) assert.doesNotMatch(received, /^HTTP\/1\.1 200/, refused[i]);
      assert.match(received, /^(HTTP\/1\.1 \d{3} |$)/);
    }
    assert.equal((await fetchPage(port, '/')).body.toString(), 'fine');
  });

  test('a port in use is one clear ListenError', async (t) => {
    const { port } = await serve(t, () => reply('first'));
    const second = open();
    t.after(() => second.close(0));
    await assert.rejects(second.listen('127.0.0.1', port, { answer: () => reply('second') }), (error) => {
      assert.ok(error instanceof ListenError);
      assert.equal(error.code, 'EADDRINUSE');
      assert.match(error.message, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use`));
      return true;
    });
    assert.equal((await fetchPage(port, '/')).body.toString(), 'first');
  });

  test('a port held by a foreign listener, an address that is not here, a name that does not resolve', async (t) => {
    const foreign = createServer();
    t.after(() => foreign.close());
    const port = await new Promise<number>((resolve) => {
      foreign.listen(0, '127.0.0.1', () => resolve((foreign.address() as { port: number }).port));
    });
    const server = open();
    t.after(() => server.close(0));
    const site = { answer: () => reply('') };
    await assert.rejects(server.listen('127.0.0.1', port, site), { name: 'ListenError', code: 'EADDRINUSE' });
    await assert.rejects(server.listen('192.0.2.1', 0, site), { name: 'ListenError', code: 'EADDRNOTAVAIL' });
    await assert.rejects(server.listen('no-such-host.invalid', 0, site), { name: 'ListenError' });
  });

  test('several listeners with a site each; stop ends one, connections go on', async (t) => {
    const server = open();
    t.after(() => server.close(0));
    const listenings = await Promise.all(['a', 'b'].map((name) => server.listen('127.0.0.1', 0, { answer: () => reply(name) })));
    const [portA, portB] = listenings.map(({ address }) => Number(address.split(':')[1])) as [number, number];
    assert.notEqual(portA, portB);
    assert.equal((await fetchPage(portA, '/')).body.toString(), 'a');
    assert.equal((await fetchPage(portB, '/')).body.toString(), 'b');
    listenings[0]?.stop();
    listenings[0]?.stop();
    await assert.rejects(fetchPage(portA, '/'), { code: 'ECONNREFUSED' });
    assert.equal((await fetchPage(portB, '/')).body.toString(), 'b');
  });

  test('all addresses: IPv4, and IPv6 where there is', async (t) => {
    const server = open();
    t.after(() => server.close(0));
    const { address } = await server.listen('', 0, { answer: () => reply('all') });
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    assert.ok(port > 0);
    assert.equal((await fetchPage(port, '/')).body.toString(), 'all');
    if (!hasIPv6) return;
    assert.equal(address, `[::]:${port}`);
    assert.equal((await fetchPage(port, '/', { host: '::1' })).body.toString(), 'all');
  });

  test('IPv6 alone, and a host by name', { skip: !hasIPv6 }, async (t) => {
    const server = open();
    t.after(() => server.close(0));
    const { address } = await server.listen('::1', 0, { answer: () => reply('six') });
    assert.match(address, /^\[::1\]:\d+$/);
    assert.equal((await fetchPage(Number(address.slice(6)), '/', { host: '::1' })).body.toString(), 'six');
    const named = await server.listen('localhost', 0, { answer: () => reply('named') });
    assert.match(named.address, /^(127\.0\.0\.1|\[::1\]):\d+$/);
  });

  test('close: idle connections at once, no new ones', async (t) => {
    const { server, port } = await serve(t, () => reply('x'));
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    await fetchPage(port, '/', { agent });
    const started = performance.now();
    await Promise.all([server.close(5_000), server.close(5_000)]);
    assert.ok(performance.now() - started < 1_000, 'did not wait for idle connections');
    await assert.rejects(fetchPage(port, '/'), { code: 'ECONNREFUSED' });
  });

  test('close: a response under way ends within the grace', async (t) => {
    const page = new Page(pattern(8 * MIB));
    const { server, port } = await serve(t, async () => {
      await sleep(100);
      return reply(page);
    });
    const received = fetchPage(port, '/');
    await eventually(() => server.active === 1, 'under way');
    await server.close(5_000);
    assert.ok((await received).body.equals(page.text()));
    assert.deepEqual([page.released, server.active], [1, 0]);
  });

  test('close: a slow reader is cut after the grace, a broken promise does not hold it up', async (t) => {
    const page = new Page(pattern(20 * MIB));
    const { server, port } = await serve(t, ({ path }) => (path === '/never' ? new Promise(() => {}) : reply(page)));
    const sockets = [pausedClient(port, '/'), pausedClient(port, '/never')];
    t.after(() => sockets.forEach((socket) => void socket.destroy()));
    await eventually(() => page.waits === 1 && server.active === 2, 'waiting');
    const started = performance.now();
    await server.close(150);
    const took = performance.now() - started;
    assert.ok(took > 100 && took < 2_000, `${took} ms`);
    await eventually(() => page.released === 1 && server.active === 0, 'released and idle');
  });

  test('close after stop', async (t) => {
    const server = open();
    t.after(() => server.close(0));
    const listening = await server.listen('127.0.0.1', 0, { answer: () => reply('x') });
    listening.stop();
    await server.close(1_000);
    assert.equal(server.active, 0);
  });

  // Without the addon nothing bounds the kernel's buffers: 4 GB of them for a thousand.
  const slowReaders = addonPath() === undefined ? 200 : 1000;
  test(`${slowReaders} slow readers of a 10 MB page cost the server little more than the page`, { timeout: 120_000 }, async (t) => {
    const child = fork(new URL(`../../test/wire/page-server${extname(import.meta.url)}`, import.meta.url), [adapter, '10']);
    t.after(() => child.kill());
    const next = async (): Promise<PageReport> => (await once(child, 'message'))[0] as PageReport; // Its only message.
    const ask = (): Promise<PageReport> => {
      child.send('report');
      return next();
    };
    const { port } = await next();
    // The first responses bring the code in and, over node:http, streams and buffers that stay.
    for (let i = 0; i < 20; i++) await fetchPage(port, '/');
    // A fast reader of a large page may have had to wait as well: only those behind this count.
    const before = await ask();
    const sockets = Array.from({ length: slowReaders }, () => pausedClient(port, '/'));
    t.after(() => sockets.forEach((socket) => void socket.destroy()));
    await eventually(async () => (await ask()).waits - before.waits >= slowReaders, 'all waiting', 60_000);
    await sleep(100);
    const perReader = ((await ask()).rssBytes - before.rssBytes) / slowReaders;
    const unsent = queuedBytes(port);
    const perSocket = unsent.reduce((sum, bytes) => sum + bytes, 0) / unsent.length;
    t.diagnostic(
      `${adapter}: ${Math.round(perReader / 1024)} KiB of the server's memory and ${Math.round(perSocket / 1024)} KiB of the kernel's for each slow reader; kernel, both ends and everybody's: ${readFileSync('/proc/net/sockstat', 'latin1').match(/^TCP:.*$/m)?.[0]}`,
    );
    assert.equal(unsent.length, slowReaders);
    assert.ok(perReader < 64 * 1024, `${perReader} bytes for each reader`);
    // Of the 10 MB that each has asked for. The last packet may go beyond the bound.
    if (addonPath() !== undefined) assert.ok(Math.max(...unsent) < 2 * SEND_BUFFER_BYTES + 64 * 1024, `${Math.max(...unsent)} bytes in the kernel`);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => (await ask()).active === 0, 'idle', 20_000);
    const after = await ask();
    assert.equal(after.released, slowReaders + 20);
  });
}

/** What the kernel keeps for each connection of a port of ours until the other side has taken it. */
function queuedBytes(port: number): number[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  // The columns local_address, st (01: established) and tx_queue:rx_queue, see proc(5).
  return rows.filter((row) => row[1]?.endsWith(local) === true && row[3] === '01').map((row) => Number.parseInt(row[4] ?? '', 16));
}

test('open: by preference, with a note only when auto had to fall back', async (t) => {
  const http = await openServer('http');
  assert.deepEqual([http.server.kind, http.note], ['node:http', undefined]);
  const auto = await openServer('auto');
  t.after(() => Promise.all([http.server.close(0), auto.server.close(0)]));
  if ('reason' in loaded) {
    assert.equal(auto.server.kind, 'node:http');
    assert.match(auto.note ?? '', /no native uWebSockets\.js/);
    await assert.rejects(openServer('uws'), /no native uWebSockets\.js/);
  } else {
    assert.deepEqual([auto.server.kind, auto.note], ['uWebSockets.js', undefined]);
    assert.match(auto.server.describe, /^[@\w./-]+@\d+\.\d+/);
  }
});
