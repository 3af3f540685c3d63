import { CollectError, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { BoundSource, Layout } from '../bound-source.ts';
import type { NodePart } from '../part.ts';

const LABELS = ['node'];

function checkName(name: string): boolean {
  return /^[a-zA-Z0-9_]+$/.test(name);
}

/** `Node 0 Active(anon):   123456 kB`, or a count of pages without a unit. The names have no suffix for bytes, as in the peer. */
const meminfo: Layout = (rows, series) => {
  for (const [line, [, node, key, value, unit, more]] of rows.entries()) {
    if (node === undefined || key === undefined || more !== undefined || (unit !== undefined && unit.text !== 'kB'))
      throw series.problem(line, '"Node N NAME: NUMBER" or "Node N NAME: NUMBER kB"');
    const name = key.text.replace(/:+$/, '').replace(/\((.*)\)/, '_$1');
    if (!checkName(name)) throw series.problem(line, `a name of letters, digits and underscores, not ${JSON.stringify(key.text)}`);
    const help = `What meminfo of a NUMA node says of ${key.text.replace(/:+$/, '')}${unit === undefined ? '.' : ', in bytes.'}`;
    series.number(line, value, family(`node_memory_numa_${name}`, 'gauge', help, LABELS), [node.text], unit === undefined ? 1 : 1024);
  }
};

/** `numa_hit 193460335812`, pages. */
function numastat(node: string): Layout {
  return (rows, series) => {
    for (const [line, [key, value, more]] of rows.entries()) {
      if (key === undefined || more !== undefined || !checkName(key.text)) throw series.problem(line, '"NAME NUMBER"');
      series.number(
        line,
        value,
        family(`node_memory_numa_${key.text}_total`, 'counter', `What numastat of a NUMA node counts as ${key.text}, in pages.`, LABELS),
        [node],
      );
    }
  };
}

/** /sys/devices/system/node/nodeN/meminfo and numastat. All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'meminfo_numa',
  enabledByDefault: false,
  families: [],
  open(scope) {
    const folder = scope.directory(scope.sys('devices/system/node'));
    let sources: readonly BoundSource[] = [];
    const close = (): void => {
      for (const source of sources) source.close();
    };
    const sourcesOf = (name: string): BoundSource[] => [
      scope.bound(`${folder.path}/${name}/meminfo`, { keys: 3 }, meminfo),
      scope.bound(`${folder.path}/${name}/numastat`, { keys: 1 }, numastat(/^node([0-9]*)/.exec(name)?.[1] ?? '')),
    ];
    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return OK;
        if (scan === 'changed') {
          close();
          sources = folder.names.filter((name) => /^node[0-9]/.test(name)).flatMap(sourcesOf);
        }
        for (const source of sources) if (!source.scan(sheet)) throw new CollectError('read', source.path, 'missing');
        for (const source of sources) source.apply(sheet);
        return OK;
      },
      replay(_, steps) {
        folder.replay(steps);
        for (const source of sources) source.replay(steps);
      },
      close,
    };
  },
};
