/** Chooses the readers of this thread. */
import {
  addonPath,
  collectGarbage as nativeCollectGarbage,
  exitNow as nativeExitNow,
  limitSendBuffers as nativeLimitSendBuffers,
  nativeReaders,
  trimMemory as nativeTrimMemory,
} from './native.ts';
import type { Readers } from './readers.ts';
import { referenceReaders } from './reference.ts';

/**
 * The addon's readers when it was built, else the TypeScript ones. `force`, or EXPORTERD_READERS=native|reference, decides
 * otherwise. An addon that is there and does not load is an error, never a silent fallback: someone built it for a reason.
 */
export function loadReaders(force: string | undefined = process.env['EXPORTERD_READERS']): Readers {
  switch (force) {
    case 'native':
      return nativeReaders();
    case 'reference':
      return referenceReaders();
    case undefined:
    case '':
      return addonPath() === undefined ? referenceReaders() : nativeReaders();
    default:
      throw new Error(`EXPORTERD_READERS must be native or reference, not ${JSON.stringify(force)}`);
  }
}

/**
 * Ends the process. With the addon: at once, whatever other threads are doing. Without it: by process.exit, which waits for
 * worker threads; where one hangs in a system call by SIGTERM, which service managers take for a clean end as well.
 * @param isStuck whether a thread is known to hang
 */
export function exitNow(code: number, isStuck = false): never {
  if (addonPath() !== undefined) return nativeExitNow(code);
  if (isStuck) {
    process.removeAllListeners('SIGTERM');
    process.kill(process.pid, 'SIGTERM');
  }
  process.exit(code);
}

/** Collects this thread's garbage and gives what that frees back to the kernel, 20 to 100 ms; nothing without the addon. */
export function collectGarbage(): void {
  if (addonPath() !== undefined) nativeCollectGarbage();
}

/** Gives back to the kernel what a start has needed, in malloc's heap and of node's own file; nothing without the addon. */
export function trimMemory(): void {
  if (addonPath() !== undefined) nativeTrimMemory();
}

/** Bounds what the kernel buffers for each connection accepted on a port from now on; 0, and nothing done, without the addon. */
export function limitSendBuffers(port: number, bytes: number): number {
  return addonPath() === undefined ? 0 : nativeLimitSendBuffers(port, bytes);
}
