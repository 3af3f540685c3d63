import { type UnaryClient, unaryClient } from './grpc.ts';
import { KUBERNETES_LABELS, type NamedContainer, type NamedPod, type NamesTable, allowed } from './names-table.ts';
import { bytesField, type FieldValue, readMessage, varintField } from './protobuf.ts';

/**
 * Names from a runtime that speaks the Kubernetes CRI, version v1 (containerd 1.6, CRI-O 1.20 and later). Field numbers are
 * those of k8s.io/cri-api, pkg/apis/runtime/v1/api.proto; calls: Version, ListPodSandbox, ListContainers, ListImages, and
 * PodSandboxStatus once for each new sandbox.
 */

const RUNTIME = '/runtime.v1.RuntimeService';
const IMAGES = '/runtime.v1.ImageService';
const EXITED = 2;
const NOT_READY = 1;
/** Of new sandboxes so many are asked about in one round; the others have no image until the next. */
const STATUS_CALLS = 64;

interface Sandbox {
  readonly id: string;
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
  readonly isReady: boolean;
  readonly created: number;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

interface Container {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly userImage: string;
  readonly imageRef: string;
  readonly isOver: boolean;
  readonly created: number;
  readonly labels: Record<string, string>;
}

/** One CRI socket. */
export class CriRuntime {
  readonly #client: UnaryClient;
  readonly #labels: readonly string[];
  /** `containerd`, `cri-o`; '' until asked. */
  #name = '';
  /** Image names by id and digest. */
  #images = new Map<string, string>();
  /** By sandbox id. */
  readonly #sandboxImages = new Map<string, string>();

  /** @param labels keys of the labels that are wanted */
  constructor(socketPath: string, labels: readonly string[]) {
    this.#client = unaryClient(socketPath);
    this.#labels = labels;
  }

