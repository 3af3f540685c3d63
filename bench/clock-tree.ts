import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cProgram, memoryFolder } from './c-program.ts';
import { type Program, start } from './program.ts';

/** A procfs of files in which `ctxt` of /proc/stat is the wall clock in milliseconds. */
export interface ClockTree {
  readonly procfs: string;
  readonly clock: Program;
  /** What the clock said of its own lateness; stops it and removes the tree. */
  stop(): Promise<string>;
}

/** Files of /proc that node collectors read. */
const FILES = [
  'stat',
  'meminfo',
  'loadavg',
  'vmstat',
  'diskstats',
  'cpuinfo',
  'uptime',
  'mounts',
  'filesystems',
  'self/mountinfo',
  '1/mountinfo',
  'self/mounts',
  '1/mounts',
  'self/stat',
  'net/dev',
  'net/netstat',
  'net/snmp',
  'net/snmp6',
  'net/sockstat',
  'net/sockstat6',
  'sys/fs/file-nr',
  'pressure/cpu',
  'pressure/memory',
  'pressure/io',
  'pressure/irq',
];

const PERIOD_US = 2000;

export async function makeClockTree(): Promise<ClockTree> {
  const folder = memoryFolder();
  const procfs = join(folder, 'proc');
  for (const file of FILES) {
    const source = join('/proc', file);
    if (!existsSync(source)) continue;
    const target = join(procfs, file);
    mkdirSync(dirname(target), { recursive: true });
    try {
      cpSync(source, target, { dereference: true });
      // Kernel files have no size: a copy by size is empty.
      writeFileSync(target, readFileSync(source));
    } catch {
      rmSync(target, { force: true }); // the kernel lists it but will not give it (pressure switched off)
    }
  }
  const { text, offset } = withClock(readFileSync(join(procfs, 'stat'), 'latin1'));
  const stat = join(procfs, 'stat');
  writeFileSync(stat, text);
  const clock = start(cProgram('clock'), [stat, String(offset), String(PERIOD_US)]);
  await clock.says(/clock runs, .*/);
  return {
    procfs,
    clock,
    async stop() {
      await clock.stop();
      rmSync(folder, { recursive: true, force: true });
      return clock.output().trim().replaceAll('\n', '; ');
    },
  };
}

/** Puts 13 digits behind `ctxt`, the last eight on a multiple of eight: digits of the line `intr` make up for it. */
function withClock(stat: string): { text: string; offset: number } {
  const now = String(Date.now()).padStart(13, '0');
  for (let padding = 0; padding < 8; padding++) {
    const text = stat.replace(/^intr \d+/m, `intr 1${'0'.repeat(padding)}`).replace(/^ctxt \d+/m, `ctxt ${now}`);
    const offset = text.indexOf(`ctxt ${now}`) + 'ctxt '.length;
    if ((offset + 5) % 8 === 0) return { text, offset };
  }
  throw new Error('/proc/stat has no lines "intr" and "ctxt"');
}
