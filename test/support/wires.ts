import { loadUws } from '../../src/wire/uws.ts';

const loaded = loadUws();

/** Every value of `web.server` that names a server, and why its tests are left out where that one cannot be had. */
export const WIRES: readonly { readonly server: 'uws' | 'http'; readonly skip: string | false }[] = [
  { server: 'uws', skip: 'reason' in loaded && 'no native uWebSockets.js here' },
  { server: 'http', skip: false },
];
