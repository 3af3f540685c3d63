import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { columnsOf, Columns } from './columns.ts';
import { PROCESS_FILES, SCHED, TCP, UDP } from './families.ts';
import type { GroupSpec } from './group.ts';
import { ABSENT } from './row-rules.ts';
import type { Layout } from './layout.ts';
import { networkProcess } from './network.ts';
import type { Cgroup, Tree } from './tree.ts';

/**
 * Groups that look at every process of a cgroup, or into network namespaces. All are off by default, as with the peer: they
 * cost a system call or several for each process, descriptor or socket. A process that ends meanwhile is passed over.
 */

const NANOSECONDS = 1e9;

/** Descriptors and sockets of the processes of the cgroup itself, and the limit of the first of them. Sources: /proc/PID/fd, /proc/PID/limits. */
export function processFilesGroup(layout: Layout, procfs: string): GroupSpec {
  const columns = new Columns<string>()
    .add('descriptors', PROCESS_FILES.descriptors)
    .add('sockets', PROCESS_FILES.sockets)
    .add('ulimit', PROCESS_FILES.ulimits, { ulimit: 'max_open_files' });
  const [descriptors, sockets, ulimit] = [columns.at('descriptors'), columns.at('sockets'), columns.at('ulimit')];
  return {
    columns: columns.list,
    files: [],
    derive(row, cgroup) {
      const pids = processesOf(layout, cgroup);
      for (const pid of pids) {
        const folder = `${procfs}/${pid}/fd`;
        for (const name of list(folder)) {
          row[descriptors] = (row[descriptors] as number) + 1;
          if (isSocket(`${folder}/${name}`)) row[sockets] = (row[sockets] as number) + 1;
        }
      }
      const first = cgroup.id === '/' ? '1' : cgroup.identity === undefined ? undefined : pids[0];
      row[ulimit] = first === undefined ? ABSENT : openFilesLimit(textOf(`${procfs}/${first}/limits`));
    },
  };
}

/** `Max open files  1024  524288  files`: the soft limit; -1 when unlimited, ABSENT when the process is gone. */
function openFilesLimit(limits: string): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined ? ABSENT : soft === 'unlimited' ? -1 : Number(soft);
}

type Times = readonly [run: number, queue: number, periods: number];

/** Scheduler times of the processes in and below a cgroup; what ended ones had is kept. Source: /proc/PID/schedstat. */
export function schedGroup(tree: Tree, procfs: string): GroupSpec {
  const columns = columnsOf(SCHED);
  const [run, queue, periods] = [columns.at('runSeconds'), columns.at('queueSeconds'), columns.at('periods')];
  const states = new Map<Cgroup, SchedState>();
  return {
    columns: columns.list,
    files: [],
    prepare() {
      for (const cgroup of states.keys()) if (tree.cgroups[cgroup.index] !== cgroup) states.delete(cgroup);
      for (const cgroup of tree.cgroups) {
        if (cgroup === undefined) continue;
        for (const pid of processesOf(tree.layout, cgroup)) {
          const times = timesOf(textOf(`${procfs}/${pid}/schedstat`));
          if (times !== undefined) for (const above of withParents(tree, cgroup)) stateOf(states, above).see(pid, times);
        }
      }
      for (const state of states.values()) state.settle();
    },
    derive(row, cgroup) {
      const [ran, waited, slices] = states.get(cgroup)?.total() ?? [0, 0, 0];
      row[run] = ran / NANOSECONDS;
      row[queue] = waited / NANOSECONDS;
      row[periods] = slices;
    },
  };
}

/** What the processes of one cgroup have used, ended ones included. */
class SchedState {
  #live = new Map<string, Times>();
  #seen = new Map<string, Times>();
  readonly #ended = [0, 0, 0];

  see(pid: string, times: Times): void {
    const before = this.#live.get(pid);
    // Another process under the same number.
    if (before !== undefined && times[0] < before[0]) this.#end(before);
    this.#live.delete(pid);
    this.#seen.set(pid, times);
  }

