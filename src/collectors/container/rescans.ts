import { family } from '../../model/family.ts';

/**
 * Why a hierarchy was looked through. `watched`: its watch was begun. `lost`: inotify had more to tell than its queue holds.
 * `unwatched`: its watch was given up, or none is to be had, so that each refresh lists. `count`: the kernel counts other
 * cgroups in a hierarchy without a watch than are known.
 */
export const RESCAN_REASONS = ['watched', 'lost', 'unwatched', 'count'] as const;
export type RescanReason = (typeof RESCAN_REASONS)[number];

/** For the page about the daemon; the slow sweep, which never rests, is not among them. */
export const RESCANS = family(
  'exporterd_container_rescans_total',
  'counter',
  'Looks through a cgroup hierarchy, by reason: its watch was begun, changes were lost, it is unwatched, or the count of its cgroups was another.',
  ['reason'],
);
