import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Bench, samples } from './harness.ts';
import { detectLayout } from './layout.ts';

/**
 * Against the kernel itself: the v2 tree, which a machine of the hybrid layout has too, taken for the whole of /sys/fs/cgroup.
 * It may have no controllers there: what every cgroup has without one (processes, CPU time, pressure) is looked at.
 */
const { unified } = detectLayout({ procfs: '/proc', sysfs: '/sys' });
const PARENT = `/exporterd-test-v2-${process.pid}`;
const sysfs = mkdtempSync(join(tmpdir(), 'exporterd-v2-'));
const ROOTS = { procfs: '/proc', sysfs, rootfs: '', udevData: '' };

function obstacle(): string | false {
  if (unified === '') return 'no v2 tree is mounted';
  try {
    mkdirSync(unified + PARENT);
    mkdirSync(`${sysfs}/fs`);
    symlinkSync(unified, `${sysfs}/fs/cgroup`);
    return false;
  } catch (error) {
    return `cgroups may not be made here: ${(error as NodeJS.ErrnoException).code}`;
  }
}

const skip = obstacle();
if (skip !== false) rmSync(sysfs, { recursive: true });
const children: ChildProcess[] = [];

/** A process of one thread that sleeps. */
async function sleeper(): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  children.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  return child as ChildProcess & { readonly pid: number };
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** A cgroup whose last process was just reaped may stay busy for a moment. */
async function unmakeSoon(id: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return rmdirSync(unified + PARENT + id);
    } catch (error) {
      if (attempt > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function descriptorsBelow(id: string): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`).includes(PARENT + id)) count += 1;
    } catch {
      // Closed meanwhile: the descriptor of the listing itself.
    }
  }
  return count;
}

const own = (family: string, id: string): string => `${family}{id="${PARENT}${id}"}`;

describe('container: real v2 cgroups', { skip }, () => {
  after(async () => {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) await end(child);
    for (const entry of readdirSync(unified + PARENT, { withFileTypes: true })) if (entry.isDirectory()) await unmakeSoon(`/${entry.name}`);
    await unmakeSoon('');
    rmSync(sysfs, { recursive: true });
  });

  test('come and go from one page to the next, and leave no descriptor', async () => {
    const bench = new Bench(ROOTS, ['process', 'cpu']);
    const shown = (): boolean => {
      bench.page('cpu');
      return samples(bench.page('process')).has(own('container_processes', '/brief'));
    };
    assert.equal(shown(), false);
    mkdirSync(`${unified + PARENT}/brief`);
    assert.equal(shown(), true);
    assert.ok(descriptorsBelow('/brief') > 0);
    const child = await sleeper();
    writeFileSync(`${unified + PARENT}/brief/cgroup.procs`, String(child.pid));
    assert.equal(samples(bench.page('process')).get(own('container_processes', '/brief')), 1);
    const usage = Number(/^usage_usec (\d+)$/m.exec(readFileSync(`${unified + PARENT}/brief/cpu.stat`, 'utf8'))?.[1]) / 1e6;
    const used = samples(bench.page('cpu')).get(`container_cpu_usage_seconds_total{cpu="total",id="${PARENT}/brief"}`) ?? 0;
    assert.ok(used >= usage, `${used} is not less than ${usage} was`);
    await end(child);
    await unmakeSoon('/brief');
    assert.equal(shown(), false);
    assert.equal(descriptorsBelow('/brief'), 0);
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
  });

  test('a threaded cgroup, whose cgroup.procs cannot be read, has threads and no processes; nothing is said of it', async () => {
    mkdirSync(`${unified + PARENT}/domain/threaded`, { recursive: true });
    const child = await sleeper();
    writeFileSync(`${unified + PARENT}/domain/cgroup.procs`, String(child.pid));
    writeFileSync(`${unified + PARENT}/domain/threaded/cgroup.type`, 'threaded');
    writeFileSync(`${unified + PARENT}/domain/threaded/cgroup.threads`, String(child.pid));
    assert.throws(() => readFileSync(`${unified + PARENT}/domain/threaded/cgroup.procs`), { code: 'ENOTSUP' });
    const bench = new Bench(ROOTS, ['process', 'pressure']);
    const found = samples(bench.page('process'));
    assert.equal(found.get(own('container_processes', '/domain/threaded')), 0);
    assert.equal(found.get(own('container_threads', '/domain/threaded')), 1);
    assert.equal(found.get(own('container_processes', '/domain')), 1);
    assert.ok(samples(bench.page('pressure')).has(own('container_pressure_cpu_waiting_seconds_total', '/domain/threaded')));
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
    await end(child);
    await unmakeSoon('/domain/threaded');
    await unmakeSoon('/domain');
  });
});
