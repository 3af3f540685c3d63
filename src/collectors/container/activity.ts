import type { Readers, ReplaySteps, Source } from '../../readers/readers.ts';
import { SAME_CYCLE_MS, type Tree } from './tree.ts';

/** Counts of /proc/vmstat that rise when the kernel looks for pages to take back, which moves those of cgroups that do nothing. */
const RECLAIM = /^(?:pgscan|pgsteal|pgrefill|pgdeactivate|pglazyfree)/;
const KILLS = 'oom_kill';

/** What the kernel has done to cgroups on its own, by /proc/vmstat; looked at once in a cycle, by whichever part asks first. */
export class KernelActs {
  readonly #tree: Tree;
  readonly #source: Source;
  #look = -1;
  #kills = Number.NaN;
  #killedAt = 0;
  #reclaimed = Number.NaN;
  #reclaimedAt = 0;
  #killPlace = -1;
  #reclaimPlaces: readonly number[] = [];
  #isRead = false;

  constructor(tree: Tree, readers: Readers, procfs: string) {
    this.#tree = tree;
    this.#source = readers.source(`${procfs}/vmstat`, { keys: 1 });
  }

  /** The look of the tree at which it was seen last that something was killed; always the present one where the kernel does not say (before Linux 4.13). */
  get killedAt(): number {
    this.#follow();
    return this.#killedAt;
  }

  /** The same for pages taken back. */
  get reclaimedAt(): number {
    this.#follow();
    return this.#reclaimedAt;
  }

  /** What replayed runs rely on: no kill, or no page taken back, since it was asked last. False where the kernel does not say. */
  replay(steps: ReplaySteps, relied: 'kills' | 'reclaim'): boolean {
    const places = relied === 'kills' ? [this.#killPlace].filter((place) => place >= 0) : this.#reclaimPlaces;
    if (places.length === 0 || !this.#isRead) return false;
    steps.scan(
      this.#source,
      places.map((at) => ({ at, slot: 0, mode: 'still', times: this.#source.numbers[at] as number })),
    );
    return true;
  }

  close(): void {
    this.#source.close();
  }

  #follow(): void {
    const { looks } = this.#tree;
    if (looks === this.#look) return;
    this.#look = looks;
    const [kills, reclaimed] = this.#read();
    // NaN, which equals nothing, where the kernel does not say.
    if (kills !== this.#kills) this.#killedAt = looks;
    if (reclaimed !== this.#reclaimed) this.#reclaimedAt = looks;
    this.#kills = kills;
    this.#reclaimed = reclaimed;
  }

  #read(): readonly [kills: number, reclaimed: number] {
    this.#isRead = false;
    try {
      if (this.#source.scan()) this.#bind();
      this.#isRead = true;
    } catch {
      return [Number.NaN, Number.NaN];
    }
    const { numbers } = this.#source;
    const kills = this.#killPlace < 0 ? Number.NaN : (numbers[this.#killPlace] as number);
    if (this.#reclaimPlaces.length === 0) return [kills, Number.NaN];
    return [kills, this.#reclaimPlaces.reduce((sum, place) => sum + (numbers[place] as number), 0)];
  }

  #bind(): void {
    const rows = this.#source.rows();
    const placeOf = (wanted: (key: string) => boolean): number[] =>
      rows.flatMap(([key, value]) => (key !== undefined && value !== undefined && value.at >= 0 && wanted(key.text) ? [value.at] : []));
    this.#killPlace = placeOf((key) => key === KILLS)[0] ?? -1;
    this.#reclaimPlaces = placeOf((key) => RECLAIM.test(key));
  }
}

/**
 * Which cgroups are at work, so that files that cost much need not be read of those that are not. A cgroup whose CPU time and
 * memory stand still changes no number of memory.stat itself; the kernel may when it takes pages back, which it says, and other cgroups
 * may by using the same pages, which is why no reading counts for longer than TRUST_MS. The peer looks at idle containers once a minute.
 */
export class Activity {
  /** By cgroup index, monotonic milliseconds: when CPU time or memory was seen to move last. */
  movedMs = new Float64Array(64);
  readonly kernel: KernelActs;
  /** Of one number: when CPU times were read last, monotonic milliseconds. */
  readonly watchedMs = Float64Array.of(Number.NEGATIVE_INFINITY);

  constructor(kernel: KernelActs) {
    this.kernel = kernel;
  }

  /** Makes room for a cgroup. */
  hold(index: number): void {
    if (index < this.movedMs.length) return;
    const grown = new Float64Array(Math.max(index + 1, this.movedMs.length * 2));
    grown.set(this.movedMs);
    this.movedMs = grown;
  }

  /** The CPU times of all cgroups were read now. */
  watched(nowMs: number): void {
    this.watchedMs[0] = nowMs;
  }

  /** Whether CPU times are of this cycle, so that it is known which cgroups are idle. */
  isWatched(nowMs: number): boolean {
    return nowMs - (this.watchedMs[0] as number) < SAME_CYCLE_MS;
  }
}

/** The kernel adds up what CPUs have counted within two seconds (FLUSH_TIME of mm/memcontrol.c); a reading from before then may lack some. */
export const SETTLED_MS = 5000;
export const TRUST_MS = 60_000;
