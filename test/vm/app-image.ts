import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The one image of containers and sandboxes: busybox alone. No registry is asked. */
export const APP = 'docker.io/demo/app:1';
export const PAUSE = 'registry.k8s.io/pause:3.6';
/** Where it lies in the virtual machine. */
export const APP_ARCHIVE = '/var/lib/app-image.tar';

const APPLETS = ['sh', 'sleep', 'dd', 'tail', 'sync', 'ping', 'cat', 'usleep'];

/** Writes an archive as `docker load` and `ctr images import` read it, with the statically linked busybox of this path. */
export function writeAppArchive(busybox: string, scratch: string, archive: string): void {
  const layer = join(scratch, 'layer');
  const content = join(scratch, 'content');
  for (const folder of [content, ...['bin', 'proc', 'sys', 'dev', 'etc', 'tmp'].map((name) => join(layer, name))]) mkdirSync(folder, { recursive: true });
  cpSync(busybox, join(layer, 'bin/busybox'));
  for (const name of APPLETS) execFileSync('ln', ['-s', 'busybox', join(layer, 'bin', name)]);
  writeFileSync(join(layer, 'pause'), '#!/bin/sh\nexec /bin/sleep 1000000\n', { mode: 0o755 });
  execFileSync('tar', ['-C', layer, '-cf', join(content, 'layer.tar'), '.']);
  const digest = createHash('sha256')
    .update(readFileSync(join(content, 'layer.tar')))
    .digest('hex');
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/pause'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  };
  writeFileSync(join(content, 'config.json'), JSON.stringify(config));
  writeFileSync(join(content, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [APP, PAUSE], Layers: ['layer.tar'] }]));
  execFileSync('tar', ['-C', content, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar']);
}
