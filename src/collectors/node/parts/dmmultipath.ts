import { absent, OK } from '../../../collect/contract.ts';
import { CollectError } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { errnoOf } from '../file-error.ts';
import type { NodePart } from '../part.ts';

const DEVICE = ['device', 'sysfs_name'];
const INFO = family('node_dmmultipath_device_info', 'gauge', 'A multipath device, with its UUID as label.', [...DEVICE, 'uuid']);
const ACTIVE = family('node_dmmultipath_device_active', 'gauge', 'Whether a multipath device works (1) or is suspended (0).', DEVICE);
const SIZE = family('node_dmmultipath_device_size_bytes', 'gauge', 'Size of a multipath device, in bytes.', DEVICE);
const PATHS = family('node_dmmultipath_device_paths', 'gauge', 'Paths of a multipath device.', DEVICE);
const PATHS_ACTIVE = family('node_dmmultipath_device_paths_active', 'gauge', 'Paths of a multipath device that work.', DEVICE);
const PATHS_FAILED = family('node_dmmultipath_device_paths_failed', 'gauge', 'Paths of a multipath device that do not work.', DEVICE);
const STATE = family('node_dmmultipath_path_state', 'gauge', 'The state of a path, as label.', ['device', 'path', 'state']);

/** Sizes in sysfs count these, whatever the disk's own sectors are. */
const SECTOR_BYTES = 512;
/** Of SCSI and of NVMe. */
const WORKING_STATES = ['running', 'live'];

interface Device {
  readonly sysfsName: string;
  readonly uuid: DeviceFile;
  readonly name: DeviceFile;
  readonly suspended: DeviceFile;
  readonly size: DeviceFile;
  readonly paths: readonly { readonly name: string; readonly state: DeviceFile }[];
}

/** Throws CollectError where the peer's collector fails. */
function readText(file: DeviceFile): string {
  if (file.errno !== 0) throw file.problem();
  return file.text;
}

function readNumber(file: DeviceFile): number {
  if (file.errno !== 0 || !(file.value >= 0)) throw file.problem();
  return file.value;
}

/** /sys/block/dm-N whose dm/uuid begins with mpath-, and device/state of the disks in slaves/. */
export const part: NodePart = {
  name: 'dmmultipath',
  enabledByDefault: true,
  families: [INFO, ACTIVE, SIZE, PATHS, PATHS_ACTIVE, PATHS_FAILED, STATE],
  open(scope) {
    const root = scope.sys('block');
    const folder = scope.directory(root);
    const folders = scope.folders();
    const uuids = new DeviceFiles(scope.readers, scope.monotonicMs);
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let mapped: readonly { readonly name: string; readonly uuid: DeviceFile }[] = [];
    let devices: readonly Device[] = [];

    const deviceOf = (sysfsName: string, uuid: DeviceFile, slaves: readonly string[]): Device => ({
      sysfsName,
      uuid,
      name: files.text(`${root}/${sysfsName}/dm/name`),
      suspended: files.number(`${root}/${sysfsName}/dm/suspended`),
      size: files.number(`${root}/${sysfsName}/size`),
      paths: slaves.map((name) => ({ name, state: files.text(`${root}/${name}/device/state`) })),
    });
    const follow = (): void => {
      for (const { uuid } of mapped) if (uuid.errno !== 0 && !uuid.isMissing()) throw uuid.problem();
      const multipath = mapped.filter(({ uuid }) => uuid.text.startsWith('mpath-'));
      let slaves: readonly (readonly string[])[] = [];
      const hasChanged = folders.look((list) => {
        slaves = multipath.map(({ name }) => list(`${root}/${name}/slaves`));
      });
      if (hasChanged) devices = files.rebuild(() => multipath.map(({ name, uuid }, i) => deviceOf(name, uuid, slaves[i] ?? [])));
    };
    const list = (): boolean => {
      try {
        const scan = folder.scan();
        if (scan === 'absent') return false;
        if (scan === 'changed')
          mapped = uuids.rebuild(() =>
            folder.names.filter((name) => name.startsWith('dm-')).map((name) => ({ name, uuid: uuids.text(`${root}/${name}/dm/uuid`) })),
          );
        return true;
      } catch (error) {
        if (error instanceof CollectError && errnoOf(error.cause) === 'EACCES') return false;
        throw error;
      }
    };

    return {
      collect(sheet) {
        if (!list()) return absent(`${root} is missing or may not be read`);
        uuids.scan();
        follow();
        files.scan();
        const found = devices.map((device) => ({
          sysfsName: device.sysfsName,
          uuid: readText(device.uuid),
          name: readText(device.name),
          isSuspended: readNumber(device.suspended) === 1,
          bytes: readNumber(device.size) * SECTOR_BYTES,
          paths: device.paths.map(({ name, state }) => ({ name, state: readText(state) })),
        }));
        for (const { sysfsName, uuid, name, isSuspended, bytes, paths } of found) {
          const working = paths.filter(({ state }) => WORKING_STATES.includes(state)).length;
          sheet.sample(INFO, [name, sysfsName, uuid], 1);
          sheet.sample(ACTIVE, [name, sysfsName], isSuspended ? 0 : 1);
          sheet.sample(SIZE, [name, sysfsName], bytes);
          sheet.sample(PATHS, [name, sysfsName], paths.length);
          sheet.sample(PATHS_ACTIVE, [name, sysfsName], working);
          sheet.sample(PATHS_FAILED, [name, sysfsName], paths.length - working);
          for (const path of paths) sheet.sample(STATE, [name, path.name, path.state], 1);
        }
        return OK;
      },
      replay(sheet, steps) {
        folder.replay(steps);
        uuids.replay(sheet, steps);
        folders.replay(steps);
        // What devices show is worked out in each run.
        if (devices.length > 0) steps.until(Number.NEGATIVE_INFINITY);
      },
      close() {
        uuids.close();
        files.close();
      },
    };
  },
};
