#!/usr/bin/env -S node --single-threaded-gc --no-memory-reducer
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Worker } from 'node:worker_threads';
import { threadFile } from './collect/load-module.ts';
import type { Daemon } from './daemon/daemon.ts';
import type { ViewFilter } from './daemon/plan.ts';
import type { Called, Prepared } from './daemon/prepare.ts';
import { tuneEngine } from './engine.ts';
import { systemClock } from './model/clock.ts';
import { collectGarbage, exitNow, limitSendBuffers, loadReaders, trimMemory } from './readers/load.ts';
import { buildCommand } from './readers/native.ts';
import { ListenError, NoServerError } from './wire/server.ts';

/** Exit codes: 0 ok, 1 runtime, 2 usage or configuration, 3 `once` and a collector failed. */
const RUNTIME = 1;
const USAGE = 2;
const COLLECTOR_FAILED = 3;
/** A stop takes at most this long, whatever hangs. */
const GRACE_MS = 800;

class PrintError extends Error {}

const CHOSEN = 'kernel files are read by TypeScript, as `readers` says, which is slower than the native readers';

/** What the host lane loads before the plan is known: the collect sides that run where nothing is configured. */
const PROBABLE = ['node', 'container', 'exporterd'].map((name) => new URL(`./collectors/${name}/collect.js`, import.meta.url).href);

async function main(): Promise<void> {
  const version = packageVersion();
  const planned = prepareApart({ argv: process.argv.slice(2), cwd: process.cwd(), program: basename(process.argv[1] ?? ''), version });
  // The rest of the program is loaded while the plan is made, and the host lane's thread begins to load its own.
  const rest = Promise.all([
    import('./daemon/threads.ts').then(({ startHostThread }) => startHostThread(PROBABLE)),
    import('./daemon/daemon.ts'),
    import('./log.ts'),
    import('./wire/open.ts').then(({ loadNative, openServer }) => {
      loadNative();
      return openServer;
    }),
  ]);
  const prepared = await planned;
  if (prepared.kind === 'print') {
    await print(process.stdout, prepared.text);
    return exitNow(0);
  }
  if (prepared.kind === 'usage') {
    await print(process.stderr, `${prepared.text}\n`);
    return exitNow(USAGE);
  }
  const { settings: config, plan: wanted } = prepared;
  const [hostThread, { Daemon }, { createLog }, openServer] = await rest;
  const log = createLog({ ...config.log, ...systemClock, isTerminal: process.stderr.isTTY === true });
  for (const warning of prepared.warnings) log.warn(warning);
  const { server, note } = await openServer(prepared.kind === 'once' ? 'http' : config.web.server, { limitSendBuffers });
  if (note !== undefined) log.warn(note);
  // Threads load their own readers, and take their environment from here.
  process.env['EXPORTERD_READERS'] = config.readers === 'auto' ? '' : config.readers;
  const readers = loadReaders();
  if (!readers.native)
    log.warn(
      config.readers === 'reference'
        ? CHOSEN
        : `there are no native readers for this machine, so slower TypeScript reads kernel files; install g++ and run ${buildCommand()}`,
    );
  const daemon = new Daemon({
    clock: systemClock,
    readers,
    server,
    log,
    version,
    shards: config.network.shards ?? Math.min(4, Math.max(1, new Set(wanted.jobs.filter((job) => job.pool === 'network').map((job) => job.target.name)).size)),
    phaseLock: config.phaseLock,
    maxRequests: config.web.maxRequests,
    idleViewMs: config.views.idleSeconds * 1000,
    filteredViews: config.views.filteredMax,
    hostThread,
    onLost: () => void stop(daemon, RUNTIME),
  });
  if (prepared.kind === 'once') {
    await daemon.apply({ ...wanted, listeners: [] });
    const front = wanted.listeners[0]?.routes[0]?.filter as ViewFilter;
    const { text, failed } = await daemon.page('once', front);
    await print(process.stdout, text);
    return stop(daemon, failed ? COLLECTOR_FAILED : 0);
  }
  log.info('starting', {
    version,
    server: server.describe,
    readers: readers.native ? 'native' : 'typescript',
    roles: [...new Set(wanted.jobs.map((job) => job.role))],
  });
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) return;
    stopping = true;
    log.info('stopping', { signal });
    void stop(daemon, 0);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  await daemon.apply(wanted);
  await daemon.ready;
  log.info('ready');
  tuneEngine();
  collectGarbage();
  trimMemory();
}

/** The plan, made in a thread that ends and takes with it what planning needs. */
async function prepareApart(called: Called): Promise<Prepared> {
  const planner = new Worker(threadFile('daemon/planner.js'), { workerData: called });
  const [prepared] = (await once(planner, 'message')) as [Prepared];
  return prepared;
}

/** Resolves when all of it is in the pipe: a reader may be slower than the end of the process. */
function print(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // The disk is full, or nobody reads any more.
    stream.once('error', ({ message }) => reject(new PrintError(`cannot print: ${message}`)));
    stream.write(text, (error) => {
      if (!error) resolve();
    });
  });
}

/** Ends the process for certain: threads that hang in a system call would keep process.exit waiting. */
async function stop(daemon: Daemon, code: number): Promise<never> {
  await daemon.close(GRACE_MS);
  return exitNow(code, daemon.isStuck);
}

function packageVersion(): string {
  // dist/src/main.js: two folders below the package.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What the machine refuses is told in a sentence, anything else with the place in the program. */
function failure(error: unknown): string {
  if (error instanceof ListenError || error instanceof NoServerError || error instanceof PrintError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

main().catch((error: unknown) => {
  process.stderr.write(`exporterd: ${failure(error)}\n`);
  exitNow(RUNTIME);
});
