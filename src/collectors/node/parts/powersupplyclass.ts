import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

interface Quantity {
  readonly file: string;
  readonly family: Family;
  readonly over: number;
}

function quantity(file: string, name: string, help: string, over = 1): Quantity {
  return { file, family: family(`node_power_supply_${name}`, 'gauge', help, ['power_supply']), over };
}

/** The kernel counts in millionths (ABI/testing/sysfs-class-power). */
function micro(file: string, help: string, name = file): Quantity {
  return quantity(file, name, help, 1e6);
}

/** The kernel counts in tenths of a degree Celsius. */
function degrees(file: string, help: string): Quantity {
  return quantity(file, `${file}_celsius`, help, 10);
}

const QUANTITIES: readonly Quantity[] = [
  quantity('authentic', 'authentic', 'Whether a supply proved to be what it says it is.'),
  quantity('calibrate', 'calibrate', 'Whether a battery is being calibrated.'),
  quantity('capacity', 'capacity', 'Charge of a battery, percent.'),
  quantity('capacity_alert_max', 'capacity_alert_max', 'Charge above which the driver warns, percent.'),
  quantity('capacity_alert_min', 'capacity_alert_min', 'Charge below which the driver warns, percent.'),
  quantity('cycle_count', 'cyclecount', 'Times that a battery was charged and used up.'),
  quantity('online', 'online', 'Whether a supply gives power: 0 no, 1 yes, 2 yes with a programmable voltage.'),
  quantity('present', 'present', 'Whether a battery is there.'),
  quantity('time_to_empty_now', 'time_to_empty_seconds', 'Time until a battery is empty, in seconds.'),
  quantity('time_to_full_now', 'time_to_full_seconds', 'Time until a battery is full, in seconds.'),
  micro('current_boot', 'Current when the machine was booted, in amperes.'),
  micro('current_max', 'Highest current, in amperes.'),
  micro('current_now', 'Current, in amperes; the sign says which way it flows.', 'current_ampere'),
  micro('energy_empty', 'Energy of a battery that counts as empty, in watt-hours.'),
  micro('energy_empty_design', 'Energy of a battery that counts as empty, as designed, in watt-hours.'),
  micro('energy_full', 'Energy of the full battery, in watt-hours.'),
  micro('energy_full_design', 'Energy of the full battery, as designed, in watt-hours.'),
  micro('energy_now', 'Energy in a battery, in watt-hours.', 'energy_watthour'),
  micro('voltage_boot', 'Voltage when the machine was booted, in volts.'),
  micro('voltage_max', 'Highest voltage, in volts.'),
  micro('voltage_max_design', 'Highest voltage, as designed, in volts.'),
  micro('voltage_min', 'Lowest voltage, in volts.'),
  micro('voltage_min_design', 'Lowest voltage, as designed, in volts.'),
  micro('voltage_now', 'Voltage, in volts.', 'voltage_volt'),
  micro('voltage_ocv', 'Voltage without load, in volts.'),
  micro('charge_control_limit', 'Limit of the charging current, in amperes.'),
  micro('charge_control_limit_max', 'Highest limit of the charging current, in amperes.'),
  micro('charge_counter', 'Charge that went through a battery, in ampere-hours.'),
  micro('charge_empty', 'Charge of a battery that counts as empty, in ampere-hours.'),
  micro('charge_empty_design', 'Charge of a battery that counts as empty, as designed, in ampere-hours.'),
  micro('charge_full', 'Charge of the full battery, in ampere-hours.'),
  micro('charge_full_design', 'Charge of the full battery, as designed, in ampere-hours.'),
  micro('charge_now', 'Charge in a battery, in ampere-hours.', 'charge_ampere'),
  micro('charge_term_current', 'Current at which charging ends, in amperes.'),
  micro('constant_charge_current', 'Charging current, in amperes.'),
  micro('constant_charge_current_max', 'Highest charging current, in amperes.'),
  micro('constant_charge_voltage', 'Charging voltage, in volts.'),
  micro('constant_charge_voltage_max', 'Highest charging voltage, in volts.'),
  micro('precharge_current', 'Current at which the charging of an empty battery begins, in amperes.'),
  micro('input_current_limit', 'Limit of the current drawn from a charger, in amperes.'),
  micro('power_now', 'Power, in watts.', 'power_watt'),
  degrees('temp', 'Temperature, in degrees Celsius.'),
  degrees('temp_alert_max', 'Temperature above which the driver warns, in degrees Celsius.'),
  degrees('temp_alert_min', 'Temperature below which the driver warns, in degrees Celsius.'),
  degrees('temp_ambient', 'Temperature around a supply, in degrees Celsius.'),
  degrees('temp_ambient_max', 'Temperature around a supply above which the driver warns, in degrees Celsius.'),
  degrees('temp_ambient_min', 'Temperature around a supply below which the driver warns, in degrees Celsius.'),
  degrees('temp_max', 'Highest temperature, in degrees Celsius.'),
  degrees('temp_min', 'Lowest temperature, in degrees Celsius.'),
];

