/** A back end, or the reason why this machine has none. */
export type Available<T> = { readonly backend: T } | { readonly missing: string };

/**
 * The `skip` option of a test that needs a back end: false when it is there, else the reason, which the runner counts.
 * In CI a missing back end is a failure, so that a green run means that everything ran.
 */
export function skipUnless(state: Available<unknown>): string | false {
  if (!('missing' in state)) return false;
  if (process.env['CI'] === 'true') throw new Error(`CI needs this back end: ${state.missing}`);
  return state.missing;
}

/** The back end of a state that `skipUnless` let pass. */
export function backendOf<T>(state: Available<T>): T {
  if ('missing' in state) throw new Error(state.missing);
  return state.backend;
}
