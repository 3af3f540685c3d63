import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { type Outcome, absent } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import { RESCTRL } from './families.ts';
import { type Column, Group, type GroupSpec, type Shared } from './group.ts';
import { ABSENT } from './row-rules.ts';
import { pathKind } from './names.ts';

const FILES: readonly (readonly [name: string, family: Family])[] = [
  ['llc_occupancy', RESCTRL.occupancy],
  ['mbm_total_bytes', RESCTRL.bandwidth],
  ['mbm_local_bytes', RESCTRL.localBandwidth],
];

/**
 * Cache occupancy and memory bandwidth by NUMA node: of the machine under `/`, and of containers that have a monitoring
 * group, which is only looked for, never made: one named after the container (as OCI runtimes make it), or as the peer names
 * its own. Source: /sys/fs/resctrl, the root group and the monitoring groups of each control group; mon_data/mon_L3_*.
 */
export class Resctrl {
  readonly #root: string;
  readonly #group: Group;

  constructor(shared: Shared, sysfs: string) {
    this.#root = `${sysfs}/fs/resctrl`;
    this.#group = new Group(shared, resctrlSpec(this.#root));
  }

  collect(part: string, sheet: Sheet): Outcome {
    // Nothing is shown without it, but series that were are taken back.
    return existsSync(`${this.#root}/mon_data`) ? this.#group.collect(part, sheet) : absent('resctrl is not mounted, or without monitoring');
  }

  close(): void {
    this.#group.close();
  }
}

function resctrlSpec(root: string): GroupSpec {
  const columns: Column[] = [];
  /** Folder of each monitoring group, by its name. */
  let groups = new Map<string, string>();
  return {
    columns,
    files: [],
    blank: ABSENT,
    prepare() {
      groups = monitoringGroups(root);
      for (let node = columns.length / FILES.length; node < nodesOf(root).length; node++) {
        for (const [, family] of FILES) columns.push({ family, names: ['node_id'], values: [String(node)] });
      }
    },
    derive(row, { id }) {
      const folder = id === '/' ? root : groupOf(groups, id);
      if (folder === undefined) return;
      for (const [node, name] of nodesOf(folder).entries()) {
        for (const [place, [file]] of FILES.entries()) {
          const column = node * FILES.length + place;
          if (column < columns.length) row[column] = numberIn(`${folder}/mon_data/${name}/${file}`);
        }
      }
    },
  };
}

function groupOf(groups: ReadonlyMap<string, string>, id: string): string | undefined {
  if (groups.size === 0) return undefined;
  const kind = pathKind(id);
  const own = kind.kind === 'container' ? groups.get(kind.containerId) : undefined;
  const flat = id.replaceAll('/', '-');
  return own ?? groups.get(`cadvisor-${flat}`) ?? groups.get(`cadvisor${flat}`);
}

function monitoringGroups(root: string): Map<string, string> {
  const found = new Map<string, string>();
  const add = (folder: string): void => {
    for (const name of list(`${folder}/mon_groups`)) found.set(name, `${folder}/mon_groups/${name}`);
  };
  for (const name of list(root)) if (existsSync(`${root}/${name}/mon_groups`)) add(`${root}/${name}`);
  add(root);
  return found;
}

/** `mon_L3_00`, `mon_L3_01`: a node's number is its place, as the peer counts. */
function nodesOf(folder: string): string[] {
  return list(`${folder}/mon_data`)
    .filter((name) => name.startsWith('mon_L3_'))
    .sort();
}

/** ABSENT for `Unavailable`, `Error`, and for what this processor does not count. */
function numberIn(path: string): number {
  try {
    const content = readFileSync(path, 'latin1').trim();
    return /^\d+$/.test(content) ? Number(content) : ABSENT;
  } catch {
    return ABSENT;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Going, or not there.
  }
}
