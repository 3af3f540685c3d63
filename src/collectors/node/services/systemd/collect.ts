import { CollectError, OK, type Outcome } from '../../../../collect/contract.ts';
import type { Sheet } from '../../../../collect/sheet.ts';
import { Filter } from '../../filter.ts';
import type { Service, ServiceScope } from '../../service-part.ts';
import { SYSTEMD_PRIVATE, socketPaths } from '../dbus/address.ts';
import { type BusConnection, type Encoded, mustBeAnswered } from '../dbus/connection.ts';
import { type Address, KeptConnection } from '../dbus/kept-connection.ts';
import { encodeCall, type Message } from '../dbus/message.ts';
import { RUNNING, UNITS, VERSION, VIRTUALIZATION } from './part.ts';
import { Property } from './properties.ts';
import { STATES, Unit, type UnitChoices } from './units.ts';
import { type ListedUnit, UnitList } from './unit-list.ts';

const MANAGER_PATH = '/org/freedesktop/systemd1';
const LIST_UNITS: Encoded = {
  bytes: encodeCall({ destination: 'org.freedesktop.systemd1', path: MANAGER_PATH, interface: 'org.freedesktop.systemd1.Manager', member: 'ListUnits' }),
};

/** The first release with SystemState and LastTriggerUSec. */
const FIRST_WITH_STATE = 212;
const VERSION_NUMBER = /[0-9]{3,}(\.[0-9]+)?/;

export function open(scope: ServiceScope): Service {
  return new Systemd(scope);
}

/**
 * The units of systemd, over D-Bus: the list and all properties that are due in one batch of calls on a kept connection, a
 * second batch for units that are new.
 */
class Systemd implements Service {
  readonly #scope: ServiceScope;
  readonly #connection: KeptConnection;
  readonly #filter: Filter;
  readonly #choices: UnitChoices;
  readonly #version = Property.text(MANAGER_PATH, 'Manager', 'Version');
  readonly #virtualization = Property.text(MANAGER_PATH, 'Manager', 'Virtualization');
  readonly #systemState = Property.text(MANAGER_PATH, 'Manager', 'SystemState');
  readonly #list = new UnitList();
  /** Those that pass the filters, by name. */
  #units = new Map<string, Unit>();

  constructor(scope: ServiceScope) {
    const { options } = scope;
    this.#scope = scope;
    this.#connection = new KeptConnection(addresses(options.isOn('private'), scope.systemBus));
    this.#filter = new Filter(whole(options.text('unit-exclude')), whole(options.text('unit-include')));
    this.#choices = {
      hasTasks: options.isOn('enable-task-metrics'),
      hasRestarts: options.isOn('enable-restarts-metrics'),
      hasStartTime: options.isOn('enable-start-time-metrics'),
    };
  }

  async collect(sheet: Sheet, signal: AbortSignal): Promise<Outcome> {
    const connection = await this.#connection.get(signal);
    await this.#ask(connection, signal);
    this.#show(sheet);
    if (this.#release() >= FIRST_WITH_STATE) this.#showRunning(sheet, connection.place);
    return OK;
  }

  close(): void {
    this.#connection.close();
    this.#forget();
  }

  async #ask(connection: BusConnection, signal: AbortSignal): Promise<void> {
    const startedMs = this.#scope.monotonicMs();
    let isChanged = false;
    const take = (call: Encoded, reply: Message): void => {
      if (call instanceof Property) call.answer(reply, startedMs);
      else {
        mustBeAnswered(connection.place, 'ListUnits', reply);
        isChanged = this.#list.update(reply);
      }
    };
    try {
      const known: Property[] = [this.#version, this.#virtualization, this.#systemState];
      for (const unit of this.#units.values()) unit.due(known, startedMs);
      await connection.run<Encoded>([LIST_UNITS, ...known], take, signal);
      if (!isChanged) return;
      this.#follow(this.#list.units);
      const fresh: Property[] = [];
      for (const unit of this.#units.values()) unit.due(fresh, startedMs);
      await connection.run(fresh, take, signal);
    } catch (error) {
      // Whatever is there after it may be another systemd.
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#list.forget();
    this.#units.clear();
  }

  #follow(listed: readonly ListedUnit[]): void {
    const units = new Map<string, Unit>();
    for (const one of listed) {
      if (one.loadState !== 'loaded' || !this.#filter.keeps(one.name)) continue;
      const unit = this.#units.get(one.name) ?? new Unit(one, this.#choices);
      unit.state = one.activeState;
      units.set(one.name, unit);
    }
    this.#units = units;
  }

  /** 0 when systemd does not say. */
  #release(): number {
    return Number(VERSION_NUMBER.exec(this.#version.value ?? '')?.[0] ?? 0);
  }

  #show(sheet: Sheet): void {
    const release = this.#release();
    sheet.sample(VERSION, [release === 0 ? '' : (this.#version.value ?? '')], release);
    const virtualization = this.#virtualization.value;
    sheet.sample(VIRTUALIZATION, [virtualization === undefined ? 'unknown' : virtualization === '' ? 'none' : virtualization], 1);
    const counts = new Map<string, number>(STATES.map((state) => [state, 0]));
    for (const { activeState } of this.#list.units) counts.set(activeState, (counts.get(activeState) ?? 0) + 1);
    for (const [state, count] of counts) sheet.sample(UNITS, [state], count);
    for (const unit of this.#units.values()) unit.show(sheet, release >= FIRST_WITH_STATE);
  }

  /** Without it the run is no success, but what has been set is shown: as the peer. */
  #showRunning(sheet: Sheet, place: string): void {
    const state = this.#systemState.value;
    if (state === undefined) throw new CollectError('query', place, 'systemd does not say its SystemState');
    sheet.sample(RUNNING, [], state === 'running' ? 1 : 0);
  }
}

/** The bus; without one, root may ask systemd itself. */
function addresses(isPrivate: boolean, systemBus: string): Address[] {
  const direct = socketPaths(SYSTEMD_PRIVATE).map((path) => ({ path, isBus: false }));
  if (isPrivate) return direct;
  const bus = socketPaths(systemBus).map((path) => ({ path, isBus: true }));
  return process.geteuid?.() === 0 ? [...bus, ...direct] : bus;
}

/** A pattern for whole names. */
function whole(pattern: string): string {
  return `^(?:${pattern})$`;
}
