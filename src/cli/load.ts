import { dirname, isAbsolute, resolve } from 'node:path';
import { type Arguments, type FlagForm, type GivenFlag, parseArguments } from './args.ts';
import { helpText } from './help.ts';
import type { Persona, PersonaFlag } from './persona.ts';
import { PERSONAS, personaNamed } from './personas.ts';
import type { CollectorDefinition } from '../collect/contract.ts';
import { Draft, isMapping } from '../config/draft.ts';
import { type Field, schemaAt, shapeOf, VARIABLE_PREFIX } from '../config/fields.ts';
import { readFileInto } from '../config/file.ts';
import { nearest } from '../config/nearest.ts';
import { type Place, type Problem, UsageError } from '../config/problems.ts';
import { type Config, type Schema, schemaFor } from '../config/schema.ts';
import { validate } from '../config/validate.ts';

export interface LoadInput {
  /** What the user typed behind the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths of flags and variables start here. */
  readonly cwd: string;
  readonly definitions: readonly CollectorDefinition[];
  /** Text of a file; throws when it cannot be read. */
  readonly readFile: (path: string) => string;
  /** The daemon's own, for --version. */
  readonly version: string;
  /** Name the program was called by; a persona's name selects that persona (a link called node_exporter). */
  readonly program?: string;
}

export type Command = 'run' | 'once' | 'check-config';

export type Loaded =
  /** `text` goes to stdout, exit code 0. */
  | { readonly kind: 'help' | 'version'; readonly text: string; readonly warnings: readonly string[] }
  | {
      readonly kind: Command;
      readonly config: Config;
      /** Whose place the daemon takes; undefined when it is itself. */
      readonly persona: Persona | undefined;
      /** What `check-config` prints; '' for the others. */
      readonly text: string;
      /** Settings that have no effect, and why; to be logged once each. */
      readonly warnings: readonly string[];
    };

const COMMANDS: readonly Command[] = ['run', 'once', 'check-config'];

/** Flags that are no keys. */
const GENERAL: readonly FlagForm[] = [
  { name: 'help', isSwitch: true, isRepeatable: true, short: 'h' },
  { name: 'version', isSwitch: true, isRepeatable: true },
  { name: 'config', isSwitch: false, isRepeatable: false },
];

const CONFIG_VARIABLE = `${VARIABLE_PREFIX}CONFIG`;

/**
 * What a pod is told of a Kubernetes service that happens to be called `exporterd`: nobody's typing error.
 * EXPORTERD_SERVICE_HOST, EXPORTERD_SERVICE_PORT_HTTP, EXPORTERD_PORT, EXPORTERD_PORT_9100_TCP_ADDR, ...
 */
const SERVICE_LINK = /^EXPORTERD_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

