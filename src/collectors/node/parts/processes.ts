import { readdirSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { CollectError, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { family } from '../../../model/family.ts';
import type { Readers, SourceSet, Token } from '../../../readers/readers.ts';
import { ReaderError } from '../../../readers/readers.ts';
import { errnoOf, isMissing, parseProblem, readProblem } from '../file-error.ts';
import type { NodePart } from '../part.ts';

const PIDS = family('node_processes_pids', 'gauge', 'Processes, their threads not counted.');
const STATE = family(
  'node_processes_state',
  'gauge',
  'Processes by state: R runs, S sleeps, D waits, Z has ended, ... States without a process are left out.',
  ['state'],
);
const THREADS = family('node_processes_threads', 'gauge', 'Threads of all processes.');
const THREAD_STATE = family('node_processes_threads_state', 'gauge', 'Threads by state; states without a thread are left out.', ['thread_state']);
const MOST_THREADS = family('node_processes_max_threads', 'gauge', 'Threads that the kernel allows.');
const MOST_PIDS = family('node_processes_max_processes', 'gauge', 'Highest number of a process plus one.');

const ENOENT = 2;
const ESRCH = 3;
/** Words behind the state of a process up to the number of its threads (proc_pid_stat(5), fields 3 and 20). */
const WORDS_TO_THREADS = 17;

interface Task {
  readonly path: string;
  number: number;
  state: string;
  /** Ordinal of the number of threads. */
  threadsAt: number;
}

/** State and number of threads stand behind the name, which is in parentheses and may hold anything. */
function parseStat(path: string, rows: readonly (readonly Token[])[]): { state: string; threadsAt: number } {
  const words = rows.flat();
  const close = words.findLastIndex(({ text }) => text.includes(')'));
  const state = words[close + 1];
  const threads = words[close + 1 + WORDS_TO_THREADS];
  if (close < 0 || state === undefined || threads === undefined || threads.at < 0) throw parseProblem(path, 1, '"PID (NAME) STATE ..." and 49 numbers');
  return { state: state.text, threadsAt: threads.at };
}

/** stat files of processes or threads that come and go, read by one call. */
class Tasks {
  readonly #set: SourceSet;
  #tasks = new Map<string, Task>();

  constructor(readers: Readers) {
    this.#set = readers.set({ reopen: true });
  }

  follow(paths: readonly string[]): void {
    const before = this.#tasks;
    this.#tasks = new Map();
    for (const path of paths) this.#tasks.set(path, before.get(path) ?? { path, number: this.#set.add(path), state: '', threadsAt: -1 });
    for (const [path, task] of before) if (!this.#tasks.has(path)) this.#set.remove(task.number);
  }

  /** Those that are still there. Throws CollectError for one that cannot be read or understood. */
  *scan(): Generator<{ readonly path: string; readonly state: string; readonly threads: number }> {
    const set = this.#set;
    set.scan();
    for (const task of this.#tasks.values()) {
      const status = set.status[task.number] ?? -ENOENT;
      if (status === -ENOENT || status === -ESRCH) {
        task.state = '';
        continue;
      }
      if (status < 0) throw new CollectError('read', task.path, getSystemErrorName(status));
      if ((status === 1 || task.state === '') && !this.#look(task)) continue;
      yield { path: task.path, state: task.state, threads: set.numbers[(set.start[task.number] ?? 0) + task.threadsAt] ?? 0 };
    }
  }

  close(): void {
    this.#set.close();
  }

  /** False when it has ended meanwhile. */
  #look(task: Task): boolean {
    try {
      Object.assign(task, parseStat(task.path, this.#set.rows(task.number)));
      return true;
    } catch (error) {
      task.state = '';
      if (!(error instanceof ReaderError)) throw error;
      if (isMissing(error) || error.code === 'ESRCH') return false;
      throw readProblem(task.path, error);
    }
  }
}

/** Numbers among the names of a folder; none when it is gone. Throws CollectError `read`. */
function numbersIn(folder: string, mayBeGone: boolean): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[0-9]+$/.test(name));
  } catch (error) {
    if (mayBeGone && (isMissing(error) || errnoOf(error) === 'ESRCH')) return [];
    throw readProblem(folder, error);
  }
}

class Counts {
  readonly #counts = new Map<string, number>();

  add(state: string): void {
    this.#counts.set(state, (this.#counts.get(state) ?? 0) + 1);
  }

  [Symbol.iterator](): IterableIterator<[string, number]> {
    return this.#counts.entries();
  }
}

/**
 * /proc/PID/stat of every process and, where one has several threads, /proc/PID/task/TID/stat of each:
 * `1 (systemd) S 0 1 1 0 -1 4194560 ...`. The cost grows with the number of threads.
 */
export const part: NodePart = {
  name: 'processes',
  enabledByDefault: false,
  families: [PIDS, STATE, THREADS, THREAD_STATE, MOST_THREADS, MOST_PIDS],
  open(scope) {
    const processes = new Tasks(scope.readers);
    const others = new Tasks(scope.readers);
    const mostThreads = scope.source(scope.proc('sys/kernel/threads-max'));
    const mostPids = scope.source(scope.proc('sys/kernel/pid_max'));

    const count = (sheet: Sheet): { pids: number } => {
      const states = new Counts();
      const threadStates = new Counts();
      let pids = 0;
      let threads = 0;
      const threadPaths: string[] = [];
      processes.follow(numbersIn(scope.roots.procfs, false).map((pid) => scope.proc(`${pid}/stat`)));
      for (const process of processes.scan()) {
        pids += 1;
        threads += process.threads;
        states.add(process.state);
        threadStates.add(process.state);
        if (process.threads === 1) continue;
        const folder = process.path.slice(0, -'/stat'.length);
        const own = folder.slice(folder.lastIndexOf('/') + 1);
        for (const thread of numbersIn(`${folder}/task`, true)) if (thread !== own) threadPaths.push(`${folder}/task/${thread}/stat`);
      }
      others.follow(threadPaths);
      for (const thread of others.scan()) threadStates.add(thread.state);
      sheet.sample(THREADS, [], threads);
      for (const [state, number] of states) sheet.sample(STATE, [state], number);
      for (const [state, number] of threadStates) sheet.sample(THREAD_STATE, [state], number);
      return { pids };
    };

    return {
      collect(sheet) {
        const { pids } = count(sheet);
        if (mostThreads.scan() === 'absent') return scope.missing(mostThreads);
        sheet.sample(MOST_THREADS, [], mostThreads.numbers[0] ?? 0);
        if (mostPids.scan() === 'absent') return scope.missing(mostPids);
        sheet.sample(PIDS, [], pids);
        sheet.sample(MOST_PIDS, [], mostPids.numbers[0] ?? 0);
        return OK;
      },
      close() {
        processes.close();
        others.close();
        mostThreads.close();
        mostPids.close();
      },
    };
  },
};
