import type { ReplaySteps, Source } from '../../readers/readers.ts';

/**
 * The kernel's own count of cgroups: /proc/cgroups (`#subsys_name hierarchy num_cgroups enabled`), or cgroup.stat of the v2
 * root, which tells nothing of single controllers.
 */
export class Census {
  readonly #source: Source;
  #isRead = false;
  /** As the last look found them. */
  #numbers: readonly number[] = [];
  /** By controller: place of its number. */
  #places = new Map<string, number>();

  /** @param source of one key a line; closed with this */
  constructor(source: Source) {
    this.#source = source;
  }

  /** Reads it anew. True when it says something else than before, or nothing (cgroup.stat before Linux 4.14, a copied tree). */
  look(): boolean {
    const wasRead = this.#isRead;
    this.#isRead = false;
    try {
      const isOther = this.#source.scan();
      if (this.#source.count === 0) return true;
      if (isOther) this.#bind();
      this.#isRead = true;
      const { numbers, count } = this.#source;
      if (!isOther && wasRead && this.#numbers.every((number, at) => number === numbers[at])) return false;
      this.#numbers = Array.from(numbers.subarray(0, count));
      return true;
    } catch {
      return true;
    }
  }

  /** How many cgroups a controller's hierarchy has; -1 where that is not said. */
  population(controller: string): number {
    const place = this.#isRead ? this.#places.get(controller) : undefined;
    return place === undefined ? -1 : (this.#numbers[place] ?? -1);
  }

  /** What replayed runs rely on: it says the same. False where it says nothing. */
  replay(steps: ReplaySteps): boolean {
    if (!this.#isRead) return false;
    steps.scan(
      this.#source,
      this.#numbers.map((times, at) => ({ at, slot: 0, mode: 'still', times })),
    );
    return true;
  }

  close(): void {
    this.#source.close();
  }

  #bind(): void {
    this.#places = new Map(
      this.#source.rows().flatMap(([name, , count]) => (name !== undefined && count !== undefined && count.at >= 0 ? [[name.text, count.at]] : [])),
    );
  }
}