interface Loading {
  readonly input: LoadInput;
  readonly schema: Schema;
  readonly byKey: ReadonlyMap<string, Field>;
  readonly draft: Draft;
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** The value that a text stands for; values that do not fit stay texts, so that validation can say what was expected. */
function valueFrom(kind: Field['kind'], text: string): unknown {
  switch (kind) {
    case 'boolean':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
    case 'number':
      return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
    case 'structure':
      try {
        return JSON.parse(text);
      } catch {
        return text;
      }
    default:
      return text;
  }
}

function absolute(field: Field, value: unknown, folder: string): unknown {
  const isPath = field.isPath || field.key.endsWith('_file');
  return isPath && typeof value === 'string' && value !== '' && !isAbsolute(value) ? resolve(folder, value) : value;
}

/** Lays one key given as texts (a flag once or more, a variable split at its commas) over the draft. */
function layTexts(loading: Loading, field: Field, texts: readonly string[], place: Place): void {
  const values = texts.map((text) => absolute(field, valueFrom(field.kind === 'list' ? field.item : field.kind, text), loading.input.cwd));
  loading.draft.set(field.path, field.kind === 'list' ? values : values.at(-1), place);
}

function layEnvironment(loading: Loading): void {
  const byVariable = new Map(loading.schema.fields.map((field) => [field.variable, field]));
  for (const [name, text] of Object.entries(loading.input.env)) {
    if (!name.startsWith(VARIABLE_PREFIX) || text === undefined || name === CONFIG_VARIABLE) continue;
    const field = byVariable.get(name);
    const place: Place = { source: 'environment', name };
    if (field !== undefined) {
      // As the peers do: an empty variable is how container files say "not set".
      if (text === '') continue;
      const texts =
        field.kind === 'list'
          ? text
              .split(',')
              .map((item) => item.trim())
              .filter((item) => item !== '')
          : [text];
      layTexts(loading, field, texts, place);
    } else if (!SERVICE_LINK.test(name)) {
      const near = nearest(name, [...byVariable.keys(), CONFIG_VARIABLE]);
      loading.problems.push({ place, key: '', text: `unknown variable${near === undefined ? '' : `; did you mean ${near}?`}` });
    }
  }
}

/** The peer's own variables: stronger than the file, weaker than ours and than flags. */
function layPeerVariables(loading: Loading, flags: readonly PersonaFlag[]): void {
  for (const { variable, meaning } of flags) {
    const text = variable === undefined ? undefined : loading.input.env[variable];
    const field = meaning.kind === 'key' ? loading.byKey.get(meaning.key) : undefined;
    if (variable === undefined || text === undefined || text === '' || field === undefined) continue;
    layTexts(loading, field, field.kind === 'list' ? text.split('\n') : [text], { source: 'environment', name: variable });
  }
}

/** A key that flags set, with all that was given for it. */
interface Given {
  readonly field: Field;
  readonly flag: GivenFlag;
  readonly texts: string[];
}

/** Applies a persona's flag that sets no key; returns the key's field and text when it does. */
function interpret(loading: Loading, row: PersonaFlag, flag: GivenFlag): [field: Field, text: string] | undefined {
  const { meaning } = row;
  const place: Place = { source: 'flag', flag: flag.written };
  if (row.replacedBy !== undefined && flag.value !== '') loading.warnings.push(`--${row.name} is an old name, use --${row.replacedBy}`);
  switch (meaning.kind) {
    case 'key': {
      // An old name without a value asks for nothing, and must not contradict the new one.
      if (row.replacedBy !== undefined && flag.value === '') return undefined;
      const field = loading.byKey.get(meaning.key);
      const text = String(flag.value);
      return field === undefined ? undefined : [field, meaning.convert?.(text) ?? text];
    }
    case 'ignored':
      if (meaning.isNoOp?.(flag.value) !== true) loading.warnings.push(`--${row.name} has no effect: ${meaning.why}`);
      return undefined;
    case 'refused':
      if (!meaning.isNoOp(flag.value)) loading.problems.push({ place, key: '', text: meaning.why ?? 'not yet supported' });
      return undefined;
    case 'translated': {
      const problem = meaning.problem?.(flag.value);
      if (problem !== undefined) loading.problems.push({ place, key: '', text: problem });
      const warning = meaning.warning?.(flag.value);
      if (warning !== undefined) loading.warnings.push(`--${row.name}: ${warning}`);
      return undefined;
    }
    case 'help':
    case 'version':
      return undefined;
  }
}

function layFlags(loading: Loading, given: Arguments, peer: ReadonlyMap<string, PersonaFlag>, own: ReadonlyMap<string, Field>): void {
  const keys = new Map<string, Given>();
  for (const flag of given.flags) {
    const row = peer.get(flag.name);
    const field = own.get(flag.name);
    const meant = row !== undefined ? interpret(loading, row, flag) : field === undefined ? undefined : ([field, String(flag.value)] as const);
    if (meant === undefined) continue;
    const [target, text] = meant;
    const known = keys.get(target.key);
    if (known === undefined) keys.set(target.key, { field: target, flag, texts: [text] });
    else {
      if (target.kind !== 'list' && known.flag.name !== flag.name) {
        loading.problems.push({ place: { source: 'flag', flag: flag.written }, key: '', text: `contradicts ${known.flag.written}: both set ${target.key}` });
      }
      known.texts.push(text);
    }
  }
  for (const { field, flag, texts } of keys.values()) layTexts(loading, field, texts, { source: 'flag', flag: flag.written });
}

function keysAt(schema: Schema, path: readonly string[]): readonly string[] | undefined {
  const [name, ...rest] = path;
  if (name === undefined) return [...Object.keys(schema.daemon.shape), ...schema.blocks.map((block) => block.definition.name)];
  const block = schema.blocks.find((candidate) => candidate.definition.name === name);
  const roots = block === undefined ? [schemaAt(schema.daemon, [name])] : [block.common, block.options];
  const shapes = roots.flatMap((root) => {
    const here = root === undefined ? undefined : schemaAt(root, rest);
    return here === undefined ? [] : [shapeOf(here)];
  });
  const keys = shapes.flatMap((shape) => (shape === undefined ? [] : Object.keys(shape)));
  // A block whose options are not an object still has the keys of every block.
  return shapes.some((shape) => shape !== undefined) ? keys : undefined;
}

/** Paths of a file start at its folder, also inside lists (`password_file` of a target). */
function resolvePaths(value: unknown, folder: string): void {
  if (Array.isArray(value)) for (const item of value) resolvePaths(item, folder);
  if (!isMapping(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key.endsWith('_file') && typeof inner === 'string' && inner !== '' && !isAbsolute(inner)) value[key] = resolve(folder, inner);
    else resolvePaths(inner, folder);
  }
}

async function layFile(loading: Loading, name: string, place: Place): Promise<void> {
  const { draft, input, problems, schema } = loading;
  if (name === '') {
    problems.push({ place, key: '', text: 'expected a path' });
    return;
  }
  const path = resolve(input.cwd, name);
  let text: string;
  try {
    text = input.readFile(path);
  } catch (error) {
    problems.push({ place, key: '', text: `cannot read ${name}: ${errorCode(error)}` });
    return;
  }
  problems.push(...(await readFileInto(draft, { name, text, keysAt: (at) => keysAt(schema, at) })));
  const folder = dirname(path);
  resolvePaths(draft.root, folder);
  for (const field of schema.fields) {
    const value = draft.get(field.path);
    if (field.isPath && typeof value === 'string') draft.fill(field.path, absolute(field, value, folder));
    if (field.isPath && Array.isArray(value))
      draft.fill(
        field.path,
        value.map((item: unknown) => absolute(field, item, folder)),
      );
  }
}

/** One value stands for a list of one, as a flag given once does. */
function wrapLists(loading: Loading): void {
  for (const field of loading.schema.fields) {
    if (field.kind !== 'list') continue;
    const value = loading.draft.get(field.path);
    if (typeof value === 'string' || typeof value === 'number') loading.draft.fill(field.path, [value]);
  }
}

interface Called {
  readonly persona: Persona | undefined;
  /** Undefined: no word named one. */
  readonly command: Command | undefined;
  readonly argv: readonly string[];
}

function isCommand(word: string | undefined): word is Command {
  return COMMANDS.some((command) => command === word);
}

/** A persona is chosen by the first word, by the word behind a command, or by the program's name. */
function called(input: LoadInput): Called {
  const [first, second] = input.argv;
  const direct = personaNamed(first ?? '');
  if (direct !== undefined) return { persona: direct, command: undefined, argv: input.argv.slice(1) };
  const behind = isCommand(first) ? personaNamed(second ?? '') : undefined;
  if (isCommand(first) && behind !== undefined) return { persona: behind, command: first, argv: input.argv.slice(2) };
  return { persona: personaNamed(input.program ?? ''), command: undefined, argv: input.argv };
}

/** kingpin's `@file`: a line of the file is an argument, empty lines and lines that begin with # are not. */
function expandFiles(argv: readonly string[], input: LoadInput, problems: Problem[]): string[] {
  const end = argv.indexOf('--');
  return argv.flatMap((argument, index) => {
    if (!argument.startsWith('@') || (end >= 0 && index > end)) return [argument];
    try {
      const lines = input.readFile(resolve(input.cwd, argument.slice(1))).split(/\r?\n/);
      return lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
    } catch (error) {
      problems.push({ place: { source: 'flag', flag: argument }, key: '', text: `cannot be read: ${errorCode(error)}` });
      return [];
    }
  });
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function argumentProblems(given: Arguments, names: readonly string[]): Problem[] {
  return given.problems.map(({ written, text, unknown }) => {
    const near = unknown === undefined ? undefined : nearest(unknown, names);
    return { place: { source: 'flag', flag: written }, key: '', text: near === undefined ? text : `${text}; did you mean --${near}?` };
  });
}

function wordProblems(words: readonly string[], persona: Persona | undefined): Problem[] {
  const [first, ...rest] = words;
  const surplus = isCommand(first) ? rest : words;
  return surplus.map((word) => {
    const near = persona === undefined ? nearest(word, [...COMMANDS, ...PERSONAS.map(({ name }) => name)]) : undefined;
    return { place: { source: 'flag', flag: word }, key: '', text: `unexpected word${near === undefined || near === word ? '' : `; did you mean ${near}?`}` };
  });
}

/**
 * Defaults < file < environment < flags, then one validation.
 * @throws UsageError with everything that is wrong (exit code 2)
 */
export async function loadConfig(input: LoadInput): Promise<Loaded> {
  const { persona, command, argv } = called(input);
  const schema = schemaFor(input.definitions);
  const byKey = new Map(schema.fields.map((field) => [field.key, field]));
  const peerRows = persona?.flags(input.definitions, schema.fields) ?? [];
  const peer = new Map(peerRows.map((row) => [row.name, row]));
  const own = new Map(schema.fields.flatMap((field) => [field.flag, ...field.aliases].map((name) => [name, field] as const)));
  const forms: FlagForm[] = [
    ...GENERAL,
    ...[...own].map(([name, field]) => ({ name, isSwitch: field.kind === 'boolean', isRepeatable: field.kind === 'list' })),
    // Last, so that the peer's own form of a name counts.
    ...peerRows,
  ];
  const problems: Problem[] = [];
  const given = parseArguments(persona?.dialect === 'kingpin' ? expandFiles(argv, input, problems) : argv, forms, persona?.dialect ?? 'kingpin');
  const asks = (name: 'help' | 'version') =>
    given.flags.some((flag) => flag.value === true && (flag.name === name || peer.get(flag.name)?.meaning.kind === name));
  if (asks('help')) return { kind: 'help', text: helpText(schema, persona, peerRows), warnings: [] };
  if (asks('version')) return { kind: 'version', text: versionText(input.version, persona), warnings: [] };

  const names = [...peer.values()].filter((row) => !row.isHidden).map((row) => row.name);
  const loading: Loading = { input, schema, byKey, draft: new Draft(), warnings: [], problems };
  problems.push(...argumentProblems(given, [...names, ...own.keys(), ...GENERAL.map((form) => form.name)]), ...wordProblems(given.words, persona));
  for (const [key, value] of Object.entries(persona?.defaults ?? {})) loading.draft.set(byKey.get(key)?.path ?? [key], value, { source: 'default' });
  const file = configFile(input, given);
  if (file !== undefined) await layFile(loading, file.name, file.place);
  layPeerVariables(loading, peerRows);
  layEnvironment(loading);
  layFlags(loading, { ...given, flags: persona?.translate?.(given.flags) ?? given.flags }, peer, own);
  wrapLists(loading);
  const config = validate(loading.draft, schema, loading.problems);
  if (config === undefined) throw new UsageError(persona?.name ?? 'exporterd', loading.problems);
  const kind = command ?? (isCommand(given.words[0]) ? given.words[0] : 'run');
  const text = kind === 'check-config' ? `${file === undefined ? 'configuration' : file.name}: valid\n` : '';
  return { kind, config, persona, text, warnings: [...new Set(loading.warnings)] };
}

function configFile(input: LoadInput, given: Arguments): { name: string; place: Place } | undefined {
  const flag = given.flags.find((candidate) => candidate.name === 'config');
  if (flag !== undefined) return { name: String(flag.value), place: { source: 'flag', flag: flag.written } };
  const name = input.env[CONFIG_VARIABLE];
  return name === undefined || name === '' ? undefined : { name, place: { source: 'environment', name: CONFIG_VARIABLE } };
}

function versionText(version: string, persona: Persona | undefined): string {
  return persona === undefined ? `exporterd ${version}\n` : `${persona.name}, version ${persona.version} (exporterd ${version})\n`;
}
