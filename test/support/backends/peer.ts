import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Available } from './availability.ts';
import { freePort, startProcess, until } from './processes.ts';

/** An exporter that we replace, running beside us. */
export interface Peer {
  /** Its page now. */
  page(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts the first of these programs that is on the PATH; Debian names them `prometheus-*-exporter`. */
export async function startPeer(
  programs: readonly string[],
  environment: Readonly<Record<string, string>>,
  listenFlag = '--web.listen-address',
): Promise<Available<Peer>> {
  const program = programs.map(onPath).find((path) => path !== undefined);
  if (program === undefined) return { missing: `none of ${programs.join(', ')} is on the PATH` };
  const home = mkdtempSync(join(tmpdir(), 'exporterd-peer-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/metrics`;
  const peer = startProcess(program, [`${listenFlag}=127.0.0.1:${port}`], join(home, 'log'), { env: { ...environment }, cwd: home });
  const stop = async (): Promise<void> => {
    await peer.stop();
    rmSync(home, { recursive: true, force: true });
  };
  const page = async (): Promise<string> => (await fetch(url)).text();
  const ready = await until(
    () =>
      page().then(
        () => true,
        () => !peer.running(),
      ),
    10_000,
  );
  if (ready && peer.running()) return { backend: { page, stop } };
  const output = peer.output();
  await stop();
  return { missing: `${program} does not start: ${output.slice(-300)}` };
}

function onPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false; // not here
      }
    });
}
