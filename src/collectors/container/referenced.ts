import { writeFileSync } from 'node:fs';
import { columnsOf } from './columns.ts';
import { REFERENCED } from './families.ts';
import type { GroupSpec } from './group.ts';
import type { Layout } from './layout.ts';
import { processesOf, textOf } from './processes.ts';

/**
 * Memory that the processes of a cgroup have touched since the kernel's marks were last taken off. Source:
 * /proc/PID/smaps_rollup (Linux 4.14), else /proc/PID/smaps; the kernel walks the whole address space for either.
 * @param resetInterval take the marks off in every so many runs, by /proc/PID/clear_refs; 0 is never
 */
export function referencedGroup(layout: Layout, procfs: string, resetInterval: number): GroupSpec {
  const columns = columnsOf(REFERENCED);
  const referenced = columns.at('referenced');
  let run = 0;
  return {
    columns: columns.list,
    files: [],
    prepare() {
      run += 1;
    },
    derive(row, cgroup) {
      for (const pid of processesOf(layout, cgroup)) {
        const folder = `${procfs}/${pid}`;
        row[referenced] = (row[referenced] as number) + referencedBytes(textOf(`${folder}/smaps_rollup`) || textOf(`${folder}/smaps`));
        if (resetInterval > 0 && run % resetInterval === 0) clear(`${folder}/clear_refs`);
      }
    },
  };
}

/** `Referenced:          892 kB`, once or once for each mapping. */
export function referencedBytes(smaps: string): number {
  let kib = 0;
  for (const [, number = ''] of smaps.matchAll(/^Referenced:\s+(\d+) kB$/gm)) kib += Number(number);
  return kib * 1024;
}

/** Takes the marks off all pages. */
function clear(path: string): void {
  try {
    writeFileSync(path, '1');
  } catch {
    // Ended, or another user's: its numbers only grow.
  }
}
