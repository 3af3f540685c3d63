import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

const BY_ZONE = family(
  'node_rapl_joules_total',
  'counter',
  'Energy used by a zone of the processor or of memory, in joules; starts again at 0 when its counter is full.',
  ['index', 'path', 'rapl_zone'],
);
const MICROJOULES = 1e6;
const EPERM = 1;
const EACCES = 13;

interface Zone {
  readonly folder: string;
  readonly name: DeviceFile;
  readonly range: DeviceFile;
  readonly energy: DeviceFile;
}

/** `package-0` is number 0 of package; another name is numbered by how often it came before. The peer's rule. */
export function indexedName(text: string, used: Map<string, number>): readonly [name: string, index: number] {
  const [, name = '', digits] = /^([^-]*)-([+-]?[0-9]+)$/.exec(text) ?? [];
  const found = digits === undefined ? ([text, used.get(text) ?? 0] as const) : ([name, Number(digits)] as const);
  used.set(found[0], found[1] + 1);
  return found;
}

function familyOf(zone: string): Family {
  const help = `Energy used by ${zone} according to the processor (RAPL), in joules; starts again at 0 when its counter is full.`;
  return family(`node_rapl_${zone.replace(/[^a-zA-Z0-9_]/g, '_')}_joules_total`, 'counter', help, ['index', 'path']);
}

/** class/powercap/ZONE below the sysfs root (Documentation/power/powercap/powercap.rst): name, max_energy_range_uj, energy_uj. */
export const part: NodePart = {
  name: 'rapl',
  enabledByDefault: true,
  families: [BY_ZONE],
  options: [{ flag: 'enable-zone-label', kind: 'boolean', default: false, help: 'one family with the zone as a label instead of one family per zone' }],
  open(scope) {
    const hasZoneLabel = scope.options.isOn('enable-zone-label');
    const folder = scope.directory(scope.sys('class/powercap'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let zones: readonly Zone[] = [];
    let shown: readonly { readonly zone: Zone; readonly series: KeptSeries }[] = [];

    const follow = (name: string): Zone => {
      const base = `${folder.path}/${name}`;
      return { folder: base, name: files.text(`${base}/name`), range: files.number(`${base}/max_energy_range_uj`), energy: files.number(`${base}/energy_uj`) };
    };
    /** Control types (intel-rapl) stand among the zones and have no name. */
    const name = (): void => {
      const used = new Map<string, number>();
      shown = zones
        .filter((zone) => zone.name.errno === 0)
        .map((zone) => {
          const [text, index] = indexedName(zone.name.text, used);
          const series = hasZoneLabel
            ? new KeptSeries(BY_ZONE, [String(index), zone.folder, text])
            : new KeptSeries(familyOf(text), [String(index), zone.folder]);
          return { zone, series };
        });
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') zones = files.rebuild(() => folder.names.map(follow));
        if (files.scan() || scan === 'changed') name();
        const unranged = shown.find(({ zone }) => Number.isNaN(zone.range.value));
        if (unranged?.zone.range.isMissing() === true) return scope.missing(unranged.zone.range);
        if (unranged !== undefined) throw unranged.zone.range.problem();
        for (const { zone, series } of shown) {
          const { energy } = zone;
          // Readable by root alone since Linux 5.10: energy tells what is computed.
          if (energy.errno === EACCES || energy.errno === EPERM) return absent(`${energy.path} may be read by root only`);
          if (Number.isNaN(energy.value)) throw energy.problem();
          series.set(sheet, energy.value / MICROJOULES);
        }
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        files.replay(
          sheet,
          steps,
          shown.map(({ zone, series }) => [zone.energy, series, MICROJOULES] as const),
        );
      },
      close: () => files.close(),
    };
  },
};
