import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { diceFrom } from '../../../test/support/random.ts';
import { loadReaders } from '../../readers/load.ts';
import { type DirectoryWatch, ReaderError } from '../../readers/readers.ts';
import type { Layout } from './layout.ts';
import type { RescanReason } from './rescans.ts';
import { Tree, type TreeOptions } from './tree.ts';

const readers = loadReaders();
const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

/** Directories that stand for hierarchies; link counts and changes are those of a file system in memory, as the kernel's. */
function roots(count: number): string[] {
  const base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'exporterd-tree-'));
  opened.push(() => rmSync(base, { recursive: true, force: true }));
  return Array.from({ length: count }, (_, i) => {
    mkdirSync(join(base, String(i)));
    return join(base, String(i));
  });
}

class Watched {
  readonly warnings: string[] = [];
  readonly rescans: RescanReason[] = [];
  readonly tree: Tree;
  now = 0;

  constructor(layout: Layout, watch: TreeOptions['watch'], procfs = '/nowhere') {
    this.tree = new Tree(layout, {
      readers: loadReaders(),
      procfs,
      monotonicMs: () => this.now,
      warn: (text) => this.warnings.push(text),
      onRescan: (reason) => this.rescans.push(reason),
      ...(watch === undefined ? {} : { watch }),
    });
    opened.push(() => this.tree.close());
  }

  ids(): string[] {
    this.now += 1000;
    this.tree.refresh('part');
    return this.tree.cgroups.flatMap((cgroup) => (cgroup === undefined ? [] : [cgroup.id])).sort();
  }
}

const unified = (root: string): Layout => ({ kind: 'unified', controllers: new Map(), unified: root });
const legacy = (memory: string, cpu: string): Layout => ({
  kind: 'legacy',
  controllers: new Map([
    ['memory', memory],
    ['cpu', cpu],
  ]),
  unified: '',
});

function directoriesBelow(root: string, id = ''): string[] {
  return [
    id === '' ? '/' : id,
    ...readdirSync(root + id, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? directoriesBelow(root, `${id}/${entry.name}`) : [])),
  ].sort();
}

/** Watches of this process on directories that begin with `root`, as the kernel lists them. */
function watches(): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (!readlinkSync(`/proc/self/fd/${name}`).includes('inotify')) continue;
      count += readFileSync(`/proc/self/fdinfo/${name}`, 'utf8').match(/^inotify wd:/gm)?.length ?? 0;
    } catch {
      // Closed meanwhile: the descriptor of the listing itself.
    }
  }
  return count;
}

