import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import type { NodePart } from '../part.ts';

const INFO = family('node_nvmesubsystem_info', 'gauge', 'What an NVMe subsystem says of itself, as labels.', [
  'subsystem',
  'nqn',
  'model',
  'serial',
  'iopolicy',
]);
const NAMESPACE_INFO = family('node_nvmesubsystem_namespace_info', 'gauge', 'Block devices of a subsystem, as labels.', ['subsystem', 'device']);
const PATHS = family('node_nvmesubsystem_paths', 'gauge', 'Controllers by which a subsystem can be reached.', ['subsystem']);
const PATHS_LIVE = family('node_nvmesubsystem_paths_live', 'gauge', 'Controllers of a subsystem that are live.', ['subsystem']);
const PATH_STATE = family('node_nvmesubsystem_path_state', 'gauge', 'Whether a controller is in a state.', ['subsystem', 'controller', 'transport', 'state']);

const STATES = ['connecting', 'dead', 'deleting', 'live', 'new', 'resetting', 'unknown'];
const EPERM = 1;
const EACCES = 13;

/** Labels of the info series in wire order; undefined for the subsystem. */
const INFO_FILES = ['iopolicy', 'model', 'subsysnqn', 'serial', undefined];

interface Subsystem {
  readonly name: string;
  readonly info: readonly (DeviceFile | undefined)[];
  readonly namespaces: readonly string[];
  readonly controllers: readonly { readonly name: string; readonly state: DeviceFile; readonly transport: DeviceFile }[];
}

function stateOf(text: string): string {
  const state = text === 'deleting (no IO)' ? 'deleting' : text;
  return STATES.includes(state) ? state : 'unknown';
}

/** class/nvme-subsystem/nvme-subsysN below the sysfs root, its controllers nvmeN and namespaces nvmeNnM. */
export const part: NodePart = {
  name: 'nvmesubsystem',
  enabledByDefault: false,
  families: [INFO, NAMESPACE_INFO, PATHS, PATHS_LIVE, PATH_STATE],
  open(scope) {
    const folder = scope.directory(scope.sys('class/nvme-subsystem'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    const members = scope.folders();
    let subsystems: readonly Subsystem[] = [];

    const follow = (name: string, names: readonly string[]): Subsystem => {
      const base = `${folder.path}/${name}`;
      return {
        name,
        info: INFO_FILES.map((file) => (file === undefined ? undefined : files.text(`${base}/${file}`))),
        namespaces: names.filter((entry) => /^nvme[0-9]+n[0-9]+$/.test(entry)),
        controllers: names
          .filter((entry) => /^nvme[0-9]+$/.test(entry))
          .map((controller) => ({
            name: controller,
            state: files.text(`${base}/${controller}/state`),
            transport: files.text(`${base}/${controller}/transport`),
          })),
      };
    };
    /** Controllers come and go without the list of subsystems changing. */
    const relist = (): void => {
      const subsystemNames = folder.names.filter((name) => name.startsWith('nvme-subsys'));
      let names: readonly (readonly string[])[] = [];
      const hasChanged = members.look((list) => {
        names = subsystemNames.map((name) => list(`${folder.path}/${name}`));
      });
      if (hasChanged) subsystems = files.rebuild(() => subsystemNames.map((name, i) => follow(name, names[i] ?? [])));
    };

    return {
      collect(sheet) {
        if (folder.scan() === 'absent') return scope.missing(folder);
        relist();
        files.scan();
        let bad: DeviceFile | undefined;
        for (const { name, info, namespaces, controllers } of subsystems) {
          const unread = [...info, ...controllers.flatMap(({ state, transport }) => [state, transport])].find((file) => file !== undefined && file.errno !== 0);
          bad ??= unread;
          if (unread !== undefined) continue;
          sheet.sample(
            INFO,
            info.map((file) => file?.text ?? name),
            1,
          );
          for (const device of namespaces) sheet.sample(NAMESPACE_INFO, [device, name], 1);
          for (const { name: controller, state, transport } of controllers) {
            // Labels in wire order: controller, state, subsystem, transport.
            for (const known of STATES) sheet.sample(PATH_STATE, [controller, known, name, transport.text], stateOf(state.text) === known ? 1 : 0);
          }
          sheet.sample(PATHS, [name], controllers.length);
          sheet.sample(PATHS_LIVE, [name], controllers.filter(({ state }) => stateOf(state.text) === 'live').length);
        }
        if (bad === undefined) return OK;
        if (bad.isMissing() || bad.errno === EPERM || bad.errno === EACCES) return absent(`${bad.path} cannot be read`);
        throw bad.problem();
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        members.replay(steps);
        files.replay(sheet, steps);
      },
      close: () => files.close(),
    };
  },
};
