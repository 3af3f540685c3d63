import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import type { ReplaySteps } from '../../../readers/readers.ts';
import { ABSENCE_MS } from '../absence.ts';
import type { ConstantSeries } from '../constant-series.ts';
import { type DeviceFile, DeviceFiles, type FollowedFile } from '../device-files.ts';
import type { Directory } from '../directory.ts';
import type { Filter } from '../filter.ts';
import type { Folders } from '../folders.ts';
import { floatOf } from '../go-float.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart, PartScope } from '../part.ts';

const SENSOR = ['chip', 'sensor'];
const CHIP_NAMES = family('node_hwmon_chip_names', 'gauge', 'What the driver of a chip calls it, as label.', ['chip', 'chip_name']);
const SENSOR_LABEL = family('node_hwmon_sensor_label', 'gauge', 'What the driver says that a sensor measures, as label.', ['chip', 'label', 'sensor']);
const BEEP_ENABLED = family('node_hwmon_beep_enabled', 'gauge', 'Whether a chip beeps on alarms (1) or not (0).', SENSOR);
const REGULATOR = family('node_hwmon_voltage_regulator_version', 'gauge', 'Version of the voltage regulator module, times ten.', SENSOR);
const UPDATE_INTERVAL = family('node_hwmon_update_interval_seconds', 'gauge', 'How often a chip measures anew, in seconds.', SENSOR);
const FREQUENCY = family('node_hwmon_freq_freq_mhz', 'gauge', 'Clock of a graphics processor, in megahertz; the sensor is named by its label.', SENSOR);

/** First words of file names that are sensors; the kernel's documentation calls them channel types. */
const TYPES: ReadonlySet<string> = new Set([
  'vrm',
  'beep_enable',
  'update_interval',
  'in',
  'cpu',
  'fan',
  'pwm',
  'temp',
  'curr',
  'power',
  'energy',
  'humidity',
  'intrusion',
  'freq',
]);

/** Letters for label and family names: lower case, anything else an underscore, none at the ends. */
function clean(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9:_]/gu, '_')
    .replace(/^_+|_+$/g, '');
}

interface SensorFile {
  readonly type: string;
  /** `temp1`; channels without a number have number 0. */
  readonly sensor: string;
  /** `input` of temp1_input; '' of pwm1. */
  readonly property: string;
}

/** `temp1_crit_alarm` is property crit_alarm of temp1. Undefined for files that are no sensors. */
function sensorFile(name: string): SensorFile | undefined {
  const found = /^([^0-9]+)([0-9]*)(?:_(.+))?$/.exec(name);
  const type = found?.[1] ?? '';
  return TYPES.has(type) ? { type, sensor: `${type}${Number(found?.[2] ?? 0)}`, property: found?.[3] ?? '' } : undefined;
}

/** The family of a property and the arithmetic from the file's unit; the peer's own, with its order of questions. */
interface Measure {
  readonly name: string;
  readonly kind: MetricType;
  readonly what: string;
  readonly times?: number;
  readonly over?: number;
}

const MILLI = 0.001;
const MICRO = 1_000_000;

function measureOf(type: string, property: string, hasBare: boolean): Measure {
  const suffix = property === '' || (property === 'input' && !hasBare) ? '' : `_${property === 'input' ? 'input' : clean(property)}`;
  const name = `node_hwmon_${type}${suffix}`;
  const gauge = (unit: string, what: string, scale: Pick<Measure, 'times' | 'over'> = {}): Measure => ({
    name: `${name}${unit}`,
    kind: 'gauge',
    what,
    ...scale,
  });
  if (property === 'fault' || property === 'alarm') return gauge('', `whether there is a ${property}`);
  if (property === 'beep') return gauge('_enabled', 'whether it beeps on alarms');
  if (type === 'in' || type === 'cpu') return gauge('_volts', 'in volts', { times: MILLI });
  if (type === 'temp' && property !== 'type') return gauge('_celsius', 'in degrees Celsius', { times: MILLI });
  if (type === 'curr') return gauge('_amps', 'in amperes', { times: MILLI });
  if (type === 'energy') return { name: `${name}_joule_total`, kind: 'counter', what: 'in joules', over: MICRO };
  if (type === 'power' && property === 'accuracy') return gauge('', 'as a ratio', { over: MICRO });
  if (type === 'power' && /^average_interval(_min|_max)?$/.test(property)) return gauge('_seconds', 'in seconds', { times: MILLI });
  if (type === 'power') return gauge('_watt', 'in watts', { over: MICRO });
  if (type === 'humidity') return gauge('', 'as a ratio', { over: MICRO });
  if (type === 'fan' && ['input', 'min', 'max', 'target'].includes(property)) return gauge('_rpm', 'in revolutions per minute');
  return gauge('', 'as the driver gives it');
}

