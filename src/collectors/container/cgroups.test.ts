import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { Bench, samples } from './harness.ts';
import { detectLayout } from './layout.ts';

/** Against the kernel itself: v1 cgroups made, filled and removed below a parent of our own. */
const ROOTS = { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '' };
const CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'pids'];
const PARENT = `/exporterd-test-${process.pid}`;
const layout = detectLayout(ROOTS);
/** The distinct hierarchies, as directories of our parent. */
const parents = [...new Set(CONTROLLERS.map((controller) => layout.controllers.get(controller)))]
  .filter((root) => root !== undefined)
  .map((root) => root + PARENT);

function obstacle(): string | false {
  if (layout.kind !== 'legacy' && layout.kind !== 'hybrid') return `this machine's cgroups are ${layout.kind}, not v1`;
  if (CONTROLLERS.some((controller) => !layout.controllers.has(controller))) return `not every one of ${CONTROLLERS.join(', ')} is mounted`;
  try {
    for (const path of parents) mkdirSync(path);
    return false;
  } catch (error) {
    return `cgroups may not be made here: ${(error as NodeJS.ErrnoException).code}`;
  }
}

const skip = obstacle();
const children: ChildProcess[] = [];

function make(id: string): void {
  for (const parent of parents) mkdirSync(parent + id, { recursive: true });
}

function unmake(id: string): void {
  for (const parent of parents) if (existsSync(parent + id)) rmdirSync(parent + id);
}

/**
 * Starts a process inside the cgroup; resolves once it has printed. It enters before it becomes the program: memory stays
 * charged to where it was first touched, so one that is moved later may have all of it elsewhere.
 */
