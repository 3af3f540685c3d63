import type { Listener } from './daemon.ts';
import { fetchPage, keptConnection, sleepUntil } from './scrape.ts';

/** Between two looks at a page, milliseconds; what is seen to happen may have happened this much earlier. */
export const LOOK_MS = 20;
const NODE_COUNTER = 'node_context_switches_total';

/** Looks at the pages of both back ends and of the node, again and again. */
export class Watch {
  readonly #daemon: Listener;
  readonly #agent = keptConnection();
  #isStopped = false;
  #ups: readonly number[] = [];
  #changedMs = { down: 0, up: 0 };
  #counter = 0;
  #counterMs = performance.now();
  #failure: unknown;
  stillMs = 0;

  constructor(daemon: Listener) {
    this.#daemon = daemon;
  }

  start(): void {
    this.#run().catch((error: unknown) => {
      // Connections end when the watch is stopped in the middle of a look.
      if (!this.#isStopped) this.#failure = error;
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#agent.destroy();
  }

  get isDown(): boolean {
    return this.#ups.length === 2 && this.#ups.every((up) => up === 0);
  }

  get isUp(): boolean {
    return this.#ups.length === 2 && this.#ups.every((up) => up === 1);
  }

  /** Forgets how long the counter stood still. */
  forget(): void {
    this.stillMs = 0;
    this.#counterMs = performance.now();
  }

  /** When both were last seen to have become down or up, milliseconds behind `then`. */
  since(then: number, what: 'down' | 'up'): number {
    return this.#changedMs[what] - then;
  }

  async until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const end = performance.now() + timeoutMs;
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      if (performance.now() > end) return false;
      await sleepUntil(performance.now() + 5);
    }
    return true;
  }

  async #run(): Promise<void> {
    for (let next = performance.now(); !this.#isStopped; next = Math.max(next + LOOK_MS, performance.now())) {
      await sleepUntil(next);
      if (this.#isStopped) return;
      const [postgres, redis, node] = await Promise.all(
        ['postgres', 'redis', 'node'].map((role) => fetchPage(`${this.#daemon.url}/metrics/${role}`, 'gzip', this.#agent)),
      );
      const now = performance.now();
      const wasDown = this.isDown;
      const wasUp = this.isUp;
      this.#ups = [postgres?.samples.get('pg_up') ?? Number.NaN, redis?.samples.get('redis_up') ?? Number.NaN];
      if (this.isDown && !wasDown) this.#changedMs.down = now;
      if (this.isUp && !wasUp) this.#changedMs.up = now;
      const counter = node?.samples.get(NODE_COUNTER) ?? 0;
      if (counter !== this.#counter) {
        this.#counter = counter;
        this.#counterMs = now;
      }
      this.stillMs = Math.max(this.stillMs, now - this.#counterMs);
    }
  }
}
