import assert from 'node:assert/strict';
import { mkdirSync, statfsSync } from 'node:fs';
import { test } from 'node:test';
import { BoardWriter, makeBoard } from '../../collect/board.ts';
import { Bench, fixture, plant, samples } from './harness.ts';
import { fileSystemsOf } from './mount-table.ts';
import { encodeNames, type NamedContainer } from './names-table.ts';

const MOUNTS = `22 1 254:0 / / rw - ext4 /dev/vda rw
23 22 0:20 / /proc rw - proc proc rw
24 22 0:21 / /run rw - tmpfs tmpfs rw
25 22 8:1 / /data\\040disk rw shared:1 - xfs /dev/sda1 rw
26 22 8:1 /sub /bind rw shared:1 - xfs /dev/sda1 rw
27 22 0:39 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
28 22 0:40 / /var/lib/kubelet/pods/u/volumes/token rw - tmpfs tmpfs rw
29 22 0:41 / /mnt/nfs rw - nfs4 server:/export rw
garbage
30 22`;

test("file systems: the peer's types, one per source, pods' only when asked", () => {
  const lean = fileSystemsOf(MOUNTS, false);
  assert.deepEqual(lean, [
    { device: '/dev/vda', point: '/', number: '254:0', source: '/dev/vda' },
    { device: '/run', point: '/run', number: '0:21', source: 'tmpfs' },
    { device: '/dev/sda1', point: '/data disk', number: '8:1', source: '/dev/sda1' },
    { device: 'server:/export', point: '/mnt/nfs', number: '0:41', source: 'server:/export' },
  ]);
  assert.deepEqual(
    fileSystemsOf(MOUNTS, true).map(({ device }) => device),
    ['/dev/vda', '/run', '/dev/sda1', 'overlay_0-39', '/var/lib/kubelet/pods/u/volumes/token', 'server:/export'],
  );
  assert.deepEqual(fileSystemsOf('', true), []);
});

test('numbers are those of statfs; a mount point that is gone is left out', () => {
  const tree = plant(fixture('v1.tree'));
  try {
    tree.write('proc/1/mountinfo', MOUNTS);
    mkdirSync(`${tree.roots.rootfs}/data disk`, { recursive: true });
    const bench = new Bench(tree.roots, ['disk']);
    const found = samples(bench.page('disk'));
    const truth = statfsSync(tree.roots.rootfs);
    for (const device of ['/dev/vda', '/dev/sda1']) {
      assert.equal(found.get(`container_fs_limit_bytes{device="${device}",id="/"}`), truth.blocks * truth.bsize);
      assert.equal(found.get(`container_fs_inodes_total{device="${device}",id="/"}`), truth.files);
      const usage = found.get(`container_fs_usage_bytes{device="${device}",id="/"}`) ?? -1;
      assert.ok(Math.abs(usage - (truth.blocks - truth.bfree) * truth.bsize) < 64 << 20, `${usage}`);
    }
    assert.equal(found.size, 8, 'two of four are there');
    tree.write('proc/1/mountinfo', MOUNTS.split('\n').slice(0, 1).join('\n'));
    assert.equal(samples(bench.page('disk')).size, 4, 'unmounted');
    bench.session.close();
  } finally {
    tree.remove();
  }
});

const HEX = '0123456789abcdef'.repeat(4);
const WEB: NamedContainer = {
  id: HEX,
  name: 'web',
  image: 'web:1',
  namespace: '',
  pod: '',
  container: '',
  sandbox: true,
  created: 1.7e9,
  labels: {},
  health: 1,
};

