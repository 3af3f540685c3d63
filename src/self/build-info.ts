import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Sheet } from '../collect/sheet.ts';
import { family } from '../model/family.ts';

const LABELS = ['branch', 'goarch', 'goos', 'goversion', 'revision', 'tags', 'version'];
/** cAdvisor has a form of its own: the kernel and the distribution, and nothing of Docker any more. */
const CADVISOR_LABELS = ['cadvisorRevision', 'cadvisorVersion', 'dockerVersion', 'kernelVersion', 'osVersion'];
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/**
 * `<peer>_build_info` as boards read it: the version is ours, since this is what runs; what is Go's own is empty or the
 * platform's name as Go spells it.
 */
export function writePeerBuildInfo(sheet: Sheet, name: string, version: string): void {
  const help = 'Which program answers under this name; the value is 1.';
  if (name === 'cadvisor_version_info') {
    sheet.sample(family(name, 'gauge', help, CADVISOR_LABELS), ['', version, '', release(), osName()], 1);
    return;
  }
  const info = family(name, 'gauge', help, LABELS);
  const arch = GO_ARCHITECTURES[process.arch] ?? process.arch;
  sheet.sample(info, ['', arch, process.platform, '', 'exporterd', '', version], 1);
}

/** PRETTY_NAME of os-release(5); '' when the system does not say. */
function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}
