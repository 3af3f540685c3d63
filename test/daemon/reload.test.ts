import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Plan } from '../../src/daemon/plan.ts';
import { systemClock } from '../../src/model/clock.ts';
import { sampleValue, until } from '../support/daemon.ts';
import { ask } from './http.ts';
import { open, planOf } from './in-process.ts';

const INTERVAL_MS = 200;

/** A server that only counts: connections ever made, and those open now. */
class Counter {
  readonly sockets = new Set<Socket>();
  made = 0;
  readonly #server: Server;
  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.made += 1;
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
      socket.resume();
    });
  }

  static async start(): Promise<Counter> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Counter(server);
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

const counters: Counter[] = [];
after(() => {
  for (const counter of counters) counter.stop();
});

const config = (targets: readonly string[], more = ''): string => `
interval: ${INTERVAL_MS}ms
roles: [kafka]
web: {listen_address: ["127.0.0.1:0"]}
toynet:
  targets: [${targets.join(', ')}]
${more}`;

test('apply adds and removes targets; unchanged ones keep session, connection and samples', { timeout: 60_000 }, async () => {
  const [a, b, c] = await Promise.all([Counter.start(), Counter.start(), Counter.start()]);
  counters.push(a, b, c);
  const { daemon } = await open();
  const [one, two, three] = [
    ['a', a],
    ['b', b],
    ['c', c],
  ].map(([name, counter]) => `{name: ${name as string}, port: ${(counter as Counter).port}}`) as [string, string, string];
  await daemon.apply(await planOf(config([one, two])));
  const address = daemon.addresses[0];
  const page = async (path: string): Promise<string> => (await ask(`http://${address}${path}`)).text;
  const runs = async (target: string): Promise<number> => sampleValue(await page('/metrics/kafka'), `toy_runs{part="only",target="${target}"}`);
  await until(10_000, 'both targets have run', async () => (await runs('a')) >= 2 && (await runs('b')) >= 2);

  // A third one comes, the second one goes, the first one stays.
  const before = await runs('a');
  await daemon.apply(await planOf(config([one, three])));
  assert.ok((await runs('a')) >= before, 'its samples are there at once');
  await until(10_000, 'the third has run', async () => (await runs('c')) >= 2);
  await until(5000, 'its session goes on counting', async () => (await runs('a')) > before);
  assert.deepEqual([a.made, a.sockets.size], [1, 1], 'its connection was kept');
  assert.ok(Number.isNaN(await runs('b')), 'the one that went is not shown any more');
  await until(5000, 'its connection was closed', async () => b.sockets.size === 0);
  assert.equal((await ask(`http://${address}/metrics/kafka/b`)).status, 404);
  assert.match(await page('/metrics/kafka/c'), /^toy_runs\{part="only"\} /m);
  assert.deepEqual(daemon.addresses, [address], 'the listener was kept');

  // The same plan again changes nothing.
  const again = await runs('c');
  await daemon.apply(await planOf(config([one, three])));
  assert.ok((await runs('c')) >= again);
  assert.deepEqual([a.made, c.made], [1, 1]);

  // Only one is left: no target label any more. It is the same session, and its samples are never away.
  const merged = async (): Promise<string> => (await page('/metrics/kafka')).match(/^toy_runs\{part="only"(,target="a")?\} \d+/m)?.[0] ?? '';
  const count = (line: string): number => Number(line.slice(line.indexOf(' ')));
  let last = await runs('a');
  const watched = async (isThere: (line: string) => boolean): Promise<boolean> => {
    const line = await merged();
    assert.ok(count(line) >= last, `${last} runs, then: ${line}`);
    last = count(line);
    return isThere(line);
  };
  await daemon.apply(await planOf(config([one])));
  await until(5000, 'the plain page of the last target', () => watched((line) => !line.includes('target')));
  await until(5000, 'the third was closed', async () => c.sockets.size === 0);

  // And two again.
  for (const more of [[one, two], [one], [one, three]]) {
    const now = last;
    await daemon.apply(await planOf(config(more)));
    await until(5000, 'pages with one target or several', () => watched((line) => line.includes('target') === more.length > 1 && last > now));
  }
  assert.deepEqual([a.made, a.sockets.size], [1, 1], 'its connection was kept');
  await daemon.apply(await planOf(config([one])));

  // A target under the same name with another address is another target.
  await daemon.apply(await planOf(config([`{name: a, port: ${b.port}}`])));
  await until(5000, 'the old address is left', async () => a.sockets.size === 0 && b.sockets.size === 1);
});

