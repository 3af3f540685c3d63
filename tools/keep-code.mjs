// Runs the packed program as on a machine without configuration, and keeps the code that V8 makes of it (record-code.cjs).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const READY_WITHIN_MS = 30_000;
/** Threads write what they have several times in this time. */
const RECORD_MS = 500;
const RECORDER = fileURLToPath(new URL('record-code.cjs', import.meta.url));

/** Resolves with the address that it listens on, once it is ready. */
async function ready(program) {
  let log = '';
  program.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!log.includes('"msg":"ready"')) {
    if (program.exitCode !== null || performance.now() > deadline) throw new Error(`it does not become ready: ${log}`);
    await sleep(20);
  }
  return /"address":"([^"]+)"/.exec(log)?.[1];
}

/**
 * @param main the program's first file; flags of node are taken from its first line, since code is bound to them
 * @param files what its threads write
 */
export async function keepCode(main, files) {
  const flags = (/^#!.*\bnode +(.*)\n/.exec(readFileSync(main, 'utf8'))?.[1] ?? '').split(' ');
  const args = [...flags, '--require', RECORDER, main, '--web.listen-address=127.0.0.1:0', '--log.format=json'];
  const program = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    // No settings of the machine that builds.
    env: { PATH: process.env.PATH, PACK: join(dirname(main), 'pack') },
  });
  const ended = once(program, 'exit');
  try {
    const address = await ready(program);
    for (const path of ['-/ready', 'metrics']) await (await fetch(`http://${address}/${path}`)).text();
    while (!files.every((file) => existsSync(file))) await sleep(20);
    await sleep(RECORD_MS);
  } finally {
    program.kill();
    await ended;
  }
}
