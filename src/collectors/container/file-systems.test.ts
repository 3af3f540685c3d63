import assert from 'node:assert/strict';
import { mkdirSync, statfsSync } from 'node:fs';
import { test } from 'node:test';
import { fileSystemsOf } from './file-systems.ts';
import { Bench, fixture, plant, samples } from './harness.ts';

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
    { device: '/dev/vda', point: '/' },
    { device: '/run', point: '/run' },
    { device: '/dev/sda1', point: '/data disk' },
    { device: 'server:/export', point: '/mnt/nfs' },
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
