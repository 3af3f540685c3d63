/**
 * Options of the parts, from one table per part: `{ flag: 'device-exclude', kind: 'regexp', default: '', help: '...' }`.
 *
 * `flag` is the peer's: `--collector.NAME.FLAG`. The configuration key is `node.NAME.FLAG` with dashes and dots of FLAG as
 * underscores (`node.diskstats.device_exclude`, `node.cpu.info_flags_include`), which is also what flags and environment
 * variables of the daemon and the node_exporter persona are derived from (options-schema.ts). Nothing else lists options: to
 * add one, add a row.
 */
import { parseDuration } from '../../model/duration.ts';
import { Filter } from './filter.ts';

/** What a worker is given: by part, by key. Durations are seconds. An option that was not given and is not defaulted by the schema is not there. */
export type NodeOptions = Readonly<Record<string, Readonly<Record<string, OptionValue>>>>;
export type OptionValue = string | boolean | number | readonly string[] | undefined;

interface OptionOf<Kind extends string, Default> {
  /** As the peer spells it behind `--collector.NAME.`. */
  readonly flag: string;
  readonly kind: Kind;
  readonly default: Default;
  /** Lower case, no full stop. */
  readonly help: string;
  readonly hidden?: boolean;
  /** Flag of this part that may not be given together with this one. A given one of the two clears the default of the other. */
  readonly excludes?: string;
}

/** duration: Go's syntax, seconds in the worker. list: may be repeated. regexp: RE2, found anywhere in the name. */
export type PartOption =
  | OptionOf<'regexp' | 'string' | 'duration', string>
  | OptionOf<'boolean', boolean>
  | OptionOf<'integer', number>
  | OptionOf<'list', readonly string[]>;

/** A part as far as its options go. */
export interface HasOptions {
  readonly name: string;
  readonly options?: readonly PartOption[];
}

/** `info.flags-include` is `info_flags_include` in the configuration. */
export function optionKey(flag: string): string {
  return flag.replace(/[-.]/g, '_');
}

/** Whether an option says something; '' is what an option of its kind says when it was not given. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== '';
}

/** The options of one part, as its reader asks for them. Asking for one that its table lacks throws: a mistake in the part. */
export class PartOptions {
  readonly #part: HasOptions;
  readonly #values: Readonly<Record<string, OptionValue>>;

  constructor(part: HasOptions, options: NodeOptions) {
    this.#part = part;
    this.#values = options[part.name] ?? {};
  }

  isOn(flag: string): boolean {
    const value = this.#value(flag);
    if (typeof value !== 'boolean') throw this.#wrong(flag, 'boolean');
    return value;
  }

  text(flag: string): string {
    const value = this.#value(flag);
    if (typeof value !== 'string') throw this.#wrong(flag, 'text');
    return value;
  }

  /** An integer, or a duration in seconds. */
  number(flag: string): number {
    const value = this.#value(flag);
    if (typeof value === 'number') return value;
    const seconds = typeof value === 'string' ? parseDuration(value) : undefined;
    if (seconds === undefined) throw this.#wrong(flag, 'number');
    return seconds;
  }

  list(flag: string): readonly string[] {
    const value = this.#value(flag);
    if (!Array.isArray(value)) throw this.#wrong(flag, 'list');
    return value as readonly string[];
  }

  /** Keeps names that match `include` (when it is not empty) and do not match `exclude`; '' for a flag the part does not have. */
  filter(exclude: string, include: string): Filter {
    const isDefault = (pattern: string): boolean => this.#part.options?.some((row) => row.kind === 'regexp' && row.default === pattern) === true;
    return new Filter(exclude === '' ? '' : this.text(exclude), include === '' ? '' : this.text(include), isDefault);
  }

  #value(flag: string): OptionValue {
    const option = this.#part.options?.find((row) => row.flag === flag);
    if (option === undefined) throw new Error(`part ${this.#part.name} has no option ${flag}`);
    const given = this.#values[optionKey(flag)];
    if (given !== undefined) return given;
    const other = option.excludes === undefined ? undefined : this.#values[optionKey(option.excludes)];
    return isSet(other) ? '' : option.default;
  }

  #wrong(flag: string, expected: string): Error {
    return new Error(`option ${flag} of part ${this.#part.name} is not a ${expected}`);
  }
}
