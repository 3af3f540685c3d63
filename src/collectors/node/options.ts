/**
 * Options of the parts, from one table per part: `{ flag: 'device-exclude', kind: 'regexp', default: '', help: '...' }`.
 *
 * `flag` is the peer's: `--collector.NAME.FLAG`. The configuration key is `node.NAME.FLAG` with dashes and dots of FLAG as
 * underscores (`node.diskstats.device_exclude`, `node.cpu.info_flags_include`), which is also what flags and environment
 * variables of the daemon and the node_exporter persona are derived from. Nothing else lists options: to add one, add a row.
 */
import { z } from 'zod';
import { parseDuration } from '../../model/duration.ts';
import { Filter, regexpProblem } from './filter.ts';

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

/** Schema of the block `node`, without the keys every block has. */
export function optionsSchema(parts: readonly HasOptions[]): z.ZodType<NodeOptions> {
  const withOptions = parts.filter((part) => (part.options ?? []).length > 0);
  return z.strictObject(Object.fromEntries(withOptions.map((part) => [part.name, partSchema(part.options ?? [])])));
}

function partSchema(options: readonly PartOption[]) {
  const shape = Object.fromEntries(options.map((option) => [optionKey(option.flag), optionSchema(option)]));
  return z
    .strictObject(shape)
    .superRefine((values, context) => {
      for (const { flag, excludes } of options) {
        // Both rows name each other; one complaint is enough.
        if (excludes === undefined || flag < excludes || !isSet(values[optionKey(flag)]) || !isSet(values[optionKey(excludes)])) continue;
        context.addIssue({ code: 'custom', path: [optionKey(flag)], message: `cannot be combined with ${optionKey(excludes)}` });
      }
    })
    .prefault({});
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== '';
}

function optionSchema(option: PartOption): z.ZodType<OptionValue> {
  const schema = withoutDefault(option);
  // A default in the schema would hide whether the option was given, on which the default of its counterpart depends.
  if (option.excludes !== undefined) return schema.optional().meta({ description: option.help, defaultNote: option.default, ...metavar(option) });
  return schema.prefault(option.default).meta({ description: option.help, ...metavar(option) });
}

function metavar({ kind }: PartOption): { metavar?: string } {
  return kind === 'regexp' ? { metavar: 'REGEXP' } : kind === 'duration' ? { metavar: 'DURATION' } : {};
}

function withoutDefault({ kind }: PartOption): z.ZodType<OptionValue> {
  switch (kind) {
    case 'boolean':
      return z.boolean();
    case 'integer':
      return z.int();
    case 'list':
      return z.array(z.string());
    case 'string':
      return z.string();
    case 'duration':
      return z.string().transform((text, context): number => {
        const seconds = parseDuration(text);
        if (seconds !== undefined) return seconds;
        context.addIssue('expected a duration such as 15s, 1m30s or 500ms');
        return z.NEVER;
      });
    case 'regexp':
      return z.string().superRefine((text, context) => {
        const problem = regexpProblem(text);
        if (problem !== undefined) context.addIssue(`expected an RE2 regular expression: ${problem}`);
      });
  }
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
    return new Filter(exclude === '' ? '' : this.text(exclude), include === '' ? '' : this.text(include));
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