function familyOf(type: string, property: string, { name, kind, what }: Measure): Family {
  return family(name, kind, `Hardware sensors of type ${type}, ${property === '' ? 'plain value' : property}, ${what}.`, SENSOR);
}

/** A property of a sensor: its file beside the chip and, where the driver is an old one, below `device`. The last readable counts. */
interface Property {
  readonly files: readonly DeviceFile[];
  readonly series: KeptSeries;
  readonly times: number;
  readonly over: number;
}

interface Sensor {
  readonly type: string;
  /** By name of the property. */
  readonly paths: Map<string, string[]>;
}

interface Chip {
  readonly folder: string;
  readonly label: string;
  readonly sensors: ReadonlyMap<string, Sensor>;
}

function lastReadable(files: readonly DeviceFile[]): DeviceFile | undefined {
  return files.findLast(({ errno }) => errno === 0);
}

function numberIn(file: DeviceFile): number | undefined {
  return Number.isNaN(file.value) ? floatOf(file.text) : file.value;
}

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** What the name of a chip is made of. */
interface ChipName {
  readonly folder: string;
  readonly base: string;
  readonly nameFile: string;
}

/** Undefined for what is no folder, or cannot be named. */
function chipName(folder: string): ChipName | undefined {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const nameFile = quietly(() => readFileSync(`${folder}/name`, 'utf8')) ?? '';
  const device = quietly(() => realpathSync(`${folder}/device`));
  const name = clean(device === undefined ? '' : basename(device));
  const bus = clean(device === undefined ? '' : basename(dirname(device)));
  const ofDevice = bus !== '' && name !== '' ? `${bus}_${name}` : name;
  const base = ofDevice || clean(nameFile) || clean(basename(quietly(() => realpathSync(folder)) ?? ''));
  return base === '' ? undefined : { folder, base, nameFile: nameFile.trim() };
}

/** Two chips on one device are told apart by the driver's name of them or, failing that, by the number of the chip. */
function chipLabel(chip: ChipName, all: readonly ChipName[]): string {
  const same = all.filter(({ base }) => base === chip.base);
  if (same.length < 2) return chip.base;
  const isOnly = same.filter(({ nameFile }) => nameFile === chip.nameFile).length === 1;
  const suffix = isOnly ? clean(chip.nameFile) : '';
  return `${chip.base}_${suffix || clean(basename(chip.folder))}`;
}

/** Chips and their files. What a chip has is looked at anew when a chip comes or goes, a file fails, or a minute has passed. */
class Chips {
  readonly #folder: Directory;
  readonly #folders: Folders;
  readonly #files: DeviceFiles;
  readonly #names: ConstantSeries;
  readonly #monotonicMs: () => number;
  readonly #chipFilter: Filter;
  readonly #sensorFilter: Filter;
  #properties: readonly Property[] = [];
  #beeps: readonly Property[] = [];
  #lookAgainMs = Number.NEGATIVE_INFINITY;

  constructor(scope: PartScope) {
    this.#folder = scope.directory(scope.sys('class/hwmon'));
    this.#folders = scope.folders();
    this.#files = new DeviceFiles(scope.readers, scope.monotonicMs);
    this.#names = scope.constants();
    this.#monotonicMs = scope.monotonicMs;
    this.#chipFilter = scope.options.filter('chip-exclude', 'chip-include');
    this.#sensorFilter = scope.options.filter('sensor-exclude', 'sensor-include');
  }

  get path(): string {
    return this.#folder.path;
  }

