/** Chooses the wire at start. */
import { createHttpServer } from './http.ts';
import type { WireServer, WireTools } from './server.ts';
import { createUwsServer, loadUws } from './uws.ts';

export type WirePreference = 'auto' | 'uws' | 'http';

/** `note` says why the native server is not used although it was not refused: one line for the log. */
export interface OpenedServer {
  readonly server: WireServer;
  readonly note?: string;
}

/**
 * A server for the preference: `auto` takes uWebSockets.js where it loads and node:http elsewhere, with a note.
 * Rejects for `uws` when no native uWebSockets.js loads: who asks for it by name wants to know.
 */
export async function openServer(preference: WirePreference, tools?: WireTools): Promise<OpenedServer> {
  if (preference === 'http') return { server: createHttpServer(tools) };
  const loaded = loadUws();
  if (!('reason' in loaded)) return { server: createUwsServer(loaded, tools) };
  const note = `no native uWebSockets.js on this machine (${loaded.reason})`;
  if (preference === 'uws') throw new Error(note);
  return { server: createHttpServer(tools), note: `${note}; node:http serves instead` };
}
