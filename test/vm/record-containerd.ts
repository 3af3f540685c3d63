import { writeFileSync } from 'node:fs';
import { unaryClient } from '../../src/collectors/container/grpc.ts';
import { bytesField, varintField } from '../../src/collectors/container/harness-protobuf.ts';
import { kubelet, startContainerd } from './containerd.ts';

/**
 * Records what a real containerd answers to the calls of `cri.ts`, for the tests that run without one:
 * node dist/test/vm/record-containerd.js src/collectors/container/fixtures/runtimes/containerd-1.6.20.json
 */
const [, , path = ''] = process.argv;
const engine = await startContainerd();
const pods = kubelet(engine.socket);
const client = unaryClient(engine.socket);
try {
  const shop = { name: 'shop-1', uid: '0a1b2c3d-4e5f-6789-abcd-ef0123456789', namespace: 'web', container: 'app', labels: { team: 'x' }, memoryLimit: 1 << 26 };
  const ids = [await pods.run({ ...shop, parent: `/kubepods/burstable/pod${shop.uid}` })];
  const hash = '0123456789abcdef0123456789abcdef';
  const fixed = { ...shop, name: 'etcd-node', namespace: 'kube-system', uid: '11111111-2222-3333-4444-555555555555', container: 'etcd', labels: {} };
  ids.push(await pods.run({ ...fixed, parent: `/kubepods/pod${hash}`, annotations: { 'kubernetes.io/config.hash': hash } }));
  const answers: Record<string, string> = {};
  const ask = async (key: string, method: string, request = Buffer.alloc(0)): Promise<void> => {
    answers[key] = (await client.call(`/runtime.v1.${method}`, request, AbortSignal.timeout(5000))).toString('base64');
  };
  for (const method of ['RuntimeService/Version', 'RuntimeService/ListPodSandbox', 'RuntimeService/ListContainers', 'ImageService/ListImages'])
    await ask(method, method);
  for (const { sandbox } of ids) {
    await ask(`RuntimeService/PodSandboxStatus ${sandbox}`, 'RuntimeService/PodSandboxStatus', Buffer.concat([bytesField(1, sandbox), varintField(2, 1)]));
  }
  writeFileSync(path, `${JSON.stringify({ ids, answers }, undefined, 1)}\n`);
  for (const one of ids) await pods.remove(one);
} finally {
  client.close();
  pods.close();
  await engine.stop();
}
