/** CPU time of programs that are scraped once a second, read from control groups of their own. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import type { Agent } from 'node:http';
import type { Cpuacct } from './cpuacct.ts';
import type { Program } from './program.ts';
import { everyPeriod, fetchRaw, keptConnection, sleepUntil } from './scrape.ts';
import { mean, median } from './statistics.ts';
import { type Thread, threadCosts, threadsOf } from './threads.ts';

export const PERIOD_MS = 1000;

/** How many scrapes count, and how many before them do not. */
export interface Rounds {
  readonly warmup: number;
  readonly cycles: number;
}

/** A program under measurement; without a URL it runs by its own timer, once a second. */
export interface Subject {
  readonly name: string;
  readonly program: Program;
  readonly group: Cpuacct;
  readonly url?: string;
}

export interface Cost {
  /** Milliseconds a cycle; `middle` is the median over cycles. */
  readonly total: number;
  readonly middle: number;
  /** Scrapes whose body was another than that of the scrape before. */
  readonly fresh: number;
  /** CPU of all measured cycles, nanoseconds. */
  readonly threads: readonly Thread[];
}

export const NOTHING: Cost = { total: Number.NaN, middle: Number.NaN, fresh: 0, threads: [] };

/** Scrapes all of them at the same time, a second apart each. */
export async function measure(subjects: readonly Subject[], rounds: Rounds): Promise<Map<string, Cost>> {
  // Spread over the second, so that no two wake each other.
  const costs = await Promise.all(
    subjects.map(async (subject, i): Promise<[string, Cost]> => {
      await sleepUntil(performance.now() + (i * PERIOD_MS) / subjects.length);
      return [subject.name, await measureOne(subject, rounds)];
    }),
  );
  return new Map(costs);
}

async function measureOne({ program, group, url }: Subject, { warmup, cycles }: Rounds): Promise<Cost> {
  const agent: Agent = keptConnection();
  const readings: number[] = [];
  let threads: Thread[] = [];
  let fresh = 0;
  let last: Buffer = Buffer.alloc(0);
  await everyPeriod(PERIOD_MS, warmup + cycles + 1, async (round) => {
    // Read before the scrape: a cycle lasts from one scrape to the next, its collection included.
    if (round === warmup) threads = threadsOf(program.pid);
    if (round >= warmup) readings.push(group.read());
    if (url === undefined || round === warmup + cycles) return;
    const { status, body } = await fetchRaw(url, 'gzip', agent);
    if (status !== 200) throw new Error(`${url}: status ${status}`);
    // The time of the day changes with each answer; two kilobytes in, other collectors differ too.
    if (round >= warmup && distance(last, body) > 40) fresh += 1;
    last = body;
  });
  const spent = threadCosts(program.pid, threads);
  agent.destroy();
  const steps = readings.slice(1).map((reading, i) => (reading - (readings[i] as number)) / 1e6);
  return { total: mean(steps), middle: median(steps), fresh, threads: spent };
}

/** Bytes in which two bodies differ: a replaced time is its digits and the checksum, a new page differs everywhere. */
function distance(a: Buffer, b: Buffer): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count += 1;
  return count;
}

/** Kernel files a process has open. */
export function keptFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      const target = readlinkSync(`${folder}/${name}`);
      // Those of other processes may be gone the next moment, and folders cannot be read.
      return /^\/(proc|sys)\/(?!\d)/.test(target) && statSync(target).isFile() ? [target] : [];
    } catch {
      return []; // closed meanwhile
    }
  });
}
