import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { test } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';

const ROW = (minor: number, name: string, reads: number): string => `   8  ${minor} ${name} ${reads} 2 3 4 5 6 7 8 9 10 11\n`;

function info(page: string, device: string): string | undefined {
  return new RegExp(`^node_disk_info\\{device="${device}",(.*)\\} 1$`, 'm').exec(page)?.[1];
}

for (const [name, readers] of bothReaders()) {
  test(`a disk that is plugged in shows in the next run, one that is pulled out is gone (${name})`, (context) => {
    const { tree, run } = partOn(context, 'diskstats', { 'proc/diskstats': ROW(0, 'sda', 5) }, { readers });
    assert.doesNotMatch(run(), /sdb/);
    tree.write('proc/diskstats', ROW(0, 'sda', 6) + ROW(16, 'sdb', 7));
    assert.match(run(), /node_disk_reads_completed_total\{device="sda"\} 6\nnode_disk_reads_completed_total\{device="sdb"\} 7\n/);
    tree.write('proc/diskstats', ROW(16, 'sdb', 8));
    const page = run();
    assert.doesNotMatch(page, /sda/);
    assert.match(page, /node_disk_reads_completed_total\{device="sdb"\} 8\n/);
  });
}

test('another disk of the same name and shape is another disk', (context) => {
  const { tree, run } = partOn(context, 'diskstats', { 'proc/diskstats': ROW(0, 'sda', 5), 'udev/b8:0': 'E:ID_MODEL=old\n', 'udev/b8:64': 'E:ID_MODEL=new\n' });
  assert.match(info(run(), 'sda') ?? '', /minor="0",model="old"/);
  tree.write('proc/diskstats', ROW(64, 'sda', 5));
  assert.match(info(run(), 'sda') ?? '', /minor="64",model="new"/);
});

test('what udev writes later shows in the next run, although no disk has come or gone', (context) => {
  const { tree, run } = partOn(context, 'diskstats', { 'proc/diskstats': ROW(0, 'sda', 5), 'udev/c1:3': '' });
  // Times of change in a folder have the grain of the kernel's tick: what is written now must not meet the same one.
  const age = (): void => utimesSync(tree.path('udev'), 0, 0);
  age();
  assert.match(info(run(), 'sda') ?? '', /model=""/);
  tree.write('udev/b8:0', 'E:ID_MODEL=one\n');
  assert.match(info(run(), 'sda') ?? '', /model="one"/);
  age();
  run();
  tree.replace('udev/b8:0', 'E:ID_MODEL=two\nE:ID_FS_TYPE=ext4\n');
  const page = run();
  assert.match(info(page, 'sda') ?? '', /model="two"/);
  assert.match(page, /node_disk_filesystem_info\{device="sda",type="ext4"/);
});

test('a database that is not there is looked for once a minute', (context) => {
  const { tree, run, clock } = partOn(context, 'diskstats', { 'proc/diskstats': ROW(0, 'sda', 5) });
  assert.match(info(run(), 'sda') ?? '', /model=""/);
  tree.write('udev/b8:0', 'E:ID_MODEL=one\n');
  clock.nowMs += 59_999;
  assert.match(info(run(), 'sda') ?? '', /model=""/);
  clock.nowMs += 1;
  assert.match(info(run(), 'sda') ?? '', /model="one"/);
});

test('sysfs is looked at once a minute', (context) => {
  const { tree, run, clock } = partOn(context, 'diskstats', { 'proc/diskstats': ROW(0, 'sda', 5), 'sys/block/sda/queue/rotational': '1\n' });
  assert.match(info(run(), 'sda') ?? '', /rotational="1"/);
  tree.write('sys/block/sda/queue/rotational', '0\n');
  assert.match(info(run(), 'sda') ?? '', /rotational="1"/);
  clock.nowMs += 60_000;
  assert.match(info(run(), 'sda') ?? '', /rotational="0"/);
});

test('a property file that cannot be read costs the labels, not the disk', (context) => {
  const { run, warnings } = partOn(context, 'diskstats', { 'proc/diskstats': ROW(0, 'sda', 5), 'udev/b8:0/x': 'a folder where a file should be' });
  assert.match(info(run(), 'sda') ?? '', /model=""/);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /b8:0: EISDIR/);
});
