import { CollectError, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';

const INFO = family(
  'node_cpu_vulnerabilities_info',
  'gauge',
  'A known weakness of processors, whether this one has it and what the kernel does about it, as labels.',
  ['codename', 'mitigation', 'state'],
);

const STATES = ['not affected', 'vulnerable', 'mitigation', 'unknown'];

/** `Mitigation: PTI`, `Not affected`, `Vulnerable`: state and what follows its first word. Any other text is of state unknown. */
function parseState(text: string): { state: string; mitigation: string } {
  const content = text.trim();
  const state = STATES.find((known) => content.toLowerCase().startsWith(known));
  if (state === undefined) return { state: 'unknown', mitigation: content };
  return { state, mitigation: state === 'not affected' ? '' : wordsOf(content).slice(1).join(' ') };
}

/** Files of /sys/devices/system/cpu/vulnerabilities, named after the weaknesses. */
export const part: NodePart = {
  name: 'cpu_vulnerabilities',
  enabledByDefault: false,
  families: [INFO],
  open(scope) {
    const folder = scope.directory(scope.sys('devices/system/cpu/vulnerabilities'));
    const infos = scope.constants();
    const sources = new Map<string, ParsedSource<ReturnType<typeof parseState>>>();
    let mustSet = true;

    const follow = (): void => {
      mustSet = true;
      for (const source of sources.values()) source.close();
      sources.clear();
      for (const name of folder.names) sources.set(name, new ParsedSource(scope.source(`${folder.path}/${name}`, { text: true }), parseState));
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return OK;
        if (scan === 'changed') follow();
        const found: string[][] = [];
        for (const [name, source] of sources) {
          const info = source.read();
          if (source.hasChanged) mustSet = true;
          if (info === undefined) throw new CollectError('read', source.path, 'missing');
          found.push([name, info.mitigation, info.state]);
        }
        if (mustSet) {
          infos.clear();
          for (const labels of found) infos.add(INFO, labels, 1);
          mustSet = false;
        }
        infos.collect(sheet);
        return OK;
      },
      replay(_, steps) {
        folder.replay(steps);
        for (const source of sources.values()) source.replay(steps);
      },
      close() {
        for (const source of sources.values()) source.close();
      },
    };
  },
};