describe('the tree of cgroups', { skip: readers.native ? false : 'the addon is not built' }, () => {
  test('random changes: watched, listed and read from scratch are the same, and a watch is kept for what is there only', () => {
    const [root = ''] = roots(1);
    const watched = new Watched(unified(root), () => readers.watch());
    const listed = new Watched(unified(root), undefined);
    const roll = diceFrom(5);
    let there = directoriesBelow(root);
    for (let round = 0; round < 300; round++) {
      for (let step = roll(6); step > 0; step--) {
        const one = there[roll(there.length)] ?? '/';
        const path = root + (one === '/' ? '' : one);
        if (roll(3) > 0) mkdirSync(`${path}/${'abcdef'[roll(6)]}${roll(3)}`, { recursive: true });
        else if (one !== '/' && roll(4) === 0 && !existsSync(`${root}/renamed${round}`)) renameSync(path, `${root}/renamed${round}`);
        else if (one !== '/') rmSync(path, { recursive: true });
        there = directoriesBelow(root);
      }
      // Files come and go as well, and are nobody's business.
      writeFileSync(`${root}/cgroup.procs`, String(round));
      assert.deepEqual(watched.ids(), there, `watched, round ${round}`);
      assert.deepEqual(listed.ids(), there, `listed, round ${round}`);
      assert.equal(watches(), there.length);
    }
    assert.deepEqual([...watched.warnings, ...listed.warnings], []);
    assert.deepEqual(watched.rescans, ['watched']);
    assert.deepEqual(listed.rescans, Array<string>(300).fill('unwatched'));
  });

  test('the same name again between two refreshes is another cgroup', () => {
    const [root = ''] = roots(1);
    mkdirSync(`${root}/a/b`, { recursive: true });
    const { tree, ...rest } = new Watched(unified(root), () => readers.watch());
    tree.refresh('part');
    const [a, b] = [tree.get('/a'), tree.get('/a/b')];
    renameSync(`${root}/a`, `${root}/old`);
    mkdirSync(`${root}/a/b`, { recursive: true });
    tree.refresh('part');
    assert.notEqual(tree.get('/a'), a);
    assert.notEqual(tree.get('/a/b'), b);
    assert.ok(tree.get('/old/b') !== undefined);
    assert.deepEqual(rest.warnings, []);
  });

  test('more changes than the kernel queues: everything is looked at', () => {
    const [root = ''] = roots(1);
    const watched = new Watched(unified(root), () => readers.watch());
    assert.deepEqual(watched.ids(), ['/']);
    const limit = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    for (let i = 0; i <= limit / 2; i++) {
      mkdirSync(`${root}/x${i % 10}`);
      rmdirSync(`${root}/x${i % 10}`);
    }
    mkdirSync(`${root}/unheard`);
    assert.deepEqual(watched.ids(), ['/', '/unheard']);
    mkdirSync(`${root}/unheard/heard`);
    assert.deepEqual(watched.ids(), ['/', '/unheard', '/unheard/heard']);
    assert.deepEqual(watched.rescans, ['watched', 'lost']);
  });

  test('what the first hierarchy hears of is looked for in the others; what only they have is found by their count', () => {
    const [memory = '', cpu = '', procfs = ''] = roots(3);
    const census = (inMemory: number, inCpu: number) =>
      writeFileSync(`${procfs}/cgroups`, `#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t1\t${inMemory}\t1\ncpu\t2\t${inCpu}\t1\n`);
    census(1, 1);
    const watched = new Watched(legacy(memory, cpu), () => readers.watch(), procfs);
    assert.deepEqual(watched.ids(), ['/']);
    mkdirSync(`${memory}/both`);
    mkdirSync(`${cpu}/both`);
    census(2, 2);
    assert.deepEqual(watched.ids(), ['/', '/both']);
    mkdirSync(`${cpu}/alone`);
    census(2, 3);
    watched.ids(); // `both` is fresh: the count may still speak of it.
    assert.deepEqual(watched.ids(), ['/', '/alone', '/both']);
    // Its memory directory goes first: not shown by what is left, unless that stays.
    rmdirSync(`${memory}/both`);
    assert.deepEqual(watched.ids(), ['/', '/alone']);
    assert.deepEqual(watched.ids(), ['/', '/alone', '/both']);
    rmdirSync(`${cpu}/both`);
    rmdirSync(`${cpu}/alone`);
    census(1, 1);
    for (let refresh = 0; refresh < 20; refresh++) watched.ids();
    assert.deepEqual(watched.ids(), ['/']);
  });

  // Limits that are really lowered: limits.test.ts. Here the watch is told to refuse, some directories later or at once.
  for (const [code, when] of [
    ['EMFILE', 'open'],
    ['ENOSPC', 'add'],
  ] as const) {
    test(`${code}: listed instead, told once, tried again later`, () => {
      const [root = ''] = roots(1);
      for (let i = 0; i < 20; i++) mkdirSync(`${root}/c${i}`);
      let refuses = true;
      let adds = 0;
      const watch = (): DirectoryWatch | undefined => {
        if (refuses && when === 'open') throw new ReaderError(code, 'inotify');
        const real = readers.watch() as DirectoryWatch;
        return {
          add(path, writes) {
            adds += 1;
            if (refuses && adds > 10) throw new ReaderError(code, path);
            return real.add(path, writes);
          },
          remove: (directory) => real.remove(directory),
          read: (heard) => real.read(heard),
          close: () => real.close(),
        };
      };
      const watched = new Watched(unified(root), watch);
      assert.equal(watched.ids().length, 21);
      mkdirSync(`${root}/c3/new`);
      assert.ok(watched.ids().includes('/c3/new'));
      assert.equal(watched.warnings.length, 1);
      assert.match(watched.warnings[0] ?? '', new RegExp(`${code}.*listed instead`));
      assert.equal(watches(), 0);
      refuses = false;
      watched.now += 600_000;
      assert.equal(watched.ids().length, 22);
      assert.equal(watches(), 22);
      rmdirSync(`${root}/c3/new`);
      assert.equal(watched.ids().length, 21);
      assert.equal(watches(), 21);
      assert.equal(watched.warnings.length, 1);
      assert.deepEqual(watched.rescans, ['unwatched', 'unwatched', 'watched']);
    });
  }

  test('no more watches while running: none is left behind, changes are still seen', () => {
    const [root = ''] = roots(1);
    let refuses = false;
    const watched = new Watched(unified(root), () => {
      const real = readers.watch() as DirectoryWatch;
      const add = (path: string, writes: boolean): number => {
        if (refuses) throw new ReaderError('ENOSPC', path);
        return real.add(path, writes);
      };
      return { add, remove: (directory) => real.remove(directory), read: (heard) => real.read(heard), close: () => real.close() };
    });
    assert.deepEqual(watched.ids(), ['/']);
    refuses = true;
    mkdirSync(`${root}/a/b`, { recursive: true });
    assert.deepEqual(watched.ids(), ['/', '/a', '/a/b']);
    mkdirSync(`${root}/c`);
    assert.deepEqual(watched.ids(), ['/', '/a', '/a/b', '/c']);
    assert.equal(watches(), 0);
    assert.equal(watched.warnings.length, 1);
  });
});
