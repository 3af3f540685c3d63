/** Starts the real node_exporter on a loopback port of the kernel's choice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Roots } from '../../src/collect/contract.ts';

export interface Peer {
  page(): Promise<string>;
  stop(): Promise<void>;
}

const START_MS = 60_000;

/** Throws Error with its last words when it does not come up. */
export async function startPeer(
  program: string,
  collectors: readonly string[],
  roots: Roots,
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Peer> {
  const child = spawn(
    program,
    [
      '--web.listen-address=127.0.0.1:0',
      '--web.disable-exporter-metrics',
      '--collector.disable-defaults',
      ...collectors.map((name) => `--collector.${name}`),
      `--path.procfs=${roots.procfs}`,
      `--path.sysfs=${roots.sysfs}`,
      `--path.rootfs=${roots.rootfs === '' ? '/' : roots.rootfs}`,
      `--path.udev.data=${roots.udevData}`,
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...environment } },
  );
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
  };
  try {
    const address = await listening(child.stderr);
    return {
      async page() {
        const response = await fetch(`http://${address}/metrics`);
        if (!response.ok) throw new Error(`node_exporter answered ${response.status}: ${await response.text()}`);
        return response.text();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address from its line `msg="Listening on" address=127.0.0.1:12345`. */
function listening(log: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`node_exporter does not listen after ${START_MS} ms: ${said}`)), START_MS);
    log.setEncoding('utf8');
    log.on('data', (text: string) => {
      said += text;
      const address = /Listening on" address=(\S+)/.exec(said)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
    log.on('end', () => {
      clearTimeout(timer);
      reject(new Error(`node_exporter ended: ${said}`));
    });
  });
}
