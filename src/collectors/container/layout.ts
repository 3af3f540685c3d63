import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { CollectError, type Roots } from '../../collect/contract.ts';

/**
 * How a machine arranges its cgroups. systemd's own terms: legacy (v1 only), hybrid (v1 controllers, a v2 tree beside them
 * for process tracking), unified (v2 only).
 */
export interface Layout {
  readonly kind: 'legacy' | 'hybrid' | 'unified' | 'none';
  /** v1: controller -> directory of its hierarchy. Unified: empty. */
  readonly controllers: ReadonlyMap<string, string>;
  /** Directory of the v2 tree; '' when there is none. */
  readonly unified: string;
}

interface CgroupMount {
  readonly type: string;
  readonly point: string;
  /** Controllers of a v1 mount, `name=systemd` included. */
  readonly controllers: readonly string[];
}

/** What says nothing about a file: the process or the machine has no more descriptors or memory. */
const STARVED: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Options of a v1 mount that are not controllers. */
const FLAGS = new Set([
  'rw',
  'ro',
  'xattr',
  'noprefix',
  'clone_children',
  'cpuset_v2_mode',
  'seclabel',
  'nsdelegate',
  'favordynmods',
  'memory_recursiveprot',
  'memory_localevents',
]);

/**
 * The cgroup mounts of a mountinfo text, in its order (proc_pid_mountinfo(5): fields, ` - `, type, source, super options).
 * Lines of another form are passed over: the table has other readers who report them.
 */
export function cgroupMounts(mountinfo: string): CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of mountinfo.split('\n')) {
    const split = line.indexOf(' - ');
    if (split < 0) continue;
    const point = line.slice(0, split).split(' ')[4];
    const [type, , options = ''] = line.slice(split + 3).split(' ');
    if (point === undefined || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    mounts.push({
      type,
      point: unescapeOctal(point),
      controllers: options.split(',').filter((o) => o !== '' && !FLAGS.has(o) && !o.startsWith('release_agent=')),
    });
  }
  return mounts;
}

/** mountinfo writes space, tab, line feed and backslash as `\ooo`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * The decision, first match wins:
 *
 * | `<sysfs>/fs/cgroup/cgroup.controllers` | v1 controllers mounted | v2 mounted | layout  |
 * |----------------------------------------|------------------------|------------|---------|
 * | exists                                 | any                    | any        | unified |
 * | no                                     | yes                    | yes        | hybrid  |
 * | no                                     | yes                    | no         | legacy  |
 * | no                                     | no                     | yes        | unified |
 * | no                                     | no                     | no         | none    |
 *
 * The file stands for statfs(2) saying CGROUP2_SUPER_MAGIC: only the root of a v2 mount has it, and it exists on a copied
 * tree too. A controller mounted twice counts where it was mounted first. Mount points are taken below the configured
 * sysfs; without a usable mount table the directory names under `fs/cgroup` are the controllers (`cpu,cpuacct`).
 * Throws CollectError when that cannot be known for want of descriptors or memory.
 */
export function detectLayout(roots: Pick<Roots, 'procfs' | 'sysfs'>): Layout {
  const base = `${roots.sysfs}/fs/cgroup`;
  if (existsSync(`${base}/cgroup.controllers`)) return { kind: 'unified', controllers: new Map(), unified: base };
  const controllers = new Map<string, string>();
  let unified = '';
  for (const mount of mountTable(roots.procfs)) {
    const point = belowSysfs(mount.point, roots.sysfs);
    if (!existsSync(point)) continue;
    if (mount.type === 'cgroup2') unified ||= point;
    else for (const controller of mount.controllers) if (!controllers.has(controller)) controllers.set(controller, point);
  }
  if (controllers.size === 0 && unified === '') {
    for (const name of directoryNames(base)) {
      if (existsSync(`${base}/${name}/cgroup.controllers`)) unified ||= `${base}/${name}`;
      else for (const controller of name.split(',')) if (!controllers.has(controller)) controllers.set(controller, `${base}/${name}`);
    }
  }
  if (controllers.size > 0) return { kind: unified === '' ? 'legacy' : 'hybrid', controllers, unified };
  return { kind: unified === '' ? 'none' : 'unified', controllers, unified };
}

function mountTable(procfs: string): CgroupMount[] {
  const path = `${procfs}/self/mountinfo`;
  try {
    return cgroupMounts(readFileSync(path, 'utf8'));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    // It is there, and the next run may read it.
    if (STARVED.has(code)) throw new CollectError('read', path, `the mount table cannot be read now (${code})`, error);
    return []; // The directory names decide then.
  }
}

function belowSysfs(point: string, sysfs: string): string {
  if (sysfs === '/sys' || point === sysfs || point.startsWith(`${sysfs}/`)) return point;
  return point.startsWith('/sys/') ? sysfs + point.slice('/sys'.length) : point;
}

function directoryNames(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch {
    return []; // No cgroup filesystem at all: the layout is `none`.
  }
}
