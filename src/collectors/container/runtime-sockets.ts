import { existsSync, realpathSync } from 'node:fs';
import type { ContainerOptions } from './options.ts';
import { commaList } from './selection.ts';

export interface RuntimeSocket {
  readonly kind: 'cri' | 'docker' | 'podman';
  /** With the configured root in front. */
  readonly path: string;
}

/** The sockets that may be there; `unix://` in front is what the peer's flags want. */
export function runtimeSockets(options: Pick<ContainerOptions, 'cri' | 'docker' | 'podman'>, rootfs: string): RuntimeSocket[] {
  const kinds = ['cri', 'docker', 'podman'] as const;
  const sockets = kinds.flatMap((kind) => commaList(options[kind]).map((path) => ({ kind, path: rootfs + path.replace(/^unix:\/\//, '') })));
  // Podman answers at Docker's path too where its package puts a link there.
  const seen = new Set<string>();
  return sockets.filter(({ kind, path }) => {
    const key = `${kind === 'cri' ? 'cri' : 'docker'} ${resolved(path)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Programs of runtimes: one that is installed may be started after us. */
const PROGRAMS = ['containerd', 'dockerd', 'crio', 'podman', 'k3s', 'rke2', 'cri-dockerd'].flatMap((name) => [
  `/usr/bin/${name}`,
  `/usr/local/bin/${name}`,
  `/usr/sbin/${name}`,
]);

/** Whether a container runtime is installed or runs, so that a thread to ask it is worth having. */
export function hasRuntime(options: Pick<ContainerOptions, 'cri' | 'docker' | 'podman'>, rootfs: string): boolean {
  const sockets = runtimeSockets(options, rootfs);
  return sockets.some(({ path }) => existsSync(path)) || (sockets.length > 0 && PROGRAMS.some((path) => existsSync(rootfs + path)));
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
