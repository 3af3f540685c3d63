import { readlinkSync } from 'node:fs';
import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { isMissing, parseProblem, readProblem } from '../file-error.ts';
import { KeptSeries } from '../kept-series.ts';
import { className, NO_PCI_IDS, readPciIds } from '../pci-ids.ts';
import type { NodePart } from '../part.ts';

const LOCATION = ['bus', 'device', 'function', 'segment'];
const IDENTITY = ['class_id', 'vendor_id', 'device_id', 'subsystem_vendor_id', 'subsystem_device_id', 'revision'];
const NAMES = ['vendor_name', 'device_name', 'subsystem_vendor_name', 'subsystem_device_name', 'class_name'];
const PARENT = ['parent_bus', 'parent_device', 'parent_function', 'parent_segment'];

function gauge(name: string, help: string, more: readonly string[] = []): Family {
  return family(`node_pcidevice_${name}`, 'gauge', help, [...LOCATION, ...more]);
}

const INFO_HELP = 'What a PCI device says of itself, as labels.';
const INFO = gauge('info', INFO_HELP, [...PARENT, ...IDENTITY]);
const NAMED_INFO = gauge('info', INFO_HELP, [...PARENT, ...IDENTITY, ...NAMES]);
const POWER_STATE = gauge('power_state', 'Whether a device is in a power state.', ['state']);
const POWER_STATES = ['D0', 'D1', 'D2', 'D3cold', 'D3hot', 'error', 'unknown'];

/** Attributes that are numbers; `missing` is shown where the device does not have one. */
const NUMBERS: readonly { readonly file: string; readonly family: Family; readonly missing: number; readonly isSwitch?: boolean }[] = [
  { file: 'max_link_width', family: gauge('max_link_width', 'Lanes that the link can have; -1 where unknown.'), missing: -1 },
  { file: 'current_link_width', family: gauge('current_link_width', 'Lanes that the link has; -1 where unknown.'), missing: -1 },
  { file: 'd3cold_allowed', family: gauge('d3cold_allowed', 'Whether a device may be switched off entirely.'), missing: 0, isSwitch: true },
  {
    file: 'sriov_drivers_autoprobe',
    family: gauge('sriov_drivers_autoprobe', 'Whether drivers take virtual functions by themselves.'),
    missing: 0,
    isSwitch: true,
  },
  { file: 'sriov_numvfs', family: gauge('sriov_numvfs', 'Virtual functions of a device.'), missing: 0 },
  { file: 'sriov_totalvfs', family: gauge('sriov_totalvfs', 'Virtual functions that a device can have.'), missing: 0 },
  { file: 'sriov_vf_total_msix', family: gauge('sriov_vf_total_msix', 'Interrupt vectors for virtual functions.'), missing: 0 },
];
const SPEEDS: readonly (readonly [file: string, family: Family])[] = [
  ['max_link_speed', gauge('max_link_transfers_per_second', 'Transfers per second that the link can do; -1 where unknown.')],
  ['current_link_speed', gauge('current_link_transfers_per_second', 'Transfers per second that the link does; -1 where unknown.')],
];
const NUMA_NODE = gauge('numa_node', 'NUMA node of a device; left out where it has none.');

const IDENTITY_FILES: readonly (readonly [file: string, digits: number])[] = [
  ['class', 6],
  ['vendor', 4],
  ['device', 4],
  ['subsystem_vendor', 4],
  ['subsystem_device', 4],
  ['revision', 2],
];
const GIGA = 1e9;

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

/** Segment, bus, device and function of `0000:3e:00.1`, in the order of the labels; undefined for anything else. */
function locationOf(text: string): readonly string[] | undefined {
  const found = /^([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9a-f]{1,8})\.([0-9a-f]{1,8})$/i.exec(text);
  if (found === null) return undefined;
  const [segment, bus, device, func] = found.slice(1).map((digits) => Number.parseInt(digits, 16)) as [number, number, number, number];
  return [hex(bus, 2), hex(device, 2), hex(func, 1), hex(segment, 4)];
}

interface Device {
  readonly location: readonly string[];
  readonly parent: readonly string[];
  readonly identity: readonly DeviceFile[];
  readonly numbers: readonly { readonly file: DeviceFile; readonly missing: number; readonly isSwitch: boolean; readonly series: KeptSeries }[];
  readonly speeds: readonly { readonly file: DeviceFile; readonly series: KeptSeries }[];
  readonly numaNode: { readonly file: DeviceFile; readonly series: KeptSeries };
  readonly powerState: DeviceFile;
  readonly powerStates: readonly KeptSeries[];
  info: KeptSeries | undefined;
}

/** What an attribute tells: undefined when it is missing, empty or Unknown. */
function told(file: DeviceFile): DeviceFile | undefined {
  if (file.errno !== 0) {
    if (!file.isMissing()) throw file.problem();
    return undefined;
  }
  return Number.isNaN(file.value) && (file.text === '' || file.text.startsWith('Unknown')) ? undefined : file;
}

function numberOf(file: DeviceFile): number | undefined {
  if (told(file) === undefined) return undefined;
  if (Number.isNaN(file.value)) throw file.problem();
  return file.value;
}

/** `8.0 GT/s PCIe` in transfers per second. */
function speedOf(file: DeviceFile): number {
  const text = told(file)?.text;
  if (text === undefined) return -1;
  const gigatransfers = /^([0-9.]+) GT\/s PCIe$/.exec(text)?.[1];
  const number = Number(gigatransfers);
  if (gigatransfers === undefined || Number.isNaN(number)) throw parseProblem(file.path, 1, `"NUMBER GT/s PCIe", not ${JSON.stringify(text)}`);
  return number * GIGA;
}

