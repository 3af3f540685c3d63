import { unaryClient } from '../../src/collectors/container/grpc.ts';
import { bytesField, firstText, varintField } from '../../src/collectors/container/harness-protobuf.ts';
import { APP } from './app-image.ts';

export interface PodWanted {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  /** Its cgroup: a slice for the systemd driver, a path for cgroupfs. */
  readonly parent: string;
  /** Of the runtime. */
  readonly handler: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ContainerWanted {
  readonly name: string;
  /** For `sh -c`. */
  readonly script: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Bytes. */
  readonly memoryLimit?: number;
  /** Microseconds in each 100,000. */
  readonly cpuQuota?: number;
  readonly cpuShares?: number;
}

export interface Pod {
  readonly wanted: PodWanted;
  /** Id of the sandbox. */
  readonly sandbox: string;
}

/** The kubelet's part: pods, each in a network of its own, by the CRI. Field numbers: api.proto of runtime v1. */
export interface Kubelet {
  startPod(wanted: PodWanted): Promise<Pod>;
  /** Its id. */
  startContainer(pod: Pod, wanted: ContainerWanted): Promise<string>;
  removeContainer(id: string): Promise<void>;
  /** With all its containers. */
  removePod(pod: Pod): Promise<void>;
  close(): void;
}

/** Emulated: a container starts in some seconds, in tens of them on a busy machine. */
const CALL_MS = 300_000;

export function kubelet(socket: string): Kubelet {
  const client = unaryClient(socket);
  const call = (method: string, request: Buffer): Promise<Buffer> => client.call(`/runtime.v1.RuntimeService/${method}`, request, AbortSignal.timeout(CALL_MS));
  return {
    async startPod(wanted) {
      const request = Buffer.concat([bytesField(1, sandboxConfig(wanted)), bytesField(2, wanted.handler)]);
      return { wanted, sandbox: firstText(await call('RunPodSandbox', request)) };
    },
    async startContainer({ wanted, sandbox }, container) {
      const request = [bytesField(1, sandbox), bytesField(2, containerConfig(wanted, container)), bytesField(3, sandboxConfig(wanted))];
      const id = firstText(await call('CreateContainer', Buffer.concat(request)));
      await call('StartContainer', bytesField(1, id));
      return id;
    },
    async removeContainer(id) {
      await call('StopContainer', bytesField(1, id));
      await call('RemoveContainer', bytesField(1, id));
    },
    async removePod({ sandbox }) {
      await call('StopPodSandbox', bytesField(1, sandbox));
      await call('RemovePodSandbox', bytesField(1, sandbox));
    },
    close: () => client.close(),
  };
}

function podLabels({ name, namespace, uid }: PodWanted): Record<string, string> {
  return { 'io.kubernetes.pod.name': name, 'io.kubernetes.pod.namespace': namespace, 'io.kubernetes.pod.uid': uid };
}

/** PodSandboxConfig: metadata 1 {name 1, uid 2, namespace 3}, labels 6, annotations 7, linux 8 {cgroup_parent 1}. */
function sandboxConfig(wanted: PodWanted): Buffer {
  const { name, uid, namespace, parent, annotations = {} } = wanted;
  return Buffer.concat([
    bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, uid), bytesField(3, namespace)])),
    map(6, podLabels(wanted)),
    map(7, annotations),
    bytesField(8, bytesField(1, parent)),
  ]);
}

/** ContainerConfig: metadata 1 {name 1}, image 2 {image 1}, command 3, args 4, labels 9, linux 15 {resources 1}. */
function containerConfig(pod: PodWanted, { name, script, labels = {}, memoryLimit = 0, cpuQuota = 0, cpuShares = 0 }: ContainerWanted): Buffer {
  const resources = [varintField(1, 100_000), varintField(2, cpuQuota), varintField(3, cpuShares), varintField(4, memoryLimit)];
  return Buffer.concat([
    bytesField(1, bytesField(1, name)),
    bytesField(2, bytesField(1, APP)),
    ...['/bin/sh', '-c'].map((word) => bytesField(3, word)),
    bytesField(4, script),
    map(9, { ...podLabels(pod), 'io.kubernetes.container.name': name, ...labels }),
    bytesField(15, bytesField(1, Buffer.concat(resources))),
  ]);
}

function map(field: number, values: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(values).map(([key, value]) => bytesField(field, Buffer.concat([bytesField(1, key), bytesField(2, value)]))));
}
