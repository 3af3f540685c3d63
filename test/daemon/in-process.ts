import { after } from 'node:test';
import { discoverCollectors } from '../../src/collect/discover.ts';
import { loadConfig } from '../../src/cli/load.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { type Plan, plan } from '../../src/daemon/plan.ts';
import { createLog } from '../../src/log.ts';
import { type Clock, systemClock } from '../../src/model/clock.ts';
import { loadReaders } from '../../src/readers/load.ts';
import { openServer } from '../../src/wire/open.ts';
import { TOY_HOST, TOY_NETWORK } from './toys/definitions.ts';

const definitions = [...(await discoverCollectors()), TOY_HOST, TOY_NETWORK];

/** The plan of a configuration file with this text, for the real collectors and the toys. */
export async function planOf(yaml: string): Promise<Plan> {
  const loaded = await loadConfig({ argv: ['--config=/c'], env: {}, cwd: '/', definitions, readFile: () => yaml, version: '0' });
  if (!('config' in loaded)) throw new Error(loaded.text);
  return plan({ config: loaded.config, definitions, environment: {}, readSecret: () => '', readers: loadReaders() });
}

export interface Live {
  readonly daemon: Daemon;
  readonly log: string[];
  close(): Promise<void>;
}

/** A daemon in this process that does nothing yet; closed when the tests of the file have ended. */
export async function open(clock: Clock = systemClock, phaseLock = false, onLost: () => void = () => undefined): Promise<Live> {
  const log: string[] = [];
  const { server } = await openServer('http');
  const daemon = new Daemon({
    clock,
    readers: loadReaders(),
    server,
    log: createLog({ level: 'info', format: 'json', isTerminal: false, ...systemClock, write: (line) => log.push(line) }),
    version: '0.0.0',
    shards: 2,
    phaseLock,
    maxRequests: 40,
    idleViewMs: 60_000,
    filteredViews: 32,
    onLost,
  });
  const close = () => daemon.close(2000);
  lives.add(close);
  return { daemon, log, close };
}

const lives = new Set<() => Promise<void>>();
after(async () => {
  for (const close of lives) await close();
});
