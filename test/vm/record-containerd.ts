import { writeFileSync } from 'node:fs';
import { unaryClient } from '../../src/collectors/container/grpc.ts';
import { bytesField, varintField } from '../../src/collectors/container/harness-protobuf.ts';
import { APP_ARCHIVE } from './app-image.ts';
import { kubelet } from './kubelet.ts';
import { bootMachine } from './machine.ts';
import { HANDLERS } from './settings.ts';

/**
 * Records what a real containerd answers to the calls of `cri.ts`, for the tests that run without one:
 * node dist/test/vm/record-containerd.js src/collectors/container/fixtures/runtimes/containerd-1.6.20.json
 */
const [, , path = ''] = process.argv;
const machine = await bootMachine('unified', {});
try {
  await machine.run('ctr', '--namespace', 'k8s.io', 'images', 'import', APP_ARCHIVE);
  const socket = await machine.socket('/run/containerd/containerd.sock');
  const pods = kubelet(socket);
  const client = unaryClient(socket);
  const hash = '0123456789abcdef0123456789abcdef';
  const shop = { name: 'shop-1', uid: '0a1b2c3d-4e5f-6789-abcd-ef0123456789', namespace: 'web', handler: HANDLERS.cgroupfs };
  const etcd = {
    ...shop,
    name: 'etcd-node',
    namespace: 'kube-system',
    uid: '11111111-2222-3333-4444-555555555555',
    annotations: { 'kubernetes.io/config.hash': hash },
  };
  const ids: { sandbox: string; container: string }[] = [];
  for (const [wanted, parent, name, labels] of [
    [shop, `/kubepods/burstable/pod${shop.uid}`, 'app', { team: 'x' }],
    [etcd, `/kubepods/pod${hash}`, 'etcd', {}],
  ] as const) {
    const pod = await pods.startPod({ ...wanted, parent });
    ids.push({ sandbox: pod.sandbox, container: await pods.startContainer(pod, { name, labels, script: 'exec sleep 1000000', memoryLimit: 1 << 26 }) });
  }
  const answers: Record<string, string> = {};
  const ask = async (key: string, method: string, request = Buffer.alloc(0)): Promise<void> => {
    answers[key] = (await client.call(`/runtime.v1.${method}`, request, AbortSignal.timeout(60_000))).toString('base64');
  };
  for (const method of ['RuntimeService/Version', 'RuntimeService/ListPodSandbox', 'RuntimeService/ListContainers', 'ImageService/ListImages'])
    await ask(method, method);
  for (const { sandbox } of ids) {
    await ask(`RuntimeService/PodSandboxStatus ${sandbox}`, 'RuntimeService/PodSandboxStatus', Buffer.concat([bytesField(1, sandbox), varintField(2, 1)]));
  }
  writeFileSync(path, `${JSON.stringify({ ids, answers }, undefined, 1)}\n`);
  client.close();
  pods.close();
} finally {
  await machine.stop();
}
