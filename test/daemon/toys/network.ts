/** The worker side of a network collector for tests of shards and reloads: one TCP connection, kept. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type NetworkSession, OK, type Scope } from '../../../src/collect/contract.ts';
import type { ToySettings } from './definitions.ts';
import { RUNS } from './families.ts';

export { report } from './families.ts';

export function open(scope: Scope): NetworkSession {
  const { port, blocks_on, exits } = scope.target.settings as ToySettings;
  let socket: Socket | undefined;
  let runs = 0;
  return {
    async begin() {
      if (port === undefined || socket !== undefined) return;
      socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
    },
    async collect(part, sheet) {
      if (exits === true) process.exit(1);
      // A system call that never returns, which is what really sticks a thread.
      if (blocks_on !== undefined) readFileSync(blocks_on);
      if (part === 'warns') scope.warn('something is odd');
      sheet.sample(RUNS, [part], ++runs);
      return OK;
    },
    async close() {
      socket?.destroy();
    },
  };
}
