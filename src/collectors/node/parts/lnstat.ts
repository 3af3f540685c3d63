import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { BoundSource, Layout } from '../bound-source.ts';
import type { NodePart } from '../part.ts';

/** A line of names, then a line of hexadecimal numbers per processor. */
function layoutOf(subsystem: string): Layout {
  return (rows, series) => {
    const names = rows[0]?.map(({ text }) => text) ?? [];
    const families = names.map((name, column) => {
      if (!/^[a-zA-Z0-9_]+$/.test(name)) throw series.problem(0, `names of letters, digits and underscores, not ${JSON.stringify(name)}`);
      if (names.indexOf(name) !== column) throw series.problem(0, `one column named ${name}`);
      return family(`node_lnstat_${name}_total`, 'counter', `What a network cache of the kernel counts as ${name}; by processor.`, ['cpu', 'subsystem']);
    });
    for (const [line, words] of rows.entries()) {
      if (line === 0) continue;
      for (const [column, word] of words.entries()) {
        const family = families[column];
        if (family === undefined) throw series.problem(line, `at most ${families.length} numbers`);
        series.number(line, word, family, [String(line - 1), subsystem]);
      }
    }
  };
}

/** Every file of /proc/net/stat. All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'lnstat',
  enabledByDefault: false,
  families: [],
  open(scope) {
    const folder = scope.directory(scope.proc('net/stat'));
    let sources: readonly BoundSource[] = [];
    const close = (): void => {
      for (const source of sources) source.close();
    };
    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return OK;
        if (scan === 'changed') {
          close();
          sources = folder.names.map((name) => scope.bound(`${folder.path}/${name}`, { hex: true }, layoutOf(name)));
        }
        const there = sources.filter((source) => source.scan(sheet));
        for (const source of there) source.apply(sheet);
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
