/**
 * Devices as the file system tells of them. A mock in place of the kernel answers the requests; real file systems are compared
 * with the peer in test/compare/node-kernel.test.ts, where a machine can make them.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { partOn } from '../../../../test/compare/node-tree.ts';
import type { Readers } from '../../../readers/readers.ts';
import { referenceReaders } from '../../../readers/reference.ts';
import { u32 } from '../netlink.ts';
import { ABSENCE_MS } from '../absence.ts';

const UUID = '12345678-9abc-def0-1234-56789abcdef0';
const EACCES = 13;
const ENODEV = 19;
const ENOTTY = 25;

interface Disk {
  readonly uuid: string;
  readonly path: string;
  readonly used: bigint;
  readonly total: bigint;
  readonly errors: readonly bigint[];
}

interface Mounted {
  uuid: string;
  disks: Map<number, Disk>;
}

const SDA: Disk = { uuid: '00112233445566778899aabbccddeeff', path: '/dev/sda1', used: 400n, total: 1000n, errors: [1n, 2n, 3n, 4n, 2n ** 60n] };
const SDB: Disk = { uuid: 'ff112233445566778899aabbccddeeff', path: '/dev/mapper/pool-b', used: 5n, total: 6n, errors: [0n, 0n, 0n, 0n, 0n] };

function words(...numbers: readonly bigint[]): Buffer {
  return Buffer.from(new BigUint64Array(numbers).buffer);
}

/** File systems by the folder they are mounted on. */
function machine(mounted: Record<string, Mounted | number>, more: (number: number) => number = () => 0): { readers: Readers; asked: string[] } {
  const asked: string[] = [];
  const askFolder: Readers['askFolder'] = (folder, direction, type, number, exchange) => {
    asked.push(`${folder} ${number}`);
    assert.equal(type, 0x94);
    assert.deepEqual([number, direction, exchange.length], number === 31 ? [31, 'read', 1024] : number === 30 ? [30, 'both', 4096] : [52, 'both', 1032]);
    const found = mounted[folder];
    if (found === undefined || typeof found === 'number') return found ?? ENOTTY;
    const refused = more(number);
    if (refused !== 0) return refused;
    const into = Buffer.from(exchange.buffer, exchange.byteOffset, exchange.length);
    if (number === 31) {
      Buffer.concat([words(BigInt(Math.max(...found.disks.keys())), BigInt(found.disks.size)), Buffer.from(found.uuid.replaceAll('-', ''), 'hex')]).copy(into);
      return 0;
    }
    const disk = found.disks.get(u32(into, 0));
    if (disk === undefined) return ENODEV;
    if (number === 30) {
      Buffer.concat([Buffer.from(disk.uuid, 'hex'), words(disk.used, disk.total)]).copy(into, 8);
      into.write(disk.path, 3072);
    } else words(...disk.errors).copy(into, 24);
    return 0;
  };
  return { readers: Object.assign(Object.create(referenceReaders()) as Readers, { native: true, askFolder }), asked };
}

function mountLine(point: string, type = 'btrfs'): string {
  return `36 35 0:40 / ${point} rw,relatime shared:1 - ${type} /dev/sda1 rw,space_cache\n`;
}

function treeOf(mountinfo: string | undefined): Record<string, string> {
  const folder = `sys/fs/btrfs/${UUID}`;
  return {
    [`${folder}/label`]: 'pool\n',
    [`${folder}/allocation/global_rsv_size`]: '16\n',
    [`${folder}/devices/sda1/size`]: '4\n',
    ...(mountinfo === undefined ? {} : { 'proc/1/mountinfo': mountinfo }),
  };
}

function start(context: TestContext, readers: Readers, mountinfo: string | undefined = mountLine('/mnt/pool')) {
  const one = partOn(context, 'btrfs', treeOf(mountinfo), { readers });
  const devices = (): string[] =>
    one
      .run()
      .split('\n')
      .filter((line) => line.startsWith('node_btrfs_device_'));
  return { ...one, devices, at: (point: string): string => one.tree.path(`root${point}`) };
}

const FALLBACK = [`node_btrfs_device_size_bytes{device="sda1",uuid="${UUID}"} 2048`];

function asked(disk: string, name: string, size: number, unused: number, errors: readonly string[]): string[] {
  const labels = `btrfs_dev_uuid="${disk}",device="${name}"`;
  const types = ['corruption', 'flush', 'generation', 'read', 'write'];
  return [
    ...types.map((type, i) => `node_btrfs_device_errors_total{${labels},type="${type}",uuid="${UUID}"} ${errors[i]}`),
    `node_btrfs_device_size_bytes{${labels},uuid="${UUID}"} ${size}`,
    `node_btrfs_device_unused_bytes{${labels},uuid="${UUID}"} ${unused}`,
  ];
}

const SDA_SERIES = asked('00112233-4455-6677-8899-aabbccddeeff', 'sda1', 1000, 600, ['4', '3', '1.152921504606847e+18', '2', '1']);
const SDB_SERIES = asked('ff112233-4455-6677-8899-aabbccddeeff', 'pool-b', 6, 1, ['0', '0', '0', '0', '0']);

