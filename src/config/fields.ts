import type { z } from 'zod';

/** How a text (flag, environment variable) becomes the value that the schema expects. `structure` is given as JSON. */
export type ValueKind = 'boolean' | 'number' | 'text' | 'list' | 'structure';

/** A leaf of the configuration: one key, one flag, one environment variable. */
export interface Field {
  /** `web.listen_address` */
  readonly key: string;
  readonly path: readonly string[];
  readonly kind: ValueKind;
  /** Kind of the elements of a list, otherwise `kind`. */
  readonly item: ValueKind;
  /** Allowed values when they are few. */
  readonly choices: readonly string[];
  /** The schema's, or what a note of the schema (`defaultNote`) says of a default that is worked out later; undefined when there is none. */
  readonly defaultValue: unknown;
  readonly help: string;
  /** What stands for the value in help: `ADDRESS`. */
  readonly metavar: string;
  /** A relative path is resolved against the file's folder, or the working directory for flags and variables. */
  readonly isPath: boolean;
  /** Flag name without dashes in front: `web.listen-address`. */
  readonly flag: string;
  /** Further flag names: the peers' spelling where it differs from the rule. */
  readonly aliases: readonly string[];
  /** `EXPORTERD_WEB_LISTEN_ADDRESS` */
  readonly variable: string;
}

export function flagName(path: readonly string[]): string {
  return path.join('.').replaceAll('_', '-');
}

export const VARIABLE_PREFIX = 'EXPORTERD_';

export function variableName(path: readonly string[]): string {
  return (
    VARIABLE_PREFIX +
    path
      .join('_')
      .replace(/[^A-Za-z0-9]/g, '_')
      .toUpperCase()
  );
}

/** What the walk reads of a zod schema; the definition object is zod's documented surface for library authors. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly element?: z.ZodType;
  readonly defaultValue?: unknown;
  readonly entries?: Readonly<Record<string, string | number>>;
  readonly values?: readonly unknown[];
  readonly options?: readonly z.ZodType[];
  readonly shape?: Readonly<Record<string, z.ZodType>>;
}

function definitionOf(schema: z.ZodType): Definition {
  // zod types `def` per schema class; the walk asks for `type` first and then only for what that type has.
  return schema.def as unknown as Definition;
}

interface Unwrapped {
  readonly core: z.ZodType;
  readonly definition: Definition;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly defaultValue: unknown;
}

/** Takes defaults, optionals and transforms off a schema; notes of the outermost layer win. */
function unwrap(schema: z.ZodType): Unwrapped {
  let core = schema;
  let meta: Record<string, unknown> = { ...schema.meta() };
  let defaultValue: unknown;
  for (;;) {
    const definition = definitionOf(core);
    if ((definition.type === 'default' || definition.type === 'prefault') && defaultValue === undefined) defaultValue = definition.defaultValue;
    // A preprocessing pipe begins with a transform and says what it takes at its end; others take what stands in front.
    const inner = definition.type === 'pipe' ? (definition.in?.def.type === 'transform' ? definition.out : definition.in) : definition.innerType;
    if (inner === undefined) return { core, definition, meta, defaultValue };
    core = inner;
    meta = { ...core.meta(), ...meta };
  }
}

/** The keys of an object schema, or undefined when the schema is of another type. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  const { definition } = unwrap(schema);
  return definition.type === 'object' ? definition.shape : undefined;
}

/** Own keys only: a file may well ask for `__proto__`. */
function childOf({ type, shape }: Definition, key: string): z.ZodType | undefined {
  return type === 'object' && shape !== undefined && Object.hasOwn(shape, key) ? shape[key] : undefined;
}

/** The schema at a path below `schema`, undefined where the path leaves it. */
export function schemaAt(schema: z.ZodType, path: readonly (string | number)[]): z.ZodType | undefined {
  let here: z.ZodType | undefined = schema;
  for (const step of path) {
    if (here === undefined) return undefined;
    const { definition } = unwrap(here);
    here = definition.type === 'array' ? definition.element : childOf(definition, String(step));
  }
  return here;
}

function kindOf(definition: Definition): ValueKind {
  switch (definition.type) {
    case 'boolean':
      return 'boolean';
    case 'number':
    case 'int':
      return 'number';
    case 'string':
    case 'enum':
    case 'literal':
      return 'text';
    case 'array':
      return 'list';
    case 'union': {
      const kinds = new Set((definition.options ?? []).map((option) => kindOf(unwrap(option).definition)));
      if (kinds.has('list')) return 'list';
      if (kinds.has('structure')) return 'structure';
      return kinds.size === 1 ? ([...kinds][0] ?? 'text') : 'text';
    }
    default:
      return 'structure';
  }
}

function elementOf(definition: Definition): z.ZodType | undefined {
  if (definition.type === 'array') return definition.element;
  const lists = (definition.options ?? []).map((option) => unwrap(option).definition);
  return lists.find((option) => option.type === 'array')?.element;
}

function choicesOf(definition: Definition): readonly string[] {
  if (definition.type === 'enum') return Object.values(definition.entries ?? {}).map(String);
  if (definition.type === 'literal') return (definition.values ?? []).map(String);
  return [];
}

const METAVARS: Readonly<Record<ValueKind, string>> = { boolean: '', number: 'NUMBER', text: 'TEXT', list: 'TEXT', structure: 'JSON' };

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function leaf(schema: z.ZodType, path: readonly string[]): Field {
  const { definition, meta, defaultValue } = unwrap(schema);
  let kind = kindOf(definition);
  let inner: Unwrapped | undefined;
  if (kind === 'list') {
    const element = elementOf(definition);
    inner = element === undefined ? undefined : unwrap(element);
    const innerKind = inner === undefined ? 'structure' : kindOf(inner.definition);
    if (innerKind === 'structure' || innerKind === 'list') kind = 'structure';
  }
  const item = kind === 'list' && inner !== undefined ? kindOf(inner.definition) : kind;
  return {
    key: path.join('.'),
    path,
    kind,
    item,
    choices: choicesOf(inner?.definition ?? definition),
    defaultValue: defaultValue ?? meta['defaultNote'],
    help: text(meta['description'], ''),
    metavar: text(meta['metavar'], text(inner?.meta['metavar'], METAVARS[item])),
    isPath: (meta['isPath'] ?? inner?.meta['isPath']) === true,
    flag: flagName(path),
    aliases: Array.isArray(meta['aliases']) ? meta['aliases'].map(String) : [],
    variable: variableName(path),
  };
}

/** Every leaf below an object schema, in the schema's order. */
export function fieldsOf(schema: z.ZodType, path: readonly string[] = []): Field[] {
  const shape = shapeOf(schema);
  if (shape === undefined) return path.length === 0 ? [] : [leaf(schema, path)];
  return Object.entries(shape).flatMap(([name, child]) => fieldsOf(child, [...path, name]));
}
