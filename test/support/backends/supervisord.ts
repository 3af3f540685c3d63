/** A real supervisord (Debian package `supervisor`), on a port of loopback and a unix socket. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Available } from './availability.ts';
import { accepts, freePort, type ServerProcess, startProcess, until } from './processes.ts';

export interface Supervisord {
  readonly port: number;
  readonly socketPath: string;
  readonly process: ServerProcess;
  /** Starts it again after `process.stop()`. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export function supervisord(): Available<'supervisord'> {
  const { status } = spawnSync('supervisord', ['--version']);
  return status === 0 ? { backend: 'supervisord' } : { missing: 'supervisord is not installed' };
}

/** With processes in states that stay, once they have got there; `password` guards the port. */
export async function startSupervisord(password = ''): Promise<Supervisord> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-supervisor-'));
  const port = await freePort();
  const socketPath = join(folder, 'socket');
  const guard = password === '' ? '' : `username=watcher\npassword=${password.replaceAll('%', '%%')}\n`;
  const program = (name: string, command: string, more = ''): string =>
    `[program:${name}]\ncommand=${command}\nstdout_logfile=NONE\nstderr_logfile=NONE\n${more}`;
  writeFileSync(
    join(folder, 'supervisord.conf'),
    `[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=${folder}/pid\nchildlogdir=${folder}\n` +
      `[inet_http_server]\nport=127.0.0.1:${port}\n${guard}[unix_http_server]\nfile=${socketPath}\n` +
      `[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n` +
      program('sleeper', 'sleep 1000', 'startsecs=0\n') +
      program('worker', 'sleep 1000', 'process_name=%(program_name)s_%(process_num)d\nnumprocs=2\nstartsecs=0\n') +
      program('done', 'sh -c "exit 3"', 'autorestart=false\nstartsecs=0\n') +
      program('broken', '/no/such/program', 'startretries=0\n') +
      program('waiting', 'sleep 1000', 'autostart=false\n'),
  );
  const start = async (): Promise<ServerProcess> => {
    const server = startProcess('supervisord', ['-n', '-c', join(folder, 'supervisord.conf')], join(folder, 'log'));
    if ((await until(async () => !server.running() || (await accepts({ port, host: '127.0.0.1' })), 20_000)) && server.running()) return server;
    throw new Error(`supervisord: ${server.output()}`);
  };
  let process = await start();
  return {
    port,
    socketPath,
    get process() {
      return process;
    },
    async restart() {
      process = await start();
    },
    async close() {
      await process.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