  /** Ends a run: whoever was not seen is gone. */
  settle(): void {
    for (const times of this.#live.values()) this.#end(times);
    this.#live = this.#seen;
    this.#seen = new Map();
  }

  total(): Times {
    const sum = [...this.#ended];
    for (const times of this.#live.values()) for (let i = 0; i < 3; i++) sum[i] = (sum[i] as number) + (times[i] as number);
    return sum as unknown as Times; // Three elements, as #ended has.
  }

  #end(times: Times): void {
    for (let i = 0; i < 3; i++) this.#ended[i] = (this.#ended[i] as number) + (times[i] as number);
  }
}

function stateOf(states: Map<Cgroup, SchedState>, cgroup: Cgroup): SchedState {
  let state = states.get(cgroup);
  if (state === undefined) states.set(cgroup, (state = new SchedState()));
  return state;
}

function* withParents(tree: Tree, cgroup: Cgroup): Generator<Cgroup> {
  for (let { id } = cgroup; ; id = id.slice(0, Math.max(1, id.lastIndexOf('/')))) {
    const one = tree.get(id);
    if (one !== undefined) yield one;
    if (id === '/') return;
  }
}

/** `run-nanoseconds wait-nanoseconds slices` */
function timesOf(schedstat: string): Times | undefined {
  const [run, queue, periods] = schedstat.trim().split(' ').map(Number);
  return run === undefined || queue === undefined || periods === undefined || !Number.isFinite(run + queue + periods) ? undefined : [run, queue, periods];
}

/** By the code of the kernel's state, from 1 on (include/net/tcp_states.h). */
const TCP_STATES = ['established', 'synsent', 'synrecv', 'finwait1', 'finwait2', 'timewait', 'close', 'closewait', 'lastack', 'listen', 'closing'];
/** Half-open connections of a listener, which the kernel lists apart (TCP_NEW_SYN_RECV). */
const NEW_SYN_RECEIVED = 12;

/** Connections by state, of cgroups with a network namespace. Sources: /proc/PID/net/tcp and tcp6. */
export function tcpGroup(layout: Layout, procfs: string): GroupSpec {
  const columns = new Columns<string>();
  for (const [file, family] of [
    ['tcp', TCP.tcp],
    ['tcp6', TCP.tcp6],
  ] as const)
    for (const state of TCP_STATES) columns.add(`${file} ${state}`, family, { tcp_state: state });
  return networkSpec(layout, procfs, columns, ['tcp', 'tcp6'], (row, file, fields) => {
    const code = Number.parseInt(fields[3] ?? '', 16);
    const state = TCP_STATES[(code === NEW_SYN_RECEIVED ? 3 : code) - 1];
    if (state === undefined) return;
    const column = columns.at(`${file} ${state}`);
    row[column] = (row[column] as number) + 1;
  });
}

/** Columns of a line of net/udp; those of other kernels are only counted, as the peer does. */
const UDP_COLUMNS = 13;

/** Sockets, their queues and what was dropped. Sources: /proc/PID/net/udp and udp6; the kernel prints `tx_queue:rx_queue`. */
export function udpGroup(layout: Layout, procfs: string): GroupSpec {
  const columns = new Columns<string>();
  for (const [file, family] of [
    ['udp', UDP.udp],
    ['udp6', UDP.udp6],
  ] as const)
    for (const state of ['dropped', 'listen', 'rxqueued', 'txqueued']) columns.add(`${file} ${state}`, family, { udp_state: state });
  return networkSpec(layout, procfs, columns, ['udp', 'udp6'], (row, file, fields) => {
    const add = (state: string, value: number): void => {
      const column = columns.at(`${file} ${state}`);
      if (Number.isFinite(value)) row[column] = (row[column] as number) + value;
    };
    const [tx, rx] = (fields[4] ?? '').split(':');
    add('listen', 1);
    if (fields.length !== UDP_COLUMNS) return;
    add('txqueued', Number.parseInt(tx ?? '', 16));
    add('rxqueued', Number.parseInt(rx ?? '', 16));
    add('dropped', Number(fields[12] ?? Number.NaN));
  });
}

function networkSpec(
  layout: Layout,
  procfs: string,
  columns: Columns<string>,
  files: readonly string[],
  count: (row: Float64Array, file: string, fields: readonly string[]) => void,
): GroupSpec {
  return {
    columns: columns.list,
    files: [],
    derive(row, cgroup) {
      const pid = networkProcess(layout, cgroup);
      const isThere = pid !== 0 && files.map((file) => countLines(`${procfs}/${pid}/net/${file}`, (fields) => count(row, file, fields))).some(Boolean);
      if (!isThere) row.fill(ABSENT);
    },
  };
}

/** False when the file is not there. */
function countLines(path: string, count: (fields: readonly string[]) => void): boolean {
  const content = textOf(path);
  for (const line of content.split('\n').slice(1)) if (line !== '') count(line.trim().split(/\s+/));
  return content !== '';
}

/** v1: of the cpu hierarchy, as the peer. Empty for a cgroup that is going or threaded. */
export function processesOf(layout: Layout, { id }: Cgroup): string[] {
  const root = layout.kind === 'unified' ? layout.unified : (layout.controllers.get('cpu') ?? layout.controllers.get('memory') ?? '');
  return textOf(`${root}${id === '/' ? '' : id}/cgroup.procs`)
    .split('\n')
    .filter((pid) => pid !== '');
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket');
  } catch {
    return false; // Closed meanwhile.
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Ended, or another user's.
  }
}

/** '' for a process that ended, or another user's. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
