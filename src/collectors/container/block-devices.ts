import { readFileSync, readdirSync } from 'node:fs';
import type { Roots } from '../../collect/contract.ts';

/** How long an unknown number is not asked for again. */
const RETRY_MS = 60_000;

/**
 * Names of block devices by `major:minor`, as the peer prints them: `/dev/<name>` for what /sys/block lists (loop, ram and
 * optical devices and hidden ones aside), else the source of a file system that lies on the device; '' when unknown.
 */
export class BlockDevices {
  readonly #roots: Roots;
  readonly #monotonicMs: () => number;
  #names = new Map<string, string>();
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(roots: Roots, monotonicMs: () => number) {
    this.#roots = roots;
    this.#monotonicMs = monotonicMs;
  }

  name(number: string): string {
    const known = this.#names.get(number);
    if (known !== undefined) return known;
    if (this.#monotonicMs() - this.#readMs >= RETRY_MS) {
      this.#readMs = this.#monotonicMs();
      this.#names = new Map([...fileSystems(this.#roots.procfs), ...disks(this.#roots.sysfs)]);
    }
    return this.#names.get(number) ?? '';
  }
}

/** /sys/block/<name>/dev holds `major:minor`. */
function disks(sysfs: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const name of list(`${sysfs}/block`)) {
    if (/^(loop|ram|sr)/.test(name) || text(`${sysfs}/block/${name}/hidden`).trim() === '1') continue;
    const number = text(`${sysfs}/block/${name}/dev`).trim();
    if (/^\d+:\d+$/.test(number)) names.set(number, `/dev/${name}`);
  }
  return names;
}

/** Third field of a mountinfo line is the device number, the second behind ` - ` its source. */
function fileSystems(procfs: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of text(`${procfs}/self/mountinfo`).split('\n')) {
    const number = line.split(' ')[2];
    const source = line.split(' - ')[1]?.split(' ')[1];
    if (number !== undefined && source?.startsWith('/') && !names.has(number)) names.set(number, source);
  }
  return names;
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // No block devices to be seen.
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // A device that goes, or a file this kernel lacks.
  }
}
