import protobuf from 'protobufjs/light.js';

/**
 * As much of the Kubernetes CRI as is asked for: messages of k8s.io/cri-api, pkg/apis/runtime/v1/api.proto (package
 * runtime.v1), by its names and numbers. Fields that are not here are passed over.
 */

type FieldTable = Readonly<Record<string, readonly [type: string, id: number, rule?: 'repeated' | 'map']>>;

const MESSAGES: Readonly<Record<string, FieldTable>> = {
  VersionResponse: { runtimeName: ['string', 2] },
  ListPodSandboxResponse: { items: ['PodSandbox', 1, 'repeated'] },
  PodSandbox: {
    id: ['string', 1],
    metadata: ['PodSandboxMetadata', 2],
    state: ['uint32', 3],
    createdAt: ['int64', 4],
    labels: ['string', 5, 'map'],
    annotations: ['string', 6, 'map'],
  },
  PodSandboxMetadata: { name: ['string', 1], uid: ['string', 2], namespace: ['string', 3], attempt: ['uint32', 4] },
  ListContainersResponse: { containers: ['Container', 1, 'repeated'] },
  Container: {
    id: ['string', 1],
    podSandboxId: ['string', 2],
    metadata: ['ContainerMetadata', 3],
    image: ['ImageSpec', 4],
    imageRef: ['string', 5],
    state: ['uint32', 6],
    createdAt: ['int64', 7],
    labels: ['string', 8, 'map'],
  },
  ContainerMetadata: { name: ['string', 1], attempt: ['uint32', 2] },
  ImageSpec: { image: ['string', 1], userSpecifiedImage: ['string', 18] },
  ListImagesResponse: { images: ['Image', 1, 'repeated'] },
  Image: { id: ['string', 1], repoTags: ['string', 2, 'repeated'], repoDigests: ['string', 3, 'repeated'] },
  PodSandboxStatusRequest: { podSandboxId: ['string', 1], verbose: ['bool', 2] },
  PodSandboxStatusResponse: { info: ['string', 2, 'map'] },
  ListContainerStatsResponse: { stats: ['ContainerStats', 1, 'repeated'] },
  ContainerStats: { attributes: ['ContainerAttributes', 1], writableLayer: ['FilesystemUsage', 4] },
  ContainerAttributes: { id: ['string', 1] },
  FilesystemUsage: { fsId: ['FilesystemIdentifier', 2], usedBytes: ['UInt64Value', 3], inodesUsed: ['UInt64Value', 4] },
  FilesystemIdentifier: { mountpoint: ['string', 1] },
  UInt64Value: { value: ['uint64', 1] },
};

const ROOT = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(MESSAGES).map(([name, table]) => [
      name,
      {
        fields: Object.fromEntries(
          Object.entries(table).map(([field, [type, id, rule]]) => [
            field,
            rule === 'map' ? { keyType: 'string', type, id } : { type, id, ...(rule === undefined ? {} : { rule }) },
          ]),
        ),
      },
    ]),
  ),
});

/** A whole number of 64 bits as the library holds it. */
interface Long {
  toNumber(): number;
}

export interface PodSandbox {
  readonly id: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string; readonly attempt: number } | null;
  readonly state: number;
  /** Nanoseconds. */
  readonly createdAt: Long;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Container {
  readonly id: string;
  readonly podSandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number } | null;
  readonly image: { readonly image: string; readonly userSpecifiedImage: string } | null;
  readonly imageRef: string;
  readonly state: number;
  /** Nanoseconds. */
  readonly createdAt: Long;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Image {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
}

export interface ContainerStats {
  readonly attributes: { readonly id: string } | null;
  readonly writableLayer: {
    readonly fsId: { readonly mountpoint: string } | null;
    readonly usedBytes: { readonly value: Long } | null;
    readonly inodesUsed: { readonly value: Long } | null;
  } | null;
}

interface Messages {
  readonly VersionResponse: { readonly runtimeName: string };
  readonly ListPodSandboxResponse: { readonly items: readonly PodSandbox[] };
  readonly ListContainersResponse: { readonly containers: readonly Container[] };
  readonly ListImagesResponse: { readonly images: readonly Image[] };
  readonly PodSandboxStatusRequest: { readonly podSandboxId: string; readonly verbose: boolean };
  readonly PodSandboxStatusResponse: { readonly info: Readonly<Record<string, string>> };
  readonly ListContainerStatsResponse: { readonly stats: readonly ContainerStats[] };
}

/** Absent fields are what protobuf says they are: '', 0, false, null for a message. Throws Error for what is no message. */
export function decodeMessage<Name extends keyof Messages>(name: Name, bytes: Uint8Array): Messages[Name] {
  // A border: the table above says which fields there are, the library that they have these types.
  return ROOT.lookupType(name).decode(bytes) as unknown as Messages[Name];
}

export function encodeMessage<Name extends keyof Messages>(name: Name, message: Partial<Messages[Name]>): Uint8Array {
  return ROOT.lookupType(name).encode(message).finish();
}