test('apply adds a role to /metrics and takes it away again; host collectors that stay keep their sessions', { timeout: 60_000 }, async () => {
  const { daemon } = await open();
  const host = (roles: string): string => `interval: ${INTERVAL_MS}ms\nroles: [${roles}]\nweb: {listen_address: ["127.0.0.1:0"]}\n`;
  await daemon.apply(await planOf(host('nginx')));
  await daemon.ready;
  const address = daemon.addresses[0];
  const page = async (path = '/metrics'): Promise<string> => (await ask(`http://${address}${path}`)).text;
  const runs = async (): Promise<number> => sampleValue(await page(), 'toy_runs{part="calm"}');
  await until(5000, 'it has run', async () => (await runs()) >= 2);
  assert.doesNotMatch(await page(), /^node_/m);
  const before = await runs();

  await daemon.apply(await planOf(host('nginx, node')));
  assert.ok((await runs()) >= before, 'samples are there at once');
  await until(5000, 'the new role is on /metrics', async () => /^node_memory_MemTotal_bytes/m.test(await page()));
  assert.match(await page('/metrics/node'), /^node_memory_MemTotal_bytes/m);
  assert.equal((await ask(`http://${address}/metrics?collect[]=node.loadavg`)).status, 200, 'filters know the new role');

  await daemon.apply(await planOf(host('nginx')));
  await until(5000, 'and gone again', async () => !/^node_/m.test(await page()));
  assert.equal((await ask(`http://${address}/metrics/node`)).status, 404);
  assert.ok((await runs()) >= before, 'the session was kept all the time');
  await until(5000, 'it goes on', async () => (await runs()) > before);
});

test('apply opens and closes listeners; a taken port is an error and what runs goes on', { timeout: 30_000 }, async () => {
  const [taken] = [await Counter.start()];
  counters.push(taken);
  const { daemon } = await open();
  const listen = (...addresses: string[]): Promise<Plan> =>
    planOf(`roles: [nginx]\nweb: {listen_address: [${addresses.map((address) => `"${address}"`).join(', ')}]}\n`);
  await daemon.apply(await listen('127.0.0.1:0'));
  const [first = ''] = daemon.addresses;
  await daemon.apply(await listen('127.0.0.1:0', '127.0.0.1:0'));
  const [kept, second = ''] = daemon.addresses;
  assert.equal(kept, first);
  for (const address of [first, second]) assert.equal((await ask(`http://${address}/-/healthy`)).status, 200);
  await daemon.apply(await listen('127.0.0.1:0'));
  assert.deepEqual(daemon.addresses, [first]);
  await assert.rejects(ask(`http://${second}/-/healthy`));
  await assert.rejects(daemon.apply(await listen('127.0.0.1:0', `127.0.0.1:${taken.port}`)), { name: 'ListenError', code: 'EADDRINUSE' });
  assert.equal((await ask(`http://${first}/-/healthy`)).status, 200);
});

test('a step of the wall clock neither skips nor bursts runs', { timeout: 60_000 }, async () => {
  for (const phaseLock of [false, true]) {
    let stepMs = 0;
    const { daemon, close } = await open({ ...systemClock, wallMs: () => systemClock.wallMs() + stepMs }, phaseLock);
    await daemon.apply(await planOf(`interval: ${INTERVAL_MS}ms\nroles: [nginx]\nweb: {listen_address: ["127.0.0.1:0"]}\n`));
    await daemon.ready;
    const address = daemon.addresses[0];
    const runs = async (): Promise<number> => sampleValue((await ask(`http://${address}/metrics`)).text, 'toy_runs{part="calm"}');
    for (const step of [0, 3_600_000, -7_200_000, 500]) {
      stepMs += step;
      const [started, from] = [performance.now(), await runs()];
      let last = from;
      let longestMs = 0;
      let changedMs = started;
      while (performance.now() - started < 1600) {
        const now = await runs();
        if (now !== last) {
          assert.ok(now - last <= 3, `${now - last} runs within ${performance.now() - changedMs} ms after a step of ${step} ms`);
          longestMs = Math.max(longestMs, performance.now() - changedMs);
          changedMs = performance.now();
          last = now;
        }
        await sleep(20);
      }
      const expected = (performance.now() - started) / INTERVAL_MS;
      assert.ok(last - from <= expected + 2 && last - from >= expected / 2, `${last - from} runs instead of ${expected} after a step of ${step} ms`);
      assert.ok(longestMs < 4 * INTERVAL_MS, `${longestMs} ms without a run after a step of ${step} ms`);
    }
    await close();
  }
});
