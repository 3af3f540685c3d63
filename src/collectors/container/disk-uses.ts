import type { DiskUse } from './names-table.ts';

/** A runtime walks through what containers have written when it is asked: not more often than this. */
const LEAST_MS = 60_000;
/** And no more than a twentieth of its time. */
const TIMES_LONGER = 20;
const PATIENCE_MS = 120_000;

/**
 * What the containers of one runtime use of its file system. Asked for beside the rounds, which do not wait: an answer may
 * take longer than a round.
 */
export class DiskUses {
  /** Of the last answer; kept while there is no newer one. */
  latest: readonly DiskUse[] = [];
  readonly #ask: (signal: AbortSignal) => Promise<readonly DiskUse[]>;
  readonly #place: string;
  readonly #monotonicMs: () => number;
  readonly #warn: (message: string) => void;
  readonly #ended = new AbortController();
  #isUnderWay = false;
  #isNew = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  /** @param place what warnings say of it: the socket */
  constructor(ask: (signal: AbortSignal) => Promise<readonly DiskUse[]>, place: string, monotonicMs: () => number, warn: (message: string) => void) {
    this.#ask = ask;
    this.#place = place;
    this.#monotonicMs = monotonicMs;
    this.#warn = warn;
  }

  /** Asks when it is time to; true when an answer came since the last turn. */
  turn(): boolean {
    const now = this.#monotonicMs();
    if (!this.#isUnderWay && now >= this.#nextMs && !this.#ended.signal.aborted) {
      this.#isUnderWay = true;
      void this.#answer(now);
    }
    const isNew = this.#isNew;
    this.#isNew = false;
    return isNew;
  }

  close(): void {
    this.#ended.abort();
  }

  async #answer(askedMs: number): Promise<void> {
    try {
      this.latest = await this.#ask(AbortSignal.any([this.#ended.signal, AbortSignal.timeout(PATIENCE_MS)]));
      this.#isNew = true;
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#warn(`${this.#place}: space used by containers: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#isUnderWay = false;
    const now = this.#monotonicMs();
    this.#nextMs = now + Math.max(LEAST_MS, (now - askedMs) * TIMES_LONGER);
  }
}
