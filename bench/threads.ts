import { readdirSync, readFileSync } from 'node:fs';

/** A thread of a process: its name and the CPU time it has used, nanoseconds. */
export interface Thread {
  readonly tid: number;
  readonly name: string;
  readonly cpu: number;
}

/** /proc/PID/task: comm and schedstat (first number: nanoseconds on a processor). */
export function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
      const folder = `/proc/${pid}/task/${tid}`;
      return [
        { tid: Number(tid), name: readFileSync(`${folder}/comm`, 'utf8').trim(), cpu: Number(readFileSync(`${folder}/schedstat`, 'latin1').split(' ', 1)[0]) },
      ];
    } catch {
      return []; // ended meanwhile
    }
  });
}

/** CPU time of each thread since `before`, nanoseconds, greatest first. The main thread is called main. */
export function threadCosts(pid: number, before: readonly Thread[]): Thread[] {
  const then = new Map(before.map(({ tid, cpu }) => [tid, cpu]));
  return threadsOf(pid)
    .map(({ tid, name, cpu }) => ({ tid, name: tid === pid ? 'main' : name, cpu: cpu - (then.get(tid) ?? 0) }))
    .sort((a, b) => b.cpu - a.cpu);
}
