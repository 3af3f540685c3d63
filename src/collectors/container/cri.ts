import { type Container, decodeMessage, encodeMessage, type Image, type PodSandbox } from './cri-messages.ts';
import { GrpcStatusError, type UnaryClient, unaryClient } from './grpc.ts';
import { type DiskUse, KUBERNETES_LABELS, type NamedContainer, type NamedPod, type Names, allowed } from './names-table.ts';

/**
 * Names from a runtime that speaks the Kubernetes CRI, version v1 (containerd 1.6, CRI-O 1.20 and later). Calls: Version,
 * ListPodSandbox, ListContainers, ListImages, PodSandboxStatus once for each new sandbox; and ListContainerStats for the
 * space that containers use.
 */

const RUNTIME = '/runtime.v1.RuntimeService';
const IMAGES = '/runtime.v1.ImageService';
const EXITED = 2;
const NOT_READY = 1;
/** google.rpc.Code */
const UNIMPLEMENTED = 12;
/** Of new sandboxes so many are asked about in one round; the others have no image until the next. */
const STATUS_CALLS = 64;
const EMPTY = new Uint8Array();
const NOWHERE = { name: '', uid: '', namespace: '', attempt: 0 };

type Call = (method: string, request?: Uint8Array) => Promise<Buffer>;

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

  async list(signal: AbortSignal): Promise<Names> {
    const call: Call = (method, request = EMPTY) => this.#client.call(method, request, signal);
    if (this.#name === '') this.#name = decodeMessage('VersionResponse', await call(`${RUNTIME}/Version`)).runtimeName;
    const [sandboxes, containers] = await Promise.all([
      call(`${RUNTIME}/ListPodSandbox`).then((answer) => decodeMessage('ListPodSandboxResponse', answer).items),
      call(`${RUNTIME}/ListContainers`).then((answer) => decodeMessage('ListContainersResponse', answer).containers),
    ]);
    if (!containers.every((container) => this.#knowsImage(container))) {
      this.#images = imageNames(decodeMessage('ListImagesResponse', await call(`${IMAGES}/ListImages`)).images);
    }
    const live = sandboxes.filter(({ state }) => state !== NOT_READY);
    await this.#askSandboxes(live, call);
    const byId = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
    const named = containers.filter(({ state }) => state !== EXITED).map((container) => this.#named(container, byId.get(container.podSandboxId)));
    return { containers: [...named, ...live.map((sandbox) => this.#namedSandbox(sandbox))], pods: live.flatMap(podsOf) };
  }

  /** What the writable layers of containers hold, as the runtime last counted it. */
  async disk(signal: AbortSignal): Promise<readonly DiskUse[]> {
    let answer: Buffer;
    try {
      answer = await this.#client.call(`${RUNTIME}/ListContainerStats`, EMPTY, signal);
    } catch (error) {
      if (error instanceof GrpcStatusError && error.status === UNIMPLEMENTED) return []; // Not every runtime counts.
      throw error;
    }
    return decodeMessage('ListContainerStatsResponse', answer).stats.flatMap(({ attributes, writableLayer }) => {
      const path = writableLayer?.fsId?.mountpoint ?? '';
      // A container that was just made has not been counted yet.
      if (attributes === null || path === '' || !writableLayer?.usedBytes) return [];
      return [{ id: attributes.id, path, bytes: writableLayer.usedBytes.value.toNumber() }];
    });
  }

  close(): void {
    this.#client.close();
    this.#name = '';
  }

  /** The list has no image for sandboxes; what containerd and CRI-O say beside their status has. */
  async #askSandboxes(live: readonly PodSandbox[], call: Call): Promise<void> {
    const ids = new Set(live.map(({ id }) => id));
    for (const id of this.#sandboxImages.keys()) if (!ids.has(id)) this.#sandboxImages.delete(id);
    const unknown = live.filter(({ id }) => !this.#sandboxImages.has(id)).slice(0, STATUS_CALLS);
    await Promise.all(
      unknown.map(async ({ id }) => {
        try {
          const request = encodeMessage('PodSandboxStatusRequest', { podSandboxId: id, verbose: true });
          this.#sandboxImages.set(id, sandboxImage(await call(`${RUNTIME}/PodSandboxStatus`, request)));
        } catch {
          // Gone since the list, or the round's time is over: asked again if it is still there.
        }
      }),
    );
  }

  #knowsImage({ imageRef, image }: Container): boolean {
    return this.#images.has(imageRef) || (image !== null && this.#images.has(image.image));
  }

  /** The full name of the image, as the runtime knows it; what the pod asked for when the image is gone. */
  #imageOf({ imageRef, image }: Container): string {
    return this.#images.get(imageRef) ?? this.#images.get(image?.image ?? '') ?? (image?.userSpecifiedImage || image?.image || imageRef);
  }

  #named(container: Container, sandbox: PodSandbox | undefined): NamedContainer {
    const { id, labels, metadata, createdAt } = container;
    const of = sandbox?.metadata;
    const place = { namespace: of?.namespace ?? labels[KUBERNETES_LABELS.namespace] ?? '', pod: of?.name ?? labels[KUBERNETES_LABELS.pod] ?? '' };
    const name = metadata?.name || (labels[KUBERNETES_LABELS.container] ?? '');
    const uid = of?.uid ?? labels[KUBERNETES_LABELS.uid] ?? '';
    return {
      id,
      name: this.#isCrio ? `k8s_${name}_${place.pod}_${place.namespace}_${uid}_${metadata?.attempt ?? 0}` : id,
      image: this.#imageOf(container),
      ...place,
      container: name,
      sandbox: false,
      created: seconds(createdAt.toNumber()),
      labels: this.#wanted(labels, 'container'),
    };
  }

  #namedSandbox({ id, metadata, createdAt, labels }: PodSandbox): NamedContainer {
    const { name, namespace, uid, attempt } = metadata ?? NOWHERE;
    return {
      id,
      name: this.#isCrio ? `k8s_POD_${name}_${namespace}_${uid}_${attempt}` : id,
      image: this.#sandboxImages.get(id) ?? '',
      namespace,
      pod: name,
      container: this.#isCrio ? 'POD' : '',
      sandbox: true,
      created: seconds(createdAt.toNumber()),
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
function podsOf({ metadata, annotations }: PodSandbox): NamedPod[] {
  const { name, namespace, uid } = metadata ?? NOWHERE;
  const hash = annotations['kubernetes.io/config.hash'];
  return [uid, ...(hash === undefined || hash === uid ? [] : [hash])].filter((key) => key !== '').map((key) => ({ uid: key, namespace, pod: name }));
}

/** A tag where there is one, as people name images. */
function imageNames(images: readonly Image[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { id, repoTags, repoDigests } of images) {
    const name = repoTags[0] ?? repoDigests[0];
    if (name === undefined) continue;
    for (const key of [id, ...repoTags, ...repoDigests]) names.set(key, name);
  }
  return names;
}

/** What stands beside the status: `info` is JSON with the `image` of the sandbox. */
function sandboxImage(answer: Buffer): string {
  try {
    const info: unknown = JSON.parse(decodeMessage('PodSandboxStatusResponse', answer).info['info'] ?? '');
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
