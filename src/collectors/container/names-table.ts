/**
 * What container runtimes say of their containers, as the network part posts it on the board and the host part reads it.
 * Both sides are ours and of one release: the text is JSON and not checked field by field.
 */
export interface NamesTable {
  readonly containers: readonly NamedContainer[];
  readonly pods: readonly NamedPod[];
  /** Space used by containers, as far as their runtimes have counted it. */
  readonly disks: readonly DiskUse[];
}

/** What one list of a runtime says. */
export type Names = Pick<NamesTable, 'containers' | 'pods'>;

/** What a container has written: its writable layer, which lies on a file system of the machine. */
export interface DiskUse {
  /** 64 hex digits. */
  readonly id: string;
  readonly bytes: number;
  /** A path of the machine on that file system. */
  readonly path: string;
}

export interface NamedContainer {
  /** 64 hex digits, as at the end of its cgroup's path. */
  readonly id: string;
  /** As the peer labels it: Docker's and Podman's names, containerd's id, CRI-O's `k8s_...`. */
  readonly name: string;
  readonly image: string;
  readonly namespace: string;
  readonly pod: string;
  /** '' for a sandbox of containerd, `POD` for one of CRI-O or Docker. */
  readonly container: string;
  /** Its processes' network is shown under it. */
  readonly sandbox: boolean;
  /** Unix seconds. */
  readonly created: number;
  /** Of its health check: 1 healthy, 0 starting or unhealthy; left out where it has none. */
  readonly health?: number;
  /** Those that are allowed. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface NamedPod {
  /** As in the cgroup's path: the API server's uid, or the hash of a static pod's manifest. */
  readonly uid: string;
  readonly namespace: string;
  readonly pod: string;
}

/** Text for the board; the same containers give the same text, in whatever order they were listed. */
export function encodeNames({ containers, pods, disks = [] }: Names & Partial<NamesTable>): string {
  const by =
    <T>(key: (item: T) => string) =>
    (a: T, b: T) =>
      key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
  const table: NamesTable = {
    containers: containers.toSorted(by(({ id }) => id)),
    pods: pods.toSorted(by(({ uid }) => uid)),
    disks: disks.toSorted(by(({ id }) => id)),
  };
  return JSON.stringify(table);
}

/** Throws SyntaxError for anything but a text of `encodeNames`. */
export function decodeNames(text: string): NamesTable {
  return JSON.parse(text) as NamesTable;
}

/** The labels that Kubernetes gives to containers in every runtime. */
export const KUBERNETES_LABELS = {
  container: 'io.kubernetes.container.name',
  pod: 'io.kubernetes.pod.name',
  namespace: 'io.kubernetes.pod.namespace',
  uid: 'io.kubernetes.pod.uid',
} as const;

export function allowed(labels: Readonly<Record<string, string>>, keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(keys.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));
}
