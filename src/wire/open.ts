/** Chooses the wire at start. */
import { NoServerError, type WireServer, type WireTools } from './server.ts';
import { createUwsServer, loadUws } from './uws.ts';

export type WirePreference = 'auto' | 'uws' | 'http';

/** `note` says why the native server is not used although it was not refused: one line for the log. */
export interface OpenedServer {
  readonly server: WireServer;
  readonly note?: string;
}

let native: ReturnType<typeof loadUws> | undefined;

/** uWebSockets.js or why there is none. Loaded once; may be called ahead of `openServer` by who has time. */
export function loadNative(): ReturnType<typeof loadUws> {
  native ??= loadUws();
  return native;
}

/**
 * A server for the preference: `auto` takes uWebSockets.js where it loads and node:http elsewhere, with a note.
 * Rejects with NoServerError for `uws` when no native uWebSockets.js loads: who asks for it by name wants to know.
 */
export async function openServer(preference: WirePreference, tools?: WireTools): Promise<OpenedServer> {
  if (preference === 'http') return { server: await httpServer(tools) };
  const loaded = loadNative();
  if (!('reason' in loaded)) return { server: createUwsServer(loaded, tools) };
  const note = `no native uWebSockets.js on this machine (${loaded.reason})`;
  if (preference === 'uws') throw new NoServerError(note);
  return { server: await httpServer(tools), note: `${note}; node:http serves instead` };
}

/** Loaded where it serves: node:http is a tenth of what a start loads. */
async function httpServer(tools: WireTools | undefined): Promise<WireServer> {
  const { createHttpServer } = await import('./http.ts');
  return createHttpServer(tools);
}