test('what a container has written, with the size of the file system it lies on; it goes with the container', () => {
  const tree = plant(fixture('v1.tree'));
  try {
    tree.write('proc/1/mountinfo', MOUNTS);
    mkdirSync(`${tree.roots.rootfs}/data disk/docker`, { recursive: true });
    tree.write(`sys/fs/cgroup/memory/docker/${HEX}/memory.usage_in_bytes`, '1\n');
    const board = makeBoard();
    const writer = new BoardWriter(board);
    const names = (bytes: number, path = '/data disk/docker') => encodeNames({ containers: [WEB], pods: [], disks: [{ id: HEX, bytes, path }] });
    writer.post(names(4096));
    const bench = new Bench(tree.roots, ['disk', 'base'], { disable_root_cgroup_stats: true }, undefined, board);
    const labels = `device="/dev/sda1",id="/docker/${HEX}",image="web:1",name="web"`;
    const truth = statfsSync(tree.roots.rootfs);
    const found = samples(bench.page('disk'));
    assert.equal(found.get(`container_fs_usage_bytes{${labels}}`), 4096);
    assert.equal(found.get(`container_fs_limit_bytes{${labels}}`), truth.blocks * truth.bsize);
    assert.equal(found.get(`container_fs_inodes_total{${labels}}`), truth.files);
    assert.equal(found.size, 4, 'of containers alone: the root is left out');
    const base = samples(bench.page('base'));
    assert.equal(base.get(`container_health_state{id="/docker/${HEX}",image="web:1",name="web"}`), 1);
    assert.equal(base.get(`container_creation_time_seconds{id="/docker/${HEX}",image="web:1",name="web"}`), 1.7e9);
    writer.post(names(8192));
    assert.equal(samples(bench.page('disk')).get(`container_fs_usage_bytes{${labels}}`), 8192);
    writer.post(names(8192, '/mnt/nfs/docker'));
    const gone = samples(bench.page('disk'));
    assert.equal(gone.get(`container_fs_usage_bytes{${labels.replace('/dev/sda1', 'server:/export')}}`), 8192);
    assert.equal(gone.size, 1, 'the size of a file system that does not answer is left out');
    writer.post(encodeNames({ containers: [WEB], pods: [] }));
    assert.equal(samples(bench.page('disk')).size, 0);
    bench.session.close();
  } finally {
    tree.remove();
  }
});

const DISKSTATS = ` 254       0 vda 100 1 800 250 200 2 1600 500 3 4000 5000 0 0 0 0
   8       0 sda 1 1 1 1 1 1 1 1 1 1 1 0 0 0 0
   8       1 sda1 10 4 80 1500 20 5 160 2500 0 3000 4500 0 0 0 0
 259       0 nvme0n1 7 0 0 0 0 0 0 0 0 0 0
`;

test("I/O of the machine's file systems under /, in seconds, without those that the cgroup itself has", () => {
  for (const layout of ['v1', 'v2'] as const) {
    const tree = plant(fixture(`${layout}.tree`));
    try {
      tree.write('proc/1/mountinfo', MOUNTS);
      tree.write('proc/diskstats', DISKSTATS);
      const bench = new Bench(tree.roots, ['disk', 'diskIO']);
      const own = new Bench(tree.roots, ['diskIO']);
      const [found, without] = [samples(bench.page('diskIO')), samples(own.page('diskIO'))];
      const of = (family: string, device = '/dev/sda1') => found.get(`container_fs_${family}{device="${device}",id="/"}`);
      assert.deepEqual(
        ['reads_total', 'reads_merged_total', 'sector_reads_total', 'read_seconds_total', 'writes_total', 'write_seconds_total'].map((name) => of(name)),
        [10, 4, 80, 1.5, 20, 2.5],
      );
      assert.deepEqual([of('io_current'), of('io_time_seconds_total'), of('io_time_weighted_seconds_total')], [0, 3, 4.5]);
      assert.equal(of('io_time_weighted_seconds_total', '/dev/vda'), 5, 'a file system on a whole disk');
      for (const [series, value] of without) assert.equal(found.get(series), value, `${series} stays the cgroup's own`);
      assert.equal(
        [...found.keys()].some((series) => series.includes('nvme0n1') && series.includes('weighted')),
        false,
      );
      tree.write('proc/1/mountinfo', '22 1 259:0 / / rw - xfs /dev/nvme0n1 rw\n');
      const moved = samples(bench.page('diskIO'));
      assert.equal(moved.has('container_fs_io_time_weighted_seconds_total{device="/dev/sda1",id="/"}'), false);
      assert.equal(moved.get('container_fs_io_time_weighted_seconds_total{device="/dev/nvme0n1",id="/"}'), 0);
      assert.deepEqual([bench.warnings, own.warnings], [[], []]);
      bench.session.close();
      own.session.close();
    } finally {
      tree.remove();
    }
  }
});
