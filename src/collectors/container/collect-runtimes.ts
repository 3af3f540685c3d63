import { existsSync } from 'node:fs';
import { BoardWriter } from '../../collect/board.ts';
import { CollectError, type NetworkSession, OK, type Outcome, type Scope, absent } from '../../collect/contract.ts';
import { DiskUses } from './disk-uses.ts';
import { dockerRuntime } from './docker.ts';
import { type DiskUse, encodeNames, type Names } from './names-table.ts';
import type { ContainerOptions } from './options.ts';
import { type RuntimeSocket, runtimeSockets } from './runtime-sockets.ts';
import { commaList } from './selection.ts';

export { report } from './report.ts';

/** Every release of Podman answers to it; the peer asks so too. */
const PODMAN_VERSION = '1.0.0';

/** Without anybody asking, names are looked at again this often: a container may be renamed. */
const FULL_MS = 60_000;

interface Runtime {
  list(signal: AbortSignal): Promise<Names>;
  /** What containers have written; may take long. */
  disk(signal: AbortSignal): Promise<readonly DiskUse[]>;
  close(): void;
}

interface Held {
  readonly socket: RuntimeSocket;
  readonly runtime: Runtime;
  /** Of the last list; kept while the runtime does not answer. */
  names: Names;
  /** Undefined where nobody wants to know. */
  readonly uses: DiskUses | undefined;
}

/** The network part: asks the runtimes whose sockets are there what their containers are called, and posts it for the host part. */
export function open(scope: Scope): NetworkSession {
  // Validated on the main thread.
  const options = scope.options as ContainerOptions;
  const { board, roots, monotonicMs, warn, parts } = scope;
  if (board === undefined) throw new Error('the container collector is opened without a board');
  const writer = new BoardWriter(board);
  const labels = commaList(options.container_labels);
  const held = new Map<string, Held>();
  let listedMs = Number.NEGATIVE_INFINITY;

  const release = ({ runtime, uses }: Held): void => {
    uses?.close();
    runtime.close();
  };

  const find = async (): Promise<void> => {
    const there = new Map(runtimeSockets(options, roots.rootfs).map((socket) => [socket.path, socket]));
    for (const [path, one] of held) {
      if (there.has(path) && existsSync(path)) continue;
      release(one);
      held.delete(path);
    }
    for (const [path, socket] of there) {
      if (held.has(path) || !existsSync(path)) continue;
      const runtime = await runtimeAt(socket, labels);
      const uses = parts.includes('disk') ? new DiskUses((signal) => runtime.disk(signal), path, monotonicMs, warn) : undefined;
      held.set(path, { socket, runtime, names: { containers: [], pods: [] }, uses });
      listedMs = Number.NEGATIVE_INFINITY;
    }
  };

  const list = async (signal: AbortSignal): Promise<readonly CollectError[]> => {
    const failures: CollectError[] = [];
    await Promise.all(
      [...held.values()].map(async (one) => {
        try {
          one.names = await one.runtime.list(signal);
        } catch (error) {
          one.runtime.close();
          failures.push(new CollectError(codeOf(error), one.socket.path, error instanceof Error ? error.message : String(error), error));
        }
      }),
    );
    return failures;
  };

  const post = (): void => {
    const names = [...held.values()].map((one) => one.names);
    writer.post(
      encodeNames({
        containers: names.flatMap(({ containers }) => containers),
        pods: names.flatMap(({ pods }) => pods),
        disks: [...held.values()].flatMap(({ uses }) => uses?.latest ?? []),
      }),
    );
  };

  return {
    async begin() {
      await find();
    },
    async collect(_part, _sheet, signal): Promise<Outcome> {
      if (held.size === 0) {
        post();
        return absent('no container runtime has a socket here');
      }
      let counted = false;
      for (const { uses } of held.values()) counted = uses?.turn() === true || counted;
      const now = monotonicMs();
      if (!writer.takeAsked() && now - listedMs < FULL_MS) {
        if (counted) post();
        return OK;
      }
      const failures = await list(signal);
      post();
      const [first] = failures;
      if (first !== undefined && failures.length === held.size) throw first;
      for (const { message } of failures) warn(message);
      if (first === undefined) listedMs = now; // Else the next round tries again.
      return OK;
    },
    async close() {
      for (const one of held.values()) release(one);
      held.clear();
    },
  };
}

/** The library for gRPC takes memory, so it is loaded where a CRI socket exists. */
async function runtimeAt({ kind, path }: RuntimeSocket, labels: readonly string[]): Promise<Runtime> {
  if (kind !== 'cri') return dockerRuntime(path, labels, kind === 'podman' ? PODMAN_VERSION : '');
  const { CriRuntime } = await import('./cri.ts');
  return new CriRuntime(path, labels);
}

/** A socket that may not be opened is a matter of permissions, not of a runtime that is down. */
function codeOf(error: unknown): 'auth' | 'connect' | 'query' {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EACCES' || code === 'EPERM') return 'auth';
  return code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'ECONNRESET' ? 'connect' : 'query';
}
