import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { type Figure, followed, setFigure } from '../figures.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

const CORRECTED = family('node_edac_correctable_errors_total', 'counter', 'Memory errors that a memory controller has corrected.', ['controller']);
const UNCORRECTED = family('node_edac_uncorrectable_errors_total', 'counter', 'Memory errors of a memory controller that could not be corrected.', [
  'controller',
]);
const ROW_CORRECTED = family(
  'node_edac_csrow_correctable_errors_total',
  'counter',
  'Corrected memory errors of a row of memory; the row is unknown for errors without a place.',
  ['controller', 'csrow'],
);
const ROW_UNCORRECTED = family(
  'node_edac_csrow_uncorrectable_errors_total',
  'counter',
  'Memory errors of a row of memory that could not be corrected; the row is unknown for errors without a place.',
  ['controller', 'csrow'],
);
const CHANNEL_CORRECTED = family('node_edac_channel_correctable_errors_total', 'counter', 'Corrected memory errors of a channel of a row.', [
  'channel',
  'controller',
  'csrow',
  'dimm_label',
]);
const CHANNEL_UNCORRECTED = family(
  'node_edac_channel_uncorrectable_errors_total',
  'counter',
  'Memory errors of a channel of a row that could not be corrected.',
  ['channel', 'controller', 'csrow', 'dimm_label'],
);

interface Row {
  readonly folder: string;
  readonly controller: string;
  readonly csrow: string;
  readonly channels: readonly string[];
}

interface Controller {
  readonly folder: string;
  readonly controller: string;
  readonly rows: readonly Row[];
}

/** Leading digits of what follows `prefix`, '' when there are none; as the peer numbers controllers and rows. */
function numberBehind(prefix: string, name: string): string {
  return /^[0-9]*/.exec(name.slice(prefix.length))?.[0] ?? '';
}

/** `mc#0csrow#1channel#0` becomes `mc0_csrow1_channel0`, as in the peer. */
function dimmLabel(file: DeviceFile): string {
  if (file.errno !== 0) return 'unknown';
  return file.text.replaceAll('#', '').replaceAll('csrow', '_csrow').replaceAll('channel', '_channel');
}

/** /sys/devices/system/edac/mc/mcN, csrowM below it and the channels of that. */
export const part: NodePart = {
  name: 'edac',
  enabledByDefault: true,
  families: [CORRECTED, UNCORRECTED, ROW_CORRECTED, ROW_UNCORRECTED, CHANNEL_CORRECTED, CHANNEL_UNCORRECTED],
  open(scope) {
    const root = scope.sys('devices/system/edac/mc');
    const folders = scope.folders();
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let controllers: readonly Controller[] = [];
    let labelled: readonly { readonly file: DeviceFile; readonly label: string }[] = [];
    let figures: readonly Figure[] = [];

    const walk = (list: (path: string) => readonly string[]): void => {
      controllers = list(root)
        .filter((name) => /^mc[0-9]/.test(name))
        .map((name) => {
          const folder = `${root}/${name}`;
          const controller = numberBehind('mc', name);
          const rows = list(folder)
            .filter((row) => /^csrow[0-9]/.test(row))
            .map((row) => {
              const channels = list(`${folder}/${row}`).flatMap((file) => /^ch([0-9]+)_ce_count$/.exec(file)?.[1] ?? []);
              return { folder: `${folder}/${row}`, controller, csrow: numberBehind('csrow', row), channels };
            });
          return { folder, controller, rows };
        });
    };
    const figure = (path: string, family: Family, labels: readonly string[], rule: Figure['rule'] = 'must'): Figure => ({
      file: files.number(path),
      series: new KeptSeries(family, labels),
      rule,
    });
    const figuresOfRow = ({ folder, controller, csrow, channels }: Row): Figure[] => [
      figure(`${folder}/ce_count`, ROW_CORRECTED, [controller, csrow]),
      figure(`${folder}/ue_count`, ROW_UNCORRECTED, [controller, csrow]),
      ...channels.flatMap((channel) => {
        const labels = [channel, controller, csrow, dimmLabel(files.text(`${folder}/ch${channel}_dimm_label`))];
        return [
          figure(`${folder}/ch${channel}_ce_count`, CHANNEL_CORRECTED, labels),
          figure(`${folder}/ch${channel}_ue_count`, CHANNEL_UNCORRECTED, labels, 'may'),
        ];
      }),
    ];
    const figuresOf = ({ folder, controller, rows }: Controller): Figure[] => [
      figure(`${folder}/ce_count`, CORRECTED, [controller]),
      figure(`${folder}/ce_noinfo_count`, ROW_CORRECTED, [controller, 'unknown']),
      figure(`${folder}/ue_count`, UNCORRECTED, [controller]),
      figure(`${folder}/ue_noinfo_count`, ROW_UNCORRECTED, [controller, 'unknown']),
      ...rows.flatMap(figuresOfRow),
    ];
    const rebuild = (): void => {
      figures = files.rebuild(() => {
        labelled = controllers
          .flatMap(({ rows }) => rows.flatMap(({ folder, channels }) => channels.map((channel) => files.text(`${folder}/ch${channel}_dimm_label`))))
          .map((file) => ({ file, label: dimmLabel(file) }));
        return controllers.flatMap(figuresOf);
      });
    };

    return {
      collect(sheet) {
        if (folders.look(walk)) rebuild();
        // Labels are read by the scan, so the first series of a channel can only be named after it.
        if (files.scan() && labelled.some(({ file, label }) => dimmLabel(file) !== label)) rebuild();
        for (const each of figures) setFigure(each, sheet);
        return OK;
      },
      replay(sheet, steps) {
        folders.replay(steps);
        files.replay(sheet, steps, followed(figures));
      },
      close: () => files.close(),
    };
  },
};
