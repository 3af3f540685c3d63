import { SHARE_ENV } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { threadFile } from '../collect/load-module.ts';
import { hostPool } from '../schedule/host-lanes.ts';

/** Starts the thread of the host lane, which takes as long as the plan does. @param preload addresses of modules that it will probably need */
export function startHostThread(preload: readonly string[]): Piscina {
  return hostPool(preload);
}

/** Starts the thread of the view builder. */
export function startBuilderThread(): Piscina {
  return new Piscina({
    filename: threadFile('views/builder.js').href,
    minThreads: 1,
    maxThreads: 1,
    atomics: 'disabled',
    recordTiming: false,
    env: SHARE_ENV,
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
}
