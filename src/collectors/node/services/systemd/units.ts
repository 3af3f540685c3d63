import type { Sheet } from '../../../../collect/sheet.ts';
import type { Family } from '../../../../model/family.ts';
import { KeptSeries } from '../../kept-series.ts';
import { ACCEPTED, CONNECTIONS, LAST_TRIGGER, REFUSED, RESTARTS, START_TIME, TASKS, TASKS_MAX, UNIT_STATE } from './part.ts';
import { Property } from './properties.ts';
import type { ListedUnit } from './unit-list.ts';

/** States that are shown of every unit. */
export const STATES = ['active', 'activating', 'deactivating', 'inactive', 'failed'] as const;

/** What only a reload of unit files or an administrator changes is asked again this often. */
const SLOW_MS = 60_000;
/** Infinite, or not known: 2^64 - 1, which as a double is this. */
const NO_NUMBER = 2 ** 64;
const MICROSECONDS = 1e6;

export interface UnitChoices {
  readonly hasTasks: boolean;
  readonly hasRestarts: boolean;
  readonly hasStartTime: boolean;
}

/** A number of a unit: where it comes from and where it goes. */
class Figure {
  readonly property: Property<number>;
  readonly #series: KeptSeries;
  readonly #divisor: number;

  constructor(property: Property<number>, family: Family, name: string, divisor = 1) {
    this.property = property;
    this.#series = new KeptSeries(family, [name]);
    this.#divisor = divisor;
  }

  /** False when systemd has no such number. */
  show(sheet: Sheet): boolean {
    const value = this.property.value;
    if (value === undefined || value === NO_NUMBER) return false;
    this.#series.set(sheet, value / this.#divisor);
    return true;
  }
}

/** A unit that passes the filters: its properties that are asked for, and its series. */
export class Unit {
  state: string;
  readonly #name: string;
  /** Service.Type or Mount.Type, a label of the states. */
  readonly #type: Property<string> | undefined;
  #shownType: string | undefined;
  #stateSeries: readonly KeptSeries[] = [];
  /** Asked in every run, and seldom. */
  readonly #quick: Property[] = [];
  readonly #slow: Property[] = [];
  readonly #figures: Figure[] = [];
  readonly #timer: Figure | undefined;
  readonly #socket: { readonly accept: Property<boolean>; readonly figures: readonly Figure[] } | undefined;
  readonly #start: { readonly property: Property<number>; readonly series: KeptSeries } | undefined;

  constructor({ name, activeState, path }: ListedUnit, choices: UnitChoices) {
    this.state = activeState;
    this.#name = name;
    const kind = name.slice(name.lastIndexOf('.') + 1);
    const figure = (from: string, property: string, family: Family, divisor = 1): Figure =>
      new Figure(Property.number(path, from, property), family, name, divisor);
    if (kind === 'service' || kind === 'mount') {
      this.#type = Property.text(path, kind === 'service' ? 'Service' : 'Mount', 'Type');
      this.#slow.push(this.#type);
    }
    if (kind === 'service') {
      if (choices.hasRestarts) this.#add(figure('Service', 'NRestarts', RESTARTS), this.#quick);
      if (choices.hasTasks) {
        this.#add(figure('Service', 'TasksCurrent', TASKS), this.#quick);
        this.#add(figure('Service', 'TasksMax', TASKS_MAX), this.#slow);
      }
    }
    if (kind === 'timer') {
      this.#timer = figure('Timer', 'LastTriggerUSec', LAST_TRIGGER, MICROSECONDS);
      this.#quick.push(this.#timer.property);
    }
    if (kind === 'socket') {
      const accept = Property.flag(path, 'Socket', 'Accept');
      this.#slow.push(accept);
      const figures = [figure('Socket', 'NAccepted', ACCEPTED), figure('Socket', 'NConnections', CONNECTIONS), figure('Socket', 'NRefused', REFUSED)];
      this.#socket = { accept, figures };
    }
    if (choices.hasStartTime) {
      this.#start = { property: Property.number(path, 'Unit', 'ActiveEnterTimestamp'), series: new KeptSeries(START_TIME, [name]) };
    }
  }

  #add(figure: Figure, properties: Property[]): void {
    this.#figures.push(figure);
    properties.push(figure.property);
  }

  /** Adds the properties that must be asked for in a run that began at `startedMs`, and have not been in it. */
  due(properties: Property[], startedMs: number): void {
    for (const property of this.#quick) if (property.answeredMs < startedMs) properties.push(property);
    for (const property of this.#slow) if (property.answeredMs < startedMs - SLOW_MS) properties.push(property);
    if (this.#start !== undefined && this.state === 'active' && this.#start.property.answeredMs < startedMs) properties.push(this.#start.property);
    if (this.#socket !== undefined) {
      // A socket that hands its listening descriptor to its service counts nothing, ever.
      const since = this.#socket.accept.value === false ? startedMs - SLOW_MS : startedMs;
      for (const { property } of this.#socket.figures) if (property.answeredMs < since) properties.push(property);
    }
  }

  show(sheet: Sheet, hasTimers: boolean): void {
    const type = this.#type?.value ?? '';
    if (type !== this.#shownType) {
      this.#shownType = type;
      this.#stateSeries = STATES.map((state) => new KeptSeries(UNIT_STATE, [this.#name, state, type]));
    }
    for (const [index, series] of this.#stateSeries.entries()) series.set(sheet, STATES[index] === this.state ? 1 : 0);
    for (const figure of this.#figures) figure.show(sheet);
    if (hasTimers) this.#timer?.show(sheet);
    // As the peer: what comes after a number that is not there is not shown either.
    if (this.#socket !== undefined) for (const figure of this.#socket.figures) if (!figure.show(sheet)) break;
    if (this.#start !== undefined) this.#showStart(sheet, this.#start.property, this.#start.series);
  }

  #showStart(sheet: Sheet, property: Property<number>, series: KeptSeries): void {
    const microseconds = this.state === 'active' ? property.value : 0;
    if (microseconds !== undefined) series.set(sheet, microseconds / MICROSECONDS);
  }
}
