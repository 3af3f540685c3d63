import assert from 'node:assert/strict';
import { linkSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BoardReader, makeBoard } from '../../collect/board.ts';
import { CollectError, type NetworkSession } from '../../collect/contract.ts';
import { Sheet } from '../../collect/sheet.ts';
import { referenceReaders } from '../../readers/reference.ts';
import { open } from './collect-runtimes.ts';
import { CriRuntime } from './cri.ts';
import { decodeMessage } from './cri-messages.ts';
import { diskUsesOf, namesOf } from './docker.ts';
import { GrpcStatusError, unaryClient } from './grpc.ts';
import { fixture } from './harness.ts';
import { bytesField, firstText, varintField } from './harness-protobuf.ts';
import { decodeNames, type NamesTable } from './names-table.ts';
import { containerOptions } from './options.ts';

/**
 * Answers of real runtimes, recorded and served on real unix sockets: containerd 1.6.20 (test/vm/record-containerd.ts),
 * Docker 20.10.24, Podman 4.3.1. CRI-O was not at hand: its answers are containerd's under its name.
 */
interface Recorded {
  readonly ids: readonly { readonly sandbox: string; readonly container: string }[];
  readonly answers: Readonly<Record<string, string>>;
}
const CONTAINERD = JSON.parse(fixture('runtimes/containerd-1.6.20.json')) as Recorded;
const [SHOP, ETCD] = CONTAINERD.ids as [Recorded['ids'][number], Recorded['ids'][number]];
const DOCKER = fixture('runtimes/docker-20.10.24.json');
const PODMAN = fixture('runtimes/podman-4.3.1.json');

const folder = mkdtempSync(join(tmpdir(), 'exporterd-runtimes-'));
const servers = new Set<Server>();
after(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listen(server: Server, name: string): Promise<string> {
  const path = join(folder, name);
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

/** Answers a unary call: status and message, or what the server does wrong. */
type Answering = (method: string, request: Buffer, stream: ServerHttp2Stream) => void;

function grpcServer(answer: Answering): Server {
  const server = createHttp2();
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('end', () => answer(String(headers[':path']), Buffer.concat(chunks).subarray(5), stream));
  });
  return server;
}

/** A message as it travels: one byte for compression (none), four for the length. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function reply(stream: ServerHttp2Stream, message: Buffer, status = 0, text = ''): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status), 'grpc-message': encodeURIComponent(text) }));
  stream.end(status === 0 ? framed(message) : undefined);
}

/** The recorded runtime; `calls` collects what was asked. */
function recorded(calls: string[], runtime = 'containerd'): Server {
  return grpcServer((path, request, stream) => {
    const method = path.replace('/runtime.v1.', '');
    calls.push(method);
    if (method === 'RuntimeService/Version' && runtime !== 'containerd') return reply(stream, Buffer.concat([bytesField(1, '0.1.0'), bytesField(2, runtime)]));
    const answer = CONTAINERD.answers[method.endsWith('PodSandboxStatus') ? `${method} ${firstText(request)}` : method];
    if (answer === undefined) return reply(stream, Buffer.alloc(0), 5, 'not found ü');
    return reply(stream, Buffer.from(answer, 'base64'));
  });
}

/** What Docker 24 says of its API, as far as it matters. */
const VERSION = '{"ApiVersion":"1.43","MinAPIVersion":"1.12"}';

function httpServer(answer: string, status = 200, paths: string[] = []): Server {
  return createHttp((request, response) => {
    paths.push(request.url ?? '');
    if (request.url === '/version') return void response.end(VERSION);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(answer);
  });
}

const within = (ms = 3000): AbortSignal => AbortSignal.timeout(ms);