  async list(signal: AbortSignal): Promise<NamesTable> {
    const call = (method: string, request: Buffer = Buffer.alloc(0)): Promise<Buffer> => this.#client.call(method, request, signal);
    if (this.#name === '') this.#name = runtimeName(await call(`${RUNTIME}/Version`));
    const [sandboxes, containers] = await Promise.all([
      call(`${RUNTIME}/ListPodSandbox`).then((answer) => itemsOf(answer).map(sandboxOf)),
      call(`${RUNTIME}/ListContainers`).then((answer) => itemsOf(answer).map(containerOf)),
    ]);
    if (!containers.every((container) => this.#knowsImage(container))) this.#images = imageNames(await call(`${IMAGES}/ListImages`));
    const live = sandboxes.filter(({ isReady }) => isReady);
    await this.#askSandboxes(live, call);
    const byId = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
    const named = containers.filter(({ isOver }) => !isOver).map((container) => this.#named(container, byId.get(container.sandboxId)));
    return { containers: [...named, ...live.map((sandbox) => this.#namedSandbox(sandbox))], pods: live.flatMap(podsOf) };
  }

  close(): void {
    this.#client.close();
    this.#name = '';
  }

  /** The list has no image for sandboxes; what containerd and CRI-O say beside their status has. */
  async #askSandboxes(live: readonly Sandbox[], call: (method: string, request: Buffer) => Promise<Buffer>): Promise<void> {
    const ids = new Set(live.map(({ id }) => id));
    for (const id of this.#sandboxImages.keys()) if (!ids.has(id)) this.#sandboxImages.delete(id);
    const unknown = live.filter(({ id }) => !this.#sandboxImages.has(id)).slice(0, STATUS_CALLS);
    await Promise.all(
      unknown.map(async ({ id }) => {
        try {
          this.#sandboxImages.set(id, sandboxImage(await call(`${RUNTIME}/PodSandboxStatus`, Buffer.concat([bytesField(1, id), varintField(2, 1)]))));
        } catch {
          // Gone since the list, or the round's time is over: asked again if it is still there.
        }
      }),
    );
  }

  #knowsImage({ imageRef, image }: Container): boolean {
    return this.#images.has(imageRef) || this.#images.has(image);
  }

  /** The full name of the image, as the runtime knows it; what the pod asked for when the image is gone. */
  #imageOf({ imageRef, image, userImage }: Container): string {
    return this.#images.get(imageRef) ?? this.#images.get(image) ?? (userImage || image || imageRef);
  }

  #named(container: Container, sandbox: Sandbox | undefined): NamedContainer {
    const { id, labels, created } = container;
    const place = { namespace: sandbox?.namespace ?? labels[KUBERNETES_LABELS.namespace] ?? '', pod: sandbox?.name ?? labels[KUBERNETES_LABELS.pod] ?? '' };
    const name = container.name || (labels[KUBERNETES_LABELS.container] ?? '');
    const uid = sandbox?.uid ?? labels[KUBERNETES_LABELS.uid] ?? '';
    return {
      id,
      name: this.#isCrio ? `k8s_${name}_${place.pod}_${place.namespace}_${uid}_${container.attempt}` : id,
      image: this.#imageOf(container),
      ...place,
      container: name,
      sandbox: false,
      created,
      labels: this.#wanted(labels, 'container'),
    };
  }

  #namedSandbox({ id, name, namespace, uid, attempt, created, labels }: Sandbox): NamedContainer {
    return {
      id,
      name: this.#isCrio ? `k8s_POD_${name}_${namespace}_${uid}_${attempt}` : id,
      image: this.#sandboxImages.get(id) ?? '',
      namespace,
      pod: name,
      container: this.#isCrio ? 'POD' : '',
      sandbox: true,
      created,
      labels: this.#wanted(labels, 'sandbox'),
    };
  }

  get #isCrio(): boolean {
    return this.#name === 'cri-o';
  }

  /** containerd keeps the kind as a label of its own, which the CRI does not show. */
  #wanted(labels: Readonly<Record<string, string>>, kind: string): Record<string, string> {
    return allowed(this.#name === 'containerd' ? { ...labels, 'io.cri-containerd.kind': kind } : labels, this.#labels);
  }
}

/** A static pod's cgroups are named after the hash of its manifest, not after the uid that the API server gave its mirror. */
function podsOf({ uid, namespace, name, annotations }: Sandbox): NamedPod[] {
  const hash = annotations['kubernetes.io/config.hash'];
  return [uid, ...(hash === undefined || hash === uid ? [] : [hash])].filter((key) => key !== '').map((key) => ({ uid: key, namespace, pod: name }));
}

function runtimeName(answer: Buffer): string {
  return new Fields(answer).text(2);
}

/** Both list answers are a repeated field 1. */
function itemsOf(answer: Buffer): Fields[] {
  return new Fields(answer).messages(1);
}

/** PodSandbox: id 1, metadata 2 {name 1, uid 2, namespace 3, attempt 4}, state 3, created_at 4, labels 5, annotations 6. */
function sandboxOf(item: Fields): Sandbox {
  const metadata = item.message(2);
  return {
    id: item.text(1),
    name: metadata.text(1),
    uid: metadata.text(2),
    namespace: metadata.text(3),
    attempt: metadata.number(4),
    isReady: item.number(3) !== NOT_READY,
    created: seconds(item.number(4)),
    labels: item.map(5),
    annotations: item.map(6),
  };
}

/** Container: id 1, pod_sandbox_id 2, metadata 3 {name 1, attempt 2}, image 4 {image 1, user_specified_image 18}, image_ref 5, state 6, created_at 7, labels 8. */
function containerOf(item: Fields): Container {
  const metadata = item.message(3);
  const image = item.message(4);
  return {
    id: item.text(1),
    sandboxId: item.text(2),
    name: metadata.text(1),
    attempt: metadata.number(2),
    image: image.text(1),
    userImage: image.text(18),
    imageRef: item.text(5),
    isOver: item.number(6) === EXITED,
    created: seconds(item.number(7)),
    labels: item.map(8),
  };
}

/** Image: id 1, repo_tags 2, repo_digests 3. A tag where there is one, as people name images. */
function imageNames(answer: Buffer): Map<string, string> {
  const names = new Map<string, string>();
  for (const item of itemsOf(answer)) {
    const [tags, digests] = [item.texts(2), item.texts(3)];
    const name = tags[0] ?? digests[0];
    if (name === undefined) continue;
    for (const key of [item.text(1), ...tags, ...digests]) names.set(key, name);
  }
  return names;
}

/** PodSandboxStatusResponse: info 2, a map whose `info` is JSON with the `image` of the sandbox. */
function sandboxImage(answer: Buffer): string {
  try {
    const info: unknown = JSON.parse(new Fields(answer).map(2)['info'] ?? '');
    const image = typeof info === 'object' && info !== null && 'image' in info ? info.image : '';
    return typeof image === 'string' ? image : '';
  } catch {
    return ''; // A runtime that says something else there.
  }
}

/** Nanoseconds as doubles are true to a quarter of a microsecond. */
function seconds(nanoseconds: number): number {
  return Math.round(nanoseconds / 1000) / 1e6;
}

/** The fields of one message, by number. Absent ones are what protobuf says they are: '' and 0. */
class Fields {
  readonly #values = new Map<number, FieldValue[]>();

  constructor(bytes: Buffer) {
    readMessage(bytes, (number, value) => {
      const known = this.#values.get(number);
      if (known === undefined) this.#values.set(number, [value]);
      else known.push(value);
    });
  }

  number(field: number): number {
    const value = this.#values.get(field)?.at(-1);
    return typeof value === 'number' ? value : 0;
  }

  text(field: number): string {
    return this.texts(field).at(-1) ?? '';
  }

  texts(field: number): string[] {
    return this.#bytes(field).map((bytes) => bytes.toString());
  }

  message(field: number): Fields {
    return new Fields(this.#bytes(field).at(-1) ?? Buffer.alloc(0));
  }

  messages(field: number): Fields[] {
    return this.#bytes(field).map((bytes) => new Fields(bytes));
  }

  /** A map is a repeated message of key 1 and value 2. */
  map(field: number): Record<string, string> {
    return Object.fromEntries(this.messages(field).map((entry) => [entry.text(1), entry.text(2)]));
  }

  #bytes(field: number): Buffer[] {
    return (this.#values.get(field) ?? []).filter((value) => typeof value !== 'number');
  }
}
