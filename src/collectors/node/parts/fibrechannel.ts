import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { checkFigures, type Figure, setFigure } from '../figures.ts';
import { integerOf } from '../go-integer.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

/** Labels in wire order; all but fc_host are named after their files. */
const LABELS = [
  'dev_loss_tmo',
  'fabric_name',
  'fc_host',
  'port_id',
  'port_name',
  'port_state',
  'port_type',
  'speed',
  'supported_classes',
  'supported_speeds',
  'symbolic_name',
] as const;
const INFO = family('node_fibrechannel_info', 'gauge', 'What a Fibre Channel host adapter is, as labels.', LABELS);

function ofHost(name: string, help: string): Family {
  return family(`node_fibrechannel_${name}_total`, 'counter', help, ['fc_host']);
}

/** By file of `statistics`. */
const COUNTERS: readonly (readonly [file: string, family: Family])[] = [
  ['dumped_frames', ofHost('dumped_frames', 'Frames thrown away.')],
  ['error_frames', ofHost('error_frames', 'Frames with errors.')],
  ['fcp_packet_aborts', ofHost('fcp_packet_aborts', 'SCSI packets given up.')],
  ['invalid_crc_count', ofHost('invalid_crc', 'Frames with a wrong checksum.')],
  ['invalid_tx_word_count', ofHost('invalid_tx_words', 'Invalid words sent.')],
  ['link_failure_count', ofHost('link_failure', 'How often the link has failed.')],
  ['loss_of_signal_count', ofHost('loss_of_signal', 'How often the signal was lost.')],
  ['loss_of_sync_count', ofHost('loss_of_sync', 'How often the boundaries of bits or words were lost.')],
  ['nos_count', ofHost('nos', 'Sequences received that say the other side is not operational.')],
  ['rx_frames', ofHost('rx_frames', 'Frames received.')],
  ['rx_words', ofHost('rx_words', 'Words received.')],
  ['seconds_since_last_reset', ofHost('seconds_since_last_reset', 'Time since the counters were set to zero, in seconds.')],
  ['tx_frames', ofHost('tx_frames', 'Frames sent.')],
  ['tx_words', ofHost('tx_words', 'Words sent.')],
];

/** All bits set: the adapter does not count this. */
const NOT_COUNTED = 2 ** 64;

interface Host {
  readonly name: string;
  /** In the order of LABELS; undefined for fc_host. */
  readonly files: readonly (DeviceFile | undefined)[];
}

/** Numbers of ports lose their 0x, as in the peer. Throws CollectError `read`. */
function labelOf(name: string, file: DeviceFile): string {
  if (file.isMissing()) return '';
  if (file.errno !== 0) throw file.problem();
  const isNumber = name === 'port_id' || name === 'port_name' || name === 'fabric_name';
  return isNumber && file.text.length > 2 ? file.text.slice(2) : file.text;
}

/** /sys/class/fc_host/HOST and statistics below it: hexadecimal numbers with 0x. All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'fibrechannel',
  enabledByDefault: true,
  families: [INFO, ...COUNTERS.map(([, family]) => family)],
  open(scope) {
    const root = scope.sys('class/fc_host');
    const folder = scope.directory(root);
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let hosts: readonly Host[] = [];
    let figures: readonly Figure[] = [];

    const hostOf = (name: string): Host => ({ name, files: LABELS.map((label) => (label === 'fc_host' ? undefined : files.text(`${root}/${name}/${label}`))) });
    const figuresOf = (name: string): Figure[] =>
      COUNTERS.map(([file, family]) => ({
        file: files.number(`${root}/${name}/statistics/${file}`),
        series: new KeptSeries(family, [name]),
        rule: 'may',
        parse: (text) => integerOf(text, false) ?? Number.NaN,
        convert: (value) => (value === NOT_COUNTED ? undefined : value),
      }));

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') {
          hosts = files.rebuild(() => {
            figures = folder.names.flatMap(figuresOf);
            return folder.names.map(hostOf);
          });
        }
        files.scan();
        const infos = hosts.map(({ name, files: texts }) => LABELS.map((label, i) => (texts[i] === undefined ? name : labelOf(label, texts[i]))));
        checkFigures(figures);
        for (const info of infos) sheet.sample(INFO, info, 1);
        for (const figure of figures) setFigure(figure, sheet);
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        files.replay(sheet, steps);
      },
      close: () => files.close(),
    };
  },
};
