import type { Field } from '../config/fields.ts';
import type { Schema } from '../config/schema.ts';
import type { Persona, PersonaFlag } from './persona.ts';
import { PERSONAS } from './personas.ts';

const COLUMN = 42;
const WIDTH = 110;

/** One row of two columns; the right one is wrapped, and begins on the next line when the left one is too long. */
function row(left: string, right: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of right.split(' ')) {
    if (line !== '' && COLUMN + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  const indent = ' '.repeat(COLUMN);
  const head = `  ${left}`;
  const first = head.length + 2 > COLUMN ? `${head}\n${indent}${lines[0] ?? ''}` : `${head.padEnd(COLUMN)}${lines[0] ?? ''}`;
  return `${[first, ...lines.slice(1).map((text) => indent + text)].join('\n').trimEnd()}\n`;
}

/** `--[no-]phase-lock`, `--web.listen-address=ADDRESS ...` */
function flagText(name: string, isSwitch: boolean, metavar: string, isRepeatable: boolean): string {
  return isSwitch ? `--[no-]${name}` : `--${name}=${metavar}${isRepeatable ? ' ...' : ''}`;
}

/** How a default is shown: '' when there is nothing to show. */
export function defaultText(field: Field): string {
  const value = field.defaultValue;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '';
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return '';
  return Array.isArray(value) ? value.join(',') : String(value);
}

function fieldRow(field: Field): string {
  const shown = defaultText(field);
  const notes = [field.help, field.choices.length > 0 ? `one of ${field.choices.join(', ')}` : '', shown === '' ? '' : `default ${shown}`].filter(
    (note) => note !== '',
  );
  const names = [...field.aliases, field.flag].map((name) => flagText(name, field.kind === 'boolean', field.metavar, field.kind === 'list'));
  return row(names.join(', '), notes.join('; '));
}

function section(title: string, rows: readonly string[]): string {
  return rows.length === 0 ? '' : `\n${title}:\n${rows.join('')}`;
}

const GENERAL = [
  row('-h, --help', 'print this'),
  row('--version', 'print the version'),
  row('--config=FILE', 'YAML file with the same keys; also EXPORTERD_CONFIG'),
].join('');

function ownFlags(schema: Schema): string {
  const names = new Set(schema.blocks.map((block) => block.definition.name));
  const daemon = schema.fields.filter((field) => !names.has(field.path[0] ?? '')).map(fieldRow);
  const blocks = schema.blocks.map((block) => section(`${block.definition.name}, in place of ${block.definition.replaces}`, block.fields.map(fieldRow)));
  return section('Daemon', daemon) + blocks.join('');
}

function peerFlags(persona: Persona, flags: readonly PersonaFlag[]): string {
  const rows = flags
    .filter((flag) => !flag.isHidden)
    .map((flag) => {
      const note =
        flag.meaning.kind === 'ignored'
          ? ` (no effect: ${flag.meaning.why})`
          : flag.meaning.kind === 'refused'
            ? ` (${flag.meaning.why ?? 'not yet supported'})`
            : '';
      const name = flagText(flag.name, flag.isSwitch, flag.metavar, flag.isRepeatable);
      return row(flag.short === undefined ? name : `-${flag.short}, ${name}`, flag.help + note);
    });
  return section(`Flags of ${persona.name} ${persona.version}`, rows);
}

/** What --help prints: every command, every option of every collector at hand. */
export function helpText(schema: Schema, persona: Persona | undefined, peer: readonly PersonaFlag[]): string {
  if (persona !== undefined) {
    const dash = persona.dialect === 'go' ? 'one dash or two' : 'two dashes';
    return `usage: exporterd ${persona.name} [flags]\n\nTakes the place of ${persona.name}: its flags (${dash}), its page.\n${peerFlags(persona, peer)}\nFlags of exporterd are understood as well:\n${GENERAL}${ownFlags(schema)}`;
  }
  return [
    'usage: exporterd [command] [flags]\n\nCommands:\n',
    row('run', 'collect and serve; what is done without a command'),
    row('once [--role=NAME ...]', 'collect once, print the page; exit code 3 when a collector failed'),
    row('check-config', 'say whether the configuration is valid; exit code 2 when it is not'),
    ...PERSONAS.map((each) => row(`${each.name} [flags]`, `take the place of ${each.name} ${each.version}, with its flags; try exporterd ${each.name} --help`)),
    '\nThe key web.listen_address of the file is the flag --web.listen-address and the variable EXPORTERD_WEB_LISTEN_ADDRESS.\nFlags are stronger than the environment, the environment is stronger than the file.\n',
    section('General', [GENERAL]),
    ownFlags(schema),
  ].join('');
}
