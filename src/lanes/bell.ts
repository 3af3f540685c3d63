/**
 * A word of shared memory that a thread sleeps on. Ringing costs a futex call where a message costs a serialised object, a
 * port and an event loop turn on each side.
 */
export function ring(words: Int32Array, at = 0): void {
  Atomics.add(words, at, 1);
  Atomics.notify(words, at);
}

/** Sleeps until the bell has been rung since `heard`, or the time is over. Returns the count heard now. */
export function listen(words: Int32Array, heard: number, at = 0, timeoutMs = Number.POSITIVE_INFINITY): number {
  Atomics.wait(words, at, heard, timeoutMs);
  return Atomics.load(words, at);
}
