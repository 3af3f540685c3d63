import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import type { NodePart } from '../part.ts';

const INFO = family('node_nvme_info', 'gauge', 'What an NVMe controller says of itself, as labels.', [
  'device',
  'firmware_revision',
  'model',
  'serial',
  'state',
  'cntlid',
]);
const NAMESPACE = ['device', 'nsid'];
const NAMESPACE_INFO = family('node_nvme_namespace_info', 'gauge', 'State of the path to a namespace, as a label.', ['device', 'nsid', 'ana_state']);
const CAPACITY = family(
  'node_nvme_namespace_capacity_bytes',
  'gauge',
  'Size of a namespace, in bytes; sectors of 512 bytes times its block size, as the peer counts.',
  NAMESPACE,
);
const SIZE = family('node_nvme_namespace_size_bytes', 'gauge', 'The same as the capacity.', NAMESPACE);
const USED = family('node_nvme_namespace_used_bytes', 'gauge', 'Space of a namespace that is in use, in bytes.', NAMESPACE);
const BLOCK_SIZE = family('node_nvme_namespace_logical_block_size_bytes', 'gauge', 'Size of a logical block of a namespace, in bytes.', NAMESPACE);

/** Labels of the info series in wire order; undefined for the device. */
const INFO_FILES = ['cntlid', undefined, 'firmware_rev', 'model', 'serial', 'state'];

interface Namespace {
  readonly id: string;
  readonly used: DeviceFile;
  readonly size: DeviceFile;
  readonly blockSize: DeviceFile;
  readonly ana: DeviceFile;
}

interface Controller {
  readonly name: string;
  readonly info: readonly (DeviceFile | undefined)[];
  readonly namespaces: readonly Namespace[];
}

/**
 * class/nvme/nvmeN below the sysfs root and its namespaces nvmeNnM.
 * A namespace that cannot be read is left out; in the peer it takes the whole collector along.
 */
export const part: NodePart = {
  name: 'nvme',
  enabledByDefault: true,
  families: [INFO, NAMESPACE_INFO, CAPACITY, SIZE, USED, BLOCK_SIZE],
  open(scope) {
    const folder = scope.directory(scope.sys('class/nvme'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    const members = scope.folders();
    let controllers: readonly Controller[] = [];

    const followNamespace = (base: string, entry: string): Namespace[] => {
      const id = /nvme[0-9]+n([0-9]+)/.exec(entry)?.[1];
      if (id === undefined) return [];
      const of = (file: string): string => `${base}/${entry}/${file}`;
      return [
        {
          id,
          used: files.number(of('nuse')),
          size: files.number(of('size')),
          blockSize: files.number(of('queue/logical_block_size')),
          ana: files.text(of('ana_state')),
        },
      ];
    };
    const follow = (name: string, names: readonly string[]): Controller => {
      const base = `${folder.path}/${name}`;
      return {
        name,
        info: INFO_FILES.map((file) => (file === undefined ? undefined : files.text(`${base}/${file}`))),
        namespaces: names.flatMap((entry) => followNamespace(base, entry)),
      };
    };
    /** Namespaces come and go without the list of controllers changing. */
    const relist = (): void => {
      let names: readonly (readonly string[])[] = [];
      const hasChanged = members.look((list) => {
        names = folder.names.map((name) => list(`${folder.path}/${name}`));
      });
      if (hasChanged) controllers = files.rebuild(() => folder.names.map((name, i) => follow(name, names[i] ?? [])));
    };

    return {
      collect(sheet) {
        if (folder.scan() === 'absent') return scope.missing(folder);
        relist();
        files.scan();
        let missing: DeviceFile | undefined;
        for (const { name, info, namespaces } of controllers) {
          const bad = info.find((file) => file !== undefined && file.errno !== 0);
          missing ??= bad;
          if (bad === undefined)
            sheet.sample(
              INFO,
              info.map((file) => file?.text ?? name),
              1,
            );
          for (const { id, used, size, blockSize, ana } of namespaces) {
            const unread = [used, size, blockSize].find((file) => file.errno !== 0);
            missing ??= unread;
            if (unread !== undefined) continue;
            const [bytes, sectors, blocks] = [blockSize, size, used].map(({ value }) => (Number.isNaN(value) ? 0 : value)) as [number, number, number];
            // Labels in wire order: ana_state, device, nsid.
            sheet.sample(NAMESPACE_INFO, [ana.errno === 0 ? ana.text : 'unknown', name, id], 1);
            sheet.sample(CAPACITY, [name, id], sectors * bytes);
            sheet.sample(SIZE, [name, id], sectors * bytes);
            sheet.sample(USED, [name, id], blocks * bytes);
            sheet.sample(BLOCK_SIZE, [name, id], bytes);
          }
        }
        if (missing !== undefined) {
          if (missing.isMissing()) return scope.missing(missing);
          throw missing.problem();
        }
        return OK;
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
