import { compareBytes } from '../../model/escape.ts';
import type { Readers, ReplaySteps } from '../../readers/readers.ts';
import { OptionalSource, type Scan } from './optional-source.ts';

/** The names in a folder, in byte order, dots left out. A new entry shows at the next scan. */
export class Directory {
  readonly path: string;
  names: readonly string[] = [];
  readonly #source: OptionalSource;
  #joined: string | undefined;

  constructor(path: string, readers: Readers, monotonicMs: () => number) {
    this.path = path;
    this.#source = new OptionalSource(readers.source(path, { names: true }), monotonicMs);
  }

  /** A missing folder is looked for once a minute. Throws ReaderError for every other failure. */
  scan(): Scan {
    const scan = this.#source.scan();
    if (scan === 'absent') {
      this.#joined = undefined;
      this.names = [];
    }
    if (scan !== 'changed') return scan;
    const text = this.#source.text();
    const names = text.split('\0').slice(0, -1).sort(compareBytes);
    // The kernel may list the same names in another order.
    const joined = names.join('/');
    if (joined === this.#joined) return 'same';
    this.#joined = joined;
    this.names = names;
    return 'changed';
  }

  /** What `scan` of the next runs will do. False when the folder is missing. */
  replay(steps: ReplaySteps): boolean {
    return this.#source.replay(steps, []);
  }

  close(): void {
    this.#source.close();
  }
}