describe('the CRI', () => {
  test('containerd: containers, sandboxes and pods, static ones by the hash of their manifest', async () => {
    const calls: string[] = [];
    const runtime = new CriRuntime(await listen(recorded(calls), 'containerd.sock'), ['team', 'io.cri-containerd.kind', 'none']);
    const { containers, pods } = await runtime.list(within());
    const byId = new Map(containers.map((one) => [one.id, one]));
    assert.equal(containers.length, 4);
    const { created, ...app } = byId.get(SHOP.container) ?? assert.fail('the container is listed');
    assert.deepEqual(app, {
      id: SHOP.container,
      name: SHOP.container,
      image: 'docker.io/demo/app:1',
      namespace: 'web',
      pod: 'shop-1',
      container: 'app',
      sandbox: false,
      labels: { team: 'x', 'io.cri-containerd.kind': 'container' },
    });
    assert.ok(created > 1.79e9 && created < 1.8e9 && !Number.isInteger(created));
    const sandbox = byId.get(SHOP.sandbox);
    assert.deepEqual([sandbox?.container, sandbox?.sandbox, sandbox?.image, sandbox?.pod], ['', true, 'docker.io/demo/app:1', 'shop-1']);
    assert.deepEqual(pods.map(({ uid, pod }) => `${uid} ${pod}`).sort(), [
      '0123456789abcdef0123456789abcdef etcd-node',
      '0a1b2c3d-4e5f-6789-abcd-ef0123456789 shop-1',
      '11111111-2222-3333-4444-555555555555 etcd-node',
    ]);
    calls.length = 0;
    await runtime.list(within());
    assert.deepEqual(calls.sort(), ['RuntimeService/ListContainers', 'RuntimeService/ListPodSandbox'], 'what is known is not asked for again');
    runtime.close();
  });

  test("CRI-O (containerd's answers under its name): its names, POD for sandboxes", async () => {
    const runtime = new CriRuntime(await listen(recorded([], 'cri-o'), 'crio.sock'), ['io.cri-containerd.kind']);
    const { containers } = await runtime.list(within());
    const byId = new Map(containers.map((one) => [one.id, one]));
    assert.equal(byId.get(ETCD.container)?.name, 'k8s_etcd_etcd-node_kube-system_11111111-2222-3333-4444-555555555555_0');
    assert.equal(byId.get(ETCD.sandbox)?.name, 'k8s_POD_etcd-node_kube-system_11111111-2222-3333-4444-555555555555_0');
    assert.equal(byId.get(ETCD.sandbox)?.container, 'POD');
    assert.deepEqual(byId.get(ETCD.sandbox)?.labels, {});
    runtime.close();
  });

  test('errors say what went wrong, and the next call works again', async () => {
    let answering: Answering = (_, __, stream) => reply(stream, Buffer.alloc(0), 12, 'unknown service runtime.v1');
    const path = await listen(
      grpcServer((method, request, stream) => answering(method, request, stream)),
      'errors.sock',
    );
    const client = unaryClient(path);
    const call = (ms?: number): Promise<Buffer> => client.call('/a.B/C', Buffer.from('x'), within(ms));
    const status = (number: number, message = /./) => {
      return (error: unknown): boolean => error instanceof GrpcStatusError && error.status === number && message.test(error.message);
    };
    await assert.rejects(call(), status(12, /^\/a\.B\/C: status 12, unknown service runtime\.v1$/));
    answering = (_, __, stream) => stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true });
    await assert.rejects(call(), status(7), 'a status without an answer');
    answering = (_, __, stream) => stream.respond({ ':status': 503 }, { endStream: true });
    await assert.rejects(call(), status(14, /503/));
    answering = (_, __, stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 9, 1]));
    };
    await assert.rejects(call(), status(12, /No message received/), 'less than the length says');
    answering = (_, __, stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0xf0, 0, 0, 0, 1]));
    };
    await assert.rejects(call(), status(8), 'more than is accepted');
    answering = (_, __, stream) => stream.session?.destroy();
    await assert.rejects(call(), GrpcStatusError);
    answering = () => undefined;
    await assert.rejects(call(50), { name: 'TimeoutError' });
    await assert.rejects(client.call('/a.B/C', Buffer.alloc(0), AbortSignal.abort(new Error('over'))), /over/);
    answering = (_, request, stream) => reply(stream, Buffer.concat([request, request]));
    assert.equal((await call()).toString(), 'xx');
    client.close();
    client.close();
    const nobody = unaryClient(join(folder, 'nobody.sock'));
    await assert.rejects(nobody.call('/a.B/C', Buffer.alloc(0), within()), { code: 'ENOENT', status: 14 });
    nobody.close();
  });

  test('a recorded answer cut at any byte is refused or read as less, and never hangs', async () => {
    const whole = Buffer.from(CONTAINERD.answers['RuntimeService/ListContainers'] as string, 'base64');
    const all = decodeMessage('ListContainersResponse', whole).containers.length;
    let refused = 0;
    for (let end = 0; end < whole.length; end++) {
      try {
        assert.ok(decodeMessage('ListContainersResponse', whole.subarray(0, end)).containers.length < all);
      } catch (error) {
        assert.ok(error instanceof Error && error.name !== 'AssertionError', `cut at ${end}: ${String(error)}`);
        refused += 1;
      }
    }
    assert.ok(refused > whole.length - 10);
  });
});

