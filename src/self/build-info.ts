import type { Sheet } from '../collect/sheet.ts';
import { family } from '../model/family.ts';

const LABELS = ['branch', 'goarch', 'goos', 'goversion', 'revision', 'tags', 'version'];
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/**
 * `<peer>_build_info` as boards read it: the version is ours, since this is what runs; what is Go's own is empty or the
 * platform's name as Go spells it.
 */
export function writePeerBuildInfo(sheet: Sheet, name: string, version: string): void {
  const info = family(name, 'gauge', 'Which program answers under this name; the value is 1.', LABELS);
  const arch = GO_ARCHITECTURES[process.arch] ?? process.arch;
  sheet.sample(info, ['', arch, process.platform, '', 'exporterd', '', version], 1);
}