const TEXTS = ['capacity_level', 'charge_type', 'health', 'manufacturer', 'model_name', 'scope', 'serial_number', 'status', 'technology', 'type', 'usb_type'];
const INFO = family('node_power_supply_info', 'gauge', 'What the driver says of a supply, as labels; those it does not tell are left out.', [
  'power_supply',
  ...TEXTS,
]);

const EINVAL = 22;
const ENODEV = 19;
const EOPNOTSUPP = 95;

interface Supply {
  readonly name: string;
  readonly numbers: readonly { readonly file: DeviceFile; readonly over: number; readonly series: KeptSeries }[];
  readonly texts: readonly { readonly label: string; readonly file: DeviceFile }[];
}

/** Drivers answer so for what a supply does not tell, or does not tell now. */
function isUntold(file: DeviceFile): boolean {
  return file.isMissing() || file.errno === ENODEV || file.errno === EOPNOTSUPP || file.errno === EINVAL;
}

/** class/power_supply/NAME below the sysfs root: batteries, chargers, mains. */
export const part: NodePart = {
  name: 'powersupplyclass',
  enabledByDefault: true,
  families: [...QUANTITIES.map(({ family }) => family), INFO],
  options: [{ flag: 'ignored-supplies', kind: 'regexp', default: '^$', help: 'power supplies: leave out those that match' }],
  open(scope) {
    const filter = scope.options.filter('ignored-supplies', '');
    const folder = scope.directory(scope.sys('class/power_supply'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let supplies: readonly Supply[] = [];

    const follow = (name: string): Supply => ({
      name,
      numbers: QUANTITIES.map(({ file, family, over }) => ({
        file: files.number(`${folder.path}/${name}/${file}`),
        over,
        series: new KeptSeries(family, [name]),
      })),
      texts: ['power_supply', ...TEXTS]
        .sort()
        .flatMap((label) => (label === 'power_supply' ? [] : [{ label, file: files.text(`${folder.path}/${name}/${label}`) }])),
    });

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') supplies = files.rebuild(() => folder.names.filter((name) => filter.keeps(name)).map(follow));
        files.scan();
        let problem: Error | undefined;
        for (const { name, numbers, texts } of supplies) {
          for (const { file, over, series } of numbers) {
            if (file.errno === 0 && !Number.isNaN(file.value)) series.set(sheet, file.value / over);
            else if (!isUntold(file)) problem ??= file.problem();
          }
          const told = texts.filter(({ file }) => file.text !== '').map(({ label, file }): [string, string] => [label, file.text]);
          const labels = [...told, ['power_supply', name] as [string, string]].sort(([a], [b]) => (a < b ? -1 : 1));
          sheet.sample(
            INFO,
            labels.map(([, value]) => value),
            1,
            labels.map(([label]) => label),
          );
          for (const { file } of texts) if (file.errno !== 0 && !isUntold(file)) problem ??= file.problem();
        }
        // The peer shows nothing at all after such an error; ours is counted and takes only its own series along.
        if (problem !== undefined) throw problem;
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        files.replay(
          sheet,
          steps,
          supplies.flatMap(({ numbers }) => numbers.map(({ file, series, over }) => [file, series, over] as const)),
        );
      },
      close: () => files.close(),
    };
  },
};
