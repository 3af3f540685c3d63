import { absent, type Outcome, type Roots } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { Readers, ReplaySteps, SourceFormat } from '../../readers/readers.ts';
import { AttributeSet } from './attribute-set.ts';
import { BoundSource, type Layout } from './bound-source.ts';
import { ConstantSeries } from './constant-series.ts';
import { Directory } from './directory.ts';
import { Folders } from './folders.ts';
import { OptionalSource } from './optional-source.ts';
import type { HasOptions, PartOption, PartOptions } from './options.ts';

/**
 * What the peer calls a collector: one file under `parts/`, named `NAME.ts`, exporting its NodePart as `part`. The folder is
 * the list: nothing else names a part.
 */
export interface NodePart {
  /** The peer's name, which is also the file's. */
  readonly name: string;
  /** As in the peer, so that the set of collectors stays the same when one is replaced by the other. */
  readonly enabledByDefault: boolean;
  /** Every family whose name does not come from data. */
  readonly families: readonly Family[];
  readonly options?: readonly PartOption[];
  /** Interval when nothing else says one: for sources that are costly or seldom change. */
  readonly intervalSeconds?: number;
  /** Called at the first collect, in the worker. Opens what never changes; may throw CollectError. */
  open(scope: PartScope): PartReader;
}

export interface PartReader {
  /**
   * One run. `sheet` is the part's own and stays the same object for its life.
   * Where the peer's table says "no data" or "error" for a missing source the outcome is `absent`; where it says "empty" it is OK.
   */
  collect(sheet: Sheet): Outcome;
  /** See HostSession.replay: adds what `collect` of the next runs will do; a part without it is never replayed. */
  replay?(sheet: Sheet, steps: ReplaySteps): void;
  close?(): void;
}

/** What a part is opened with. */
export class PartScope {
  readonly readers: Readers;
  readonly roots: Roots;
  readonly options: PartOptions;
  /** Says whether another part is on; a few of the peer's collectors look at each other. */
  readonly isPartOn: (name: string) => boolean;
  /** The options of another part. */
  readonly optionsOf: (part: HasOptions) => PartOptions;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  readonly warn: (message: string) => void;
  readonly #opened: { close(): void }[] = [];

  constructor(given: Pick<PartScope, 'readers' | 'roots' | 'options' | 'isPartOn' | 'optionsOf' | 'monotonicMs' | 'wallMs' | 'warn'>) {
    this.readers = given.readers;
    this.roots = given.roots;
    this.options = given.options;
    this.isPartOn = given.isPartOn;
    this.optionsOf = given.optionsOf;
    this.monotonicMs = given.monotonicMs;
    this.wallMs = given.wallMs;
    this.warn = given.warn;
  }

  /** `net/dev` below the procfs root. */
  proc(path: string): string {
    return `${this.roots.procfs}/${path}`;
  }

  /** `class/net` below the sysfs root. */
  sys(path: string): string {
    return `${this.roots.sysfs}/${path}`;
  }

  /** A file that may be missing; a missing one is looked for once a minute. */
  source(path: string, format?: SourceFormat): OptionalSource {
    return new OptionalSource(this.readers.source(path, format), this.monotonicMs);
  }

  /** A file whose numbers are bound to series when its text changes: what most parts consist of. */
  bound(path: string, format: SourceFormat, layout: Layout): BoundSource {
    return new BoundSource(this.source(path, format), layout);
  }

  /** Files of one number each, read by one call. */
  attributes(format?: SourceFormat): AttributeSet {
    return new AttributeSet(this.readers, this.monotonicMs, format);
  }

  /** Series that are set anew only when something has changed. */
  constants(): ConstantSeries {
    return new ConstantSeries();
  }

  /** The outcome where a missing file counts as no success. */
  missing(source: { readonly path: string }): Outcome {
    return absent(`${source.path} is missing`);
  }

  /** The names in a folder, looked at in each run; a missing folder is looked for once a minute. */
  directory(path: string): Directory {
    const directory = new Directory(path, this.readers, this.monotonicMs);
    this.#opened.push(directory);
    return directory;
  }

  /** The names in many folders of a tree. */
  folders(): Folders {
    const folders = new Folders(this.readers, this.monotonicMs);
    this.#opened.push(folders);
    return folders;
  }

  /** Closes what the scope itself keeps open; the part closes the rest. */
  close(): void {
    for (const opened of this.#opened) opened.close();
  }
}
