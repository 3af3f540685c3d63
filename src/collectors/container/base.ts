import { readFileSync, statSync } from 'node:fs';
import { columnsOf } from './columns.ts';
import { BASE } from './families.ts';
import type { GroupSpec } from './group.ts';
import type { Layout } from './layout.ts';
import type { Cgroup } from './tree.ts';

/** `container_health_state` of what has no health check. */
const NO_CHECK = -1;

/** What no kernel file of the cgroup holds as a number: when it was made and when it was seen. */
export function baseGroup(layout: Layout, procfs: string, wallMs: () => number): GroupSpec {
  const columns = columnsOf(BASE, ['scrapeError']);
  const [created, started, seen, health] = [columns.at('creationTime'), columns.at('startTime'), columns.at('lastSeen'), columns.at('healthState')];
  const madeAt = new WeakMap<Cgroup, number>();
  /** Of this run, once it was asked for. */
  let boot: number | undefined;
  let now = 0;
  return {
    columns: columns.list,
    files: [],
    prepare() {
      now = Math.floor(wallMs() / 1000);
      boot = undefined;
    },
    settle(row, cgroup) {
      let made = madeAt.get(cgroup);
      boot ??= bootSeconds(procfs, wallMs());
      if (made === undefined) madeAt.set(cgroup, (made = Math.floor(creationSeconds(layout, cgroup.id, boot, now))));
      const { created: madeByRuntime = 0, health: check = NO_CHECK } = cgroup.identity ?? {};
      row[created] = madeByRuntime === 0 ? made : Math.floor(madeByRuntime);
      row[started] = made; // The cgroup of a container is made when it starts.
      row[health] = check;
    },
    rules: [{ kind: 'brought', to: seen }],
    brought: () => now,
  };
}

/** Boot time in unix seconds as the peer rounds it: wall clock less /proc/uptime, cut to the minute. 0 when unreadable. */
function bootSeconds(procfs: string, wallMs: number): number {
  try {
    const uptime = Number.parseFloat(readFileSync(`${procfs}/uptime`, 'utf8'));
    return Number.isFinite(uptime) ? Math.floor((wallMs / 1000 - uptime) / 60) * 60 : 0;
  } catch {
    return 0; // No lower bound then.
  }
}

/**
 * When a cgroup was made, unix seconds: the earliest modification time of its directories and of a file in them that
 * nobody writes (v1 cgroup.clone_children, v2 cgroup.events), not before boot. Where nothing can be seen, the time of
 * the first look stands in (the peer prints its zero time, -62135596800).
 */
function creationSeconds(layout: Layout, id: string, boot: number, now: number): number {
  const roots = layout.kind === 'unified' ? [layout.unified] : [...new Set(layout.controllers.values())];
  const witness = layout.kind === 'unified' ? 'cgroup.events' : 'cgroup.clone_children';
  let earliest = Number.POSITIVE_INFINITY;
  for (const root of roots) {
    for (const path of [root + id, `${root}${id}/${witness}`]) {
      try {
        earliest = Math.min(earliest, statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY);
      } catch {
        // Not to be seen in this hierarchy: the others decide.
      }
    }
  }
  return Number.isFinite(earliest) ? Math.max(boot, earliest / 1000) : now;
}

/** When a cgroup was made, unix seconds with their fraction. */
export function creationTime(layout: Layout, id: string, procfs: string, wallMs: number): number {
  return creationSeconds(layout, id, bootSeconds(procfs, wallMs), wallMs / 1000);
}
