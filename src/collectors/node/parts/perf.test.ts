import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';
import { CollectError } from '../../../collect/contract.ts';
import { addonPath, nativeReaders } from '../../../readers/native.ts';
import type { PerfCounters, Readers } from '../../../readers/readers.ts';
import { referenceReaders } from '../../../readers/reference.ts';
import type { NodeOptions } from '../options.ts';
import { chosen, cpuList, part } from './perf.ts';

const ENOENT = 2;
const EACCES = 13;
const ENODEV = 19;

/** Hardware counters, which no machine of ours has: a mock whose counters stand still at type * 1000 + config, plus the CPU. */
function machine(refuse: (type: number, config: number, cpu: number) => number): {
  readers: Readers;
  opened: string[];
  isClosed: () => boolean;
  off: Set<number>;
} {
  const opened: string[] = [];
  const off = new Set<number>();
  let isClosed = false;
  const perf = (): PerfCounters => {
    const counters: number[] = [];
    const values = new Float64Array(1000);
    return {
      values,
      ratios: new Float64Array(0),
      add(type, config, cpu) {
        const errno = refuse(type, config, cpu);
        if (errno !== 0) return -errno;
        opened.push(`${type}:${config}@${cpu}`);
        return counters.push(type * 1000 + config + cpu) - 1;
      },
      read() {
        for (const [i, value] of counters.entries()) values[i] = off.has(i) ? Number.NaN : value;
      },
      close() {
        isClosed = true;
      },
    };
  };
  return { readers: Object.assign(Object.create(referenceReaders()) as Readers, { perf }), opened, isClosed: () => isClosed, off };
}

const everything = (_type: number, _config: number, _cpu: number): number => 0;

function run(context: TestContext, readers: Readers, options: NodeOptions[string], files: Record<string, string> = {}) {
  return partOn(context, 'perf', files, { readers, options: { perf: options } });
}

