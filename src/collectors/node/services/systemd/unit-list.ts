import type { Message } from '../dbus/message.ts';

/** What org.freedesktop.systemd1.Manager.ListUnits says of a unit, as far as it is of use. */
export interface ListedUnit {
  /** `ssh.service`. */
  readonly name: string;
  /** `loaded`, `not-found`, `masked`, ... */
  readonly loadState: string;
  /** `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, `maintenance`, ... */
  readonly activeState: string;
  /** `/org/freedesktop/systemd1/unit/ssh_2eservice`. */
  readonly path: string;
}

/**
 * Name, description, load state, active state, sub state, followed unit, object path, job number, job type, job path.
 * Source: man 5 org.freedesktop.systemd1.
 */
const SIGNATURE = 'a(ssssssouso)';

/** All units systemd knows, as they were in the last reply: most replies are equal to the one before and need no reading. */
export class UnitList {
  units: readonly ListedUnit[] = [];
  #reply: Buffer = Buffer.alloc(0);

  /** Reads a reply; true when the list has changed. Throws FormatError. */
  update(reply: Message): boolean {
    reply.expect(SIGNATURE);
    const body = reply.bytes.subarray(reply.bodyAt, reply.end);
    if (body.equals(this.#reply)) return false;
    this.units = readUnits(reply);
    this.#reply = Buffer.from(body);
    return true;
  }

  forget(): void {
    this.units = [];
    this.#reply = Buffer.alloc(0);
  }
}

function readUnits(reply: Message): ListedUnit[] {
  const units: ListedUnit[] = [];
  const end = reply.arrayEnd(true);
  while (reply.at < end) {
    reply.struct();
    const name = reply.text();
    reply.skip('s');
    const loadState = reply.text();
    const activeState = reply.text();
    reply.skip('s');
    reply.skip('s');
    const path = reply.text();
    reply.skip('u');
    reply.skip('s');
    reply.skip('o');
    units.push({ name, loadState, activeState, path });
  }
  return units;
}
