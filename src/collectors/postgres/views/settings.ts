import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { legalName } from '../../../model/escape.ts';
import { type Family, family } from '../../../model/family.ts';
import type { Row } from '../connection.ts';
import type { PostgresPart } from '../part.ts';

/** Stands for the families whose names come from the server: `pg_settings_<name>[_bytes|_seconds]`. */
const BY_RULE = family(
  'pg_settings_*',
  'gauge',
  'A numeric or boolean server parameter (view pg_settings): sizes in bytes, times in seconds, on and off as 1 and 0.',
);

/** Limits that our own session has set for itself (source `session`) are not the server's: what they would be reset to is. */
const QUERY = `
SELECT name, CASE source WHEN 'session' THEN reset_val ELSE setting END, unit, vartype, short_desc FROM pg_catalog.pg_settings
WHERE vartype IN ('bool', 'integer', 'real') ORDER BY name`;

/** How a unit of pg_settings turns into base units: the value is `number * times / over`, so that nothing is rounded twice. */
export interface UnitRule {
  readonly suffix: '' | '_bytes' | '_seconds';
  readonly times: number;
  readonly over: number;
}

const TIMES: Readonly<Record<string, UnitRule>> = {
  us: { suffix: '_seconds', times: 1, over: 1e6 },
  ms: { suffix: '_seconds', times: 1, over: 1000 },
  s: { suffix: '_seconds', times: 1, over: 1 },
  min: { suffix: '_seconds', times: 60, over: 1 },
  h: { suffix: '_seconds', times: 3600, over: 1 },
  d: { suffix: '_seconds', times: 86400, over: 1 },
};
const BYTES: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };
const NO_UNIT: UnitRule = { suffix: '', times: 1, over: 1 };

/** The rule of a unit as pg_settings spells it (`8kB`, `ms`, empty or NULL for none); undefined for one we do not know. */
export function unitRule(unit: string | null): UnitRule | undefined {
  if (unit === null || unit === '') return NO_UNIT;
  const time = TIMES[unit];
  if (time !== undefined) return time;
  const [, count, size] = /^(\d*)(B|kB|MB|GB|TB)$/.exec(unit) ?? [];
  if (size === undefined) return undefined;
  return { suffix: '_bytes', times: (count === '' ? 1 : Number(count)) * (BYTES[size] ?? 1), over: 1 };
}

/**
 * The number of a setting's text in base units; NaN when it is none. -1 switches a limit off and stays -1 in any unit.
 * Some vendors' settings repeat the unit in the text ("10 min"): it is cut off.
 */
export function settingValue(setting: string | null, vartype: string, rule: UnitRule): number {
  if (setting === null) return Number.NaN;
  if (vartype === 'bool') return setting === 'on' ? 1 : 0;
  const text = setting.replace(/\s*(?:us|ms|s|min|h|d|B|kB|MB|GB|TB)$/, '').trim();
  const value = text === '' ? Number.NaN : Number(text);
  return value === -1 ? -1 : (value * rule.times) / rule.over;
}

interface BoundSetting {
  readonly name: string;
  readonly unit: string | null;
  readonly vartype: string;
  /** Undefined: the unit is unknown, the setting is not printed. */
  readonly rule: UnitRule | undefined;
  readonly family: Family;
}

function bind(row: Row): BoundSetting {
  const [name, , unit, vartype, description] = row;
  const rule = unitRule(unit ?? null);
  const text = description ?? 'Server parameter without a description.';
  const unitNote = rule?.suffix === '_bytes' ? ' In bytes.' : rule?.suffix === '_seconds' ? ' In seconds.' : '';
  return {
    name: name ?? '',
    unit: unit ?? null,
    vartype: vartype ?? '',
    rule,
    family: family(`pg_settings_${legalName(name ?? '')}${rule?.suffix ?? ''}`, 'gauge', `Server parameter ${name}: ${text}${unitNote}`),
  };
}

/** View pg_settings. A setting that cannot be read is skipped with a warning, the others are printed. */
export const settings: PostgresPart = {
  name: 'settings',
  enabledByDefault: true,
  families: [BY_RULE],
  open({ warn }) {
    const bound = new Map<string, BoundSetting>();
    return async ({ ask, sheet }) => {
      for (const row of await ask(QUERY)) writeSetting(row, bound, sheet, warn);
      return OK;
    };
  },
};

function writeSetting(row: Row, bound: Map<string, BoundSetting>, sheet: Sheet, warn: (message: string) => void): void {
  const name = row[0] ?? '';
  let one = bound.get(name);
  if (one === undefined || one.unit !== row[2] || one.vartype !== row[3]) bound.set(name, (one = bind(row)));
  if (one.rule === undefined) {
    warn(`setting ${name} has the unknown unit ${one.unit} and is not printed`);
    return;
  }
  const value = settingValue(row[1] ?? null, one.vartype, one.rule);
  if (Number.isNaN(value)) warn(`setting ${name} has a value that is not a number and is not printed`);
  else sheet.sample(one.family, [], value);
}