  collect(sheet: Sheet): boolean {
    const scan = this.#folder.scan();
    if (scan === 'absent') return false;
    if (scan === 'changed' || this.#monotonicMs() >= this.#lookAgainMs) this.#look();
    if (this.#files.scan()) this.#look();
    this.#names.collect(sheet);
    for (const { files, series } of this.#beeps) series.set(sheet, lastReadable(files)?.value === 1 ? 1 : 0);
    for (const { files, series, times, over } of this.#properties) {
      const file = lastReadable(files);
      const value = file === undefined ? undefined : numberIn(file);
      if (value !== undefined) series.set(sheet, (value * times) / over);
    }
    return true;
  }

  /** What `collect` of the next runs will do, until chips are looked at anew. */
  replay(sheet: Sheet, steps: ReplaySteps): void {
    if (!this.#folder.replay(steps)) return;
    if (this.#lookAgainMs > Number.NEGATIVE_INFINITY) steps.until(this.#lookAgainMs);
    const figures = this.#properties.flatMap(({ files, series, over, times }): FollowedFile[] => {
      const [file] = files;
      // Of two files it depends on both which one counts.
      return file === undefined || files.length > 1 ? [] : [[file, series, over, times]];
    });
    this.#files.replay(sheet, steps, figures);
  }

  close(): void {
    this.#files.close();
  }

  #look(): void {
    this.#lookAgainMs = Number.NEGATIVE_INFINITY;
    const chips = this.#chips();
    this.#names.clear();
    this.#files.rebuild(() => {
      const properties: Property[] = [];
      const beeps: Property[] = [];
      for (const chip of chips) {
        const name = clean(quietly(() => readFileSync(`${chip.folder}/name`, 'utf8')) ?? '');
        if (name !== '') this.#names.add(CHIP_NAMES, [chip.label, name], 1);
        for (const [sensor, found] of chip.sensors)
          if (this.#sensorFilter.keeps(`${chip.label};${sensor}`)) this.#addSensor(chip.label, sensor, found, properties, beeps);
      }
      this.#properties = properties;
      this.#beeps = beeps;
    });
    this.#lookAgainMs = this.#monotonicMs() + ABSENCE_MS;
  }

  #chips(): Chip[] {
    const names = this.#folder.names.flatMap((name) => chipName(`${this.path}/${name}`) ?? []);
    const labelled = names.map((name) => ({ folder: name.folder, label: chipLabel(name, names) })).filter(({ label }) => this.#chipFilter.keeps(label));
    let chips: Chip[] = [];
    this.#folders.look((list) => {
      chips = labelled.map(({ folder, label }) => {
        const sensors = new Map<string, Sensor>();
        for (const where of [folder, `${folder}/device`]) for (const name of list(where)) addFile(sensors, where, name);
        return { folder, label, sensors };
      });
    });
    return chips;
  }

  #addSensor(chip: string, sensor: string, { type, paths }: Sensor, properties: Property[], beeps: Property[]): void {
    const label = this.#label(paths.get('label'));
    if (label !== undefined) this.#names.add(SENSOR_LABEL, [chip, label, sensor], 1);
    const property = (name: string, family: Family, scale: Pick<Measure, 'times' | 'over'> = {}, shown = sensor): Property => ({
      files: (paths.get(name) ?? []).map((path) => this.#files.number(path)),
      series: new KeptSeries(family, [chip, shown]),
      times: scale.times ?? 1,
      over: scale.over ?? 1,
    });
    if (type === 'beep_enable') beeps.push(property('', BEEP_ENABLED));
    else if (type === 'vrm') properties.push(property('', REGULATOR));
    else if (type === 'update_interval') properties.push(property('', UPDATE_INTERVAL, { times: MILLI }));
    else {
      for (const name of paths.keys()) {
        if (name === 'label') continue;
        if (type === 'freq' && name === 'input') {
          if (label !== undefined) properties.push(property(name, FREQUENCY, { over: MICRO }, clean(label)));
          continue;
        }
        const measure = measureOf(type, name, paths.has(''));
        properties.push(property(name, familyOf(type, name, measure), measure));
      }
    }
  }

  /** Follows the file, so that another text is noticed, and reads it with the blanks that some drivers put behind it. */
  #label(paths: readonly string[] | undefined): string | undefined {
    let label: string | undefined;
    for (const path of paths ?? []) {
      this.#files.text(path);
      const text = quietly(() => readFileSync(path).toString('utf8', 0, 128));
      if (text !== undefined) label = text.replace(/^\n+|\n+$/g, '').replace(/\uFFFD+/g, '\uFFFD');
    }
    return label;
  }
}

function addFile(sensors: Map<string, Sensor>, folder: string, name: string): void {
  const file = sensorFile(name);
  // A folder `power` for power management is beside every device.
  if (file === undefined || statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.isFile() !== true) return;
  let sensor = sensors.get(file.sensor);
  if (sensor === undefined) {
    sensor = { type: file.type, paths: new Map() };
    sensors.set(file.sensor, sensor);
  }
  const path = `${folder}/${name}`;
  const known = sensor.paths.get(file.property);
  if (known === undefined) sensor.paths.set(file.property, [path]);
  else known.push(path);
}

/** /sys/class/hwmon/hwmonN and the folder `device` in it, where drivers older than 2013 keep their files (Documentation/hwmon/sysfs-interface.rst). */
export const part: NodePart = {
  name: 'hwmon',
  enabledByDefault: true,
  families: [CHIP_NAMES, SENSOR_LABEL, BEEP_ENABLED, REGULATOR, UPDATE_INTERVAL, FREQUENCY],
  options: [
    { flag: 'chip-include', kind: 'regexp', default: '', help: 'chips: only those that match' },
    { flag: 'chip-exclude', kind: 'regexp', default: '', help: 'chips: leave out those that match' },
    { flag: 'sensor-include', kind: 'regexp', default: '', help: 'sensors, written chip;sensor: only those that match' },
    { flag: 'sensor-exclude', kind: 'regexp', default: '', help: 'sensors, written chip;sensor: leave out those that match' },
  ],
  open(scope) {
    const chips = new Chips(scope);
    return {
      collect: (sheet) => (chips.collect(sheet) ? OK : scope.missing(chips)),
      replay: (sheet, steps) => chips.replay(sheet, steps),
      close: () => chips.close(),
    };
  },
};