async function inhabit(id: string, script: string): Promise<ChildProcess> {
  const enter = parents.map((parent) => `echo $$ > ${parent}${id}/cgroup.procs`);
  const program = `${script};console.log('ready');setInterval(()=>{},1e6)`;
  const child = spawn('/bin/sh', ['-c', `${enter.join(' && ')} && exec "$0" -e "$1"`, process.execPath, program], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child;
}

/** Stops a process: its numbers stand still from then on, however long the readings take. */
async function halt(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  while (!/\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'))) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

function number(controller: string, id: string, file: string): number {
  return Number(readFileSync(`${layout.controllers.get(controller)}${PARENT}${id}/${file}`, 'utf8'));
}

/** A cgroup whose last process was just reaped may stay busy for a moment. */
async function unmakeSoon(id: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return unmake(id);
    } catch (error) {
      if (attempt > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

describe('container: real v1 cgroups', { skip }, () => {
  after(async () => {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) await end(child);
    for (const parent of parents) for (const name of readdirSync(parent, { withFileTypes: true })) if (name.isDirectory()) await unmakeSoon(`/${name.name}`);
    await unmakeSoon('');
  });

  test('processes are counted in each run, however soon it comes', async () => {
    make('/crowd');
    const bench = new Bench(ROOTS, ['process']);
    const shown = (): number | undefined => samples(bench.page('process')).get(`container_processes{id="${PARENT}/crowd"}`);
    const counts = [shown()];
    for (let count = 1; count <= 3; count++) {
      await inhabit('/crowd', '');
      counts.push(shown());
    }
    assert.deepEqual(counts, [0, 1, 2, 3]);
    bench.session.close();
  });

  test('numbers of a cgroup with a process lie between two readings of its files', async () => {
    make('/busy');
    await halt(await inhabit('/busy', 'const block=Buffer.alloc(32<<20,1);while(process.cpuUsage().user<300e3);globalThis.block=block'));
    const id = `${PARENT}/busy`;
    const bench = new Bench(ROOTS, ['cpu', 'memory', 'process', 'spec']);
    const cpu = () => number('cpuacct', '/busy', 'cpuacct.usage') / 1e9;
    const memory = () => number('memory', '/busy', 'memory.usage_in_bytes');
    for (let round = 0; round < 3; round++) {
      const [cpuBefore, memoryBefore] = [cpu(), memory()];
      const found = new Map([
        ...samples(bench.page('cpu')),
        ...samples(bench.page('memory')),
        ...samples(bench.page('process')),
        ...samples(bench.page('spec')),
      ]);
      const [cpuAfter, memoryAfter] = [cpu(), memory()];
      let used = 0;
      for (const [series, value] of found) if (series.startsWith('container_cpu_usage_seconds_total{') && series.includes(`id="${id}"`)) used += value;
      assert.ok(used >= cpuBefore - 1e-6 && used <= cpuAfter + 1e-6, `${cpuBefore} <= ${used} <= ${cpuAfter}`);
      assert.ok(used > 0.2, 'the process has worked');
      const usage = found.get(`container_memory_usage_bytes{id="${id}"}`) ?? -1;
      const slack = 4 << 20; // Charges are batched per CPU, and the kernel may take memory back.
      assert.ok(
        usage >= Math.min(memoryBefore, memoryAfter) - slack && usage <= Math.max(memoryBefore, memoryAfter) + slack,
        `${memoryBefore} ${usage} ${memoryAfter}`,
      );
      const rss = found.get(`container_memory_rss{id="${id}"}`) ?? 0;
      assert.ok(rss >= 32 << 20, `anonymous memory ${rss}`);
      const working = found.get(`container_memory_working_set_bytes{id="${id}"}`);
      assert.equal(working, Math.max(0, usage - (found.get(`container_memory_total_inactive_file_bytes{id="${id}"}`) ?? 0)));
      assert.equal(found.get(`container_processes{id="${id}"}`), 1);
      assert.equal(found.get(`container_threads{id="${id}"}`), number('pids', '/busy', 'pids.current'));
      assert.equal(found.get(`container_spec_cpu_period{id="${id}"}`), number('cpu', '/busy', 'cpu.cfs_period_us'));
      assert.equal(found.has(`container_cpu_cfs_periods_total{id="${id}"}`), false, 'no quota, no throttling series');
    }
    bench.session.close();
  });

  test('tasks by state as the kernel counts them, pages that processes touch, and time on the CPU', async () => {
    make('/watched');
    const child = await inhabit('/watched', 'const block=Buffer.alloc(16<<20,1);globalThis.block=block');
    await halt(child);
    const id = `${PARENT}/watched`;
    const bench = new Bench(ROOTS, ['cpuLoad', 'referenced_memory', 'sched'], { enable_load_reader: true, referenced_reset_interval: 2 });
    const state = (found: Map<string, number>, name: string) => found.get(`container_tasks_state{id="${id}",state="${name}"}`);
    const load = samples(bench.page('cpuLoad'));
    const tasks = readFileSync(`${layout.controllers.get('cpu')}${id}/tasks`, 'latin1')
      .trim()
      .split('\n').length;
    assert.equal(state(load, 'stopped'), tasks);
    assert.equal(state(load, 'running'), 0);
    assert.equal(load.get(`container_cpu_load_average_10s{id="${id}"}`), 0);
    child.kill('SIGCONT');
    const deadline = process.uptime() + 10;
    let awake = load;
    while (state(awake, 'stopped') !== 0 && process.uptime() < deadline) awake = samples(bench.page('cpuLoad'));
    assert.equal(state(awake, 'stopped'), 0);
    await halt(child);
    const referenced = () => samples(bench.page('referenced_memory')).get(`container_referenced_bytes{id="${id}"}`) ?? -1;
    assert.ok(referenced() > 16 << 20);
    assert.ok(referenced() > 16 << 20, 'forgotten after the second run');
    const after = referenced();
    assert.ok(after < 16 << 20, `a process that stands still touches nothing: ${after}`);
    const ran = samples(bench.page('sched')).get(`container_cpu_schedstat_run_seconds_total{id="${id}"}`) ?? 0;
    assert.ok(ran > 0.001 && ran < 60, `${ran}`);
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
    await end(child);
    await unmakeSoon('/watched');
  });

  test('a quota brings the throttling series, a limit the specification', async () => {
    make('/limited');
    writeFileSync(`${layout.controllers.get('cpu')}${PARENT}/limited/cpu.cfs_quota_us`, '20000');
    writeFileSync(`${layout.controllers.get('memory')}${PARENT}/limited/memory.limit_in_bytes`, String(256 << 20));
    await inhabit('/limited', 'while(process.cpuUsage().user<200e3)');
    const bench = new Bench(ROOTS, ['cpu', 'spec']);
    const id = `${PARENT}/limited`;
    const found = new Map([...samples(bench.page('cpu')), ...samples(bench.page('spec'))]);
    assert.ok((found.get(`container_cpu_cfs_throttled_periods_total{id="${id}"}`) ?? 0) > 0);
    assert.ok((found.get(`container_cpu_cfs_throttled_seconds_total{id="${id}"}`) ?? 0) > 0.05);
    assert.equal(found.get(`container_spec_cpu_quota{id="${id}"}`), 20000);
    assert.equal(found.get(`container_spec_memory_limit_bytes{id="${id}"}`), 256 << 20);
    bench.session.close();
  });

  test('a quota that comes and goes while we look takes its series along', () => {
    make('/throttled');
    const quota = (value: string) => writeFileSync(`${layout.controllers.get('cpu')}${PARENT}/throttled/cpu.cfs_quota_us`, value);
    const bench = new Bench(ROOTS, ['cpu', 'spec']);
    const id = `${PARENT}/throttled`;
    const shown = () => [
      samples(bench.page('cpu')).get(`container_cpu_cfs_periods_total{id="${id}"}`),
      samples(bench.page('spec')).get(`container_spec_cpu_quota{id="${id}"}`),
    ];
    assert.deepEqual(shown(), [undefined, undefined]);
    quota('30000');
    assert.deepEqual(shown(), [0, 30000]);
    quota('-1');
    assert.deepEqual(shown(), [undefined, undefined]);
    bench.session.close();
    unmake('/throttled');
  });

  test('a process killed for lack of memory is counted by the next page', async () => {
    make('/small');
    make('/other');
    writeFileSync(`${layout.controllers.get('memory')}${PARENT}/small/memory.limit_in_bytes`, String(24 << 20));
    const bench = new Bench(ROOTS, ['oom_event']);
    const kills = (name: string) => samples(bench.page('oom_event')).get(`container_oom_events_total{id="${PARENT}/${name}"}`);
    assert.equal(kills('small'), 0);
    assert.equal(kills('other'), 0);
    const enter = parents.map((parent) => `echo $$ > ${parent}/small/cgroup.procs`).join(' && ');
    const eater = spawn('/bin/sh', ['-c', `${enter} && exec tail /dev/zero`], { stdio: 'ignore' });
    children.push(eater);
    await new Promise((resolve) => eater.once('exit', resolve));
    assert.equal(eater.signalCode, 'SIGKILL');
    assert.equal(kills('small'), 1);
    assert.equal(kills('other'), 0);
    bench.session.close();
    await unmakeSoon('/small');
    await unmakeSoon('/other');
  });

  test('a removed cgroup is gone from the very next page although its files were kept open; a remade one counts from zero', async () => {
    make('/brief');
    const child = await inhabit('/brief', '');
    const bench = new Bench(ROOTS, ['memory', 'cpu']);
    const series = `container_memory_usage_bytes{id="${PARENT}/brief"}`;
    const spent = `container_cpu_user_seconds_total{id="${PARENT}/brief"}`;
    assert.ok((samples(bench.page('memory')).get(series) ?? 0) > 0);
    assert.ok(samples(bench.page('cpu')).has(spent));
    await end(child);
    await unmakeSoon('/brief');
    assert.equal(samples(bench.page('memory')).has(series), false);
    assert.equal(samples(bench.page('cpu')).has(spent), false);
    make('/brief');
    bench.page('memory');
    unmake('/brief');
    make('/brief');
    assert.equal(samples(bench.page('cpu')).get(spent), 0);
    assert.ok((samples(bench.page('memory')).get(series) ?? -1) >= 0);
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
  });

  test('one goes and another comes in its place between two pages: the new one is on the next', () => {
    const bench = new Bench(ROOTS, ['memory', 'cpu']);
    make('/swap0');
    bench.page('memory');
    bench.page('cpu');
    for (let i = 1; i <= 20; i++) {
      unmake(`/swap${i - 1}`);
      make(`/swap${i}`);
      const found = new Map([...samples(bench.page('memory')), ...samples(bench.page('cpu'))]);
      for (const family of ['container_memory_rss', 'container_cpu_user_seconds_total']) {
        assert.ok(found.has(`${family}{id="${PARENT}/swap${i}"}`), `${family} of swap${i}`);
        assert.equal(found.has(`${family}{id="${PARENT}/swap${i - 1}"}`), false, `${family} of swap${i - 1}`);
      }
    }
    unmake('/swap20');
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
  });

  test('removed between refresh and read: dropped quietly, the others stay', () => {
    make('/doomed');
    const bench = new Bench(ROOTS, ['memory', 'cpu']);
    bench.page('memory');
    bench.page('cpu');
    // The cpu part shares the refresh of the memory part: no time passes.
    bench.monotonicMs += 1000;
    bench.run('memory');
    unmake('/doomed');
    bench.run('cpu');
    const found = samples(bench.sheet('cpu').text());
    assert.equal(found.has(`container_cpu_user_seconds_total{id="${PARENT}/doomed"}`), false);
    assert.ok(found.has('container_cpu_user_seconds_total{id="/"}'));
    assert.deepEqual(bench.warnings, []);
    bench.session.close();
  });

  test('200 cgroups made and removed leave no descriptor and no series', () => {
    const parts = ['memory', 'cpu', 'process', 'spec', 'base', 'oom_event'];
    const bench = new Bench(ROOTS, parts);
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const round = () => {
      for (const part of parts) bench.page(part);
      return parts.reduce((sum, part) => sum + bench.sheet(part).known, 0);
    };
    const seriesBefore = round();
    const before = descriptors();
    for (let i = 0; i < 200; i++) make(`/churn${i}`);
    assert.ok(round() > seriesBefore + 200 * 30);
    assert.ok(descriptors() > before + 200);
    for (let i = 0; i < 200; i++) unmake(`/churn${i}`);
    // Other cgroups of the machine may come and go meanwhile: a few series and files each, not two hundred's worth.
    assert.ok(Math.abs(round() - seriesBefore) < 1000, `${round()} series, ${seriesBefore} before`);
    assert.ok(Math.abs(descriptors() - before) < 100, `${descriptors()} descriptors, ${before} before`);
    bench.session.close();
  });
});