test('devices with gaps between their numbers; each is asked once per run', (context) => {
  const mounted: Record<string, Mounted> = {};
  const { readers, asked } = machine(mounted);
  const one = start(context, readers);
  mounted[one.at('/mnt/pool')] = {
    uuid: UUID,
    disks: new Map([
      [2, SDA],
      [5, SDB],
    ]),
  };
  assert.deepEqual(one.devices().sort(), [...SDA_SERIES, ...SDB_SERIES].sort());
  asked.length = 0;
  assert.deepEqual(one.devices().sort(), [...SDA_SERIES, ...SDB_SERIES].sort());
  assert.deepEqual(
    asked.map((text) => text.split(' ')[1]),
    ['31', '30', '52', '30', '52'],
  );
});

test('a device is added, another taken away; the file system moves; it is unmounted', (context) => {
  const disks = new Map([[1, SDA]]);
  const mounted: Record<string, Mounted | number> = {};
  const { readers } = machine(mounted);
  const one = start(context, readers);
  const pool = one.at('/mnt/pool');
  mounted[pool] = { uuid: UUID, disks };
  assert.deepEqual(one.devices(), SDA_SERIES);
  disks.set(2, SDB);
  assert.equal(one.devices().length, 14);
  disks.delete(1);
  assert.deepEqual(one.devices(), SDB_SERIES);
  // Of another size: largest number and count stay the same.
  disks.set(2, { ...SDB, total: 7n });
  assert.ok(one.devices().includes(`node_btrfs_device_size_bytes{btrfs_dev_uuid="ff112233-4455-6677-8899-aabbccddeeff",device="pool-b",uuid="${UUID}"} 7`));
  disks.set(2, SDB);
  mounted[one.at('/srv')] = mounted[pool];
  mounted[pool] = ENOTTY;
  one.tree.write('proc/1/mountinfo', mountLine('/srv'));
  assert.deepEqual(one.devices(), SDB_SERIES);
  one.tree.write('proc/1/mountinfo', mountLine('/srv', 'ext4'));
  assert.deepEqual(one.devices(), FALLBACK);
});

test('where it cannot be asked sysfs has the sizes: no mount, another file system, refused', (context) => {
  const disks = new Map([[1, SDA]]);
  const cases: readonly (readonly [why: string, mounted: Mounted | number, mountinfo: string | undefined, refuse?: (number: number) => number])[] = [
    ['no table of mounts', { uuid: UUID, disks }, undefined],
    ['an empty table', { uuid: UUID, disks }, ''],
    ['not mounted', { uuid: UUID, disks }, mountLine('/mnt/other')],
    ['not btrfs', { uuid: UUID, disks }, mountLine('/mnt/pool', 'ext4')],
    ['may not be opened', EACCES, mountLine('/mnt/pool')],
    ['knows no such request', ENOTTY, mountLine('/mnt/pool')],
    ['another file system', { uuid: UUID.replace('1', '2'), disks }, mountLine('/mnt/pool')],
    ['does not tell of its devices', { uuid: UUID, disks }, mountLine('/mnt/pool'), (number) => (number === 30 ? 1 : 0)],
    ['does not tell of their errors', { uuid: UUID, disks }, mountLine('/mnt/pool'), (number) => (number === 52 ? 1 : 0)],
  ];
  for (const [why, found, mountinfo, refuse] of cases) {
    const mounted: Record<string, Mounted | number> = {};
    const one = start(context, machine(mounted, refuse).readers, mountinfo);
    if (mountinfo === undefined) one.tree.remove('proc');
    mounted[one.at('/mnt/pool')] = found;
    assert.deepEqual(one.devices(), FALLBACK, why);
    assert.deepEqual(one.warnings, [], why);
  }
  assert.deepEqual(start(context, referenceReaders()).devices(), FALLBACK);
});

test('a damaged table of mounts is told, and costs nothing else', (context) => {
  const { readers } = machine({});
  const one = start(context, readers, 'garbage\n');
  assert.deepEqual(one.devices(), FALLBACK);
  assert.match(one.warnings.join(), /btrfs: devices are not asked: .*mountinfo:1/);
});

test('a second mount point answers where the first refuses; one that nobody answers for is asked again in a minute', (context) => {
  const mounted: Record<string, Mounted | number> = {};
  const { readers, asked } = machine(mounted);
  const one = start(context, readers, `${mountLine('/a')}${mountLine('/b\\040c')}`);
  mounted[one.at('/a')] = EACCES;
  mounted[one.at('/b c')] = { uuid: UUID, disks: new Map([[1, SDA]]) };
  assert.deepEqual(one.devices(), SDA_SERIES);
  mounted[one.at('/b c')] = EACCES;
  assert.deepEqual(one.devices(), FALLBACK);
  asked.length = 0;
  assert.deepEqual(one.devices(), FALLBACK);
  assert.deepEqual(asked, []);
  mounted[one.at('/a')] = { uuid: UUID, disks: new Map([[1, SDA]]) };
  one.clock.nowMs += ABSENCE_MS;
  assert.deepEqual(one.devices(), SDA_SERIES);
});

test('answers of noise do no harm', (context) => {
  const noise = Object.assign(Object.create(referenceReaders()) as Readers, {
    native: true,
    askFolder: (_folder: string, _direction: string, _type: number, number: number, exchange: Uint8Array): number => {
      for (let i = 0; i < exchange.length; i++) exchange[i] = (i * 31 + 5) & 0xff;
      if (number === 31) {
        // As many devices as there may be, and this file system.
        exchange.fill(0xff, 0, 16);
        exchange.set(Buffer.from(UUID.replaceAll('-', ''), 'hex'), 16);
      }
      return number === 30 ? ENODEV : 0;
    },
  });
  assert.deepEqual(start(context, noise).devices(), []);
});
