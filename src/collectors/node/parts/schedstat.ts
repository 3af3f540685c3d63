import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const NANOSECONDS = 1e9;
const RUNNING = family('node_schedstat_running_seconds_total', 'counter', 'Time that tasks ran on a processor, in seconds.', ['cpu']);
const WAITING = family('node_schedstat_waiting_seconds_total', 'counter', 'Time that tasks which could run waited for a processor, in seconds.', ['cpu']);
const TIMESLICES = family('node_schedstat_timeslices_total', 'counter', 'Time slices begun on a processor.', ['cpu']);

/** Numbers of a line of a processor; the last three are those shown. */
const NUMBERS = 9;

/**
 * /proc/schedstat (Documentation/scheduler/sched-stats.rst): `cpu0 0 0 0 0 0 0 2045936778163 343796328169 4767485306`.
 * Lines of another kind (version, timestamp, domains) and processors with fewer numbers are left out, as in the peer.
 */
export const part: NodePart = {
  name: 'schedstat',
  enabledByDefault: true,
  families: [RUNNING, WAITING, TIMESLICES],
  open(scope) {
    const stat = scope.bound(scope.proc('schedstat'), { keys: 1 }, (rows, series) => {
      for (const [line, words] of rows.entries()) {
        const cpu = /^cpu([0-9]+)$/.exec(words[0]?.text ?? '')?.[1];
        const numbers = words.slice(1, NUMBERS + 1);
        if (cpu === undefined || numbers.length < NUMBERS || numbers.some(({ at }) => at < 0)) continue;
        series.number(line, numbers[6], RUNNING, [cpu], 1, NANOSECONDS);
        series.number(line, numbers[7], WAITING, [cpu], 1, NANOSECONDS);
        series.number(line, numbers[8], TIMESLICES, [cpu]);
      }
    });
    return {
      collect: (sheet) => (stat.collect(sheet) ? OK : scope.missing(stat)),
      replay: (_, steps) => stat.replay(steps),
      close: () => stat.close(),
    };
  },
};
