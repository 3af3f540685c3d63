import type { BuilderMail } from './builder.ts';
import { makeView, type ViewMemory, ViewReader } from './view.ts';

/** How many requests may wait for the first build of a view. */
const QUEUE = 16;

/** A view as the main thread knows it. */
export interface ViewHandle {
  readonly id: number;
  /** Path and filter, as `exporterd_*{view=}` says it. */
  readonly name: string;
  readonly reader: ViewReader;
  /** Ordinals of the roles it shows. */
  readonly roles: readonly number[];
  readonly filtered: boolean;
  /** Whether the daemon's own numbers are on it, which change without anything being collected. */
  readonly self: boolean;
}

export interface ViewDefinition {
  readonly name: string;
  readonly roles: readonly number[];
  readonly filtered: boolean;
  readonly self: boolean;
  /** The mail that tells the builder what the view shows. */
  readonly describe: (id: number, memory: ViewMemory) => BuilderMail;
}

export interface ViewTableOptions {
  readonly roleCount: number;
  readonly filteredMax: number;
  readonly monotonicMs: () => number;
  readonly mail: (mail: BuilderMail) => void;
  readonly onDrop: (name: string) => void;
  /** A reader of some view could not take its page at once. */
  readonly onWait: () => void;
}

/** Views by name; made when first asked for, built by the builder, the least recently used filtered ones dropped. */
export class ViewTable {
  readonly #options: ViewTableOptions;
  readonly #byName = new Map<string, ViewHandle>();
  readonly #byId = new Map<number, ViewHandle>();
  readonly #queues = new Map<number, (() => void)[]>();
  #nextId = 1;

  constructor(options: ViewTableOptions) {
    this.#options = options;
  }

  get(name: string): ViewHandle | undefined {
    return this.#byName.get(name);
  }

  all(): IterableIterator<ViewHandle> {
    return this.#byName.values();
  }

  /** The view of that name, made now if need be; undefined when too many filtered ones are in use. */
  ensure(definition: ViewDefinition): ViewHandle | undefined {
    const known = this.#byName.get(definition.name);
    if (known !== undefined) return known;
    if (definition.filtered && !this.#makeRoom()) return undefined;
    const memory = makeView(this.#options.roleCount);
    const id = this.#nextId++;
    const { name, roles, filtered, self } = definition;
    const handle: ViewHandle = { id, name, reader: new ViewReader(memory, this.#options.monotonicMs, this.#options.onWait), roles, filtered, self };
    this.#byName.set(name, handle);
    this.#byId.set(id, handle);
    this.#options.mail(definition.describe(id, memory));
    return handle;
  }

  /** Tells the builder anew what a view shows (a reload changed its jobs). */
  redescribe(handle: ViewHandle, describe: ViewDefinition['describe']): void {
    this.#options.mail(describe(handle.id, handle.reader.memory));
  }

  drop(handle: ViewHandle): void {
    this.#byName.delete(handle.name);
    this.#byId.delete(handle.id);
    this.#options.mail({ kind: 'drop', id: handle.id });
    this.#release(handle.id);
    this.#options.onDrop(handle.name);
  }

  /** Waits for the first build of that form; undefined when the queue is full. */
  build(handle: ViewHandle, gzip: boolean): Promise<void> | undefined {
    const queue = this.#queues.get(handle.id) ?? [];
    if (queue.length >= QUEUE) return undefined;
    this.#queues.set(handle.id, queue);
    if (gzip) handle.reader.wantGzip();
    return new Promise((resolve) => {
      queue.push(resolve);
      this.#options.mail({ kind: 'build', id: handle.id, gzip });
    });
  }

  /** The builder says that a view is there. */
  built(id: number): void {
    this.#release(id);
  }

  byId(id: number): ViewHandle | undefined {
    return this.#byId.get(id);
  }

  #release(id: number): void {
    const queue = this.#queues.get(id);
    this.#queues.delete(id);
    for (const resolve of queue ?? []) resolve();
  }

  #makeRoom(): boolean {
    const filtered = [...this.#byName.values()].filter((view) => view.filtered);
    if (filtered.length < this.#options.filteredMax) return true;
    const idle = filtered.filter((view) => !this.#queues.has(view.id) && view.reader.waiting === 0);
    const oldest = idle.reduce<ViewHandle | undefined>((a, b) => (a === undefined || b.reader.usedMs < a.reader.usedMs ? b : a), undefined);
    // One that was asked for within the last seconds is somebody's regular page.
    if (oldest === undefined || this.#options.monotonicMs() - oldest.reader.usedMs < 1000) return false;
    this.drop(oldest);
    return true;
  }
}
