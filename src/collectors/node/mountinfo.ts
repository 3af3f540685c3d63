import { parseProblem } from './file-error.ts';

/** A mounted file system. */
export interface Mount {
  readonly device: string;
  readonly type: string;
  /** As the machine sees it: without the prefix under which its root file system is mounted here. */
  readonly point: string;
  readonly major: string;
  readonly minor: string;
  readonly isReadOnly: boolean;
}

/** Fields of the shortest line: one without optional fields. */
const FEWEST_FIELDS = 10;

/** Bytes that are not UTF-8 arrive as U+FFFD each; the peer writes one for a run of them. */
function oneMark(text: string): string {
  return text.replace(/\uFFFD+/g, '\uFFFD');
}

/** The kernel writes blank, tab, line feed and backslash as three octal digits. */
function unescaped(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Takes the prefix off only where a name ends: with the root at /host, /hostfs is not `fs`. */
function withoutRoot(point: string, rootfs: string): string {
  if (rootfs === '' || (point !== rootfs && !point.startsWith(`${rootfs}/`))) return point;
  return point.slice(rootfs.length) || '/';
}

function hasOption(options: string, wanted: readonly string[]): boolean {
  return options.split(',').some((option) => wanted.includes(option));
}

/**
 * Mounts of a mountinfo file (proc_pid_mountinfo(5)), in its order:
 * `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
 * Throws CollectError `parse` naming the line: half a mount table is not one.
 * @param rootfs where the machine's root file system is mounted; '' for /
 */
export function parseMountinfo(path: string, text: string, rootfs: string): readonly Mount[] {
  const mounts: Mount[] = [];
  for (const [line, content] of text.split('\n').entries()) {
    if (content === '') continue;
    const fields = content.split(' ');
    if (fields.length < FEWEST_FIELDS || fields.at(-4) !== '-')
      throw parseProblem(path, line + 1, `at least ${FEWEST_FIELDS} fields, the fourth from the end "-"`);
    const numbers = /^(\d+):(\d+)$/.exec(fields[2] ?? '');
    if (numbers === null || !/^\d+$/.test(fields[0] ?? '') || !/^-?\d+$/.test(fields[1] ?? ''))
      throw parseProblem(path, line + 1, '"ID PARENT MAJOR:MINOR" in front');
    const superOptions = fields.at(-1) ?? '';
    mounts.push({
      device: oneMark(fields.at(-2) ?? ''),
      type: oneMark(fields.at(-3) ?? ''),
      point: oneMark(withoutRoot(unescaped(fields[4] ?? ''), rootfs)),
      major: String(Number(numbers[1])),
      minor: String(Number(numbers[2])),
      isReadOnly: hasOption(fields[5] ?? '', ['ro']) || hasOption(superOptions, ['ro', 'emergency_ro']),
    });
  }
  return mounts;
}
