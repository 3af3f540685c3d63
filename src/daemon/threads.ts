import { SHARE_ENV } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { hostPool } from '../schedule/host-lanes.ts';

/** The threads that every daemon has. */
export interface Threads {
  readonly host: Piscina;
  readonly builder: Piscina;
}

/** Starts them: that takes as long as the plan does, so they may be started before there is one. */
export function startThreads(preload: readonly string[] = []): Threads {
  const builder = new Piscina({
    filename: new URL('../views/builder.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
    atomics: 'disabled',
    recordTiming: false,
    env: SHARE_ENV,
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  return { host: hostPool(preload), builder };
}
