import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const UNITS: ReadonlyMap<string, number> = new Map([['kB', 1024]]);

/**
 * /proc/meminfo: `Active(anon):    123456 kB`, or a count of pages: `HugePages_Total:       0`.
 * Every line becomes a family, as in releases of the peer up to 1.8.2; later ones print a fixed list of 51.
 */
export const part: NodePart = {
  name: 'meminfo',
  enabledByDefault: true,
  families: [],
  open(scope) {
    const memory = scope.bound(scope.proc('meminfo'), { keys: 1 }, (rows, series) => {
      if (rows.length === 0) throw series.problem(0, 'lines such as "MemTotal: 16384 kB", not an empty file');
      for (const [line, [key, value, unit, more]] of rows.entries()) {
        if (key === undefined || !key.text.endsWith(':') || more !== undefined) throw series.problem(line, `"NAME: NUMBER" or "NAME: NUMBER kB"`);
        const factor = unit === undefined ? 1 : UNITS.get(unit.text);
        if (factor === undefined) throw series.problem(line, `the unit kB, not ${JSON.stringify(unit?.text)}`);
        const name = key.text.slice(0, -1).replace(/\((.*)\)/, '_$1') + (unit === undefined ? '' : '_bytes');
        if (!/^[a-zA-Z0-9_]+$/.test(name)) throw series.problem(line, `a name of letters, digits and underscores, not ${JSON.stringify(key.text)}`);
        const help = `What /proc/meminfo says of ${key.text.slice(0, -1)}${unit === undefined ? '.' : ', in bytes.'}`;
        series.number(line, value, family(`node_memory_${name}`, 'gauge', help), [], factor);
      }
    });
    return {
      collect: (sheet) => (memory.collect(sheet) ? OK : scope.missing(memory)),
      replay: (_, steps) => memory.replay(steps),
      close: () => memory.close(),
    };
  },
};
