import { statSync } from 'node:fs';
import { absent, CollectError, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { ABSENCE_MS } from '../absence.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { checkFigures, type Figure, followed, setFigure } from '../figures.ts';
import { KeptSeries } from '../kept-series.ts';
import { parseNumberList } from '../number-list.ts';
import { ParsedSource } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';

const CURRENT = family('node_cpu_frequency_hertz', 'gauge', 'Frequency at which a processor runs, in hertz.', ['cpu']);
const GOVERNOR = family('node_cpu_scaling_governor', 'gauge', 'Which governor sets the frequency of a processor (1) and which others could (0).', [
  'cpu',
  'governor',
]);

/** By file; all in kilohertz. */
const FREQUENCIES = [
  ['cpuinfo_cur_freq', CURRENT],
  ['cpuinfo_avg_freq', family('node_cpu_frequency_avg_hertz', 'gauge', 'Frequency at which a processor ran of late, in hertz.', ['cpu'])],
  ['cpuinfo_max_freq', family('node_cpu_frequency_max_hertz', 'gauge', 'Highest frequency of a processor, in hertz.', ['cpu'])],
  ['cpuinfo_min_freq', family('node_cpu_frequency_min_hertz', 'gauge', 'Lowest frequency of a processor, in hertz.', ['cpu'])],
  ['scaling_cur_freq', family('node_cpu_scaling_frequency_hertz', 'gauge', 'Frequency that the governor last set or saw, in hertz.', ['cpu'])],
  ['scaling_max_freq', family('node_cpu_scaling_frequency_max_hertz', 'gauge', 'Highest frequency that the governor may set, in hertz.', ['cpu'])],
  ['scaling_min_freq', family('node_cpu_scaling_frequency_min_hertz', 'gauge', 'Lowest frequency that the governor may set, in hertz.', ['cpu'])],
] as const;

const HERTZ_PER_KILOHERTZ = 1000;

interface Processor {
  readonly cpu: string;
  readonly governor: DeviceFile;
  readonly governors: DeviceFile;
}

function parseOffline(text: string, path: string): ReadonlySet<number> {
  const numbers = parseNumberList(text.trim());
  if (numbers === undefined) throw new CollectError('parse', path, 'expected a list of processors such as 2-5,7');
  return new Set(numbers);
}

/** Throws CollectError `read`. */
function textOf(file: DeviceFile): string {
  if (file.errno !== 0) throw file.problem();
  return file.text;
}

/** The kernel's word where the hardware does not tell. */
function parseFrequency(text: string): number | undefined {
  return text === '<unknown>' ? undefined : Number.NaN;
}

/**
 * /sys/devices/system/cpu/cpuN/cpufreq of processors that are not listed in `offline`.
 * A processor that comes or goes changes `offline`; a driver loaded later is found within a minute.
 */
export const part: NodePart = {
  name: 'cpufreq',
  enabledByDefault: true,
  families: [...FREQUENCIES.map(([, family]) => family), GOVERNOR],
  open(scope) {
    const root = scope.sys('devices/system/cpu');
    const folder = scope.directory(root);
    const offline = new ParsedSource(scope.source(`${root}/offline`, { text: true }), parseOffline);
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let processors: readonly Processor[] = [];
    let figures: readonly Figure[] = [];
    let lookAgainMs = Number.NEGATIVE_INFINITY;

    const look = (without: ReadonlySet<number>): void => {
      lookAgainMs = Number.NEGATIVE_INFINITY;
      folder.scan();
      const names = folder.names.filter(
        (name) =>
          /^cpu[0-9]+$/.test(name) && !without.has(Number(name.slice(3))) && statSync(`${root}/${name}/cpufreq`, { throwIfNoEntry: false }) !== undefined,
      );
      processors = files.rebuild(() => {
        figures = names.flatMap((name) =>
          FREQUENCIES.map(
            ([file, family]): Figure => ({
              file: files.number(`${root}/${name}/cpufreq/${file}`),
              series: new KeptSeries(family, [name.slice(3)]),
              rule: 'may',
              parse: parseFrequency,
              times: HERTZ_PER_KILOHERTZ,
            }),
          ),
        );
        return names.map((name) => ({
          cpu: name.slice(3),
          governor: files.text(`${root}/${name}/cpufreq/scaling_governor`),
          governors: files.text(`${root}/${name}/cpufreq/scaling_available_governors`),
        }));
      });
      lookAgainMs = scope.monotonicMs() + ABSENCE_MS;
    };

    return {
      collect(sheet) {
        const without = offline.read();
        if (without === undefined) return absent(`${offline.path} is missing`);
        if (offline.hasChanged || scope.monotonicMs() >= lookAgainMs) look(without);
        files.scan();
        const governed = processors.map(({ cpu, governor, governors }) => ({ cpu, governor: textOf(governor), governors: textOf(governors) }));
        checkFigures(figures);
        for (const figure of figures) setFigure(figure, sheet);
        for (const { cpu, governor, governors } of governed) {
          if (governor === '') continue;
          for (const name of governors.split(' ')) sheet.sample(GOVERNOR, [cpu, name], name === governor ? 1 : 0);
        }
        return OK;
      },
      replay(sheet, steps) {
        if (!offline.replay(steps)) return;
        if (lookAgainMs > Number.NEGATIVE_INFINITY) steps.until(lookAgainMs);
        files.replay(sheet, steps, followed(figures));
      },
      close() {
        offline.close();
        files.close();
      },
    };
  },
};
