import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { followed, setFigure } from '../figures.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

function ksm(name: string, help: string, type: MetricType = 'gauge'): Family {
  return family(`node_ksmd_${name}`, type, help);
}

/** By file, in the peer's order, which says what stays when one of them cannot be read. */
const FILES: readonly (readonly [file: string, family: Family])[] = [
  ['full_scans', ksm('full_scans_total', 'How often all memory that may be merged was looked through.', 'counter')],
  ['merge_across_nodes', ksm('merge_across_nodes', 'Whether pages of different NUMA nodes may be merged (1) or not (0).')],
  ['pages_shared', ksm('pages_shared', 'Pages that others share.')],
  ['pages_sharing', ksm('pages_sharing', 'Places that share them: what is saved, in pages.')],
  ['pages_to_scan', ksm('pages_to_scan', 'Pages looked at before the daemon sleeps.')],
  ['pages_unshared', ksm('pages_unshared', 'Pages that are looked at again and again and are like no other.')],
  ['pages_volatile', ksm('pages_volatile', 'Pages that change too fast to be merged.')],
  ['run', ksm('run', 'What the daemon does: 0 nothing, 1 merge, 2 undo merges.')],
  ['sleep_millisecs', ksm('sleep_seconds', 'How long the daemon sleeps between two looks, in seconds.')],
];

/** Since Linux 6.1; less than nothing where looking costs more memory than merging saves. */
const PROFIT = ksm('general_profit_bytes', 'Memory that merging saves, less what it costs, in bytes.');

/** /sys/kernel/mm/ksm (Documentation/admin-guide/mm/ksm.rst). */
export const part: NodePart = {
  name: 'ksmd',
  enabledByDefault: false,
  families: [...FILES.map(([, family]) => family), PROFIT],
  open(scope) {
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    const file = (name: string): DeviceFile => files.number(scope.sys(`kernel/mm/ksm/${name}`));
    const { figures, profit } = files.rebuild(() => ({
      figures: FILES.map(([name, family]) => ({
        file: file(name),
        series: new KeptSeries(family, []),
        rule: 'must' as const,
        over: name === 'sleep_millisecs' ? 1000 : 1,
      })),
      profit: { file: file('general_profit'), series: new KeptSeries(PROFIT, []), rule: 'may' as const },
    }));
    return {
      collect(sheet) {
        files.scan();
        for (const figure of figures) {
          if (figure.file.isMissing()) return absent(`${figure.file.path} is missing`);
          setFigure(figure, sheet);
        }
        setFigure(profit, sheet);
        return OK;
      },
      replay(sheet, steps) {
        files.replay(sheet, steps, followed([...figures, profit]));
      },
      close: () => files.close(),
    };
  },
};
