import { readFileSync } from 'node:fs';

/** Names by numbers in hexadecimal without 0x, from the file pci.ids (pci.ids(5)). */
export interface PciIds {
  /** By vendor `8086`. */
  readonly vendors: ReadonlyMap<string, string>;
  /** By vendor and device `8086:1533`. */
  readonly devices: ReadonlyMap<string, string>;
  /** By device and subsystem `8086:1533:15d9:1533`. */
  readonly subsystems: ReadonlyMap<string, string>;
  /** By class `01`, class and subclass `0108`, or with the programming interface `010802`. */
  readonly classes: ReadonlyMap<string, string>;
}

export const NO_PCI_IDS: PciIds = { vendors: new Map(), devices: new Map(), subsystems: new Map(), classes: new Map() };

/**
 * `8086  Intel Corporation`, below it `<tab>1533  I210 ...` and `<tab><tab>15d9 1533  ...`; classes are
 * `C 01  Mass storage controller` with their parts below. Lines of other kinds are left out.
 */
export function parsePciIds(text: string): PciIds {
  const vendors = new Map<string, string>();
  const devices = new Map<string, string>();
  const subsystems = new Map<string, string>();
  const classes = new Map<string, string>();
  /** Keys that lines with one and two tabs are below. */
  let outer = '';
  let inner = '';
  let isClass = false;
  for (const line of text.split('\n')) {
    const [, tabs = '', key = '', name = ''] = /^(\t{0,2})([^\t#].*?) {2}(.*)$/.exec(line) ?? [];
    if (key === '') continue;
    if (tabs === '') {
      isClass = key.startsWith('C ');
      outer = isClass ? key.slice(1).trim() : key.trim();
      inner = '';
      (isClass ? classes : vendors).set(outer, name.trim());
    } else if (outer === '') continue;
    else if (tabs === '\t') {
      inner = isClass ? outer + key.trim() : `${outer}:${key.trim()}`;
      (isClass ? classes : devices).set(inner, name.trim());
    } else if (inner !== '') {
      const below = key.trim().split(/\s+/);
      if (isClass) classes.set(inner + below[0], name.trim());
      else if (below.length === 2) subsystems.set(`${inner}:${below.join(':')}`, name.trim());
    }
  }
  return { vendors, devices, subsystems, classes };
}

const PATHS = ['/usr/share/misc/pci.ids', '/usr/share/hwdata/pci.ids'];

/** @param path '' for where distributions put it. A file that cannot be read gives no names, as in the peer. */
export function readPciIds(path: string): PciIds {
  for (const candidate of path === '' ? PATHS : [path]) {
    try {
      return parsePciIds(readFileSync(candidate, 'utf8'));
    } catch {
      // The next one; without any, numbers stand for names.
    }
  }
  return NO_PCI_IDS;
}

/** The finest name of a class in six digits. */
export function className(ids: PciIds, digits: string): string {
  return ids.classes.get(digits.slice(0, 6)) ?? ids.classes.get(digits.slice(0, 4)) ?? ids.classes.get(digits.slice(0, 2)) ?? `Unknown class (${digits})`;
}
