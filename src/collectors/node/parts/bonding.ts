import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { DeviceFiles } from '../device-files.ts';
import type { DeviceFile } from '../device-files.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart, PartScope } from '../part.ts';

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

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** A list of names in a file, such as bonding_masters; longer than what is read of an attribute. */
class NameFile {
  readonly #source: OptionalSource;
  names: readonly string[] | undefined;

  constructor(scope: PartScope, path: string) {
    this.#source = scope.source(path, { text: true });
  }

  get path(): string {
    return this.#source.path;
  }

  /** True when the names are others than at the last scan. */
  scan(): boolean {
    const scan = this.#source.scan();
    const had = this.names !== undefined;
    if (scan === 'absent') this.names = undefined;
    else if (scan === 'changed' || !had) this.names = wordsOf(this.#source.text());
    return scan === 'changed' || had !== (this.names !== undefined);
  }

  close(): void {
    this.#source.close();
  }
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
    const masters = new NameFile(scope, `${folder}/bonding_masters`);
    const slaveFiles = new Map<string, NameFile>();
    const states = new DeviceFiles(scope.readers, scope.monotonicMs);
    let bonds: readonly Bond[] = [];

    const followMasters = (): void => {
      for (const [master, file] of slaveFiles) {
        if (masters.names?.includes(master) === true) continue;
        file.close();
        slaveFiles.delete(master);
      }
      for (const master of masters.names ?? []) if (!slaveFiles.has(master)) slaveFiles.set(master, new NameFile(scope, `${folder}/${master}/bonding/slaves`));
    };
    const bondOf = ([master, file]: [string, NameFile]): Bond => ({
      master,
      slaves: (file.names ?? []).map((slave) => {
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
        let hasChanged = masters.scan();
        if (hasChanged) followMasters();
        if (masters.names === undefined) return scope.missing(masters);
        for (const file of slaveFiles.values()) {
          if (file.scan()) hasChanged = true;
          if (file.names === undefined) return scope.missing(file);
        }
        if (hasChanged) bonds = states.rebuild(() => [...slaveFiles].map(bondOf));
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
      close() {
        masters.close();
        for (const file of slaveFiles.values()) file.close();
        states.close();
      },
    };
  },
};