test("Docker and Podman: names, images, labels; pods by their labels; the network is another one's in container mode", () => {
  const web = namesOf(DOCKER, ['team', 'a.b']).containers.find(({ name }) => name === 'web');
  assert.deepEqual(
    { ...web, id: '', created: 0 },
    { id: '', name: 'web', image: 'demo/app:1', namespace: '', pod: '', container: '', sandbox: true, created: 0, labels: { team: 'x', 'a.b': 'c' } },
  );
  assert.match(web?.id ?? '', /^[0-9a-f]{64}$/);
  const [podman] = namesOf(PODMAN, []).containers;
  assert.deepEqual([podman?.name, podman?.image, podman?.labels], ['pod-web2', 'docker.io/demo/app:1', {}]);
  const kubernetes = { 'io.kubernetes.pod.uid': 'u', 'io.kubernetes.pod.namespace': 'n', 'io.kubernetes.pod.name': 'p', 'io.kubernetes.container.name': 'POD' };
  const odd = [{ Id: 'x', Names: null, Labels: kubernetes, HostConfig: { NetworkMode: 'container:abc' } }, { Id: 5 }, null, 'text'];
  const { containers, pods } = namesOf(JSON.stringify(odd), []);
  assert.deepEqual(containers, [{ id: 'x', name: '', image: '', namespace: 'n', pod: 'p', container: 'POD', sandbox: false, created: 0, labels: {} }]);
  assert.deepEqual(pods, [{ uid: 'u', namespace: 'n', pod: 'p' }]);
  assert.throws(() => namesOf('{"message":"no"}', []), /a list of containers expected/);
  assert.throws(() => namesOf('<html>', []), SyntaxError);
  const health = (Status: unknown): number | undefined => namesOf(JSON.stringify([{ Id: 'x', Status }]), []).containers[0]?.health;
  assert.deepEqual(['Up 2 hours (healthy)', 'Up 3 minutes (unhealthy)', 'Up 1 second (health: starting)', 'Up 5 minutes', 7].map(health), [
    1,
    0,
    0,
    undefined,
    undefined,
  ]);
  assert.deepEqual(diskUsesOf('[{"Id":"x","SizeRw":12},{"Id":"y","SizeRootFs":9},null]', '/var/lib/docker'), [
    { id: 'x', bytes: 12, path: '/var/lib/docker' },
    { id: 'y', bytes: 0, path: '/var/lib/docker' },
  ]);
  assert.throws(() => diskUsesOf('{}', '/'), /a list of containers expected/);
});

