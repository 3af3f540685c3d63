import type { z } from 'zod';
import type { Role } from '../collect/contract.ts';
import { type Draft, isMapping, type Mapping, mapping, type Step } from './draft.ts';
import { type Field, schemaAt, shapeOf } from './fields.ts';
import { nearest } from './nearest.ts';
import type { Problem } from './problems.ts';
import { type Block, type CollectorConfig, type Config, collectorConfig, daemonConfig, freeze, type Schema } from './schema.ts';

type Issue = z.core.$ZodIssue;

/** Compiling a check takes longer than one run of it: 12 ms against 4 ms for the whole configuration. */
const ONCE = { jitless: true };

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
  record: 'keys and values',
  number: 'a number',
  int: 'a whole number',
};

/** Texts are quoted only where they cannot be a secret. */
function described(value: unknown, isPublic: boolean): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'keys and values';
  if (!isPublic) return typeof value === 'string' ? 'a text' : `a ${typeof value}`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

interface Scope {
  readonly draft: Draft;
  /** Keys in front of the paths of issues: [] for the daemon, the collector's name for a block. */
  readonly prefix: readonly string[];
  readonly schema: z.ZodType;
  readonly known: readonly string[];
  /** Values may be repeated in messages. */
  readonly isPublic: boolean;
}

function hint(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

function unknownKeys(scope: Scope, path: readonly Step[], keys: readonly string[]): Problem[] {
  const here = schemaAt(scope.schema, path.slice(scope.prefix.length));
  const siblings = Object.keys((here === undefined ? undefined : shapeOf(here)) ?? {}).map((key) => [...path, key].join('.'));
  return keys.map((key) => {
    const full = [...path, key];
    const name = full.join('.');
    const meant = hint(name, [...siblings, ...scope.known]) || hint(key, scope.known);
    // In a list of targets a key without a value may be the end of a password that has a comma in it.
    const isNamed = !path.some((step) => typeof step === 'number') || (scope.draft.get(full) ?? null) !== null;
    return { place: scope.draft.place(full), key: isNamed ? name : path.join('.'), text: `unknown key${isNamed ? meant : ''}` };
  });
}

/** How zod's own English begins; a message that begins otherwise is the schema author's and is better than what we could say. */
const GENERIC = /^(?:Invalid|Too |Unrecognized)/;

function issueText(issue: Issue, value: unknown, isPublic: boolean): string {
  const got = value === undefined ? '' : `, got ${described(value, isPublic)}`;
  if (!GENERIC.test(issue.message)) return `${issue.message}${isPublic ? got : ''}`;
  switch (issue.code) {
    case 'invalid_type':
      return value === undefined
        ? `is missing, expected ${TYPE_WORDS[issue.expected] ?? issue.expected}`
        : `expected ${TYPE_WORDS[issue.expected] ?? issue.expected}${got}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      return `expected ${values.length === 1 ? '' : 'one of '}${values.join(', ')}${got}${typeof value === 'string' ? hint(value, values) : ''}`;
    }
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int' ? `expected at least ${issue.minimum}${got}` : issue.message;
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int' ? `expected at most ${issue.maximum}${got}` : issue.message;
    case 'invalid_union': {
      const texts = issue.errors.flatMap((branch) =>
        branch.map((inner) => issueText(inner, undefined, isPublic).replace(/^is missing, expected /, 'expected ')),
      );
      return texts.length === 0 ? `${issue.message}${got}` : `${[...new Set(texts)].join(', or ')}${got}`;
    }
    default:
      return `${issue.message}${isPublic ? got : ''}`;
  }
}

function problemsOf(scope: Scope, issues: readonly Issue[]): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = [...scope.prefix, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
    if (issue.code === 'unrecognized_keys') return unknownKeys(scope, path, issue.keys);
    return [{ place: scope.draft.place(path), key: path.join('.'), text: issueText(issue, scope.draft.get(path), scope.isPublic) }];
  });
}

function partition(raw: Mapping, shared: Readonly<Record<string, unknown>>): [common: Mapping, own: Mapping] {
  const common = mapping();
  const own = mapping();
  for (const [key, value] of Object.entries(raw)) (Object.hasOwn(shared, key) ? common : own)[key] = value;
  return [common, own];
}

function validateBlock(draft: Draft, block: Block, fields: readonly Field[], problems: Problem[]): CollectorConfig | undefined {
  const name = block.definition.name;
  const raw = draft.root[name];
  const scope = { draft, prefix: [name], known: fields.map((field) => field.key) };
  if (raw !== undefined && !isMapping(raw)) {
    problems.push({ place: draft.place([name]), key: name, text: `expected keys and values, got ${described(raw, false)}` });
    return undefined;
  }
  const [common, own] = partition(raw ?? mapping(), block.common.shape);
  const checked = block.common.safeParse(common, ONCE);
  const options = block.options.safeParse(own, ONCE);
  if (!checked.success) problems.push(...problemsOf({ ...scope, schema: block.common, isPublic: true }, checked.error.issues));
  if (!options.success) problems.push(...problemsOf({ ...scope, schema: block.options, isPublic: false }, options.error.issues));
  if (!checked.success || !options.success) return undefined;
  return collectorConfig(block, checked.data, options.data, raw !== undefined);
}

/** Roles that are known and asked for, but for which this release has no collector: a page that stays empty helps nobody. */
function emptyRoles(draft: Draft, schema: Schema, roles: readonly Role[]): Problem[] {
  const there = new Set<Role>(['exporterd', ...schema.blocks.map((block) => block.definition.role)]);
  return roles.flatMap((role, index) =>
    there.has(role) ? [] : [{ place: draft.place(['roles', index]), key: 'roles', text: `this release has no collector for the role ${role}` }],
  );
}

/** Checks a draft as a whole. Every problem is added to `problems`; undefined when there was one. */
export function validate(draft: Draft, schema: Schema, problems: Problem[]): Config | undefined {
  const names = new Set(schema.blocks.map((block) => block.definition.name));
  const daemonKeys = mapping();
  for (const [key, value] of Object.entries(draft.root)) if (!names.has(key)) daemonKeys[key] = value;
  const daemon = schema.daemon.safeParse(daemonKeys, ONCE);
  const known = [...schema.fields.map((field) => field.key), ...names, ...Object.keys(schema.daemon.shape)];
  if (!daemon.success) problems.push(...problemsOf({ draft, prefix: [], schema: schema.daemon, known, isPublic: true }, daemon.error.issues));
  const collectors: Record<string, CollectorConfig> = {};
  for (const block of schema.blocks) {
    const config = validateBlock(draft, block, block.fields, problems);
    if (config !== undefined) collectors[block.definition.name] = config;
  }
  if (daemon.success) problems.push(...emptyRoles(draft, schema, daemon.data.roles));
  if (!daemon.success || problems.length > 0) return undefined;
  return freeze({ ...daemonConfig(daemon.data), collectors });
}
