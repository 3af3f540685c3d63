/** A real NTP server on loopback: chronyd (Debian package `chrony`) that does not touch the clock. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Available } from './availability.ts';
import { freePort, startProcess, until } from './processes.ts';

export interface Chronyd {
  readonly port: number;
  stop(): Promise<void>;
}

export function chronyd(): Available<'chronyd'> {
  return spawnSync('sh', ['-c', 'PATH=$PATH:/usr/sbin command -v chronyd']).status === 0 ? { backend: 'chronyd' } : { missing: 'chronyd is not installed' };
}

/** Serves this machine's own time as stratum 10. */
export async function startChronyd(): Promise<Chronyd> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-chrony-'));
  const port = await freePort();
  writeFileSync(
    join(folder, 'chrony.conf'),
    `port ${port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 10\ncmdport 0\nbindcmdaddress /\nuser ${userInfo().username}\npidfile ${folder}/pid\n`,
  );
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  // -x: leave the clock alone; -U: any user may start it; -d: stay here.
  const server = startProcess('chronyd', ['-x', '-U', '-d', '-f', join(folder, 'chrony.conf')], join(folder, 'log'), { env });
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await until(() => !server.running() || /Frequency|Disabled control|Could not read/.test(server.output()), 10_000)) || !server.running()) {
    const said = server.output();
    await stop();
    throw new Error(`chronyd: ${said}`);
  }
  return { port, stop };
}
