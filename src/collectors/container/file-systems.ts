import { readFileSync } from 'node:fs';
import { CollectError, OK, type Outcome, type Roots, absent } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { MountStats } from '../../readers/readers.ts';
import { DISK } from './families.ts';
import type { Selection } from './selection.ts';
import type { Tree } from './tree.ts';

/** The peer's list; `nfs*` and `ext*` by prefix. The mount at `/` is shown whatever it is. */
const TYPES = /^(?:ext.*|nfs.*|xfs|btrfs|zfs|overlay|tmpfs|squashfs|f2fs|jfs|reiserfs|hfs|hfsplus|ntfs|vfat|fat|msdos|exfat|udf|iso9660|devicemapper)$/;

/** Where runtimes and the kubelet mount for pods. */
const POD_MOUNT = /\/(?:kubelet\/pods|containerd\/io\.containerd|containers\/storage|docker\/(?:overlay2|containers|rootfs))\//;

/** How long the mounts that answer are waited for; one that does not is left out until it does. */
const WAIT_MS = 200;
/** Numbers per path in `MountStats.numbers`. */
const WIDTH = 7;

export interface FileSystem {
  /** As the peer labels it. */
  readonly device: string;
  readonly point: string;
}

/**
 * The file systems of a mountinfo text, one per source: an overlay is told by its device number (`overlay_0-39`), a tmpfs by
 * its mount point.
 */
export function fileSystemsOf(mountinfo: string, podMounts: boolean): FileSystem[] {
  const found = new Map<string, FileSystem>();
  for (const line of mountinfo.split('\n')) {
    const split = line.indexOf(' - ');
    if (split < 0) continue;
    const [, , number = '', , escaped = ''] = line.slice(0, split).split(' ');
    const [type = '', source = ''] = line.slice(split + 3).split(' ');
    const point = escaped.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    if (point === '' || (point !== '/' && !TYPES.test(type))) continue;
    if (!podMounts && point !== '/' && (type === 'overlay' || POD_MOUNT.test(point))) continue;
    const device = type === 'overlay' ? `${source}_${number.replace(':', '-')}` : type === 'tmpfs' ? point : source;
    if (!found.has(device)) found.set(device, { device, point });
  }
  return [...found.values()];
}

/** Space and inodes of the machine's file systems, shown under `/` as the peer does; containers' own need a runtime's help. */
export class FileSystems {
  readonly #tree: Tree;
  readonly #selection: Selection;
  readonly #stats: MountStats;
  readonly #roots: Roots;
  readonly #podMounts: boolean;
  #mountinfo = '';
  #systems: readonly FileSystem[] = [];
  #sheet: Sheet | undefined;
  #entity = -1;
  #labelled = false;

  constructor(tree: Tree, selection: Selection, stats: MountStats, roots: Roots, podMounts: boolean) {
    this.#tree = tree;
    this.#selection = selection;
    this.#stats = stats;
    this.#roots = roots;
    this.#podMounts = podMounts;
  }

  collect(part: string, sheet: Sheet): Outcome {
    const tree = this.#tree;
    if (tree.layout.kind === 'none') return absent('no cgroup hierarchy is mounted');
    tree.refresh(part);
    const root = tree.get('/');
    if (root === undefined) return absent('no root cgroup');
    if (!this.#selection.shows(root)) return absent('the root cgroup is left out by the configuration');
    if (sheet !== this.#sheet) {
      this.#sheet = sheet;
      this.#entity = sheet.entity((variant) => tree.labels(root, variant));
    } else if (tree.labelled !== this.#labelled) sheet.rename(this.#entity, (variant) => tree.labels(root, variant));
    this.#labelled = tree.labelled;
    this.#readMounts();
    this.#stats.run(WAIT_MS);
    const { status, numbers } = this.#stats;
    for (const [i, { device }] of this.#systems.entries()) {
      if (status[i] !== 0) continue; // Stuck, or unmounted since: no numbers is better than none of the others.
      const [size = 0, blocks = 0, free = 0, , inodes = 0, inodesFree = 0] = numbers.subarray(i * WIDTH, i * WIDTH + WIDTH);
      const set = (family: (typeof DISK)[keyof typeof DISK], value: number) => sheet.set(sheet.slot(family, [device], NAMES, this.#entity), value);
      set(DISK.limit, blocks * size);
      set(DISK.usage, (blocks - free) * size);
      set(DISK.inodesTotal, inodes);
      set(DISK.inodesFree, inodesFree);
    }
    return OK;
  }

  close(): void {}

  #readMounts(): void {
    const path = `${this.#roots.procfs}/1/mountinfo`;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      try {
        text = readFileSync(`${this.#roots.procfs}/self/mountinfo`, 'utf8'); // Process 1 of another user.
      } catch (cause) {
        throw new CollectError('read', path, 'the mount table cannot be read', cause);
      }
    }
    if (text === this.#mountinfo) return;
    this.#mountinfo = text;
    this.#systems = fileSystemsOf(text, this.#podMounts);
    this.#stats.paths(this.#systems.map(({ point }) => this.#roots.rootfs + point));
  }
}

const NAMES = ['device'];
