import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_EXPORTER } from '../../cli/personas/node-exporter.ts';
import { schemaFor } from '../../config/schema.ts';
import nodeCollector from './collector.ts';
import { discoverParts } from './discover.ts';
import { Filter } from './filter.ts';
import { optionKey, type PartOption, PartOptions } from './options.ts';
import { optionsSchema } from './options-schema.ts';

const definition = await nodeCollector;

const OPTIONS: readonly PartOption[] = [
  { flag: 'device-exclude', kind: 'regexp', default: '^loop', help: 'a', excludes: 'device-include' },
  { flag: 'device-include', kind: 'regexp', default: '', help: 'b', excludes: 'device-exclude' },
  { flag: 'info.flags-include', kind: 'regexp', default: '', help: 'c' },
  { flag: 'wait', kind: 'duration', default: '5s', help: 'd' },
  { flag: 'directory', kind: 'list', default: [], help: 'e' },
  { flag: 'count', kind: 'integer', default: 3, help: 'f' },
  { flag: 'guest', kind: 'boolean', default: true, help: 'g' },
];
const PART = { name: 'disk', options: OPTIONS };

function parsed(given: unknown): PartOptions {
  return new PartOptions(PART, optionsSchema([PART]).parse(given));
}

function problems(given: unknown): string[] {
  const result = optionsSchema([PART]).safeParse(given);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('an option that is not given has its default, in a session without any options too', () => {
  for (const options of [parsed({}), new PartOptions(PART, {})]) {
    assert.equal(options.text('device-exclude'), '^loop');
    assert.equal(options.number('wait'), 5);
    assert.deepEqual(options.list('directory'), []);
    assert.equal(options.number('count'), 3);
    assert.equal(options.isOn('guest'), true);
  }
});

test('given options are taken; durations are seconds', () => {
  const options = parsed({ disk: { wait: '1m30s', directory: ['/a', '/b'], count: 7, guest: false, info_flags_include: 'avx' } });
  assert.equal(options.number('wait'), 90);
  assert.deepEqual(options.list('directory'), ['/a', '/b']);
  assert.equal(options.number('count'), 7);
  assert.equal(options.isOn('guest'), false);
  assert.equal(options.text('info.flags-include'), 'avx');
});

test('a given include clears the default exclude, an empty one does not', () => {
  assert.equal(parsed({ disk: { device_include: 'sda' } }).text('device-exclude'), '');
  assert.equal(parsed({ disk: { device_include: '' } }).text('device-exclude'), '^loop');
  assert.equal(
    parsed({ disk: { device_include: 'sda' } })
      .filter('device-exclude', 'device-include')
      .keeps('loop0'),
    false,
  );
  assert.equal(parsed({}).filter('device-exclude', 'device-include').keeps('sda'), true);
});

test('what cannot be is refused, each with the key', () => {
  assert.deepEqual(problems({ disk: { device_include: 'a', device_exclude: 'b' } }), ['disk.device_include: cannot be combined with device_exclude']);
  assert.deepEqual(problems({ disk: { device_include: 'a', device_exclude: '' } }), []);
  assert.match(problems({ disk: { device_include: 'a(' } })[0] ?? '', /^disk\.device_include: expected an RE2 regular expression: .*missing closing/);
  assert.match(problems({ disk: { wait: 'soon' } })[0] ?? '', /^disk\.wait: expected a duration/);
  assert.equal(problems({ disk: { no_such: 1 } }).length, 1);
  assert.equal(problems({ disc: {} }).length, 1);
});

test('asking for an option that the table lacks, or as another kind, is a mistake in the part', () => {
  assert.throws(() => parsed({}).text('devices'), /part disk has no option devices/);
  assert.throws(() => parsed({}).isOn('count'), /option count of part disk is not a boolean/);
  assert.throws(() => parsed({}).text('guest'), /is not a text/);
  assert.throws(() => parsed({}).number('guest'), /is not a number/);
  assert.throws(() => parsed({}).list('guest'), /is not a list/);
});

test('tables of the parts: unique keys, and exclusions named on both sides', async () => {
  for (const part of await discoverParts()) {
    const options = part.options ?? [];
    assert.equal(new Set(options.map(({ flag }) => optionKey(flag))).size, options.length, part.name);
    for (const { flag, excludes } of options) {
      if (excludes !== undefined) assert.equal(options.find((row) => row.flag === excludes)?.excludes, flag, `${part.name}.${flag}`);
    }
  }
});

test('default patterns are read alike by RegExp, which is what runs them, and by RE2', async () => {
  const names = ['', 'sda', 'sda1', 'loop0', 'nvme0n1', 'nvme0n1p2', 'xvdb7', 'zram1', '/', '/dev', '/dev/shm', '/device', '/run/credentials/a', '/run/user'];
  names.push('/var/lib/docker/overlay2/a', '/var/lib/docker', 'autofs', 'ext4', 'proc', 'overlay', 'pgfault', 'pgpgin', 'oom_kill', 'nr_free_pages', 'a\nb');
  names.push('Tcp_ActiveOpens', 'Ip6_InOctets', 'TcpExt_ListenDrops', 'Udp_NoPorts', 'veth12', 'eth0', 'tap3', 'kmalloc-64');
  let patterns = 0;
  for (const { name: part, options = [] } of await discoverParts()) {
    for (const { kind, default: pattern } of options) {
      if (kind !== 'regexp' || typeof pattern !== 'string' || pattern === '') continue;
      patterns += 1;
      // Groups that repeat are where RegExp takes longer than linear time.
      assert.match(pattern, /^(?:[\w^$|/.*+?()-]|\[[\w-]+\]|\\[d.])+$/, part);
      assert.doesNotMatch(pattern, /\)[*+{]/, part);
      const [ours, theirs] = [new Filter(pattern, '', () => true), new Filter(pattern, '')];
      for (const name of names) assert.equal(ours.keeps(name), theirs.keeps(name), `${part}: ${pattern} on ${JSON.stringify(name)}`);
    }
  }
  assert.ok(patterns > 5, `${patterns} patterns`);
});

test('every option is a flag of the node_exporter persona and sets a key', async () => {
  const { blocks } = schemaFor([definition]);
  const flags = NODE_EXPORTER.flags([definition], blocks[0]?.fields ?? []);
  for (const part of await discoverParts()) {
    for (const { flag } of part.options ?? []) {
      const key = `node.${part.name}.${optionKey(flag)}`;
      const found = flags.find(({ meaning }) => meaning.kind === 'key' && meaning.key === key);
      assert.ok(found !== undefined, `no flag of the peer sets ${key}`);
    }
  }
});
