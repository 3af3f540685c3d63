import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plant } from './harness.ts';
import { cgroupMounts, detectLayout } from './layout.ts';

const TMPFS = '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n';
const v1 = (controllers: string, at = controllers) => `40 31 0:40 / /sys/fs/cgroup/${at} rw,relatime shared:9 - cgroup cgroup rw,${controllers}\n`;
const v2 = (at: string) => `50 31 0:50 / /sys/fs/cgroup/${at} rw - cgroup2 cgroup2 rw,nsdelegate\n`;
const directory = (name: string, file = 'cgroup.procs') => `== sys/fs/cgroup/${name}/${file}\n`;

const CASES: readonly {
  readonly name: string;
  readonly files: string;
  readonly mountinfo?: string;
  readonly kind: string;
  readonly controllers: Record<string, string>;
  readonly unified: string;
}[] = [
  {
    name: 'legacy: one mount per controller',
    files: directory('memory') + directory('cpuacct'),
    mountinfo: TMPFS + v1('memory') + v1('cpuacct'),
    kind: 'legacy',
    controllers: { memory: 'memory', cpuacct: 'cpuacct' },
    unified: '',
  },
  {
    name: 'legacy: joined controllers, one directory',
    files: directory('cpu,cpuacct') + directory('memory'),
    mountinfo: TMPFS + v1('cpu,cpuacct') + v1('memory'),
    kind: 'legacy',
    controllers: { cpu: 'cpu,cpuacct', cpuacct: 'cpu,cpuacct', memory: 'memory' },
    unified: '',
  },
  {
    name: 'hybrid: v1 controllers beside a v2 tree',
    files: directory('memory') + directory('unified', 'cgroup.controllers') + directory('systemd'),
    mountinfo: TMPFS + v2('unified') + v1('name=systemd', 'systemd').replace('rw,name', 'rw,xattr,name') + v1('memory'),
    kind: 'hybrid',
    controllers: { 'name=systemd': 'systemd', memory: 'memory' },
    unified: 'unified',
  },
  {
    name: 'unified: the root of the v2 mount is the base',
    files: directory('.', 'cgroup.controllers'),
    mountinfo: '31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
    kind: 'unified',
    controllers: {},
    unified: '.',
  },
  { name: 'unified without a mount table', files: directory('.', 'cgroup.controllers'), kind: 'unified', controllers: {}, unified: '.' },
  {
    name: 'v2 mounted elsewhere, no v1',
    files: directory('unified', 'cgroup.controllers'),
    mountinfo: TMPFS + v2('unified'),
    kind: 'unified',
    controllers: {},
    unified: 'unified',
  },
  {
    name: 'no mount table: directory names are controllers',
    files: directory('cpu,cpuacct') + directory('memory') + directory('unified', 'cgroup.controllers'),
    kind: 'hybrid',
    controllers: { cpu: 'cpu,cpuacct', cpuacct: 'cpu,cpuacct', memory: 'memory' },
    unified: 'unified',
  },
  {
    name: 'a controller mounted twice counts where it was first',
    files: directory('memory') + directory('memory2'),
    mountinfo: v1('memory') + v1('memory', 'memory2'),
    kind: 'legacy',
    controllers: { memory: 'memory' },
    unified: '',
  },
  {
    name: 'a mount that is not to be seen does not count',
    files: directory('memory'),
    mountinfo: v1('memory') + v1('pids'),
    kind: 'legacy',
    controllers: { memory: 'memory' },
    unified: '',
  },
  { name: 'nothing mounted', files: '== sys/kernel/x\n', mountinfo: '22 1 0:20 / /proc rw - proc proc rw\n', kind: 'none', controllers: {}, unified: '' },
  { name: 'garbage for a mount table', files: '== sys/kernel/x\n', mountinfo: '\0\0 - cgroup\n - \nhalf a li', kind: 'none', controllers: {}, unified: '' },
];

for (const { name, files, mountinfo, kind, controllers, unified } of CASES) {
  test(`layout: ${name}`, () => {
    const tree = plant(files + (mountinfo === undefined ? '' : `== proc/self/mountinfo\n${mountinfo}`));
    try {
      const base = `${tree.roots.sysfs}/fs/cgroup`;
      const place = (at: string) => (at === '' ? '' : at === '.' ? base : `${base}/${at}`);
      const layout = detectLayout(tree.roots);
      assert.equal(layout.kind, kind);
      assert.equal(layout.unified, place(unified));
      assert.deepEqual(
        Object.fromEntries(layout.controllers),
        Object.fromEntries(Object.entries(controllers).map(([controller, at]) => [controller, place(at)])),
      );
    } finally {
      tree.remove();
    }
  });
}

test('mount points with blanks are unescaped, options are not controllers', () => {
  const mounts = cgroupMounts('40 31 0:40 / /mnt/a\\040b rw - cgroup cgroup rw,xattr,release_agent=/x,cpuset,cpuset_v2_mode\n');
  assert.deepEqual(mounts, [{ type: 'cgroup', point: '/mnt/a b', controllers: ['cpuset'] }]);
});