/** bus/pci/devices/LOCATION below the sysfs root: links into the tree of buses (ABI/testing/sysfs-bus-pci). */
export const part: NodePart = {
  name: 'pcidevice',
  enabledByDefault: false,
  families: [INFO, POWER_STATE, NUMA_NODE, ...NUMBERS.map(({ family }) => family), ...SPEEDS.map(([, family]) => family)],
  options: [
    { flag: 'names', kind: 'boolean', default: false, help: 'print names from the file pci.ids' },
    { flag: 'idsfile', kind: 'string', default: '', help: 'the file pci.ids; empty for where distributions put it' },
  ],
  open(scope) {
    const hasNames = scope.options.isOn('names');
    const ids = hasNames ? readPciIds(scope.options.text('idsfile')) : NO_PCI_IDS;
    const folder = scope.directory(scope.sys('bus/pci/devices'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let devices: readonly Device[] = [];
    /** Why an entry of the folder is not among the devices. */
    let unfollowed: unknown;

    const follow = (name: string): Device => {
      const base = `${folder.path}/${name}`;
      const path = linkOf(base).split('/');
      const location = locationOf(path.at(-1) ?? '');
      const above = path.at(-2) ?? '';
      const parent = above.startsWith('pci') ? ['*', '*', '*', '*'] : locationOf(above);
      if (location === undefined || parent === undefined) throw parseProblem(base, 1, `a link to PARENT/SEGMENT:BUS:DEVICE.FUNCTION, not to ${path.join('/')}`);
      return {
        location,
        parent,
        identity: IDENTITY_FILES.map(([file]) => files.number(`${base}/${file}`)),
        numbers: NUMBERS.map(({ file, family, missing, isSwitch = false }) => ({
          file: files.number(`${base}/${file}`),
          missing,
          isSwitch,
          series: new KeptSeries(family, location),
        })),
        speeds: SPEEDS.map(([file, family]) => ({ file: files.text(`${base}/${file}`), series: new KeptSeries(family, location) })),
        numaNode: { file: files.number(`${base}/numa_node`), series: new KeptSeries(NUMA_NODE, location) },
        powerState: files.text(`${base}/power_state`),
        // Labels in wire order: bus, device, function, segment, state.
        powerStates: POWER_STATES.map((state) => new KeptSeries(POWER_STATE, [...location, state])),
        info: undefined,
      };
    };

    const describe = ({ location, parent, identity }: Device): KeptSeries => {
      const numbers = identity.map((file, i) => {
        if (file.errno !== 0 || Number.isNaN(file.value)) throw file.problem();
        return hex(file.value >>> 0, IDENTITY_FILES[i]?.[1] ?? 0);
      });
      const [type = '', vendor = '', device = '', subsystemVendor = '', subsystemDevice = ''] = numbers;
      const of = hasNames ? NAMED_INFO : INFO;
      const labels = new Map<string, string>([
        ...LOCATION.map((label, i): [string, string] => [label, location[i] ?? '']),
        ...PARENT.map((label, i): [string, string] => [label, parent[i] ?? '']),
        ...IDENTITY.map((label, i): [string, string] => [label, `0x${numbers[i]}`]),
        ['vendor_name', ids.vendors.get(vendor) ?? vendor],
        ['device_name', ids.devices.get(`${vendor}:${device}`) ?? device],
        ['subsystem_vendor_name', ids.vendors.get(subsystemVendor) ?? subsystemVendor],
        ['subsystem_device_name', ids.subsystems.get(`${vendor}:${device}:${subsystemVendor}:${subsystemDevice}`) ?? subsystemDevice],
        ['class_name', className(ids, type)],
      ]);
      return new KeptSeries(
        of,
        of.labels.map((label) => labels.get(label) ?? ''),
      );
    };

    const show = (sheet: Sheet, device: Device, hasChanged: boolean): void => {
      if (hasChanged || device.info === undefined) device.info = describe(device);
      device.info.set(sheet, 1);
      for (const { file, missing, isSwitch, series } of device.numbers) {
        const value = numberOf(file) ?? missing;
        series.set(sheet, isSwitch ? Number(value !== 0) : value);
      }
      for (const { file, series } of device.speeds) series.set(sheet, speedOf(file));
      const node = numberOf(device.numaNode.file) ?? -1;
      if (node !== -1) device.numaNode.series.set(sheet, node);
      // A state of its own is "unknown", so the text is taken as it is.
      const state = device.powerState.text;
      if (device.powerState.errno !== 0 && !device.powerState.isMissing()) throw device.powerState.problem();
      if (state !== '') for (const [i, series] of device.powerStates.entries()) series.set(sheet, POWER_STATES[i] === state ? 1 : 0);
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') {
          unfollowed = undefined;
          devices = files.rebuild(() =>
            folder.names.flatMap((name) => {
              try {
                return [follow(name)];
              } catch (error) {
                unfollowed ??= error;
                return [];
              }
            }),
          );
        }
        const hasChanged = files.scan();
        let problem = unfollowed;
        for (const device of devices) {
          try {
            show(sheet, device, hasChanged);
          } catch (error) {
            problem ??= error;
          }
        }
        if (problem !== undefined) throw problem;
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

/** Throws CollectError `read`. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isMissing(error)) return '';
    throw readProblem(path, error);
  }
}