describe('the network part', () => {
  const readers = referenceReaders();
  let monotonicMs = 0;
  let board: SharedArrayBuffer;
  let reader: BoardReader;
  const warnings: string[] = [];

  before(() => {
    board = makeBoard();
  });

  function session(options: unknown, parts: readonly string[] = ['runtimes']): NetworkSession {
    board = makeBoard();
    reader = new BoardReader(board);
    const target = { name: 'local', settings: {}, address: '' };
    const roots = { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '' };
    return open({
      options: containerOptions.parse(options),
      roots,
      target,
      parts,
      readers,
      board,
      monotonicMs: () => monotonicMs,
      wallMs: () => 0,
      warn: (message) => warnings.push(message),
    });
  }

  async function round(of: NetworkSession): Promise<string> {
    monotonicMs += 2000;
    const sheet = new Sheet(readers, { maxSeries: 10, maxBytes: 1000 });
    sheet.begin();
    await of.begin(within());
    return (await of.collect('runtimes', sheet, within())).kind;
  }

  const posted = (): NamesTable => decodeNames(reader.take() ?? assert.fail('nothing was posted'));

  test('every socket is asked, the answers are one table; again only when asked or after a minute', async () => {
    const paths: string[] = [];
    const docker = await listen(httpServer(DOCKER, 200, paths), 'docker.sock');
    const podman = await listen(httpServer(PODMAN, 200, paths), 'podman.sock');
    const calls: string[] = [];
    const cri = await listen(recorded(calls), 'cri.sock');
    const descriptors = readdirSync('/proc/self/fd').length;
    const of = session({ cri: `unix://${cri},${folder}/not-there.sock`, docker: `unix://${docker}`, podman });
    assert.equal(await round(of), 'ok');
    assert.deepEqual(
      posted()
        .containers.map(({ name }) => name)
        .filter((name) => name.length < 64)
        .sort(),
      ['pod-web2', 'side', 'web'],
    );
    assert.deepEqual(paths.sort(), ['/v1.0.0/containers/json', '/v1.43/containers/json', '/version']);
    for (let i = 0; i < 20; i++) await round(of);
    assert.equal(paths.length, 3);
    new BoardReader(board).ask();
    await round(of);
    assert.equal(paths.length, 5);
    assert.equal(reader.take(), undefined, 'the same names are not posted again');
    monotonicMs += 60_000;
    await round(of);
    assert.equal(paths.length, 7);
    await of.close();
    await of.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(readdirSync('/proc/self/fd').length <= descriptors, 'nothing is left open');
  });

  test('a runtime that fails is told and tried again, its names stay; all of them failing is a failure', async () => {
    let status = 200;
    const paths: string[] = [];
    const flaky = createHttp((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(status).end(request.url === '/version' ? VERSION : DOCKER);
    });
    const docker = await listen(flaky, 'flaky.sock');
    const podman = await listen(httpServer(PODMAN), 'steady.sock');
    const of = session({ cri: '', docker, podman });
    await round(of);
    assert.equal(posted().containers.length, 3);
    status = 500;
    new BoardReader(board).ask();
    warnings.length = 0;
    assert.equal(await round(of), 'ok');
    assert.deepEqual(warnings, [`${docker}: /v1.43/containers/json: HTTP status 500`]);
    assert.equal(reader.take(), undefined);
    await of.close();
    const alone = session({ cri: '', docker, podman: '' });
    await assert.rejects(round(alone), (error) => error instanceof CollectError && error.code === 'query' && error.place === docker);
    status = 200;
    assert.equal(await round(alone), 'ok', 'tried again without being asked');
    assert.equal(posted().containers.length, 2);
    await alone.close();
  });

  test('Docker is asked in the version that it speaks, also after it was replaced by another release', async () => {
    let [oldest, latest] = [24, 43];
    const server = createHttp((request, response) => {
      if (request.url === '/version') return void response.end(`{"ApiVersion":"1.${latest}","MinAPIVersion":"1.${oldest}"}`);
      const asked = Number(/^\/v1\.(\d+)\//.exec(request.url ?? '')?.[1]);
      // As Docker 29 answers.
      if (asked < oldest) response.writeHead(400).end(`{"message":"client version 1.${asked} is too old. Minimum supported API version is 1.${oldest}"}`);
      else if (asked > latest) response.writeHead(400).end(`{"message":"client version 1.${asked} is too new. Maximum supported API version is 1.${latest}"}`);
      else response.end(DOCKER);
    });
    const of = session({ cri: '', docker: await listen(server, 'versions.sock'), podman: '' });
    assert.equal(await round(of), 'ok');
    assert.equal(posted().containers.length, 2);
    [oldest, latest] = [44, 52];
    new BoardReader(board).ask();
    await assert.rejects(round(of), /HTTP status 400/);
    assert.equal(await round(of), 'ok', 'asked for its version again');
    await of.close();
    const strange = createHttp((_, response) => response.end('{"ApiVersion":"1/../x"}'));
    const wrong = session({ cri: '', docker: await listen(strange, 'strange.sock'), podman: '' });
    await assert.rejects(round(wrong), /ApiVersion expected/);
    await wrong.close();
  });

  test('without a socket the part is absent; a runtime that comes later is found, one that goes takes its names along', async () => {
    const path = join(folder, 'late.sock');
    const of = session({ cri: '', docker: path, podman: '' });
    assert.equal(await round(of), 'absent');
    assert.deepEqual(posted(), { containers: [], pods: [], disks: [] });
    const server = httpServer(DOCKER);
    await listen(server, 'late.sock');
    assert.equal(await round(of), 'ok');
    assert.equal(posted().containers.length, 2);
    servers.delete(server);
    await new Promise((resolve) => server.close(resolve));
    rmSync(path, { force: true });
    assert.equal(await round(of), 'absent');
    assert.deepEqual(posted(), { containers: [], pods: [], disks: [] });
    await of.close();
  });

  test('space used by containers: asked beside the rounds, at most once a minute and a twentieth of the time; names do not wait for it', async () => {
    const asked: string[] = [];
    let answer: ((text: string) => void) | undefined;
    const sizes = createHttp((request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/version') response.end(VERSION);
      else if (request.url === '/v1.43/info') response.end('{"DockerRootDir":"/var/lib/docker"}');
      else if (request.url?.endsWith('size=1') === true) answer = (text) => response.end(text);
      else response.end(DOCKER);
    });
    const layer = (mountpoint: string, bytes: number): Buffer =>
      Buffer.concat([bytesField(2, bytesField(1, mountpoint)), bytesField(3, varintField(1, bytes)), bytesField(4, varintField(1, 7))]);
    const stats = (id: string, ...more: readonly Buffer[]): Buffer => bytesField(1, Buffer.concat([bytesField(1, bytesField(1, id)), ...more]));
    const snapshots = '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs';
    const cri = grpcServer((path, _, stream) => {
      if (path.endsWith('ListContainerStats')) return reply(stream, Buffer.concat([stats('a', bytesField(4, layer(snapshots, 2 ** 40))), stats('b')]));
      const known = CONTAINERD.answers[path.replace('/runtime.v1.', '')];
      return known === undefined ? reply(stream, Buffer.alloc(0), 5, 'not found') : reply(stream, Buffer.from(known, 'base64'));
    });
    const options = { cri: await listen(cri, 'stats.sock'), docker: await listen(sizes, 'sizes.sock'), podman: '' };
    const of = session(options, ['runtimes', 'disk']);
    await round(of);
    assert.ok(posted().containers.length > 4, 'names are there before anything is counted');
    while (answer === undefined) await new Promise((resolve) => setImmediate(resolve));
    monotonicMs += 5000;
    answer('[{"Id":"web","SizeRw":4096}]');
    let table: NamesTable | undefined;
    while (table?.disks.length !== 2) {
      await round(of);
      const text = reader.take();
      if (text !== undefined) table = decodeNames(text);
      await new Promise((resolve) => setImmediate(resolve));
      monotonicMs -= 2000; // Time stands still while we wait.
    }
    assert.deepEqual(table.disks, [
      { id: 'a', path: snapshots, bytes: 2 ** 40 },
      { id: 'web', path: '/var/lib/docker', bytes: 4096 },
    ]);
    const times = () => asked.filter((url) => url.endsWith('size=1')).length;
    assert.equal(times(), 1);
    monotonicMs += 90_000;
    await round(of);
    assert.equal(times(), 1, 'an answer that took five seconds and more is not asked for within a hundred');
    monotonicMs += 60_000;
    await round(of);
    while (times() < 2) await new Promise((resolve) => setImmediate(resolve));
    warnings.length = 0;
    answer('{"message":"no"}');
    while (warnings.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, [`${options.docker}: space used by containers: a list of containers expected`]);
    await of.close();
    const none = new CriRuntime(
      await listen(
        grpcServer((_, __, stream) => reply(stream, Buffer.alloc(0), 12, 'not here')),
        'no-stats.sock',
      ),
      [],
    );
    assert.deepEqual(await none.disk(within()), [], 'a runtime that does not count');
    none.close();
    const quiet = session(options);
    await round(quiet);
    assert.equal(times(), 2, 'without the part disk nobody is asked');
    await quiet.close();
  });

  test('a socket nobody listens on', async () => {
    const path = await listen(httpServer(DOCKER), 'dead.sock');
    const gone = [...servers].at(-1) as Server;
    // The file stays when the process is killed: a link keeps it here.
    linkSync(path, `${path}.kept`);
    servers.delete(gone);
    await new Promise((resolve) => gone.close(resolve));
    await assert.rejects(round(session({ cri: '', docker: `${path}.kept`, podman: '' })), (error) => error instanceof CollectError && error.code === 'connect');
  });
});
