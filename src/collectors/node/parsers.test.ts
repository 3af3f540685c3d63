/** The parsers that work on text or bytes alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectError } from '../../collect/contract.ts';
import { parseCpuinfo } from './cpuinfo.ts';
import { errnoText } from './errno-text.ts';
import { parseMountinfo } from './mountinfo.ts';
import { parseNumberList } from './number-list.ts';
import { pageSizeBytes, pageSizeIn } from './page-size.ts';
import { abbreviation, zoneFile } from './time-zone.ts';
import { parseUdev } from './udev.ts';

const MOUNT = '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n';

test('mountinfo: a line, with and without optional fields', () => {
  const root = { device: '/dev/root', type: 'ext3', point: '/mnt2', major: '98', minor: '0', isReadOnly: false };
  assert.deepEqual(parseMountinfo('f', MOUNT, ''), [root]);
  assert.deepEqual(parseMountinfo('f', MOUNT.replace('master:1 ', ''), ''), [root]);
  assert.deepEqual(parseMountinfo('f', MOUNT.replace('master:1 ', 'shared:3 master:1 unbindable '), ''), [root]);
  assert.deepEqual(parseMountinfo('f', '', ''), []);
});

for (const [options, superOptions, expected] of [
  ['rw', 'rw', false],
  ['ro', 'rw', true],
  ['rw', 'ro', true],
  ['rw', 'rw,emergency_ro', true],
  ['rw,emergency_ro', 'rw', false],
  ['rw,errors=remount-ro', 'rw,ro_fallback,norecovery', false],
] as const) {
  test(`mountinfo: ${options} - ${superOptions} is ${expected ? '' : 'not '}read-only`, () => {
    assert.equal(parseMountinfo('f', `1 1 0:1 / /a ${options} - ext4 none ${superOptions}`, '')[0]?.isReadOnly, expected);
  });
}

for (const [point, rootfs, expected] of [
  ['/a\\040b\\011c\\012d\\134e', '', '/a b\tc\nd\\e'],
  ['/a\\134040', '', '/a\\040'],
  ['/host', '/host', '/'],
  ['/host/home', '/host', '/home'],
  ['/hostfs', '/host', '/hostfs'],
  ['/', '/host', '/'],
  ['/caf\ufffd\ufffd', '', '/caf\ufffd'],
] as const) {
  test(`mountinfo: ${JSON.stringify(point)} below ${rootfs || '/'} is ${JSON.stringify(expected)}`, () => {
    assert.equal(parseMountinfo('f', `1 1 0:1 / ${point} rw - ext4 none rw`, rootfs)[0]?.point, expected);
  });
}

for (const line of [
  '36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root',
  '36 35 98:0 / /a rw master:1 ext3 none rw x',
  '36 35 98 / /a rw - ext3 none rw',
  'x 35 98:0 / /a rw - ext3 none rw',
  '36',
]) {
  test(`mountinfo: ${JSON.stringify(line)} fails the table and is named`, () => {
    assert.throws(
      () => parseMountinfo('/proc/1/mountinfo', MOUNT + line, ''),
      (error) => error instanceof CollectError && error.code === 'parse' && error.place === '/proc/1/mountinfo:2',
    );
  });
}

test('a mount line of 70 KB', () => {
  const lower = Array.from({ length: 1000 }, (_, i) => `/var/lib/containers/overlay/l/${i}${'X'.repeat(40)}`).join(':');
  assert.equal(parseMountinfo('f', `1 1 0:1 / /merged rw - overlay overlay rw,lowerdir=${lower}\n${MOUNT}`, '').length, 2);
});

for (const [text, expected] of [
  ['', []],
  ['3', [3]],
  ['0-3,8,10-11', [0, 1, 2, 3, 8, 10, 11]],
  ['3-1', undefined],
  ['1-', undefined],
  ['a', undefined],
  ['0-99999999999', undefined],
] as const) {
  test(`number list ${JSON.stringify(text)}`, () => assert.deepEqual(parseNumberList(text), expected));
}

test('udev: properties only, split at the first equals sign', () => {
  assert.deepEqual(
    [...parseUdev('S:disk/x\nE:A=1\nE:B=x=y\nE:C=\nE:D\nG:systemd\n')],
    [
      ['A', '1'],
      ['B', 'x=y'],
      ['C', ''],
    ],
  );
  assert.equal(parseUdev('').size, 0);
});

test('cpuinfo by architecture', () => {
  const x86 = parseCpuinfo(
    'f',
    'processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A: B\nflags\t\t: a b\n\nprocessor\t: 7\nphysical id\t: 1\ncache size\t: 8 KB\n',
    'x64',
  );
  assert.deepEqual(
    x86.map(({ cpu, vendor, modelName, flags, package: physical, cacheSize }) => [cpu, vendor, modelName, flags, physical, cacheSize]),
    [
      ['0', 'GenuineIntel', 'A: B', 'a b', '', ''],
      ['7', '', '', '', '1', '8 KB'],
    ],
  );
  assert.equal(parseCpuinfo('f', 'processor\t: 0\nFeatures\t: fp asimd\n', 'arm64')[0]?.flags, 'fp asimd');
  assert.equal(parseCpuinfo('f', 'system type\t: Loongson\nprocessor\t: 0\nModel Name\t: 3A5000\n', 'loong64')[0]?.vendor, 'Loongson');
  assert.equal(parseCpuinfo('f', 'processor\t: 0\nhart\t\t: 4\nisa\t\t: rv64imafdc\n', 'riscv64')[0]?.core, '4');
  assert.equal(parseCpuinfo('f', 'processor\t: 0\nmodel\t: 5\n', 'something')[0]?.model, '');
  for (const text of ['', 'model : 5\n', 'processor\t: zero\n'])
    assert.throws(() => parseCpuinfo('/proc/cpuinfo', text, 'x64'), /^CollectError: \/proc\/cpuinfo:1: expected/);
});

test('errno texts are those of Go', () => {
  assert.equal(errnoText(13), 'permission denied');
  assert.equal(errnoText(116), 'stale file handle');
  assert.equal(errnoText(4000), 'errno 4000');
});

function auxiliary(entries: readonly (readonly [number, number])[], wordBytes: 4 | 8, isLittleEndian: boolean): Buffer {
  const bytes = Buffer.alloc(entries.length * 2 * wordBytes);
  for (const [i, word] of entries.flat().entries()) {
    if (wordBytes === 8) isLittleEndian ? bytes.writeBigUInt64LE(BigInt(word), i * 8) : bytes.writeBigUInt64BE(BigInt(word), i * 8);
    else isLittleEndian ? bytes.writeUInt32LE(word, i * 4) : bytes.writeUInt32BE(word, i * 4);
  }
  return bytes;
}

test('page size from an auxiliary vector', () => {
  for (const wordBytes of [4, 8] as const) {
    for (const isLittleEndian of [true, false]) {
      assert.equal(
        pageSizeIn(
          auxiliary(
            [
              [3, 6],
              [6, 65536],
              [0, 0],
            ],
            wordBytes,
            isLittleEndian,
          ),
          wordBytes,
          isLittleEndian,
        ),
        65536,
      );
      assert.equal(
        pageSizeIn(
          auxiliary(
            [
              [3, 6],
              [0, 0],
            ],
            wordBytes,
            isLittleEndian,
          ),
          wordBytes,
          isLittleEndian,
        ),
        undefined,
      );
    }
  }
  assert.equal(pageSizeIn(Buffer.from([6, 0, 0]), 8, true), undefined);
  assert.equal(Math.log2(pageSizeBytes()) % 1, 0);
});

/** A TZif file of version 2: an empty first block, then types, one change and the rule. */
function zone(types: readonly (readonly [offset: number, name: string])[], change: number, type: number, rule: string): Buffer {
  const header = (times: number, count: number, characters: number): Buffer => {
    const bytes = Buffer.alloc(44);
    bytes.write('TZif2', 0, 'latin1');
    bytes.writeUInt32BE(times, 32);
    bytes.writeUInt32BE(count, 36);
    bytes.writeUInt32BE(characters, 40);
    return bytes;
  };
  const names = Buffer.from(types.map(([, name]) => `${name}\0`).join(''), 'latin1');
  let at = 0;
  const entries = types.map(([offset, name]) => {
    const entry = Buffer.alloc(6);
    entry.writeInt32BE(offset, 0);
    entry.writeUInt8(at, 5);
    at += name.length + 1;
    return entry;
  });
  const time = Buffer.alloc(9);
  time.writeBigInt64BE(BigInt(change), 0);
  time.writeUInt8(type, 8);
  return Buffer.concat([header(0, 1, 1), Buffer.alloc(7), header(1, types.length, names.length), time, ...entries, names, Buffer.from(`\n${rule}\n`)]);
}

