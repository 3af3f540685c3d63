import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';

const SLAVES = family('node_bonding_slaves', 'gauge', 'Interfaces that a bond consists of.', ['master']);
const ACTIVE = family('node_bonding_active', 'gauge', 'Interfaces of a bond whose link is up.', ['master']);

interface Slave {
  /** Of current kernels, and of those before 3.9. */
  readonly states: readonly [DeviceFile, DeviceFile];
}

interface Bond {
  readonly master: string;
  readonly slaves: readonly Slave[];
}

/**
 * /sys/class/net/bonding_masters, BOND/bonding/slaves and BOND/lower_SLAVE/bonding_slave/mii_status.
 * All or nothing, as in the peer: a state that cannot be read takes every bond with it.
 */
export const part: NodePart = {
  name: 'bonding',
  enabledByDefault: true,
  families: [SLAVES, ACTIVE],
  open(scope) {
    const folder = scope.sys('class/net');
    // Lists of names, which may be longer than what is read of an attribute.
    const nameFile = (path: string) => new ParsedSource(scope.source(path, { text: true }), wordsOf);
    const masters = nameFile(`${folder}/bonding_masters`);
    const slaveFiles = new Map<string, ParsedSource<string[]>>();
    const states = new DeviceFiles(scope.readers, scope.monotonicMs);
    let bonds: readonly Bond[] = [];
    let mustRebuild = true;

    const follow = (names: readonly string[]): void => {
      for (const [master, file] of slaveFiles) {
        if (names.includes(master)) continue;
        file.close();
        slaveFiles.delete(master);
      }
      for (const master of names) if (!slaveFiles.has(master)) slaveFiles.set(master, nameFile(`${folder}/${master}/bonding/slaves`));
    };
    const bondOf = (master: string, slaves: readonly string[]): Bond => ({
      master,
      slaves: slaves.map((slave) => {
        const state = (link: string): DeviceFile => states.text(`${folder}/${master}/${link}_${slave}/bonding_slave/mii_status`);
        return { states: [state('lower'), state('slave')] };
      }),
    });
    const isUp = ({ states: [current, older] }: Slave): boolean | undefined => {
      const state = current.isMissing() ? older : current;
      if (state.isMissing()) return undefined;
      if (state.errno !== 0) throw state.problem();
      return state.text === 'up';
    };

    return {
      collect(sheet) {
        const names = masters.read();
        if (names === undefined) return scope.missing(masters);
        if (masters.hasChanged) {
          follow(names);
          mustRebuild = true;
        }
        const found: (readonly [master: string, slaves: readonly string[]])[] = [];
        for (const [master, file] of slaveFiles) {
          const slaves = file.read();
          if (slaves === undefined) return scope.missing(file);
          if (file.hasChanged) mustRebuild = true;
          found.push([master, slaves]);
        }
        if (mustRebuild) bonds = states.rebuild(() => found.map(([master, slaves]) => bondOf(master, slaves)));
        mustRebuild = false;
        states.scan();
        const active: number[] = [];
        for (const { master, slaves } of bonds) {
          const ups = slaves.map(isUp);
          if (ups.includes(undefined)) return absent(`${folder}/${master} does not tell the state of an interface`);
          active.push(ups.filter((up) => up === true).length);
        }
        for (const [i, { master, slaves }] of bonds.entries()) {
          sheet.sample(SLAVES, [master], slaves.length);
          sheet.sample(ACTIVE, [master], active[i] ?? 0);
        }
        return OK;
      },
      replay(sheet, steps) {
        if (!masters.replay(steps)) return;
        for (const file of slaveFiles.values()) file.replay(steps);
        states.replay(sheet, steps);
      },
      close() {
        masters.close();
        for (const file of slaveFiles.values()) file.close();
        states.close();
      },
    };
  },
};
