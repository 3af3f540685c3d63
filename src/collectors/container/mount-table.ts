import { CollectError, type Roots } from '../../collect/contract.ts';
import type { Readers, ReplaySteps, Source } from '../../readers/readers.ts';
import { SAME_CYCLE_MS } from './tree.ts';

/** The peer's list; `nfs*` and `ext*` by prefix. The mount at `/` is shown whatever it is. */
const TYPES = /^(?:ext.*|nfs.*|xfs|btrfs|zfs|overlay|tmpfs|squashfs|f2fs|jfs|reiserfs|hfs|hfsplus|ntfs|vfat|fat|msdos|exfat|udf|iso9660|devicemapper)$/;

/** Where runtimes and the kubelet mount for pods. */
const POD_MOUNT = /\/(?:kubelet\/pods|containerd\/io\.containerd|containers\/storage|docker\/(?:overlay2|containers|rootfs))\//;

export interface FileSystem {
  /** As the peer labels it: the source, but an overlay by its device number (`overlay_0-39`) and a tmpfs by its mount point. */
  readonly device: string;
  readonly point: string;
  /** `major:minor`; of no block device where there is none (overlay, nfs, btrfs). */
  readonly number: string;
  readonly source: string;
}

interface Mount extends FileSystem {
  readonly type: string;
}

function mountsOf(mountinfo: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of mountinfo.split('\n')) {
    const split = line.indexOf(' - ');
    if (split < 0) continue;
    const [, , number = '', , escaped = ''] = line.slice(0, split).split(' ');
    const [type = '', source = ''] = line.slice(split + 3).split(' ');
    const point = escaped.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    if (point === '') continue;
    const device = type === 'overlay' ? `${source}_${number.replace(':', '-')}` : type === 'tmpfs' ? point : source;
    mounts.push({ device, point, number, source, type });
  }
  return mounts;
}

/** The file systems that are shown of the machine, one per source. */
function shownOf(mounts: readonly Mount[], podMounts: boolean): FileSystem[] {
  const found = new Map<string, FileSystem>();
  for (const { type, ...system } of mounts) {
    const { device, point } = system;
    if (point !== '/' && !TYPES.test(type)) continue;
    if (!podMounts && point !== '/' && (type === 'overlay' || POD_MOUNT.test(point))) continue;
    if (!found.has(device)) found.set(device, system);
  }
  return [...found.values()];
}

/** As {@link MountTable.shown}, from a mountinfo text (proc_pid_mountinfo(5)). */
export function fileSystemsOf(mountinfo: string, podMounts: boolean): FileSystem[] {
  return shownOf(mountsOf(mountinfo), podMounts);
}

/** What is mounted on the machine, as process 1 sees it. */
export class MountTable {
  /** Of process 1; of this one, for where process 1 is not ours to look at. */
  readonly #sources: readonly Source[];
  readonly #podMounts: boolean;
  readonly #monotonicMs: () => number;
  /** The one that was read last. */
  #source: Source | undefined;
  #mounts: readonly Mount[] = [];
  #shown: readonly FileSystem[] = [];
  #readMs = Number.NEGATIVE_INFINITY;

  /** @param podMounts show file systems of pods too */
  constructor(readers: Pick<Readers, 'source'>, roots: Roots, podMounts: boolean, monotonicMs: () => number) {
    this.#sources = ['1', 'self'].map((process) => readers.source(`${roots.procfs}/${process}/mountinfo`, { text: true }));
    this.#podMounts = podMounts;
    this.#monotonicMs = monotonicMs;
  }

  /** The same array for as long as nothing changes. Throws CollectError when there is no table to read. */
  shown(): readonly FileSystem[] {
    this.#look();
    return this.#shown;
  }

  /** The file system that a path of the machine lies on; undefined where the path is on none. */
  holding(path: string): FileSystem | undefined {
    this.#look();
    let best: Mount | undefined;
    for (const mount of this.#mounts) {
      const { point } = mount;
      const holds = point === '/' || path === point || path.startsWith(`${point}/`);
      // Of two at one point the later one lies on top.
      if (holds && point.length >= (best?.point.length ?? 0)) best = mount;
    }
    return best;
  }

  /** Adds what replayed runs rely on: nothing was mounted or unmounted. False while there is no table. */
  replay(steps: ReplaySteps): boolean {
    if (this.#source === undefined) return false;
    steps.mountTable(this.#source);
    return true;
  }

  close(): void {
    for (const source of this.#sources) source.close();
  }

  #look(): void {
    const now = this.#monotonicMs();
    if (now - this.#readMs < SAME_CYCLE_MS) return;
    const text = this.#read();
    this.#readMs = now;
    if (text === undefined) return;
    this.#mounts = mountsOf(text);
    this.#shown = shownOf(this.#mounts, this.#podMounts);
  }

  /** Undefined when it is as it was. */
  #read(): string | undefined {
    let cause: unknown;
    for (const source of this.#sources) {
      try {
        const isOther = source.scan() || source !== this.#source;
        this.#source = source;
        return isOther ? source.text() : undefined;
      } catch (error) {
        cause ??= error;
      }
    }
    this.#source = undefined;
    throw new CollectError('read', this.#sources[0]?.path ?? '', 'the mount table cannot be read', cause);
  }
}
