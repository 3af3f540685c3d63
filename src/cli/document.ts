import type { Field } from '../config/fields.ts';
import type { Block, Schema } from '../config/schema.ts';
import { defaultText } from './help.ts';
import { PERSONAS } from './personas.ts';

/** A cell of a Markdown table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

const TYPES: Readonly<Record<Field['kind'], string>> = {
  boolean: 'true or false',
  number: 'number',
  text: 'text',
  list: 'list',
  structure: 'YAML, or JSON in a flag',
};

function typeText(field: Field): string {
  if (field.choices.length > 0) return `${field.kind === 'list' ? 'list of ' : ''}${field.choices.map(code).join(', ')}`;
  return field.metavar === 'DURATION' ? 'duration' : field.metavar === 'PATH' ? 'path' : TYPES[field.kind];
}

function keyRow(field: Field): string {
  const flags = [field.flag, ...field.aliases].map((flag) => code(`--${flag}`)).join(', ');
  return `| ${[code(field.key), flags, code(field.variable), typeText(field), code(defaultText(field)), field.help].map(cell).join(' | ')} |\n`;
}

function keyTable(fields: readonly Field[]): string {
  return `| key | flag | variable | value | default | meaning |\n|---|---|---|---|---|---|\n${fields.map(keyRow).join('')}`;
}

function blockText({ definition, fields }: Block): string {
  const isPart = (field: Field): boolean => field.path[1] === 'collectors';
  const parts = fields
    .filter(isPart)
    .map((field) => code(field.key))
    .join(', ');
  const when = definition.enabledByDefault ? 'On without any configuration.' : 'On when it is configured, or when a variable of its peer names a target.';
  return `### ${definition.name}\n\nRole \`${definition.role}\`, in place of ${definition.replaces}. ${when}\n\n${keyTable(fields.filter((field) => !isPart(field)))}\nParts, each switched by \`true\` or \`false\`: ${parts}.\n`;
}

function personaText(): string {
  return PERSONAS.map((persona) => {
    const defaults = Object.entries(persona.defaults).map(([key, value]) => `${code(key)} ${code(Array.isArray(value) ? value.join(',') : String(value))}`);
    return `| [\`${persona.name}\`](personas/${persona.name}.md) | ${persona.version} | ${persona.dialect} | ${defaults.join(', ')} |\n`;
  }).join('');
}

/** docs/configuration.md: made from the tables that the program itself runs on. */
export function configurationDocument(schema: Schema): string {
  const blocks = new Set(schema.blocks.map((block) => block.definition.name));
  return `# Configuration

This file is made from the program's tables by \`UPDATE_DOCS=1 node --test dist/src/cli/document.test.js\`; do not edit it.

Without configuration the roles \`node\` and \`container\` run and listen on \`:9100\`.

## One rule

A setting has one key and three spellings. The key \`web.listen_address\` is

- in the file (\`--config FILE\` or \`EXPORTERD_CONFIG\`): \`listen_address\` below \`web\`, or \`web.listen_address\` in one word,
- as a flag: \`--web.listen-address\`,
- in the environment: \`EXPORTERD_WEB_LISTEN_ADDRESS\`.

Flags are stronger than the environment, the environment is stronger than the file. A list is replaced as a whole: in the file
it is a list (one value may stand alone), as a flag it is repeated, in the environment its values are separated by commas.
True and false are \`--name\` and \`--no-name\` as flags, \`true\` and \`false\` (or \`1\` and \`0\`) in the environment,
where an empty variable counts as not set.
Durations are Go's: \`15s\`, \`1m30s\`, \`500ms\`. Relative paths start at the file's folder in the file, at the working directory elsewhere.
Keys whose name ends in \`_file\` name a file that holds a secret; a line end at its end does not count.

The configuration is checked as a whole before anything starts. An unknown key, flag or \`EXPORTERD_\` variable, a key given twice
or a value of the wrong kind ends the program with exit code 2; every mistake is named, with file, line and column and the
nearest name that is known. Variables that Kubernetes sets for a service called \`exporterd\` are passed over.

\`\`\`yaml
web:
  listen_address: [":9100"]
interval: 15s
node:
  collectors:
    wifi: true
    zfs: false
\`\`\`

## Commands

| command | does | exit code |
|---|---|---|
| \`exporterd\`, \`exporterd run\` | collects and serves | 0 stopped, 1 failed while running, 2 usage or configuration |
| \`exporterd check-config\` | checks the configuration | 0 valid, 2 not |
| \`exporterd once\` | collects once, prints the page on standard output | 0, 2, or 3 when a collector failed |
| \`exporterd --help\`, \`exporterd --version\` | prints and ends | 0 |

Standard output carries only what a command prints; logs go to standard error.

## Personas

\`exporterd NAME [flags]\` takes the place of a peer: its flags, its defaults, its page. The keys below are understood as well.
A link to the program that is called like the persona selects it too. \`exporterd once NAME\` prints the persona's page.

| persona | release | flags | defaults that differ |
|---|---|---|---|
${personaText()}
## Daemon

${keyTable(schema.fields.filter((field) => !blocks.has(field.path[0] ?? '')))}
## Collectors

${schema.blocks.map(blockText).join('\n')}`;
}

/** docs/personas/NAME.md: every flag of the peer and what becomes of it. */
export function personaDocument(schema: Schema, name: string): string {
  const persona = PERSONAS.find((candidate) => candidate.name === name);
  if (persona === undefined) throw new Error(`no persona ${name}`);
  const rows = persona
    .flags(
      schema.blocks.map((block) => block.definition),
      schema.fields,
    )
    .map((flag) => {
      const { meaning } = flag;
      const effect =
        meaning.kind === 'key'
          ? `sets ${code(meaning.key)}`
          : meaning.kind === 'ignored'
            ? `accepted without effect: ${meaning.why}`
            : meaning.kind === 'refused'
              ? `refused: ${meaning.why ?? 'not yet supported'}`
              : meaning.kind === 'translated'
                ? `sets ${code(meaning.sets)}`
                : 'prints and ends';
      const notes = [
        flag.isHidden ? 'hidden' : '',
        flag.isRepeatable ? 'repeatable' : '',
        flag.variable === undefined ? '' : `also \`${flag.variable}\``,
        flag.replacedBy === undefined ? '' : `old name of \`--${flag.replacedBy}\``,
      ];
      return `| ${[code(`--${flag.isSwitch ? '[no-]' : ''}${flag.name}`), flag.help, effect, notes.filter((note) => note !== '').join(', ')].map(cell).join(' | ')} |\n`;
    });
  return `# exporterd ${persona.name}

This file is made from the program's tables by \`UPDATE_DOCS=1 node --test dist/src/cli/document.test.js\`; do not edit it.

Takes the place of ${persona.name} ${persona.version}. The page \`/metrics\` has the families of the role ${persona.page.roles.map(code).join(', ')}, \`${persona.page.buildInfo}\`
and ${persona.page.hasProcessMetrics ? 'process_* of this process; there are no go_* series, since there is no Go runtime' : 'nothing else'}.

Every flag of the peer is accepted, hidden ones included. A flag that cannot have an effect causes one warning that says why.
Flags that would close something (TLS, authentication, handed-over sockets) are refused until they are supported.

| flag | meaning | effect here | notes |
|---|---|---|---|
${rows.join('')}`;
}
