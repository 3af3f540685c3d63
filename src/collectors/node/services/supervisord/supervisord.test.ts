/** supervisord: the real one where it is installed; what it never says, from a server of our own. Values against the peer's: test/compare/services.test.ts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { comparable } from '../../../../../test/compare/node-fixtures.ts';
import { servicePage } from '../../../../../test/compare/service-page.ts';
import { skipUnless } from '../../../../../test/support/backends/availability.ts';
import { freePort, until } from '../../../../../test/support/backends/processes.ts';
import { startSupervisord, supervisord } from '../../../../../test/support/backends/supervisord.ts';
import { FaultError, readResponse } from './xml-rpc.ts';

const NOTHING = '# TYPE node_scrape_collector_success gauge\nnode_scrape_collector_success{collector="supervisord"} 0\n';

/** Of the programs of startSupervisord. */
const SETTLED = { 'broken:broken': 200, 'done:done': 100, 'sleeper:sleeper': 20, 'waiting:waiting': 0, 'worker:worker_0': 20, 'worker:worker_1': 20 };

function statesOf(page: string): Record<string, number> {
  const samples = page.matchAll(/^node_supervisord_state\{group="(\w+)",name="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...samples].map(([, group, name, state]) => [`${group}:${name}`, Number(state)]));
}

test('a real supervisord: by port and by socket; it goes and comes back', { skip: skipUnless(supervisord()) }, async () => {
  const server = await startSupervisord();
  const pages = [`http://localhost:${server.port}/RPC2`, `unix://${server.socketPath}`].map((url) => servicePage('supervisord', { url }));
  try {
    for (const page of pages) {
      // Programs are started one after the other, and one of them ends.
      let shown = '';
      await until(async () => {
        shown = (await page.run()).page;
        return isDeepStrictEqual(statesOf(shown), SETTLED);
      }, 20_000);
      assert.deepEqual(statesOf(shown), SETTLED);
      assert.match(shown, /exit_status\{group="done",name="done"\} 3\n/);
      const started = Number(/start_time_seconds\{group="sleeper",name="sleeper"\} (\S+)\n/.exec(shown)?.[1]);
      assert.ok(Math.abs(started - Date.now() / 1000) < 120, String(started));
      assert.equal(shown.includes('start_time_seconds{group="done"'), false, 'only of what is up');
      assert.match(shown, /up\{group="waiting",name="waiting"\} 0\n/);
    }
    await server.process.stop();
    for (const page of pages) {
      const { page: shown, error } = await page.run();
      assert.equal(error?.code, 'connect');
      assert.equal(comparable(shown), NOTHING);
    }
    await server.restart();
    for (const page of pages) assert.equal((await page.run()).error, undefined);
  } finally {
    for (const page of pages) await page.close();
    await server.close();
  }
});

test('a password in the URL is used and never said', { skip: skipUnless(supervisord()) }, async () => {
  const server = await startSupervisord('s3cr%t');
  const right = servicePage('supervisord', { url: `http://watcher:s3cr%25t@127.0.0.1:${server.port}/RPC2` });
  const wrong = servicePage('supervisord', { url: `http://watcher:other@127.0.0.1:${server.port}/RPC2` });
  try {
    assert.equal((await right.run()).error, undefined);
    const { error } = await wrong.run();
    assert.equal(error?.code, 'auth');
    assert.equal(error?.message, `http://127.0.0.1:${server.port}/RPC2: HTTP status 401`);
  } finally {
    await right.close();
    await wrong.close();
    await server.close();
  }
});

const RECORDED = `<?xml version='1.0'?>
<methodResponse>
<params>
<param>
<value><array><data>
<value><struct>
<member><name>name</name><value><string>a&amp;b &#233;</string></value></member>
<member><name>group</name><value>plain</value></member>
<member><name>start</name><value><int>1700000000</int></value></member>
<member><name>state</name><value><int>20</int></value></member>
<member><name>exitstatus</name><value><i4>-1</i4></value></member>
<member><name>spawnerr</name><value><string></string></value></member>
</struct></value>
</data></array></value>
</param>
</params>
</methodResponse>
`;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function withServer(body: (url: string, answer: (handler: Handler) => void, connections: () => number) => Promise<void>): Promise<void> {
  let handler: Handler = (_, response) => response.end(RECORDED);
  let connections = 0;
  const server = createServer((request, response) => handler(request, response));
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await body(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/RPC2`,
      (next) => (handler = next),
      () => connections,
    );
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
}

test('answers are read, over one kept connection', () =>
  withServer(async (url, answer, connections) => {
    const page = servicePage('supervisord', { url });
    const { page: shown } = await page.run();
    assert.match(shown, /node_supervisord_exit_status\{group="plain",name="a&b é"\} -1\n/);
    for (let run = 0; run < 3; run++) assert.equal((await page.run()).error, undefined);
    assert.equal(connections(), 1);
    // A server that has closed the connection in between, as the question arrives.
    let isFirst = true;
    answer((request, response) => {
      if (isFirst) request.socket.destroy();
      else response.end(RECORDED);
      isFirst = false;
    });
    assert.equal((await page.run()).error, undefined);
    assert.equal(connections(), 2);
    await page.close();
  }));

const FAILING: readonly (readonly [name: string, handler: Handler, code: string, message: RegExp])[] = [
  ['HTTP status 500', (_, response) => response.writeHead(500).end('oops'), 'query', /HTTP status 500/],
  ['forbidden', (_, response) => response.writeHead(403).end(), 'auth', /HTTP status 403/],
  ['another place', (_, response) => response.writeHead(302, { Location: '/' }).end(), 'query', /HTTP status 302/],
  ['an empty answer', (_, response) => response.end(), 'parse', /expected <methodResponse>/],
  ['no XML', (_, response) => response.end('{"a": 1}'), 'parse', /expected <methodResponse>/],
  [
    'a cut body',
    (_, response) => void response.writeHead(200, { 'Content-Length': 999 }).write(RECORDED.slice(0, 300), () => response.destroy()),
    'connect',
    /aborted|ECONNRESET/,
  ],
  ['silence', () => undefined, 'timeout', /no answer in time/],
  ['half an answer and silence', (_, response) => void response.write(RECORDED.slice(0, 300)), 'timeout', /no answer in time/],
];

for (const [name, handler, code, message] of FAILING) {
  test(`failing: ${name}; then it recovers`, () =>
    withServer(async (url, answer) => {
      const page = servicePage('supervisord', { url });
      const whole = (await page.run()).page;
      answer(handler);
      const { page: shown, error } = await page.run(code === 'timeout' ? 200 : 5000);
      assert.equal(error?.code, code, error?.message);
      assert.match(error?.message ?? '', message);
      assert.equal(error?.place, url);
      assert.equal(comparable(shown), NOTHING);
      answer((_, response) => response.end(RECORDED));
      assert.equal((await page.run()).page, whole);
      await page.close();
    }));
}

test('nobody listens; descriptors are given back', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const page = servicePage('supervisord', { url: `http://127.0.0.1:${await freePort()}/RPC2` });
  for (let run = 0; run < 3; run++) assert.equal((await page.run()).error?.code, 'connect');
  await page.close();
  assert.ok(await until(() => descriptors() <= before, 2000), `${descriptors()} descriptors after ${before}`);
});

test('an address that is none is refused without being said, since it may hold a password', async () => {
  for (const url of ['', 'nonsense', 'ftp://me:secret@host/', 'localhost:9001', 'unix://', 'http://me:%zz@host/']) {
    const page = servicePage('supervisord', { url });
    assert.equal((await page.run()).error?.message, 'supervisord url: expected http://, https:// or unix:///path');
    await page.close();
  }
});

function response(value: string): string {
  return `<methodResponse><params><param>${value}</param></params></methodResponse>`;
}

test('values of XML-RPC', () => {
  const rows: readonly (readonly [xml: string, value: unknown])[] = [
    ['<value><int>-7</int></value>', -7],
    ['<value> <i8> 8 </i8> </value>', 8],
    ['<value><boolean>1</boolean></value>', true],
    ['<value><double>1.5</double></value>', 1.5],
    ['<value><string> a &lt;b&gt; &#x41; </string></value>', ' a <b> A '],
    ['<value>plain</value>', 'plain'],
    ['<value></value>', ''],
    ['<value/>', ''],
    ['<value><string/></value>', ''],
    ['<value><nil/></value>', null],
    ['<value><!-- none --><array><data></data></array></value>', []],
    ['<value><array><data/></array></value>', []],
    ['<value><struct/></value>', new Map()],
    ['<value><array><data><value>a</value> <value><array><data><value><int>1</int></value></data></array></value></data></array></value>', ['a', [1]]],
  ];
  for (const [xml, value] of rows) assert.deepEqual(readResponse(response(xml)), value, xml);
});

test('texts that are no XML-RPC', () => {
  const deep = '<value><array><data>'.repeat(40);
  const rows: readonly (readonly [xml: string, message: RegExp])[] = [
    [response('<value><int>1.5</int></value>'), /expected an integer/],
    [response('<value><boolean>yes</boolean></value>'), /expected 0 or 1/],
    [response('<value><double></double></value>'), /expected a number/],
    [response('<value><date>x</date></value>'), /expected a type of XML-RPC, not date/],
    [response('<value>&nbsp;</value>'), /one of the five entities/],
    [response('<value>&#1114112;</value>'), /one of the five entities/],
    [response('<value>a & b</value>'), /one of the five entities/],
    [response('<value attribute="x">a</value>'), /expected a tag of XML-RPC/],
    [response('<value><int>1</i4></value>'), /expected <\/int>/],
    [response('<value><struct><name>a</name></struct></value>'), /expected <member>/],
    [response(deep), /no more levels/],
    ['<!DOCTYPE x [<!ENTITY a "b">]><methodResponse/>', /expected a tag of XML-RPC/],
    ['<methodResponse/>', /expected <params>/],
    ['<methodCall><methodName>x</methodName></methodCall>', /expected <methodResponse>/],
  ];
  for (const [xml, message] of rows) assert.throws(() => readResponse(xml), message, xml);
  const fault = `<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member><member><name>faultString</name><value>UNKNOWN_METHOD</value></member></struct></value></fault></methodResponse>`;
  assert.throws(
    () => readResponse(fault),
    (error) => error instanceof FaultError && error.message === 'fault 1: UNKNOWN_METHOD',
  );
  // Cut anywhere it is an error, never half a list.
  const end = RECORDED.trimEnd().length;
  for (let at = 0; at < end; at++) assert.throws(() => readResponse(RECORDED.slice(0, at)), Error, RECORDED.slice(0, at));
});

test('processes without a member, or with one of another type', () =>
  withServer(async (url, answer) => {
    const page = servicePage('supervisord', { url });
    const rows: readonly (readonly [xml: string, message: RegExp])[] = [
      [RECORDED.replace('<name>state</name>', '<name>stat</name>'), /expected a process to have a number state/],
      [RECORDED.replace('<int>20</int>', '<string>20</string>'), /expected a process to have a number state/],
      [RECORDED.replace('<string>a&amp;b &#233;</string>', '<int>5</int>'), /expected a process to have a text name/],
      [response('<value>no list</value>'), /expected an array of processes/],
      [response('<value><array><data><value>no struct</value></data></array></value>'), /expected a process to be a struct/],
    ];
    for (const [xml, message] of rows) {
      answer((_, to) => to.end(xml));
      const { page: shown, error } = await page.run();
      assert.equal(error?.code, 'parse');
      assert.match(error?.message ?? '', message);
      assert.equal(comparable(shown), NOTHING);
    }
    await page.close();
  }));
