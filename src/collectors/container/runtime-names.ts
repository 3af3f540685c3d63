import { BoardReader } from '../../collect/board.ts';
import type { ReplaySteps } from '../../readers/readers.ts';
import { pathKind, type PathKind } from './names.ts';
import { decodeNames, type DiskUse, type NamedContainer } from './names-table.ts';
import { type Cgroup, type Identity, NAMELESS, type Tree } from './tree.ts';

/** How soon a runtime that did not know a container is asked for it again, doubling from the first to the second. */
const RETRY_MS = [1_000, 60_000] as const;

/**
 * Names cgroups by what runtimes said, from the board that the network part posts on. A cgroup that the board does not know
 * keeps what it has; the network part is asked to look again, and again after a while: a container has its cgroup some time
 * before its runtime lists it as running, and not every container has a runtime that we can ask.
 */
export class RuntimeNames {
  readonly #board: BoardReader;
  readonly #monotonicMs: () => number;
  /** By container id; the same object for as long as nothing about it changes. */
  #containers = new Map<string, { readonly text: string; readonly identity: Identity }>();
  #pods = new Map<string, { readonly text: string; readonly identity: Identity }>();
  #disks: ReadonlyMap<string, DiskUse> = new Map();
  #diskPaths: ReadonlySet<string> = new Set();
  /** Cgroups whose path asks for a name. */
  readonly #wanting = new Map<Cgroup, PathKind>();
  #version = -1;
  /** Some container is not known to any runtime. */
  #hasUnknown = false;
  #nextMs = 0;
  #waitMs: number = RETRY_MS[0];

  constructor(board: SharedArrayBuffer, monotonicMs: () => number) {
    this.#board = new BoardReader(board);
    this.#monotonicMs = monotonicMs;
  }

  update(tree: Tree): void {
    const text = this.#board.take();
    const moved = tree.version !== this.#version;
    if (text !== undefined) this.#learn(text);
    if (moved) {
      this.#version = tree.version;
      if (this.#gather(tree)) this.#askSoon();
    }
    if (text !== undefined || moved) this.#hasUnknown = this.#identify(tree);
    if (this.#hasUnknown) this.#askAgain();
  }

  /** Adds what replayed runs rely on: the board is as it was, and it is not time to ask for names. */
  replay(steps: ReplaySteps): void {
    this.#board.replay(steps);
    if (this.#hasUnknown) steps.until(this.#nextMs);
  }

  /** True when there are containers that no runtime has told of. */
  #identify(tree: Tree): boolean {
    let hasUnknown = false;
    for (const [cgroup, kind] of this.#wanting) {
      const identity = this.#identityOf(kind);
      if (identity !== undefined) tree.identify(cgroup, identity);
      else if (kind.kind === 'container' && cgroup.identity?.source !== 'runtime') hasUnknown = true;
    }
    return hasUnknown;
  }

  #askSoon(): void {
    this.#nextMs = Number.NEGATIVE_INFINITY;
    this.#waitMs = RETRY_MS[0];
  }

  #askAgain(): void {
    const now = this.#monotonicMs();
    if (now < this.#nextMs) return;
    this.#nextMs = now + this.#waitMs;
    this.#waitMs = Math.min(this.#waitMs * 2, RETRY_MS[1]);
    this.#board.ask();
  }

  /** See DiskUseSource. */
  get diskPaths(): ReadonlySet<string> {
    return this.#diskPaths;
  }

  /** What a container has written; undefined for other cgroups, and while its runtime has not said. */
  diskUse(cgroup: Cgroup): DiskUse | undefined {
    const kind = this.#disks.size > 0 ? this.#wanting.get(cgroup) : undefined;
    return kind?.kind === 'container' ? this.#disks.get(kind.containerId) : undefined;
  }

  #identityOf(kind: PathKind): Identity | undefined {
    if (kind.kind === 'container') return this.#containers.get(kind.containerId)?.identity;
    return kind.kind === 'pod' ? this.#pods.get(kind.podUid)?.identity : undefined;
  }

  /** True when a container came. */
  #gather(tree: Tree): boolean {
    let came = false;
    for (const cgroup of this.#wanting.keys()) if (tree.cgroups[cgroup.index] !== cgroup) this.#wanting.delete(cgroup);
    for (const cgroup of tree.cgroups) {
      if (cgroup === undefined || this.#wanting.has(cgroup)) continue;
      const kind = pathKind(cgroup.id);
      if (kind.kind !== 'plain') this.#wanting.set(cgroup, kind);
      came ||= kind.kind === 'container';
    }
    return came;
  }

  #learn(text: string): void {
    const { containers, pods, disks } = decodeNames(text);
    this.#disks = new Map(disks.map((use) => [use.id, use]));
    const paths = new Set(disks.map(({ path }) => path));
    if ([...paths].join('\n') !== [...this.#diskPaths].join('\n')) this.#diskPaths = paths;
    this.#containers = refreshed(this.#containers, containers, ({ id }) => id, identityOf);
    this.#pods = refreshed(
      this.#pods,
      pods,
      ({ uid }) => uid,
      ({ namespace, pod }) => ({ ...NAMELESS, namespace, pod, source: 'runtime' }),
    );
  }
}

/** What is as it was keeps its object, so that nothing is printed anew for it. */
function refreshed<Item>(
  before: ReadonlyMap<string, { readonly text: string; readonly identity: Identity }>,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  identityOfItem: (item: Item) => Identity,
): Map<string, { readonly text: string; readonly identity: Identity }> {
  return new Map(
    items.map((item) => {
      const key = keyOf(item);
      const text = JSON.stringify(item);
      const known = before.get(key);
      return [key, known?.text === text ? known : { text, identity: identityOfItem(item) }];
    }),
  );
}

function identityOf({ id: _, ...rest }: NamedContainer): Identity {
  return { ...rest, source: 'runtime' };
}