function samples(page: string): string[] {
  return page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('lists of processors', () => {
  assert.deepEqual(cpuList('0'), [0]);
  assert.deepEqual(cpuList('3,1,1'), [3, 1]);
  assert.deepEqual(cpuList('1-3,7'), [1, 2, 3, 7]);
  assert.deepEqual(cpuList('1-10:5'), [1, 6]);
  assert.deepEqual(cpuList('4-2'), []);
  assert.ok(cpuList('0-999999').length <= 65_536);
  for (const text of [',', '1,', '-1', '1-', '1-2-3', '1-2:', '1-2:0', '1:2', 'a', ' 1', '1.5', '0x1', '99999999999999999999'])
    assert.throws(
      () => cpuList(text),
      (error) => error instanceof CollectError && error.code === 'parse',
      text,
    );
});

test('events by name: all without a name, all when no name is known, as in the peer', () => {
  const events = part.families.map((family, i) => ({ profiler: `p${i}`, type: 0, config: i, family }));
  const unknown: string[] = [];
  const names = (wanted: readonly string[]): string[] => chosen(events, wanted, (name) => unknown.push(name)).map(({ profiler }) => profiler);
  assert.equal(names([]).length, events.length);
  assert.deepEqual(names(['p2', 'p0', 'p2']), ['p0', 'p2']);
  assert.deepEqual(names(['p1', 'P1']), ['p1']);
  assert.equal(names(['none']).length, events.length);
  assert.deepEqual(unknown, ['P1', 'none']);
});

test('every event of a machine that counts everything; numbers of perf_event.h', (context) => {
  const { readers, opened } = machine(everything);
  const page = run(context, readers, { cpus: '4' }).run();
  const found = samples(page);
  assert.equal(found.length, part.families.length);
  assert.equal(found.length, 30);
  const value = (name: string): number => Number(found.find((line) => line.startsWith(`node_perf_${name}{cpu="4"} `))?.split(' ')[1]);
  // Type * 1000 + config + 4: CPU_CYCLES 0, REF_CPU_CYCLES 9, STALLED_CYCLES_BACKEND 8, CONTEXT_SWITCHES 3, PAGE_FAULTS_MAJ 6.
  assert.equal(value('cpucycles_total'), 4);
  assert.equal(value('ref_cpucycles_total'), 13);
  assert.equal(value('stalled_cycles_backend_total'), 12);
  assert.equal(value('context_switches_total'), 1007);
  assert.equal(value('major_faults_total'), 1010);
  // Cache, operation << 8, result << 16.
  assert.equal(value('cache_l1d_read_hits_total'), 3004);
  assert.equal(value('cache_l1d_write_hits_total'), 3004 + 0x100);
  assert.equal(value('cache_l1_instr_read_misses_total'), 3004 + 1 + 0x10000);
  assert.equal(value('cache_ll_write_misses_total'), 3004 + 2 + 0x10100);
  assert.equal(value('cache_tlb_data_read_hits_total'), 3004 + 3);
  assert.equal(value('cache_tlb_instr_read_misses_total'), 3004 + 4 + 0x10000);
  assert.equal(value('cache_bpu_read_misses_total'), 3004 + 5 + 0x10000);
  assert.equal(opened.length, new Set(opened).size);
});

test('what is switched off, chosen, forbidden, not there, on a processor that is off', (context) => {
  const { readers, opened, isClosed, off } = machine((type, _config, cpu) => (cpu === 9 ? ENODEV : type === 0 ? ENOENT : type === 3 ? EACCES : 0));
  const one = run(context, readers, { cpus: '0,9', software_profilers: ['PageFault', 'Nothing'] });
  assert.deepEqual(samples(one.run()), ['node_perf_page_faults_total{cpu="0"} 1002']);
  assert.deepEqual(one.warnings, ['perf: no software profiler is called "Nothing"']);
  assert.deepEqual(opened, ['1:2@0']);
  // Counters are opened once.
  one.run();
  assert.deepEqual(opened, ['1:2@0']);
  off.add(0);
  assert.equal(one.run(), '');
  off.clear();
  assert.equal(samples(one.run()).length, 1);
  one.pages.close();
  assert.ok(isClosed());
  const kinds = (options: NodeOptions[string]): string[] => {
    const { readers, opened } = machine(everything);
    run(context, readers, { cpus: '0', ...options }).run();
    return [...new Set(opened.map((text) => text.charAt(0)))].sort();
  };
  assert.deepEqual(kinds({}), ['0', '1', '3']);
  assert.deepEqual(kinds({ disable_hardware_profilers: true }), ['1', '3']);
  assert.deepEqual(kinds({ disable_software_profilers: true }), ['0', '3']);
  assert.deepEqual(kinds({ disable_cache_profilers: true, disable_hardware_profilers: true, disable_software_profilers: true }), []);
  // Descriptors have run out (EMFILE): that is told.
  const full = run(context, machine((type) => (type === 3 ? 24 : 0)).readers, { cpus: '0' });
  assert.equal(samples(full.run()).length, 14);
  assert.deepEqual(full.warnings, ['perf: some events are not counted: EMFILE']);
  // Nothing may be counted: silence, no failure.
  const forbidden = run(context, machine(() => EACCES).readers, { cpus: '0' });
  assert.equal(forbidden.run(), '');
  assert.equal(forbidden.pages.run('perf').outcome?.kind, 'ok');
});

test('tracepoints', (context) => {
  const off = { cpus: '0,1', disable_hardware_profilers: true, disable_software_profilers: true, disable_cache_profilers: true };
  const file = 'sys/kernel/tracing/events/sched/sched_switch/id';
  const older = 'sys/kernel/debug/tracing/events/sched/sched_switch/id';
  for (const path of [file, older]) {
    const page = run(context, machine(everything).readers, { ...off, tracepoint: ['sched:sched_switch', 'sched:sched_switch'] }, { [path]: '314\n' }).run();
    assert.deepEqual(page.split('\n'), [
      '# TYPE node_perf_sched_sched_switch counter',
      'node_perf_sched_sched_switch{cpu="0"} 2314',
      'node_perf_sched_sched_switch{cpu="1"} 2315',
      '',
    ]);
  }
  const failure = (tracepoint: string, content: string | undefined, refuse = everything): { error: unknown; lines: number } => {
    const files = { 'sys/kernel/x': '', ...(content === undefined ? {} : { [file]: content }) };
    const { pages } = run(
      context,
      machine(refuse).readers,
      { ...off, disable_software_profilers: false, software_profilers: ['PageFault'], tracepoint: [tracepoint] },
      files,
    );
    const { page, error } = pages.run('perf');
    return { error, lines: samples(page).length };
  };
  const cases: readonly (readonly [tracepoint: string, content: string | undefined, code: string])[] = [
    ['sched:sched_switch', undefined, 'read'],
    ['sched:sched_switch', '', 'parse'],
    ['sched:sched_switch', '31', ''],
    ['sched:sched_switch', 'x\n', 'parse'],
    ['sched:sched_switch', '-1\n', 'parse'],
    ['sched', '1', 'parse'],
    ['a:b:c', '1', 'parse'],
    [':b', '1', 'parse'],
    ['../..:x', '1', 'parse'],
    ['', '1', 'parse'],
  ];
  for (const [name, content, code] of cases) {
    const { error, lines } = failure(name, content);
    assert.equal(error instanceof CollectError ? error.code : '', code, `${name} ${content}`);
    // The other counters stay.
    assert.equal(lines, code === '' ? 4 : 2, `${name} ${content}`);
  }
  const { error } = failure('sched:sched_switch', '7', (type, _config, cpu) => (type === 2 && cpu === 1 ? EACCES : 0));
  assert.match(String(error), /tracepoint sched:sched_switch on CPU 1: EACCES/);
});

test('a wrong list of processors fails the part by naming the option, and holds no counters', (context) => {
  const { readers, isClosed } = machine(everything);
  assert.throws(run(context, readers, { cpus: 'all' }).run, /option perf.cpus/);
  assert.ok(isClosed());
});

test('without native readers', (context) => {
  assert.equal(run(context, referenceReaders(), {}).pages.run('perf').outcome?.kind, 'absent');
});

test('the counters of this machine rise, or are refused in silence', { skip: addonPath() === undefined ? 'the addon is not built' : false }, (context) => {
  const one = run(context, nativeReaders(), { cpus: '0' });
  const faults = (): number | undefined => {
    const line = samples(one.run()).find((text) => text.startsWith('node_perf_page_faults_total{cpu="0"} '));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };
  const before = faults();
  const after = faults();
  if (before === undefined) assert.equal(after, undefined);
  else assert.ok(before >= 0 && (after ?? -1) >= before);
  assert.ok(bothReaders().length === 2);
});
