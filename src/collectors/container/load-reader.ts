import { closeSync, openSync } from 'node:fs';
import { type Readers, ReaderError } from '../../readers/readers.ts';
import { CollectError } from '../../collect/contract.ts';
import { Columns } from './columns.ts';
import { CPU_LOAD } from './families.ts';
import type { GroupSpec } from './group.ts';
import type { Layout } from './layout.ts';
import type { Cgroup } from './tree.ts';

/** States of container_tasks_state, in the peer's words and in the order of the kernel's struct cgroupstats. */
const STATES = ['sleeping', 'running', 'stopped', 'uninterruptible', 'iowaiting'];
const RUNNING = 1;
const UNINTERRUPTIBLE = 3;
/** Seconds over which loads are smoothed. */
const WINDOW = 10;

/** include/uapi/linux/netlink.h, genetlink.h, cgroupstats.h */
const NETLINK_GENERIC = 16;
const NLM_F_REQUEST = 1;
const HEADER_BYTES = 16;
const GENERIC_BYTES = 4;
const ATTRIBUTE_BYTES = 4;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const CGROUPSTATS_CMD_GET = 4;
const CGROUPSTATS_CMD_ATTR_FD = 1;
const CGROUPSTATS_TYPE_CGROUP_STATS = 1;

function loadColumns(): Columns<string> {
  const columns = new Columns<string>().add('load', CPU_LOAD.load).add('loadD', CPU_LOAD.loadD);
  for (const state of STATES.toSorted()) columns.add(state, CPU_LOAD.tasks, { state });
  return columns;
}

/** 0 throughout, as the peer has it without its load reader. */
export function noLoadGroup(): GroupSpec {
  return { columns: loadColumns().list, files: [] };
}

/**
 * Tasks of a cgroup by state, and their smoothed numbers. Source: cgroupstats over netlink, asked with a descriptor of the
 * cgroup's directory in the v1 cpu hierarchy; the kernel answers for v1 only.
 */
export function loadGroup(layout: Layout, readers: Readers, monotonicMs: () => number): GroupSpec {
  const root = layout.controllers.get('cpu');
  if (root === undefined) return noLoadGroup();
  const columns = loadColumns();
  const states = STATES.map((state) => columns.at(state));
  const loads = new WeakMap<Cgroup, { readonly seconds: number; readonly load: number; readonly loadD: number }>();
  let family = 0;
  let seconds = 0;
  return {
    columns: columns.list,
    files: [],
    prepare() {
      seconds = monotonicMs() / 1000;
      if (family === 0) family = taskstatsFamily(readers);
    },
    derive(row, cgroup) {
      const counts = tasksOf(readers, family, root + cgroup.id);
      if (counts === undefined) return;
      for (const [i, column] of states.entries()) row[column] = counts[i] as number;
      const [running, blocked] = [counts[RUNNING] as number, counts[UNINTERRUPTIBLE] as number];
      const before = loads.get(cgroup);
      // The first look is the load so far.
      const decay = before === undefined ? 0 : Math.exp((before.seconds - seconds) / WINDOW);
      const load = (before?.load ?? 0) * decay + running * (1 - decay);
      const loadD = (before?.loadD ?? 0) * decay + blocked * (1 - decay);
      loads.set(cgroup, { seconds, load, loadD });
      row[columns.at('load')] = Math.trunc(load * 1000);
      row[columns.at('loadD')] = Math.trunc(loadD * 1000);
    },
  };
}

/** Numbers of messages are in the order of the machine's own bytes, which typed arrays share. */
function bytesOf(words: Uint16Array | Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}

function question(family: number, command: number, type: number, value: Uint8Array): Buffer {
  const attribute = Buffer.concat([bytesOf(new Uint16Array([ATTRIBUTE_BYTES + value.length, type])), value, Buffer.alloc(-value.length & 3)]);
  const length = HEADER_BYTES + GENERIC_BYTES + attribute.length;
  const header = [bytesOf(new Uint32Array([length])), bytesOf(new Uint16Array([family, NLM_F_REQUEST])), bytesOf(new Uint32Array([1, 0]))];
  return Buffer.concat([...header, Buffer.from([command, 1, 0, 0]), attribute]);
}

/** The attribute of one kind in a generic answer; undefined without. */
function attributeOf(answer: Buffer, wanted: number): Buffer | undefined {
  for (let at = HEADER_BYTES + GENERIC_BYTES; at + ATTRIBUTE_BYTES <= answer.length; ) {
    const [length = 0, type = 0] = new Uint16Array(answer.buffer.slice(answer.byteOffset + at, answer.byteOffset + at + ATTRIBUTE_BYTES));
    if (length < ATTRIBUTE_BYTES) return undefined;
    if (type === wanted) return answer.subarray(at + ATTRIBUTE_BYTES, at + length);
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** Throws CollectError on a kernel without task statistics, and without the native readers. */
function taskstatsFamily(readers: Readers): number {
  const place = 'netlink taskstats';
  let answer: Buffer | undefined;
  try {
    answer = readers.netlink(NETLINK_GENERIC, question(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, Buffer.from('TASKSTATS\0')));
  } catch (cause) {
    throw new CollectError('read', place, 'the kernel has no task statistics, or does not give them', cause);
  }
  const id = answer === undefined ? undefined : attributeOf(answer, CTRL_ATTR_FAMILY_ID);
  if (id === undefined || id.length < 2) throw new CollectError('read', place, 'the native readers are needed to ask the kernel');
  return new Uint16Array(id.buffer.slice(id.byteOffset, id.byteOffset + 2))[0] ?? 0;
}

/** Tasks by state; undefined for a cgroup that is going. */
function tasksOf(readers: Readers, family: number, directory: string): number[] | undefined {
  let descriptor = -1;
  try {
    descriptor = openSync(directory, 'r');
    const asked = question(family, CGROUPSTATS_CMD_GET, CGROUPSTATS_CMD_ATTR_FD, bytesOf(new Uint32Array([descriptor])));
    const answer = readers.netlink(NETLINK_GENERIC, asked);
    const stats = answer === undefined ? undefined : attributeOf(answer, CGROUPSTATS_TYPE_CGROUP_STATS);
    if (stats === undefined || stats.length < STATES.length * 8) return undefined;
    return [...new BigUint64Array(stats.buffer.slice(stats.byteOffset, stats.byteOffset + STATES.length * 8))].map(Number);
  } catch (error) {
    if (error instanceof ReaderError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
    throw error;
  } finally {
    if (descriptor >= 0) closeSync(descriptor);
  }
}
