import type { Label } from '../../collect/variant.ts';
import { legalName } from '../../model/escape.ts';
import type { Cgroup, Identity } from './tree.ts';

/** What the kubelet prints on /metrics/cadvisor. */
export const KUBELET = 'kubelet';
/** What the kubelet prints on /metrics/resource. */
export const RESOURCE = 'resource';

/** A label that is printed of containers: its name on the page, and the runtime's key. */
export type ContainerLabel = readonly [name: string, key: string];

/** `container_label_<key>` for each key that is allowed, made legal; of keys that become the same name the first is taken. */
export function containerLabels(keys: readonly string[]): ContainerLabel[] {
  const found = new Map<string, string>();
  for (const key of keys) {
    const name = `container_label_${legalName(`x${key}`).slice(1)}`;
    if (!found.has(name)) found.set(name, key);
  }
  return [...found];
}

/** Standalone: `id` alone while nothing on the machine has a name, else `image`, `name` and the allowed labels on all, empty where unknown. */
export function standaloneLabels({ id, identity }: Cgroup, isLabelled: boolean, own: readonly ContainerLabel[]): readonly Label[] {
  if (!isLabelled) return [['id', id]];
  const labels: Label[] = [
    ['id', id],
    ['image', identity?.image ?? ''],
    ['name', identity?.name ?? ''],
  ];
  for (const [name, key] of own) labels.push([name, identity?.labels[key] ?? '']);
  return labels;
}

/** Below the kubelet's own root of pods, `/kubepods`, wherever that is; and the services that it watches besides. */
const KUBELET_ROWS = /^\/$|\/(?:[^/]+-)?kubepods(?:\.slice)?(?:\/|$)|^\/system\.slice\/(?:kubelet|containerd|crio|cri-dockerd|docker)\.service$/;

/** The kubelet's fixed set; undefined for cgroups that are neither containers nor among those it watches. */
export function kubeletLabels({ id, identity }: Cgroup): readonly Label[] | undefined {
  if (identity === undefined && !KUBELET_ROWS.test(id)) return undefined;
  return [
    ['container', identity?.container ?? ''],
    ['id', id],
    ['image', identity?.image ?? ''],
    ['name', identity?.name ?? ''],
    ['namespace', identity?.namespace ?? ''],
    ['pod', identity?.pod ?? ''],
  ];
}

/** What /metrics/resource speaks of. */
export type Resource = 'node' | 'pod' | 'container' | 'none';

export function resourceOf({ id, identity }: { readonly id: string; readonly identity: Identity | undefined }): Resource {
  if (id === '/') return 'node';
  if (identity === undefined || identity.pod === '' || identity.sandbox) return 'none';
  return identity.container === '' ? 'pod' : 'container';
}

export function resourceLabels(cgroup: Cgroup): readonly Label[] | undefined {
  const { identity } = cgroup;
  const pod: Label[] = [
    ['namespace', identity?.namespace ?? ''],
    ['pod', identity?.pod ?? ''],
  ];
  switch (resourceOf(cgroup)) {
    case 'node':
      return [];
    case 'pod':
      return pod;
    case 'container':
      return [['container', identity?.container ?? ''], ...pod];
    case 'none':
      return undefined;
  }
}
