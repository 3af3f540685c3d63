import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, startProcess, until } from '../support/backends/processes.ts';
import type { Ran } from './agent.ts';
import { connected } from './connected.ts';
import { machineImage } from './image.ts';
import { AGENT_PORT, DAEMON_PORT, PAYLOAD } from './settings.ts';

/** A booted virtual machine. */
export interface Machine {
  /** A command in it, whatever comes of it. */
  attempt(...command: readonly string[]): Promise<Ran>;
  /** What a command prints. Throws Error with its last words when it fails. */
  run(...command: readonly string[]): Promise<string>;
  /** A page of what listens on the daemon's port. Throws when nothing answers, or its status is not 200. */
  page(path: string): Promise<string>;
  /** A socket on this side that leads to the one of this path in there. */
  socket(path: string): Promise<string>;
  /** What was printed on its console. */
  console(): string;
  stop(): Promise<void>;
}

/** `unified`: cgroup v2. `hybrid`: v1 controllers, and v2 without any for systemd's own use. */
export type Layout = 'unified' | 'hybrid';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
/** Emulated: half a minute where hardware takes three seconds, and minutes on a busy machine. */
const BOOT_MS = 600_000;
const COMMAND_MS = 600_000;
const PAGE_MS = 120_000;
/** QEMU takes connections that nobody in the machine has listened for yet, and leaves some without an answer. */
const PROBE_MS = 5_000;

/**
 * Boots a machine with this checkout's build in it; `programs` are copied into PAYLOAD under their keys.
 * QEMU emulates the CPU: timings inside say nothing.
 */
export async function bootMachine(layout: Layout, programs: Readonly<Record<string, string>>): Promise<Machine> {
  const { disk, kernel, initrd } = machineImage();
  const home = mkdtempSync(join(tmpdir(), 'exporterd-machine-'));
  const [agentPort, daemonPort] = [await freePort(), await freePort()];
  const drive = (file: string, more: string): string[] => ['-drive', `file=${file},format=raw,if=virtio,${more}`];
  const forward = `hostfwd=tcp:127.0.0.1:${agentPort}-:${AGENT_PORT},hostfwd=tcp:127.0.0.1:${daemonPort}-:${DAEMON_PORT}`;
  const boot = [
    'console=ttyS0',
    'root=/dev/vda',
    'rw',
    'panic=-1',
    'quiet',
    'apparmor=0',
    // What is dear under emulation: a clock that is a device, jumps made of returns, clearing of pages that are written anyway.
    ...['tsc=reliable', 'mitigations=off', 'init_on_alloc=0'],
    ...(layout === 'hybrid' ? ['systemd.unified_cgroup_hierarchy=0'] : []),
  ];
  const payload = makePayload(home, programs);
  const qemu = startProcess(
    // Ends with this process, however that ends.
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'qemu-system-x86_64'],
      // Without the fifth level of page tables, which each translation of an address would go through.
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off', '-smp', '2', '-m', '2000', '-nographic', '-no-reboot'],
      ...drive(disk, 'snapshot=on'),
      ...drive(payload, 'readonly=on'),
      ...['-netdev', `user,id=host,restrict=on,${forward}`, '-device', 'virtio-net-pci,netdev=host,romfile='],
      ...['-kernel', kernel, '-initrd', initrd, '-append', boot.join(' ')],
    ],
    join(home, 'console'),
  );
  const servers: Server[] = [];
  const attempt = (...command: readonly string[]): Promise<Ran> => ask(agentPort, command, COMMAND_MS);
  const stop = async (): Promise<void> => {
    for (const server of servers) server.close();
    await qemu.stop();
    rmSync(home, { recursive: true, force: true });
  };
  const ready = await until(
    () =>
      ask(agentPort, ['true'], PROBE_MS).then(
        ({ code }) => code === 0,
        () => !qemu.running(),
      ),
    BOOT_MS,
  );
  if (!ready || !qemu.running()) {
    const last = qemu.output().slice(-3000);
    await stop();
    throw new Error(`the virtual machine does not come up: ${last}`);
  }
  // QEMU has it open.
  rmSync(payload);
  return {
    attempt,
    async run(...command) {
      const { code, stdout, stderr } = await attempt(...command);
      if (code !== 0) throw new Error(`${command.join(' ')}: ended with ${code}: ${stderr.slice(-2000)}${stdout.slice(-2000)}`);
      return stdout;
    },
    async page(path) {
      const response = await fetch(`http://127.0.0.1:${daemonPort}${path}`, { signal: AbortSignal.timeout(PAGE_MS) });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
      return text;
    },
    async socket(path) {
      const here = join(home, `${servers.length}.sock`);
      servers.push(await relay(here, agentPort, path));
      return here;
    },
    console: qemu.output,
    stop,
  };
}

/** A disk with dist, what it imports, node and the programs. */
function makePayload(home: string, programs: Readonly<Record<string, string>>): string {
  const folder = join(home, 'payload');
  mkdirSync(folder);
  cpSync(process.execPath, join(folder, 'node'));
  const listed = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: REPOSITORY, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .trim()
    .split('\n');
  const modules = listed.map((path) => relative(REPOSITORY, path)).filter((path) => path.startsWith('node_modules/'));
  for (const path of ['dist', 'package.json', 'native-readers/build', 'deploy', 'src/collectors/node/fixtures', ...modules])
    cpSync(join(REPOSITORY, path), join(folder, path), { recursive: true, verbatimSymlinks: true });
  for (const [name, path] of Object.entries(programs)) cpSync(path, join(folder, name));
  const disk = join(home, 'payload.img');
  const [kilobytes = '0'] = execFileSync('du', ['-sk', folder], { encoding: 'utf8' }).split('\t');
  execFileSync('truncate', ['--size', `${Math.ceil((Number(kilobytes) * 1.2) / 1024) + 16}M`, disk]);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-m', '0', '-L', PAYLOAD.slice(1), '-d', folder, disk]);
  rmSync(folder, { recursive: true });
  return disk;
}

function ask(port: number, command: readonly string[], timeoutMs: number): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, method: 'POST', agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(text) as Ran) : reject(new Error(text))));
      response.on('error', reject);
    });
    asking.on('error', (error) => reject(new Error(`${command.join(' ')}: ${error.message}`, { cause: error })));
    asking.end(JSON.stringify(command));
  });
}

/** A unix socket here, each of whose connections leads to one in the machine. */
async function relay(here: string, agentPort: number, there: string): Promise<Server> {
  const server = createServer((client) => {
    const asking = request({ host: '127.0.0.1', port: agentPort, path: there, agent: false, headers: { connection: 'Upgrade', upgrade: 'unix' } });
    asking.on('upgrade', (_response, socket, head) => {
      client.write(head);
      connected(client, socket);
    });
    asking.on('error', () => client.destroy());
    asking.end();
  });
  await new Promise<void>((resolve) => server.listen(here, resolve));
  return server;
}
