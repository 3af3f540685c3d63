import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cProgram } from './c-program.ts';
import { Missing, SOURCES } from './place.ts';

/** Cgroups to be measured. */
export interface Cgroups {
  /** Flags that lead the daemon to them. */
  readonly flags: readonly string[];
  /** Removes what was made. */
  remove(): Promise<void>;
}

const V1 = '/sys/fs/cgroup';
const CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'cpuset', 'pids', 'blkio', 'devices', 'hugetlb'];

/** Works a fifth of the time: memory touched and given back, processes started. */
const LOAD = 'while :; do head -c 4000000 /dev/zero | tr "\\0" x >/dev/null; sleep 0.1; done';

/** Seconds between rounds through restless cgroups. */
const ROUND_SECONDS = 0.8;

/**
 * Real cgroups of version 1 in every hierarchy that is mounted, below one of our own. Throws Missing where they cannot be made.
 * @param busy how many have a load inside
 * @param isRestless the CPU time of all moves, so that none counts as idle
 */
export function makeV1(count: number, busy: number, isRestless = false): Cgroups {
  const parents = CONTROLLERS.filter((controller) => existsSync(`${V1}/${controller}/cgroup.procs`)).map((controller) =>
    join(V1, controller, `exporterd-bench-${process.pid}-tree`),
  );
  if (!parents.some((parent) => parent.startsWith(`${V1}/memory/`))) throw new Missing('no memory hierarchy of cgroup v1 under /sys/fs/cgroup');
  const loads: ChildProcess[] = [];
  const clear = (): void => {
    for (const load of loads) if (load.pid !== undefined && load.exitCode === null && load.signalCode === null) killGroup(load.pid);
    for (const parent of parents) if (existsSync(parent)) removeBelow(parent);
  };
  process.once('exit', () => {
    // Cgroups of processes that were just killed stay busy for a moment.
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        return clear();
      } catch {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      }
    }
  });
  try {
    for (const parent of parents) {
      mkdirSync(parent);
      for (let i = 0; i < count; i++) mkdirSync(join(parent, `container-${i}`));
    }
  } catch (error) {
    clear();
    throw new Missing(`cgroups cannot be made (the container bench needs root): ${String(error)}`);
  }
  for (let i = 0; i < busy; i++) {
    const enter = parents.filter((parent) => !parent.includes('/cpuset/')).map((parent) => `echo $$ > ${parent}/container-${i}/cgroup.procs`);
    // A process group of its own: the shell and whatever it has started end together.
    loads.push(spawn('/bin/sh', ['-c', [...enter, LOAD].join('; ')], { stdio: 'ignore', detached: true }));
  }
  const cpuacct = parents.find((parent) => parent.startsWith(`${V1}/cpuacct/`));
  if (isRestless && cpuacct !== undefined) {
    // Of CPU time alone: nobody is told of moves there.
    loads.push(roam('wander', count, (i) => `${cpuacct}/container-${i}/cgroup.procs`));
  }
  return {
    flags: [],
    async remove() {
      for (let attempt = 0; ; attempt++) {
        try {
          return clear();
        } catch (error) {
          if (attempt === 100) throw error;
          await sleep(50); // Cgroups of processes that were just reaped stay busy for a moment.
        }
      }
    },
  };
}