const NOW = 1_800_000_000;
for (const [name, rule, offset, expected] of [
  ['winter', 'CET-1CEST,M3.5.0,M10.5.0/3', 3600, 'CET'],
  ['summer', 'CET-1CEST,M3.5.0,M10.5.0/3', 7200, 'CEST'],
  ['no name but an offset', '<+0545>-5:45', 20700, '+0545'],
  ['west', 'NST3:30NDT,M3.2.0,M11.1.0', -12600, 'NST'],
  ['summer behind winter', 'IST-1GMT0,M10.5.0,M3.5.0/1', 0, 'GMT'],
  ['the list of changes where the rule does not fit', 'EET-2', 10800, 'MSK'],
  ['neither', 'EET-2', 5, 'UTC'],
] as const) {
  test(`time zone: ${name}`, () => {
    const file = zone(
      [
        [7200, 'EET'],
        [10800, 'MSK'],
      ],
      NOW - 10,
      1,
      rule,
    );
    assert.equal(abbreviation(file, offset, NOW), expected);
  });
}

test('time zone: a change that has not come yet does not count', () => {
  assert.equal(
    abbreviation(
      zone(
        [
          [7200, 'EET'],
          [10800, 'MSK'],
        ],
        NOW + 10,
        1,
        'XXX-9',
      ),
      7200,
      NOW,
    ),
    'EET',
  );
});

test('time zone: no file, an empty, a cut or another one', () => {
  const file = zone([[7200, 'EET']], NOW - 10, 0, 'EET-2');
  assert.equal(abbreviation(undefined, 0, NOW), 'UTC');
  assert.equal(abbreviation(Buffer.from('not a zone'.repeat(20)), 0, NOW), 'UTC');
  for (let length = 0; length < file.length - 8; length++) assert.equal(typeof abbreviation(file.subarray(0, length), 7200, NOW), 'string');
});

test('time zone: which file TZ names', () => {
  const asked: string[] = [];
  const read = (path: string): Buffer => {
    asked.push(path);
    if (path === '/usr/share/zoneinfo/Europe/Berlin' || path === '/etc/localtime') return Buffer.from(path);
    throw new Error('no such file');
  };
  assert.equal(zoneFile(undefined, read)?.toString(), '/etc/localtime');
  assert.equal(zoneFile(':Europe/Berlin', read)?.toString(), '/usr/share/zoneinfo/Europe/Berlin');
  assert.equal(zoneFile('', read), undefined);
  assert.equal(zoneFile('/none', read), undefined);
  assert.equal(zoneFile('Nowhere/None', read), undefined);
  assert.equal(asked.filter((path) => path.endsWith('/Nowhere/None')).length, 4);
});
