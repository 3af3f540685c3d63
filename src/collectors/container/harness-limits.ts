import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { CollectError } from '../../collect/contract.ts';
import { loadReaders } from '../../readers/load.ts';
import { detectLayout } from './layout.ts';
import { Tree } from './tree.ts';

/**
 * A process of its own for `limits.test.ts`, since limits are lowered in it: keeps the tree of the directory given to it and
 * prints what it sees after each step, as JSON. `descriptors`: RLIMIT_NOFILE is used up for a while; otherwise the name of a
 * limit of the user namespace that it runs in (see namespaces(7), /proc/sys/user), which is lowered for a while.
 */
const [limit = '', root = ''] = process.argv.slice(2);

/** Far more than a tree of twenty directories needs. */
const PLENTY = '100000';
/** When a watch that was given up is tried again. */
const LATER_MS = 600_000;

export interface Step {
  readonly ids: readonly string[];
  readonly warnings: readonly string[];
  readonly watches: number;
  /** The layout that is seen without descriptors, or the code of the failure. */
  readonly layout?: string;
}

const warnings: string[] = [];
const readers = loadReaders();
let now = 0;
const tree = new Tree(
  { kind: 'unified', controllers: new Map(), unified: root },
  { readers, procfs: '/nowhere', monotonicMs: () => now, watch: () => readers.watch(), warn: (text) => warnings.push(text) },
);
const steps: Step[] = [];

function look(): void {
  now += 1000;
  tree.refresh('part');
  const ids = tree.cgroups.flatMap((cgroup) => (cgroup === undefined ? [] : [cgroup.id])).sort();
  steps.push({ ids, warnings: warnings.splice(0), watches: Number.NaN });
}

/** Watches of this process, as the kernel lists them; of the last step, for which a descriptor is to be had. */
function countWatches(): void {
  let watches = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`).includes('inotify'))
        watches += readFileSync(`/proc/self/fdinfo/${name}`, 'utf8').match(/^inotify wd:/gm)?.length ?? 0;
    } catch {
      // Closed meanwhile: the descriptor of the listing itself.
    }
  }
  steps.push({ ...(steps.pop() as Step), watches });
}

/** The tree has no cgroup.controllers, so that the machine's mount table is to decide. */
function layoutOrCode(): string {
  try {
    return detectLayout({ procfs: '/proc', sysfs: root }).kind;
  } catch (error) {
    return error instanceof CollectError ? error.code : String(error);
  }
}

function useUpDescriptors(): number[] {
  const held: number[] = [];
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'));
    } catch {
      return held;
    }
  }
}

if (limit === 'descriptors') {
  look();
  const held = useUpDescriptors();
  mkdirSync(`${root}/new/inner`, { recursive: true });
  mkdirSync(`${root}/c0/another`);
  look();
  steps.push({ ...(steps.pop() as Step), layout: layoutOrCode() });
  for (const descriptor of held) closeSync(descriptor);
} else {
  writeFileSync(`/proc/sys/user/${limit}`, limit === 'max_inotify_instances' ? '0' : '3');
  look();
  mkdirSync(`${root}/new/inner`, { recursive: true });
  mkdirSync(`${root}/c0/another`);
  look();
  writeFileSync(`/proc/sys/user/${limit}`, PLENTY);
  now += LATER_MS;
}
look();
countWatches();
process.stdout.write(JSON.stringify(steps));
