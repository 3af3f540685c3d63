import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { APP_ARCHIVE, writeAppArchive } from './app-image.ts';
import { AGENT, PAYLOAD, SETTINGS } from './settings.ts';

/** A Debian system that boots under QEMU: the release of this machine, from the archives that apt is configured with. */
export interface Image {
  /** Root file system, raw ext4. It is booted as a snapshot and stays as it was built. */
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'udev', 'kmod', 'iproute2', 'procps', 'iptables', 'busybox-static', 'linux-image-cloud-amd64'],
  ...['containerd', 'runc', 'docker.io', 'containernetworking-plugins'],
  // What node and node_exporter are linked with or read.
  ...['libstdc++6', 'tzdata'],
];
const NEEDED = ['mmdebstrap', 'chroot', 'mkfs.ext4', 'qemu-system-x86_64', 'apt-get', 'setpriv'];
const DISK_BYTES = 3 * 1024 ** 3;
/** Units that only make the boot longer. */
const MASKED = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_reap.service', 'e2scrub_all.timer', 'fstrim.timer'];

/** Why there can be no virtual machine here; false when there can. */
export function noMachine(): string | false {
  if (process.arch !== 'x64') return `the virtual machine is x64, this machine ${process.arch}`;
  if (process.getuid?.() !== 0) return 'the image of the virtual machine is built as root';
  const absent = NEEDED.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  return absent.length === 0 ? false : `not installed: ${absent.join(', ')}`;
}

/** The image for these packages and settings, built when there is none (some 80 s); `tell` gets a line before. */
export function machineImage(tell: (line: string) => void = () => undefined): Image {
  const folder = cacheFolder();
  const image = { disk: join(folder, 'disk.img'), kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd.img') };
  if (existsSync(folder)) return image;
  tell(`building the image of the virtual machine in ${folder}`);
  const parent = join(folder, '..');
  mkdirSync(parent, { recursive: true });
  const making = mkdtempSync(join(parent, 'making-'));
  try {
    const root = join(making, 'root');
    bootstrap(root);
    configure(root);
    for (const [from, to] of [
      ['vmlinuz', image.kernel],
      ['initrd.img', image.initrd],
    ] as const)
      renameSync(newest(join(root, 'boot'), `${from}-`), join(making, to.slice(folder.length + 1)));
    const disk = join(making, 'disk.img');
    execFileSync('truncate', ['--size', String(DISK_BYTES), disk]);
    execFileSync('mkfs.ext4', ['-q', '-L', 'root', '-d', root, disk]);
    rmSync(root, { recursive: true });
    // Of older packages or settings, and as large.
    for (const name of readdirSync(parent)) if (join(parent, name) !== making) rmSync(join(parent, name), { recursive: true, force: true });
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return image;
}

function cacheFolder(): string {
  const inputs = JSON.stringify([codename(), PACKAGES, MASKED, SETTINGS, DISK_BYTES, APP_ARCHIVE]);
  const key = createHash('sha256').update(inputs).digest('hex').slice(0, 16);
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'exporterd-vm', key);
}

function bootstrap(root: string): void {
  const exclude = ['man', 'doc', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const run = spawnSync(
    'mmdebstrap',
    ['--variant=apt', '--mode=root', `--include=${PACKAGES.join(',')}`, ...exclude, '--aptopt=Apt::Install-Recommends "false"', codename(), root, '-'],
    { input: sources(), encoding: 'utf8', timeout: 10 * 60_000 },
  );
  if (run.status !== 0) throw new Error(`mmdebstrap: ${run.error?.message ?? ''} ${run.stderr.slice(-2000)}`);
}

/** apt's own archives of this release, as lines of a sources.list. Source: apt-get(8), indextargets. */
function sources(): string {
  const format = '$(RELEASE)\t$(REPO_URI)\t$(COMPONENT)\t$(SIGNED_BY)';
  const listed = execFileSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], { encoding: 'utf8' });
  const release = new RegExp(`^${codename()}(-updates|-security)?$`);
  const lines = listed.split('\n').flatMap((line) => {
    const [suite = '', uri = '', component = '', key = ''] = line.split('\t');
    return release.test(suite) ? [`deb ${key.startsWith('/') ? `[signed-by=${key}] ` : ''}${uri} ${suite} ${component}`] : [];
  });
  if (lines.length === 0) throw new Error(`apt has no archive of ${codename()}: run apt-get update`);
  return [...new Set(lines)].join('\n');
}

function configure(root: string): void {
  for (const [path, text] of Object.entries(SETTINGS)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  // The one in there: this machine may have none.
  const systemctl = (...words: readonly string[]): Buffer => execFileSync('chroot', [root, 'systemctl', '--quiet', ...words]);
  systemctl('enable', AGENT, 'systemd-networkd.service');
  systemctl('mask', ...MASKED);
  mkdirSync(join(root, PAYLOAD));
  const scratch = mkdtempSync(join(tmpdir(), 'exporterd-app-'));
  try {
    writeAppArchive(join(root, 'usr/bin/busybox'), scratch, join(root, APP_ARCHIVE));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function newest(folder: string, prefix: string): string {
  const name = readdirSync(folder)
    .filter((entry) => entry.startsWith(prefix))
    .sort()
    .at(-1);
  if (name === undefined) throw new Error(`${folder}: no ${prefix}*`);
  return join(folder, name);
}

function codename(): string {
  const name = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (name === undefined) throw new Error('/etc/os-release: VERSION_CODENAME expected');
  return name;
}

/** As a command: the image is built before the tests, whose time limit is for running. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const reason = noMachine();
  if (reason === false) machineImage(console.error);
  else console.error(`no virtual machine: ${reason}`);
}
