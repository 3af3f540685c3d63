import { readdirSync } from 'node:fs';
import type { ReplaySteps } from '../../readers/readers.ts';
import { type Cgroup, type Identity, NAMELESS, type Tree } from './tree.ts';

/** What the path of a cgroup says by itself. */
export type PathKind =
  | { readonly kind: 'container'; readonly runtime: string; readonly containerId: string; readonly podUid: string }
  | { readonly kind: 'pod'; readonly podUid: string }
  | { readonly kind: 'plain' };

/** Last element of a container's cgroup, systemd and cgroupfs drivers: `cri-containerd-<64 hex>.scope`, `crio-<64 hex>`, `<64 hex>`. */
const CONTAINER = /^(?:(cri-containerd|crio|docker|nerdctl|libpod)-)?([0-9a-f]{64})(?:\.scope)?$/;
/** A pod's: `kubepods-burstable-pod<uid>.slice`, `pod<uid>`; a static pod's uid is 32 hex digits without dashes. */
const POD = /^(?:.*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$/;

/** What a cgroup is by its path; systemd slices write the dashes of a uid as underscores. */
export function pathKind(id: string): PathKind {
  const elements = id.split('/');
  // Podman's crun puts the processes one level deeper.
  if (elements.at(-1) === 'container' && elements.at(-2)?.startsWith('libpod-') === true) elements.pop();
  const leaf = elements.at(-1) ?? '';
  const container = CONTAINER.exec(leaf);
  const podUid = (element: string): string => POD.exec(element)?.[1]?.replaceAll('_', '-') ?? '';
  if (container !== null) return { kind: 'container', runtime: container[1] ?? '', containerId: container[2] ?? '', podUid: podUid(elements.at(-2) ?? '') };
  const uid = podUid(leaf);
  return uid === '' ? { kind: 'plain' } : { kind: 'pod', podUid: uid };
}

interface PodName {
  readonly namespace: string;
  readonly pod: string;
}

interface ContainerName extends PodName {
  readonly container: string;
}

/** `<pod>_<namespace>_<container>-<64 hex>.log`, a link the kubelet makes; none of the three names holds an underscore. */
const LOG_LINK = /^([^_]+)_([^_]+)_([^_]+)-([0-9a-f]{64})\.log$/;
/** `<namespace>_<pod>_<uid>`, the directory of a pod's logs. */
const POD_LOGS = /^([^_]+)_([^_]+)_([^_]+)$/;

/** How soon names that were not there are looked for again, doubling from the first to the second. */
const RETRY_MS = [1_000, 60_000] as const;

/**
 * Kubernetes names without asking any runtime: the paths of cgroups, and the names of links in /var/log/containers and of
 * directories in /var/log/pods. Images and restart counts are not to be had this way.
 */
export class LogNames {
  readonly #rootfs: string;
  readonly #monotonicMs: () => number;
  /** Cgroups whose path asks for a name, and have none. */
  readonly #unnamed = new Map<Cgroup, PathKind>();
  #version = -1;
  #nextMs = Number.NEGATIVE_INFINITY;
  #waitMs: number = RETRY_MS[0];

  constructor(rootfs: string, monotonicMs: () => number) {
    this.#rootfs = rootfs;
    this.#monotonicMs = monotonicMs;
  }

  /** Adds what replayed runs rely on: it is not time to look for names. */
  replay(steps: ReplaySteps): void {
    if (this.#unnamed.size > 0) steps.until(this.#nextMs);
  }

  /** Names what can be named. Reads two directories when a cgroup wants a name, else nothing. */
  update(tree: Tree): void {
    if (tree.version !== this.#version) {
      this.#version = tree.version;
      if (this.#gather(tree)) {
        this.#nextMs = Number.NEGATIVE_INFINITY;
        this.#waitMs = RETRY_MS[0];
      }
    }
    const now = this.#monotonicMs();
    if (this.#unnamed.size === 0 || now < this.#nextMs) return;
    this.#nextMs = now + this.#waitMs;
    this.#waitMs = Math.min(this.#waitMs * 2, RETRY_MS[1]);
    const containers = containerNames(`${this.#rootfs}/var/log/containers`);
    const pods = podNames(`${this.#rootfs}/var/log/pods`);
    for (const [cgroup, kind] of this.#unnamed) {
      if (cgroup.identity?.source === 'runtime') {
        this.#unnamed.delete(cgroup);
        continue;
      }
      const identity = identityOf(kind, containers, pods);
      if (identity === undefined) continue;
      tree.identify(cgroup, identity);
      // A container that is not in the logs may be a sandbox, or one whose log is about to appear: it is asked for again.
      if (kind.kind === 'pod' || identity.container !== '') this.#unnamed.delete(cgroup);
    }
  }

  /** True when a cgroup came that wants a name. */
  #gather(tree: Tree): boolean {
    for (const cgroup of this.#unnamed.keys()) if (tree.cgroups[cgroup.index] !== cgroup) this.#unnamed.delete(cgroup);
    let came = false;
    for (const cgroup of tree.cgroups) {
      if (cgroup === undefined || cgroup.identity !== undefined || this.#unnamed.has(cgroup)) continue;
      const kind = pathKind(cgroup.id);
      if (kind.kind === 'plain' || (kind.kind === 'container' && kind.podUid === '')) continue;
      this.#unnamed.set(cgroup, kind);
      came = true;
    }
    return came;
  }
}

function identityOf(kind: PathKind, containers: ReadonlyMap<string, ContainerName>, pods: ReadonlyMap<string, PodName>): Identity | undefined {
  if (kind.kind === 'plain') return undefined;
  const pod = pods.get(kind.podUid);
  if (kind.kind === 'pod') return pod === undefined ? undefined : { ...NAMELESS, namespace: pod.namespace, pod: pod.pod };
  const known = containers.get(kind.containerId);
  if (known === undefined && pod === undefined) return undefined;
  return {
    ...NAMELESS,
    // containerd's name for a container is its id; the names other runtimes give are not to be known from here.
    name: kind.runtime === 'cri-containerd' ? kind.containerId : '',
    container: known?.container ?? '',
    namespace: known?.namespace ?? pod?.namespace ?? '',
    pod: known?.pod ?? pod?.pod ?? '',
    // Only the sandbox has no log of its own.
    sandbox: known === undefined,
  };
}

function containerNames(directory: string): Map<string, ContainerName> {
  const names = new Map<string, ContainerName>();
  for (const link of list(directory)) {
    const [, pod, namespace, container, id] = LOG_LINK.exec(link) ?? [];
    if (pod !== undefined && namespace !== undefined && container !== undefined && id !== undefined) names.set(id, { pod, namespace, container });
  }
  return names;
}

function podNames(directory: string): Map<string, PodName> {
  const names = new Map<string, PodName>();
  for (const name of list(directory)) {
    const [, namespace, pod, uid] = POD_LOGS.exec(name) ?? [];
    if (namespace !== undefined && pod !== undefined && uid !== undefined) names.set(uid, { namespace, pod });
  }
  return names;
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // No kubelet on this machine, or its logs are not mounted.
  }
}
