import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Listener } from './daemon.ts';
import { cacheFolder, onPath } from './place.ts';
import { start, type StartOptions } from './program.ts';

export const NODE_EXPORTER_VERSION = '1.12.1';

/**
 * The peer: the program that NODE_EXPORTER names, else one built from its Go module into the cache folder. Returns the reason
 * when there is neither.
 */
export function findNodeExporter(): { readonly path: string } | { readonly missing: string } {
  const given = process.env['NODE_EXPORTER'];
  if (given !== undefined && given !== '') return existsSync(given) ? { path: given } : { missing: `NODE_EXPORTER names ${given}, which is not there` };
  const folder = join(cacheFolder(), `node_exporter-${NODE_EXPORTER_VERSION}`);
  const path = join(folder, 'node_exporter');
  if (existsSync(path)) return { path };
  const go = onPath('go');
  if (go === undefined) return { missing: 'no node_exporter: NODE_EXPORTER is not set and there is no go to build it with' };
  process.stderr.write(`building node_exporter ${NODE_EXPORTER_VERSION} into ${folder}\n`);
  const built = spawnSync(go, ['install', `github.com/prometheus/node_exporter@v${NODE_EXPORTER_VERSION}`], {
    env: { ...process.env, GOBIN: folder },
    encoding: 'utf8',
  });
  return existsSync(path) ? { path } : { missing: `node_exporter does not build: ${built.stderr.slice(-300)}` };
}

/** Starts the peer on a free port; `collectors` undefined leaves its defaults. Without metrics about itself. */
export async function startNodeExporter(path: string, collectors: readonly string[] | undefined, options: StartOptions = {}): Promise<Listener> {
  const chosen = collectors === undefined ? [] : ['--collector.disable-defaults', ...collectors.map((name) => `--collector.${name}`)];
  const program = start(path, ['--web.listen-address=127.0.0.1:0', '--web.disable-exporter-metrics', '--log.level=info', ...chosen], options);
  const match = await program.says(/msg="?Listening on"? address="?([0-9.]+:\d+)/);
  return { ...program, url: `http://${match[1]}` };
}

/** The collectors of this release, by the peer's names. */
export const NODE_COLLECTORS = [
  'cpu',
  'diskstats',
  'filefd',
  'filesystem',
  'loadavg',
  'meminfo',
  'netdev',
  'netstat',
  'pressure',
  'sockstat',
  'stat',
  'time',
  'uname',
  'vmstat',
];
