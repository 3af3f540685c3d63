import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

/** Multiplied, as in the peer: a division by 1e9 rounds differently. */
const SECONDS_PER_NANOSECOND = 0.000000001;

interface Statistic {
  readonly file: string;
  readonly family: Family;
  readonly times: number;
}

function statistic(file: string, name: string, help: string, times = 1): Statistic {
  return { file, family: family(`node_tape_${name}`, name.endsWith('_total') ? 'counter' : 'gauge', help, ['device']), times };
}

const STATISTICS: readonly Statistic[] = [
  statistic('in_flight', 'io_now', 'Operations that a tape drive is doing.'),
  statistic('io_ns', 'io_time_seconds_total', 'Time that all operations of a tape drive took, in seconds.', SECONDS_PER_NANOSECOND),
  statistic('other_cnt', 'io_others_total', 'Operations of a tape drive that were neither reads nor writes.'),
  statistic('read_byte_cnt', 'read_bytes_total', 'Bytes read from a tape drive.'),
  statistic('read_cnt', 'reads_completed_total', 'Reads that a tape drive has done.'),
  statistic('read_ns', 'read_time_seconds_total', 'Time that reads of a tape drive took, in seconds.', SECONDS_PER_NANOSECOND),
  statistic('resid_cnt', 'residual_total', 'Reads and writes that a tape drive did only in part.'),
  statistic('write_byte_cnt', 'written_bytes_total', 'Bytes written to a tape drive.'),
  statistic('write_cnt', 'writes_completed_total', 'Writes that a tape drive has done.'),
  statistic('write_ns', 'write_time_seconds_total', 'Time that writes of a tape drive took, in seconds.', SECONDS_PER_NANOSECOND),
];

interface Tape {
  readonly statistics: readonly { readonly file: DeviceFile; readonly times: number; readonly series: KeptSeries }[];
}

/** class/scsi_tape/stN/stats below the sysfs root (Documentation/scsi/st.rst); the nodes of the same drive (nst0, st0a) have none. */
export const part: NodePart = {
  name: 'tapestats',
  enabledByDefault: true,
  families: STATISTICS.map(({ family }) => family),
  options: [{ flag: 'ignored-devices', kind: 'regexp', default: '^$', help: 'tape drives: leave out those that match' }],
  open(scope) {
    const filter = scope.options.filter('ignored-devices', '');
    const folder = scope.directory(scope.sys('class/scsi_tape'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let tapes: readonly Tape[] = [];
    const follow = (device: string): Tape => ({
      statistics: STATISTICS.map(({ file, family, times }) => ({
        file: files.number(`${folder.path}/${device}/stats/${file}`),
        times,
        series: new KeptSeries(family, [device]),
      })),
    });
    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') tapes = files.rebuild(() => folder.names.filter((name) => /^st[0-9]+$/.test(name) && filter.keeps(name)).map(follow));
        files.scan();
        let problem: Error | undefined;
        for (const { statistics } of tapes) {
          // A kernel without one of the statistics: 0 in the peer, which lists the folder. A drive without the folder is a failure.
          const hasStats = statistics.some(({ file }) => !file.isMissing());
          if (!hasStats) problem ??= statistics[0]?.file.problem();
          for (const { file, times, series } of statistics) {
            if (!Number.isNaN(file.value)) series.set(sheet, file.value * times);
            else if (file.isMissing() && hasStats) series.set(sheet, 0);
            else if (!file.isMissing()) problem ??= file.problem();
          }
        }
        if (problem !== undefined) throw problem;
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        files.replay(
          sheet,
          steps,
          tapes.flatMap(({ statistics }) => statistics.map(({ file, series, times }) => [file, series, 1, times] as const)),
        );
      },
      close: () => files.close(),
    };
  },
};
