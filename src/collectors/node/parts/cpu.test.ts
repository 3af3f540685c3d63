import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';
import { CollectError } from '../../../collect/contract.ts';

/** Hundredths of a second: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest nice. */
function stat(...cpus: readonly (readonly [name: string, ...ticks: number[]])[]): string {
  return `cpu  0 0 0 0\n${cpus.map((words) => `${words.join(' ')}\n`).join('')}ctxt 5\n`;
}

function seconds(page: string, cpu: string, mode: string): number | undefined {
  const found = new RegExp(`^node_cpu_seconds_total\\{cpu="${cpu}",mode="${mode}"\\} (\\S+)$`, 'm').exec(page)?.[1];
  return found === undefined ? undefined : Number(found);
}

for (const [name, readers] of bothReaders()) {
  test(`idle that steps back by less than 3 s stays, each mode for itself (${name})`, (context) => {
    const { tree, run } = partOn(context, 'cpu', { 'proc/stat': stat(['cpu0', 100, 0, 50, 100_000, 30]) }, { readers });
    run();
    tree.write('proc/stat', stat(['cpu0', 101, 0, 49, 99_701, 29]));
    const page = run();
    assert.deepEqual(
      ['idle', 'iowait', 'user', 'system'].map((mode) => seconds(page, '0', mode)),
      [1000, 0.3, 1.01, 0.5],
    );
  });

  test(`idle that steps back by 3 s or more begins anew, in every mode (${name})`, (context) => {
    const { tree, run } = partOn(context, 'cpu', { 'proc/stat': stat(['cpu0', 100, 0, 50, 100_000, 30]) }, { readers });
    run();
    tree.write('proc/stat', stat(['cpu0', 7, 0, 8, 99_700, 9]));
    const page = run();
    assert.deepEqual(
      ['idle', 'iowait', 'user', 'system'].map((mode) => seconds(page, '0', mode)),
      [997, 0.09, 0.07, 0.08],
    );
  });
}

test('a processor that goes offline is gone at once, and comes back with what it counts then', (context) => {
  const both = stat(['cpu0', 1, 0, 0, 500], ['cpu1', 9, 0, 0, 900]);
  const { tree, run } = partOn(context, 'cpu', { 'proc/stat': both });
  assert.equal(seconds(run(), '1', 'user'), 0.09);
  tree.write('proc/stat', stat(['cpu0', 2, 0, 0, 500]));
  const alone = run();
  assert.equal(seconds(alone, '1', 'user'), undefined);
  assert.equal(seconds(alone, '0', 'user'), 0.02);
  tree.write('proc/stat', stat(['cpu0', 3, 0, 0, 500], ['cpu1', 4, 0, 0, 800]));
  assert.equal(seconds(run(), '1', 'user'), 0.04);
});

test('hundreds of runs with a processor that comes and goes', (context) => {
  const { tree, run } = partOn(context, 'cpu', { 'proc/stat': stat(['cpu0', 1, 0, 0, 500]) });
  for (let i = 0; i < 300; i++) {
    const isOn = Math.floor(i / 70) % 2 === 1;
    tree.write('proc/stat', isOn ? stat(['cpu0', i, 0, 0, 500], ['cpu1', i * 2, 0, 0, 500]) : stat(['cpu0', i, 0, 0, 500]));
    const page = run();
    assert.equal(seconds(page, '0', 'user'), i / 100);
    assert.equal(seconds(page, '1', 'user'), isOn ? (i * 2) / 100 : undefined);
  }
});

test('throttles and online states are looked for when the processors change', (context) => {
  const folder = 'sys/devices/system/cpu';
  const { tree, run } = partOn(context, 'cpu', { 'proc/stat': stat(['cpu0', 1, 0, 0, 500]), [`${folder}/cpu0/uevent`]: '' });
  assert.doesNotMatch(run(), /throttles|online/);
  for (const [file, text] of [
    ['topology/physical_package_id', '0'],
    ['topology/core_id', '3'],
    ['thermal_throttle/core_throttle_count', '17'],
    ['online', '1'],
  ] as const) {
    tree.write(`${folder}/cpu0/${file}`, `${text}\n`);
  }
  tree.write('proc/stat', stat(['cpu0', 1, 0, 0, 500], ['cpu1', 1, 0, 0, 500]));
  const page = run();
  assert.match(page, /node_cpu_core_throttles_total\{core="3",package="0"\} 17\n/);
  assert.match(page, /node_cpu_online\{cpu="0"\} 1\n/);
  tree.write(`${folder}/cpu0/thermal_throttle/core_throttle_count`, '18\n');
  assert.match(run(), /node_cpu_core_throttles_total\{core="3",package="0"\} 18\n/);
});

test('a list of isolated processors that is none fails the part until it is mended', (context) => {
  const { tree, run } = partOn(context, 'cpu', { 'proc/stat': stat(['cpu0', 1, 0, 0, 500]), 'sys/devices/system/cpu/isolated': 'all\n' });
  for (let i = 0; i < 2; i++) assert.throws(run, (error) => error instanceof CollectError && error.code === 'parse' && error.place.endsWith('/cpu/isolated'));
  tree.write('sys/devices/system/cpu/isolated', '0\n');
  assert.match(run(), /node_cpu_isolated\{cpu="0"\} 1\n/);
});

const CPUINFO = 'processor\t: 0\ncpu MHz\t\t: 1200.5\nphysical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 1\nphysical id\t: 0\ncore id\t\t: 1\n';

test('frequencies of cpuinfo only while cpufreq is on and cannot read them itself', { skip: process.arch !== 'x64' ? 'cpuinfo of x86' : false }, (context) => {
  const files = { 'proc/stat': stat(['cpu0', 1, 0, 0, 500]), 'proc/cpuinfo': CPUINFO };
  const options = { cpu: { info: true } };
  assert.doesNotMatch(partOn(context, 'cpu', files, { options }).run(), /frequency/);
  const { tree, run } = partOn(context, 'cpu', files, { options, parts: ['cpu', 'cpufreq'] });
  assert.match(run(), /node_cpu_frequency_hertz\{core="0",cpu="0",package="0"\} 1\.2005e\+09\nnode_cpu_frequency_hertz\{core="1",cpu="1",package="0"\} 0\n/);
  tree.write('proc/cpuinfo', CPUINFO.replace('1200.5', '3000'));
  assert.match(run(), /cpu="0",package="0"\} 3e\+09\n/);
  const own = { ...files, 'sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_cur_freq': '1200000\n' };
  assert.doesNotMatch(partOn(context, 'cpu', own, { options, parts: ['cpu', 'cpufreq'] }).run(), /frequency/);
});

test('errors name the line and what was expected', (context) => {
  const { tree, run } = partOn(context, 'cpu', { 'proc/stat': 'cpu  1 2 3\ncpu0 1 2 x 4\n' });
  assert.throws(run, { name: 'CollectError', message: `${tree.path('proc/stat')}:2: expected a number for system, not "x"` });
  tree.write('proc/stat', 'ctxt 5\n');
  assert.throws(run, /stat:1: expected a line such as "cpu0/);
});
