import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';
import type { MountStats, Readers } from '../../../readers/readers.ts';

const MOUNTS = '27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:25 / /mnt/nfs ro - nfs4 server:/export rw\n';

/** Mounts whose answers a test chooses: status by mount point's end. */
function answering(readers: Readers, status: Map<string, number>): { readers: Readers; waits: number[]; asked: () => readonly string[] } {
  const waits: number[] = [];
  let asked: readonly string[] = [];
  const mounts = (): MountStats => {
    const stats = {
      status: new Int32Array(0),
      numbers: new Float64Array(0),
      paths(paths: readonly string[]) {
        asked = paths;
        stats.status = new Int32Array(paths.length);
        stats.numbers = new Float64Array(paths.length * 7);
      },
      run(waitMs: number) {
        waits.push(waitMs);
        for (const [i, path] of asked.entries()) {
          const answer = [...status].find(([end]) => path.endsWith(end))?.[1] ?? 0;
          stats.status[i] = answer;
          stats.numbers.set(answer === 0 ? [4096, 1000, 500, 400, 64, 32, 0] : new Array<number>(7).fill(0), i * 7);
        }
      },
    };
    return stats;
  };
  return { readers: Object.create(readers, { mounts: { value: mounts } }) as Readers, waits, asked: () => asked };
}

const readers = bothReaders()[0]?.[1];

function mountsOn(
  context: { after(done: () => void): void },
  status: Map<string, number>,
  files: Readonly<Record<string, string>> = { 'proc/1/mountinfo': MOUNTS },
) {
  assert.ok(readers !== undefined);
  const fake = answering(readers, status);
  return { ...partOn(context, 'filesystem', files, { readers: fake.readers }), ...fake };
}

test('sizes are blocks times block size; a wait per run, not per mount', (context) => {
  const { run, waits } = mountsOn(context, new Map());
  const page = run();
  assert.match(page, /node_filesystem_size_bytes\{device="\/dev\/vda",device_error="",fstype="ext4",mountpoint="\/"\} 4\.096e\+06\n/);
  assert.match(page, /node_filesystem_free_bytes\{.*mountpoint="\/"\} 2\.048e\+06\n/);
  assert.match(page, /node_filesystem_avail_bytes\{.*mountpoint="\/"\} 1\.6384e\+06\n/);
  assert.match(page, /node_filesystem_files\{.*mountpoint="\/"\} 64\n/);
  assert.match(page, /node_filesystem_readonly\{.*mountpoint="\/mnt\/nfs"\} 1\n/);
  assert.deepEqual(waits, [100]);
});

test('a mount that hangs is reported in the same run, the others are served, and it recovers', (context) => {
  const status = new Map([['/mnt/nfs', -1]]);
  const { run } = mountsOn(context, status);
  const page = run();
  assert.match(page, /node_filesystem_device_error\{device="server:\/export",device_error="mountpoint timeout",fstype="nfs4",mountpoint="\/mnt\/nfs"\} 1\n/);
  assert.match(page, /node_filesystem_readonly\{.*device_error="mountpoint timeout".*\} 0\n/);
  assert.doesNotMatch(page, /node_filesystem_(size_bytes|mount_info)\{[^\n]*nfs/);
  assert.match(page, /node_filesystem_size_bytes\{device="\/dev\/vda"/);
  status.clear();
  const later = run();
  assert.doesNotMatch(later, /timeout/);
  assert.match(later, /node_filesystem_device_error\{device="server:\/export",device_error="",fstype="nfs4",mountpoint="\/mnt\/nfs"\} 0\n/);
  assert.match(later, /node_filesystem_mount_info\{device="server:\/export",major="0",minor="25",mountpoint="\/mnt\/nfs"\} 1\n/);
});

test('a mount that fails says why, in the words of the peer', (context) => {
  const status = new Map([['/mnt/nfs', 116]]);
  const { run } = mountsOn(context, status);
  assert.match(run(), /device_error="stale file handle",fstype="nfs4",mountpoint="\/mnt\/nfs"\} 1\n/);
  status.set('/mnt/nfs', 13);
  const page = run();
  assert.match(page, /device_error="permission denied"/);
  assert.doesNotMatch(page, /stale/);
  assert.match(page, /node_filesystem_readonly\{.*device_error="permission denied".*\} 1\n/);
});

test('a new mount shows in the next run', (context) => {
  const { tree, run, asked } = mountsOn(context, new Map());
  run();
  tree.write('proc/1/mountinfo', `${MOUNTS}29 27 8:1 / /data rw - xfs /dev/sda1 rw\n`);
  assert.match(run(), /mountpoint="\/data"/);
  assert.deepEqual(asked(), [tree.path('root/'), tree.path('root/mnt/nfs'), tree.path('root/data')]);
  tree.write('proc/1/mountinfo', MOUNTS);
  assert.doesNotMatch(run(), /mountpoint="\/data"/);
});

test('mounts with equal labels are shown once, each with its device numbers, and count as no duplicates', (context) => {
  const twice = '1 1 0:7 / /data rw - nfs4 s:/e rw\n2 1 0:7 / /data ro - nfs4 s:/e rw\n3 1 0:8 / /data rw - nfs4 s:/e rw\n';
  const { run, pages } = mountsOn(context, new Map(), { 'proc/1/mountinfo': twice });
  const page = run();
  assert.equal(page.match(/node_filesystem_size_bytes\{/g)?.length, 1);
  assert.equal(page.match(/node_filesystem_mount_info\{/g)?.length, 2);
  assert.equal(pages.sheet('filesystem').counts.duplicates, 0);
});

test('the own mount table serves only where that of pid 1 is not there', (context) => {
  const own = { 'proc/self/mountinfo': MOUNTS };
  assert.match(mountsOn(context, new Map(), own).run(), /mountpoint="\/mnt\/nfs"/);
  // A folder cannot be read: any other failure must not show the mounts of a container as the machine's.
  assert.throws(mountsOn(context, new Map(), { ...own, 'proc/1/mountinfo/x': '' }).run, { name: 'ReaderError', code: 'EISDIR' });
});

test('hundreds of runs in which a mount hangs now and then', (context) => {
  const status = new Map<string, number>();
  const { run } = mountsOn(context, status);
  for (let i = 0; i < 300; i++) {
    status.set('/mnt/nfs', Math.floor(i / 70) % 2 === 1 ? -1 : 0);
    const page = run();
    assert.equal(page.match(/node_filesystem_device_error\{/g)?.length, 2);
    assert.equal(page.includes('timeout'), status.get('/mnt/nfs') === -1);
    assert.match(page, /node_filesystem_size_bytes\{device="\/dev\/vda",device_error="",fstype="ext4",mountpoint="\/"\} 4\.096e\+06\n/);
  }
});
