import { readFileSync } from 'node:fs';

export const MIB = 2 ** 20;

/** Bytes. */
export interface Memory {
  readonly rss: number;
  /** Shared pages counted in proportion to those who share them. */
  readonly pss: number;
  readonly peak: number;
}

/** /proc/PID/status and smaps_rollup. */
export function memoryOf(pid: number): Memory {
  const field = (file: string, key: string): number => {
    const kilobytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1];
    if (kilobytes === undefined) throw new Error(`/proc/${pid}/${file} has no line ${key}`);
    return Number(kilobytes) * 1024;
  };
  return { rss: field('status', 'VmRSS'), pss: field('smaps_rollup', 'Pss'), peak: field('status', 'VmHWM') };
}