/** Starts a program that goes through a file of each cgroup again and again, in a process group of its own. */
function roam(program: string, count: number, fileOf: (cgroup: number) => string): ChildProcess {
  const roaming = spawn(cProgram(program), [String(ROUND_SECONDS)], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  roaming.stdin.end(Array.from({ length: count }, (_, i) => `${fileOf(i)}\n`).join(''));
  return roaming;
}

/** What a cgroup of a kernel 6.x has besides the files of the fixture's container: device 8:0, and memory.stat in its full length. */
const V2_FILES: Readonly<Record<string, string>> = {
  'io.stat': '8:0 rbytes=1540096 wbytes=4096 rios=57 wios=1 dbytes=0 dios=0\n',
  'memory.stat': [
    ...['anon', 'file', 'kernel', 'kernel_stack', 'pagetables', 'sec_pagetables', 'percpu', 'sock', 'vmalloc', 'shmem', 'zswap', 'zswapped', 'file_mapped'],
    ...['file_dirty', 'file_writeback', 'swapcached', 'anon_thp', 'file_thp', 'shmem_thp', 'inactive_anon', 'active_anon', 'inactive_file', 'active_file'],
    ...['unevictable', 'slab_reclaimable', 'slab_unreclaimable', 'slab', 'workingset_refault_anon', 'workingset_refault_file', 'workingset_activate_anon'],
    ...['workingset_activate_file', 'workingset_restore_anon', 'workingset_restore_file', 'workingset_nodereclaim', 'pgscan', 'pgsteal', 'pgscan_kswapd'],
    ...['pgscan_direct', 'pgscan_khugepaged', 'pgsteal_kswapd', 'pgsteal_direct', 'pgsteal_khugepaged', 'pgfault', 'pgmajfault', 'pgrefill', 'pgactivate'],
    ...[
      'pgdeactivate',
      'pglazyfree',
      'pglazyfreed',
      'zswpin',
      'zswpout',
      'zswpwb',
      'thp_fault_alloc',
      'thp_collapse_alloc',
      'thp_swpout',
      'thp_swpout_fallback',
    ],
  ]
    .map((key, i) => `${key} ${i % 3 === 0 ? 0 : i * 45056}\n`)
    .join(''),
};

/** What the kernel says of itself; without the counts of /proc/vmstat the daemon cannot know that idle cgroups stay as they are. */
const V2_KERNEL_FILES = ['vmstat', 'diskstats'];

/**
 * A made-up tree of version 2 in memory, every cgroup with the files of a container of the collector's own fixture.
 * @param isRestless the CPU time of all moves, so that none counts as idle
 */
export function makeV2(count: number, isRestless = false): Cgroups {
  if (!existsSync('/dev/shm')) throw new Missing('no /dev/shm for a generated tree');
  // The same for each size: what is learnt of the files of one holds for the next.
  const root = `/dev/shm/exporterd-bench-${process.pid}`;
  mkdirSync(root);
  let mover: ChildProcess | undefined;
  const remove = (): void => {
    mover?.kill();
    rmSync(root, { recursive: true, force: true });
  };
  process.once('exit', remove);
  const template = join(root, 'template');
  let from = '';
  for (const section of readFileSync(join(SOURCES, '../src/collectors/container/fixtures/v2.tree'), 'utf8').split(/^== /m).slice(1)) {
    const end = section.indexOf('\n');
    const [path, text] = [section.slice(0, end), section.slice(end + 1)];
    const [, container] = /\/(cri-containerd-[^/]+)\/[^/]+$/.exec(path) ?? [];
    from ||= container ?? '';
    if (container !== undefined && container !== from) continue;
    const place =
      container === undefined ? (/^sys\/fs\/cgroup\/.*\//.test(path) ? undefined : join(root, path)) : join(template, path.slice(path.lastIndexOf('/') + 1));
    if (place === undefined) continue; // The other cgroups of the fixture.
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, text);
  }
  const parent = join(root, 'sys/fs/cgroup/machine.slice');
  mkdirSync(parent);
  for (const [name, text] of Object.entries(V2_FILES)) writeFileSync(join(template, name), text);
  for (const name of V2_KERNEL_FILES) writeFileSync(join(root, 'proc', name), readFileSync(`/proc/${name}`));
  for (let i = 0; i < count; i++) cpSync(template, join(parent, `container-${i}.scope`), { recursive: true });
  if (isRestless) mover = roam('advance', count, (i) => `${parent}/container-${i}.scope/cpu.stat`);
  return {
    flags: [`--path.procfs=${root}/proc`, `--path.sysfs=${root}/sys`, `--path.rootfs=${root}/root`],
    async remove() {
      remove();
    },
  };
}

/**
 * Runs `task` with this process in a memory cgroup of its own, which what `task` starts inherits; undefined without version 1.
 * `kernelBytes` is what the kernel holds for them: open files above all.
 */
export async function inMemoryCgroup<T>(task: () => Promise<T>): Promise<{ readonly result: T; kernelBytes(): number; remove(): void }> {
  const root = join(V1, 'memory');
  const folder = join(root, `exporterd-bench-${process.pid}-daemon`);
  const home = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (home === undefined || !existsSync(join(root, home, 'cgroup.procs'))) return { result: await task(), kernelBytes: () => Number.NaN, remove: () => {} };
  mkdirSync(folder);
  process.once('exit', () => {
    try {
      if (existsSync(folder)) rmdirSync(folder);
    } catch {
      // The daemon ends only now.
    }
  });
  writeFileSync(join(folder, 'cgroup.procs'), String(process.pid));
  try {
    const result = await task();
    return { result, kernelBytes: () => Number(readFileSync(join(folder, 'memory.kmem.usage_in_bytes'), 'latin1')), remove: () => rmdirSync(folder) };
  } finally {
    if (existsSync(folder)) writeFileSync(join(root, home, 'cgroup.procs'), String(process.pid));
  }
}

function removeBelow(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeBelow(join(path, entry.name));
  rmdirSync(path);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Ended by itself.
  }
}
