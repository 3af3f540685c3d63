import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { discoverCollectors } from '../collect/discover.ts';
import { schemaFor } from '../config/schema.ts';
import { configurationDocument, personaDocument } from './document.ts';
import { helpText } from './help.ts';
import { PERSONAS } from './personas.ts';

const DOCS = new URL('../../../docs/', import.meta.url);
const HOW = 'docs are not what the tables say: UPDATE_DOCS=1 node --test dist/src/cli/document.test.js';
const schema = schemaFor(await discoverCollectors());

function compare(name: string, wanted: string): void {
  const file = new URL(name, DOCS);
  if (process.env['UPDATE_DOCS'] === '1') {
    mkdirSync(new URL('.', file), { recursive: true });
    writeFileSync(file, wanted);
  }
  assert.ok(readFileSync(file, 'utf8') === wanted, `${name}: ${HOW}`);
}

test('docs/configuration.md is what the tables say', () => {
  compare('configuration.md', configurationDocument(schema));
});

test('docs/personas are what the tables say', () => {
  for (const { name } of PERSONAS) compare(`personas/${name}.md`, personaDocument(schema, name));
});

test('every key, flag and variable is in the help and in the document', () => {
  const help = helpText(schema, undefined, []);
  const document = configurationDocument(schema);
  assert.ok(schema.fields.length > 40);
  for (const field of schema.fields) {
    for (const flag of [field.flag, ...field.aliases]) {
      assert.ok(new RegExp(`--(?:\\[no-\\])?${flag.replaceAll('.', '\\.')}(?:[=, ]|$)`, 'm').test(help), `--${flag} is not in --help`);
    }
    assert.ok(document.includes(`\`${field.key}\``), `${field.key} is not in configuration.md`);
  }
});

test('every key of the daemon says what it means', () => {
  const blocks = new Set(schema.blocks.map((block) => block.definition.name));
  for (const field of schema.fields) if (!blocks.has(field.path[0] ?? '')) assert.notEqual(field.help, '', field.key);
});

test('no two keys share a flag or a variable', () => {
  const flags = schema.fields.flatMap((field) => [field.flag, ...field.aliases]);
  assert.deepEqual(
    flags.filter((flag, index) => flags.indexOf(flag) !== index),
    [],
  );
  const variables = schema.fields.map((field) => field.variable);
  assert.deepEqual(
    variables.filter((variable, index) => variables.indexOf(variable) !== index),
    [],
  );
});

test('the help of a persona has its flags and ours', () => {
  for (const persona of PERSONAS) {
    const flags = persona.flags(
      schema.blocks.map((block) => block.definition),
      schema.fields,
    );
    const help = helpText(schema, persona, flags);
    for (const flag of flags) {
      const isShown = new RegExp(`--(?:\\[no-\\])?${flag.name.replaceAll('.', '\\.')}(?:[=, ]|$)`, 'm').test(help);
      assert.equal(isShown, !flag.isHidden, flag.name);
    }
    assert.match(help, /--\[no-\]phase-lock/);
  }
});

test('help fits a terminal, save for defaults that must not be broken', () => {
  for (const line of helpText(schema, undefined, []).split('\n')) assert.ok(line.length <= 120 || !line.trim().includes(' '), line);
});
