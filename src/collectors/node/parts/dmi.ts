import { readdirSync } from 'node:fs';
import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { Absence } from '../absence.ts';
import { readAttribute } from '../attribute.ts';
import { errnoOf, isMissing, readProblem } from '../file-error.ts';
import type { NodePart } from '../part.ts';

/** Labels in wire order, each named after its file but for the last. */
const LABELS = [
  'bios_date',
  'bios_release',
  'bios_vendor',
  'bios_version',
  'board_asset_tag',
  'board_name',
  'board_serial',
  'board_vendor',
  'board_version',
  'chassis_asset_tag',
  'chassis_serial',
  'chassis_vendor',
  'chassis_version',
  'product_family',
  'product_name',
  'product_serial',
  'product_sku',
  'product_uuid',
  'product_version',
  'system_vendor',
] as const;

const INFO = family('node_dmi_info', 'gauge', 'What the firmware says of the machine, as labels. Labels whose files may not be read are left out.', LABELS);

/** Labels of a folder of DMI attributes; undefined when it is missing. Throws CollectError `read`. */
function readLabels(folder: string): readonly (readonly [name: string, value: string])[] | undefined {
  const labels: [string, string][] = [];
  const there = listed(folder);
  if (there === undefined) return undefined;
  for (const name of LABELS) {
    const file = name === 'system_vendor' ? 'sys_vendor' : name;
    if (!there.has(file)) continue;
    try {
      const text = readAttribute(`${folder}/${file}`);
      // Bytes that are not UTF-8 become one mark per run of them, as in Go.
      if (text !== undefined) labels.push([name, text.replace(/\uFFFD+/g, '\uFFFD')]);
    } catch (error) {
      // Serial numbers and the UUID are root's.
      if (errnoOf((error as Error).cause) !== 'EACCES' && errnoOf((error as Error).cause) !== 'EPERM') throw error;
    }
  }
  return labels;
}

function listed(folder: string): ReadonlySet<string> | undefined {
  try {
    return new Set(readdirSync(folder));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw readProblem(folder, error);
  }
}

/** Files of /sys/class/dmi/id. Read once: what they say lasts until the next boot. */
export const part: NodePart = {
  name: 'dmi',
  enabledByDefault: true,
  families: [INFO],
  open(scope) {
    const folder = scope.sys('class/dmi/id');
    const absence = new Absence(scope.monotonicMs);
    let labels: ReturnType<typeof readLabels>;
    return {
      collect(sheet) {
        if (labels === undefined && !absence.isRecent()) {
          labels = readLabels(folder);
          if (labels === undefined) absence.note();
        }
        if (labels === undefined || labels.length === 0) return absent(`${folder} is missing or says nothing`);
        sheet.sample(
          INFO,
          labels.map(([, value]) => value),
          1,
          labels.map(([name]) => name),
        );
        return OK;
      },
      replay(_, steps) {
        if (labels === undefined) absence.replay(steps);
      },
    };
  },
};
