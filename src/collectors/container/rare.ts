import { existsSync, readdirSync } from 'node:fs';
import { type Bindings, type Bound, type FileKind, keyed, ordered } from './cgroup-file.ts';
import { Columns, columnsOf } from './columns.ts';
import { CPUSET, HUGETLB, MEMORY_NUMA } from './families.ts';
import type { Column, GroupSpec } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { Layout } from './layout.ts';

/** Groups that are off by default. cpuset.memory_migrate on v1; v2 has no such file: 0, as the peer. */
export function cpusetGroup(unified: boolean): GroupSpec {
  const columns = columnsOf(CPUSET);
  return { columns: columns.list, files: unified ? [] : [ordered('cpuset', 'cpuset.memory_migrate', [columns.to('migrate')])] };
}

/**
 * Huge pages: v1 hugetlb.<size>[.rsvd].{usage_in_bytes,max_usage_in_bytes,failcnt}, v2 hugetlb.<size>[.rsvd].current and
 * hugetlb.<size>.events. Reserved pages are counted where the kernel has the files (Linux 5.7), for all sizes or none.
 */
export function hugetlbGroup(layout: Layout, sysfs: string): GroupSpec {
  const unified = layout.kind === 'unified';
  const root = layout.controllers.get('hugetlb');
  const columns = new Columns<string>();
  const files: FileKind[] = [];
  const sizes = pageSizes(sysfs);
  const reserved = unified || (root !== undefined && sizes.some((size) => existsSync(`${root}/hugetlb.${size}.rsvd.usage_in_bytes`)));
  for (const size of sizes) {
    for (const name of ['failcnt', 'maxUsage', 'usage'] as const) columns.add(`${name} ${size}`, HUGETLB[name], { pagesize: size });
    const to = (name: keyof typeof HUGETLB) => columns.to(`${name} ${size}`);
    const stem = `hugetlb.${size}`;
    if (unified) {
      // The plain file first: where the reserved one is there too, it has the last word.
      files.push(ordered('', `${stem}.current`, [to('usage')]), ordered('', `${stem}.rsvd.current`, [to('usage')]));
      files.push(keyed('', `${stem}.events`, { max: [to('failcnt')] }, true));
    } else {
      const prefix = reserved ? `${stem}.rsvd` : stem;
      files.push(ordered('hugetlb', `${prefix}.usage_in_bytes`, [to('usage')]));
      files.push(ordered('hugetlb', `${prefix}.max_usage_in_bytes`, [to('maxUsage')]), ordered('hugetlb', `${prefix}.failcnt`, [to('failcnt')]));
    }
  }
  return { columns: columns.list, files };
}

/** Sizes as the cgroup files spell them, from /sys/kernel/mm/hugepages/hugepages-<kB>kB: `64KB`, `2MB`, `1GB`. */
function pageSizes(sysfs: string): string[] {
  try {
    return readdirSync(`${sysfs}/kernel/mm/hugepages`)
      .map((name) => /^hugepages-(\d+)kB$/.exec(name)?.[1])
      .filter((kib) => kib !== undefined)
      .map(Number)
      .sort((a, b) => a - b)
      .map((kib) => (kib >= 1048576 ? `${Math.floor(kib / 1048576)}GB` : kib >= 1024 ? `${Math.floor(kib / 1024)}MB` : `${kib}KB`));
  } catch {
    return []; // A kernel without huge pages.
  }
}

const NUMA_ROW = /^(hierarchical_)?(file|anon|unevictable)$/;

/** memory.numa_stat of v1: `hierarchical_file=11277 N0=11277 N1=0`, pages. v2 has another file, which the peer does not read. */
export function numaGroup(): GroupSpec {
  const columns: Column[] = [];
  const places = new Map<string, number>();
  const place = (node: string, scope: string, type: string): number => {
    const key = `${node} ${scope} ${type}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, columns.length);
    columns.push({ family: MEMORY_NUMA.pages, names: ['node', 'scope', 'type'], values: [node, scope, type] });
    return columns.length - 1;
  };
  return {
    columns,
    blank: ABSENT,
    files: [
      {
        controller: 'memory',
        name: 'memory.numa_stat',
        format: { delimiters: '=', record: true },
        bind(rows): Bindings | undefined {
          const numbers: Bound[] = [];
          for (const row of rows) {
            const [, hierarchical, type] = NUMA_ROW.exec(row[0]?.text ?? '') ?? [];
            if (type === undefined) continue;
            for (let i = 2; i + 1 < row.length; i += 2) {
              const node = /^N(\d+)$/.exec(row[i]?.text ?? '')?.[1];
              const at = row[i + 1]?.at ?? -1;
              if (node !== undefined && at >= 0)
                numbers.push({ at, column: place(node, hierarchical === undefined ? 'container' : 'hierarchy', type), over: 1 });
            }
          }
          return numbers.length > 0 ? { numbers } : undefined;
        },
      },
    ],
  };
}
