import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unaryClient } from '../../src/collectors/container/grpc.ts';
import { bytesField, firstText, varintField } from '../../src/collectors/container/harness-protobuf.ts';
import { type Engine, engine, IMAGE, imageArchive, PAUSE, until } from './engines.ts';

/** A containerd of our own, with its CRI plugin and the image of `engines.ts`. */
export async function startContainerd(): Promise<Engine> {
  const made = engine('containerd.sock');
  const { folder, socket } = made;
  mkdirSync(join(folder, 'cni'));
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${folder}/cni"
    conf_dir = "${folder}/cni"
`,
  );
  made.start('containerd', '--config', join(folder, 'config.toml'));
  await until('containerd', () => {
    try {
      made.run('ctr', '--address', socket, 'version');
      return true;
    } catch {
      return false;
    }
  });
  made.run('ctr', '--address', socket, '--namespace', 'k8s.io', 'images', 'import', imageArchive(folder));
  return made;
}

export interface PodIds {
  readonly sandbox: string;
  readonly container: string;
}

export interface PodWanted {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly container: string;
  /** cgroup of the pod: `/kubepods/burstable/pod<uid>`. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly memoryLimit: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

const map = (field: number, values: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat(Object.entries(values).map(([key, value]) => bytesField(field, Buffer.concat([bytesField(1, key), bytesField(2, value)]))));

/** The kubelet's part: pods in the host's network and their removal, by the CRI (field numbers: api.proto of runtime v1). */
export function kubelet(socket: string): { run(pod: PodWanted): Promise<PodIds>; remove(ids: PodIds): Promise<void>; close(): void } {
  const client = unaryClient(socket);
  const call = (method: string, request: Buffer): Promise<Buffer> => client.call(`/runtime.v1.RuntimeService/${method}`, request, AbortSignal.timeout(20_000));
  return {
    async run({ name, uid, namespace, container, parent, labels, memoryLimit, annotations = {} }) {
      const kubernetes = { 'io.kubernetes.pod.name': name, 'io.kubernetes.pod.namespace': namespace, 'io.kubernetes.pod.uid': uid };
      const metadata = Buffer.concat([bytesField(1, name), bytesField(2, uid), bytesField(3, namespace)]);
      const hostNetwork = bytesField(2, bytesField(1, varintField(1, 2)));
      const config = Buffer.concat([
        bytesField(1, metadata),
        map(6, kubernetes),
        map(7, annotations),
        bytesField(8, Buffer.concat([bytesField(1, parent), hostNetwork])),
      ]);
      const sandbox = firstText(await call('RunPodSandbox', bytesField(1, config)));
      const linux = bytesField(15, bytesField(1, Buffer.concat([varintField(1, 100_000), varintField(2, 50_000), varintField(4, memoryLimit)])));
      const own = Buffer.concat([
        bytesField(1, bytesField(1, container)),
        bytesField(2, bytesField(1, IMAGE)),
        bytesField(3, '/bin/sh'),
        bytesField(4, '-c'),
        bytesField(4, 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec /bin/sleep 1000000'),
        map(9, { ...kubernetes, 'io.kubernetes.container.name': container, ...labels }),
        linux,
      ]);
      const made = firstText(await call('CreateContainer', Buffer.concat([bytesField(1, sandbox), bytesField(2, own), bytesField(3, config)])));
      await call('StartContainer', bytesField(1, made));
      return { sandbox, container: made };
    },
    async remove({ sandbox }) {
      await call('StopPodSandbox', bytesField(1, sandbox));
      await call('RemovePodSandbox', bytesField(1, sandbox));
    },
    close: () => client.close(),
  };
}
