import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

const TEMPERATURE = family('node_thermal_zone_temp', 'gauge', 'Temperature of a thermal zone, in degrees Celsius.', ['zone', 'type']);
const CURRENT = family('node_cooling_device_cur_state', 'gauge', 'How much a cooling device cools now; 0 is not at all.', ['name', 'type']);
const MOST = family('node_cooling_device_max_state', 'gauge', 'How much a cooling device can cool.', ['name', 'type']);

const MILLIDEGREES = 1000;
const EPERM = 1;
const EACCES = 13;
const EINVAL = 22;
const EOPNOTSUPP = 95;

interface Zone {
  readonly zone: string;
  readonly type: DeviceFile;
  readonly temperature: DeviceFile;
  series: KeptSeries | undefined;
}

interface Cooler {
  readonly name: string;
  readonly type: DeviceFile;
  readonly most: DeviceFile;
  readonly current: DeviceFile;
  series: { readonly most: KeptSeries; readonly current: KeptSeries } | undefined;
}

function isUntold(file: DeviceFile): boolean {
  return file.isMissing() || [EPERM, EACCES, EINVAL, EOPNOTSUPP].includes(file.errno);
}

/** class/thermal below the sysfs root: thermal_zoneN/temp in thousandths of a degree, cooling_deviceN/cur_state and max_state. */
export const part: NodePart = {
  name: 'thermal_zone',
  enabledByDefault: true,
  families: [TEMPERATURE, CURRENT, MOST],
  open(scope) {
    const folder = scope.directory(scope.sys('class/thermal'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let zones: readonly Zone[] = [];
    let coolers: readonly Cooler[] = [];

    const numbered = (prefix: string): string[] =>
      folder.names.flatMap((name) => (new RegExp(`^${prefix}[0-9]`).test(name) ? [name.slice(prefix.length)] : []));
    const rebuild = (): void =>
      files.rebuild(() => {
        zones = numbered('thermal_zone').map((zone) => {
          const base = `${folder.path}/thermal_zone${zone}`;
          return { zone, type: files.text(`${base}/type`), temperature: files.number(`${base}/temp`), series: undefined };
        });
        coolers = numbered('cooling_device').map((name) => {
          const base = `${folder.path}/cooling_device${name}`;
          return {
            name,
            type: files.text(`${base}/type`),
            most: files.number(`${base}/max_state`),
            current: files.number(`${base}/cur_state`),
            series: undefined,
          };
        });
      });
    /** Labels come from the type files. */
    const name = (): void => {
      for (const zone of zones) zone.series = new KeptSeries(TEMPERATURE, [zone.type.text, zone.zone]);
      for (const cooler of coolers) {
        const labels = [cooler.name, cooler.type.text];
        cooler.series = { most: new KeptSeries(MOST, labels), current: new KeptSeries(CURRENT, labels) };
      }
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        // Neither zones nor coolers is no failure in the peer.
        if (scan === 'absent') return OK;
        if (scan === 'changed') rebuild();
        if (files.scan() || scan === 'changed') name();
        for (const { temperature, series } of zones) {
          if (!Number.isNaN(temperature.value)) series?.set(sheet, temperature.value / MILLIDEGREES);
        }
        let problem: Error | undefined;
        for (const { type, most, current, series } of coolers) {
          const bad = [type, most, current].find((file) => file.errno !== 0 || (file !== type && Number.isNaN(file.value)));
          if (bad === undefined) {
            series?.most.set(sheet, most.value);
            series?.current.set(sheet, current.value);
          } else if (!isUntold(bad)) problem ??= bad.problem();
        }
        if (problem !== undefined) throw problem;
        return OK;
      },
      replay(sheet, steps) {
        folder.replay(steps);
        const figures = zones.map(({ temperature, series }) => [temperature, series, MILLIDEGREES] as const);
        const states = coolers.flatMap(({ most, current, series }) => [[most, series?.most] as const, [current, series?.current] as const]);
        files.replay(sheet, steps, [...figures, ...states]);
      },
      close: () => files.close(),
    };
  },
};
