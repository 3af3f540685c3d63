import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { Missing } from './place.ts';

/** A control group that counts the CPU time of all its threads and children, those that have ended included. */
export interface Cpuacct {
  /** Writing a pid here puts a process into the group. */
  readonly procs: string;
  /** Nanoseconds. The split into user and system is left out: the kernel samples it by ticks, too coarse for programs that sleep. */
  read(): number;
  /** Removes the group; it must be empty. */
  remove(): void;
}

const V1 = ['/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup/cpu,cpuacct'];
const V2 = '/sys/fs/cgroup';

const removals: (() => void)[] = [];

process.once('exit', () => {
  for (const remove of removals) {
    try {
      remove();
    } catch {
      // killed only now: its processes are still in it
    }
  }
});

/** Throws Missing without cgroups that this user may make. Sources: cgroup-v1/cpuacct.rst, cgroup-v2.rst (cpu.stat). */
export function makeCpuacct(name: string): Cpuacct {
  const v1 = V1.find((folder) => existsSync(join(folder, 'cpuacct.usage')));
  const isV2 = v1 === undefined && existsSync(join(V2, 'cgroup.controllers'));
  if (v1 === undefined && !isV2) throw new Missing('no cgroup hierarchy that counts CPU time under /sys/fs/cgroup');
  const folder = join(v1 ?? V2, `exporterd-bench-${process.pid}-${name}`);
  try {
    mkdirSync(folder);
  } catch (error) {
    throw new Missing(`a control group cannot be made (the CPU bench needs root): ${String(error)}`);
  }
  const text = (file: string): string => readFileSync(join(folder, file), 'latin1');
  const remove = (): void => {
    if (existsSync(folder)) rmdirSync(folder);
  };
  removals.push(remove);
  return {
    procs: join(folder, 'cgroup.procs'),
    read: isV2 ? () => Number(/^usage_usec (\d+)/m.exec(text('cpu.stat'))?.[1]) * 1000 : () => Number(text('cpuacct.usage')),
    remove,
  };
}
