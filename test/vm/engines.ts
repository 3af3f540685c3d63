import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { delimiter, join } from 'node:path';
import { tmpdir } from 'node:os';

/**
 * Real container engines, started from programs that are on PATH (Debian: containerd, runc, docker.io, podman, conmon, crun,
 * busybox-static) or below the directory that TEST_ENGINES names, which holds unpacked packages. Nothing is installed,
 * nothing is pulled: the one image is made here. Root is needed, and leave to make cgroups.
 */

const ROOT = process.env['TEST_ENGINES'] ?? '';
const PATH = [...['usr/sbin', 'usr/bin', 'sbin', 'bin'].map((folder) => join(ROOT, folder)), process.env['PATH'] ?? ''].join(delimiter);
const LIBRARIES = join(ROOT, 'usr/lib/x86_64-linux-gnu');
const ENVIRONMENT = { ...process.env, PATH, ...(ROOT === '' ? {} : { LD_LIBRARY_PATH: LIBRARIES }) };

export const IMAGE = 'docker.io/demo/app:1';
export const PAUSE = 'registry.k8s.io/pause:3.6';

/** The whole path of a program; undefined when it is not there. */
export function program(name: string): string | undefined {
  return PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/** Why engines cannot run here; false when they can. */
export function missing(...names: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'container engines want root';
  const absent = names.filter((name) => program(name) === undefined);
  return absent.length === 0 ? false : `not installed: ${absent.join(', ')} (see test/vm/README.md)`;
}

export interface Engine {
  readonly folder: string;
  readonly socket: string;
  /** Runs a program with the engine's environment; its output. Throws when it fails. */
  run(name: string, ...args: readonly string[]): string;
  /** Starts a program whose end `stop` waits for. */
  start(name: string, ...args: readonly string[]): ChildProcess;
  stop(): Promise<void>;
}

/** A folder of its own, and what is started in it. */
export function engine(socketName: string): Engine {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-engine-'));
  const children: ChildProcess[] = [];
  return {
    folder,
    socket: join(folder, socketName),
    run: (name, ...args) => execFileSync(program(name) ?? name, args, { env: ENVIRONMENT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    start(name, ...args) {
      const child = spawn(program(name) ?? name, args, { env: ENVIRONMENT, stdio: process.env['TEST_ENGINES_LOG'] === undefined ? 'ignore' : 'inherit' });
      children.push(child);
      return child;
    },
    async stop() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        const late = setTimeout(() => child.kill('SIGKILL'), 5000);
        await gone;
        clearTimeout(late);
      }
      // Layers are mounted below it.
      spawnSync('sh', ['-c', `awk '$2 ~ "^${folder}/" {print $2}' /proc/mounts | sort -r | xargs -r umount -l`]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until `ready` says so. Throws after ten seconds, naming what was waited for. */
export async function until(what: string, ready: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (await ready()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not come within ten seconds`);
}

/** An image archive with busybox and nothing else, tagged as the application and as the sandbox. Its path. */
export function imageArchive(folder: string): string {
  const layer = join(folder, 'layer');
  mkdirSync(join(layer, 'bin'), { recursive: true });
  for (const name of ['busybox', 'sh', 'sleep']) execFileSync('cp', [program('busybox') as string, join(layer, 'bin', name)]);
  for (const name of ['proc', 'sys', 'dev', 'etc', 'tmp']) mkdirSync(join(layer, name), { recursive: true });
  writeFileSync(join(layer, 'pause'), '#!/bin/sh\nexec /bin/sleep 1000000\n', { mode: 0o755 });
  const content = join(folder, 'image');
  mkdirSync(content);
  execFileSync('tar', ['-C', layer, '-cf', join(content, 'layer.tar'), '.']);
  const digest = createHash('sha256')
    .update(execFileSync('cat', [join(content, 'layer.tar')], { maxBuffer: 1 << 26 }))
    .digest('hex');
  const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['/pause'] }, rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] } };
  writeFileSync(join(content, 'config.json'), JSON.stringify(config));
  writeFileSync(join(content, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [IMAGE, PAUSE], Layers: ['layer.tar'] }]));
  const archive = join(folder, 'image.tar');
  execFileSync('tar', ['-C', content, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar']);
  return archive;
}
