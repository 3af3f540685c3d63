import { readFileSync } from 'node:fs';
import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { Absence } from '../absence.ts';
import { isMissing, readProblem } from '../file-error.ts';
import { decimalOf } from '../go-integer.ts';
import type { NodePart } from '../part.ts';

const ENABLED = family('node_selinux_enabled', 'gauge', 'Whether SELinux is in use.');
const CONFIGURED = family('node_selinux_config_mode', 'gauge', 'Mode that SELinux starts with: 1 enforcing, 0 permissive, -1 disabled or unknown.');
const CURRENT = family('node_selinux_current_mode', 'gauge', 'Mode that SELinux is in: 1 enforcing, 0 permissive, -1 unknown.');

/** Where a writable selinuxfs is mounted, from the text of /proc/self/mountinfo. */
export function selinuxMount(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [mount = '', fs = ''] = line.split(' - ', 2);
    const fields = mount.split(' ');
    if (fs.startsWith('selinuxfs ') && !(fields[5] ?? '').split(',').includes('ro')) return fields[4];
  }
  return undefined;
}

/** SELINUX= of /etc/selinux/config: the last one counts, in any case of letters. */
export function configuredMode(config: string): number {
  let mode = -1;
  for (const line of config.split('\n')) {
    const value = /^\s*SELINUX\s*=(.*)$/.exec(line)?.[1]?.trim().toLowerCase();
    if (value !== undefined) mode = value === 'enforcing' ? 1 : value === 'permissive' ? 0 : -1;
  }
  return mode;
}

/** '' for a file that is not there or may not be read. Throws CollectError `read` for other failures. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return '';
    throw readProblem(path, error);
  }
}

/**
 * The selinuxfs of this machine and /etc/selinux/config: real paths, whatever the roots are, as in the peer. SELinux is in use
 * when the file system is mounted for writing and this process has a label other than `kernel`.
 */
export const part: NodePart = {
  name: 'selinux',
  enabledByDefault: true,
  families: [ENABLED, CONFIGURED, CURRENT],
  open(scope) {
    // Without selinuxfs the answer is looked for once a minute; with it, the mode is read in every run.
    const off = new Absence(scope.monotonicMs);
    let mount: string | undefined;
    const look = (): void => {
      const found = selinuxMount(textOf('/proc/self/mountinfo'));
      const label = found === undefined ? 'kernel' : textOf('/proc/thread-self/attr/current').replace(/\0.*$/s, '').trim();
      mount = label === 'kernel' || label === '' ? undefined : found;
      if (mount === undefined) off.note();
    };
    return {
      collect(sheet) {
        if (mount === undefined && !off.isRecent()) look();
        sheet.sample(ENABLED, [], mount === undefined ? 0 : 1);
        if (mount === undefined) return OK;
        sheet.sample(CONFIGURED, [], configuredMode(textOf('/etc/selinux/config')));
        sheet.sample(CURRENT, [], decimalOf(textOf(`${mount}/enforce`).trim()) ?? -1);
        return OK;
      },
      // What a mounted selinuxfs says is read by each run.
      replay: (_, steps) => off.replay(steps),
    };
  },
};
