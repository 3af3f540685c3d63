import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

const CGROUPS = family('node_cgroups_cgroups', 'gauge', 'Control groups of a controller.', ['subsys_name']);
const ENABLED = family('node_cgroups_enabled', 'gauge', 'Whether a controller of control groups is switched on (1) or off (0).', ['subsys_name']);

/** /proc/cgroups: a line of headings, then `cpuset  5  102  1`: name, hierarchy, number of groups, on or off. */
export const part: NodePart = {
  name: 'cgroups',
  enabledByDefault: false,
  families: [CGROUPS, ENABLED],
  open(scope) {
    const controllers = scope.bound(scope.proc('cgroups'), { keys: 1 }, (rows, series) => {
      for (const [line, [name, hierarchy, count, enabled]] of rows.entries()) {
        if (name === undefined || name.text.startsWith('#')) continue;
        if (hierarchy === undefined || hierarchy.at < 0) throw series.problem(line, 'a name and three numbers');
        series.number(line, count, CGROUPS, [name.text]);
        series.number(line, enabled, ENABLED, [name.text]);
      }
    });
    return {
      collect: (sheet) => (controllers.collect(sheet) ? OK : scope.missing(controllers)),
      replay: (_, steps) => controllers.replay(steps),
      close: () => controllers.close(),
    };
  },
};
