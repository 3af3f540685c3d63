import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collectorNames } from '../src/collect/discover.ts';

/** The sources, wherever this runs from: `test` when run from source, `dist/test` when compiled. */
const SOURCES =
  [new URL('../src/', import.meta.url), new URL('../../src/', import.meta.url)]
    .map((url) => fileURLToPath(url))
    .find((folder) => existsSync(join(folder, 'main.ts'))) ?? '';

interface SourceFile {
  /** `views/merge.ts`, relative to src. */
  readonly path: string;
  /** Specifiers of imports that are there when it runs. */
  readonly imports: readonly string[];
  /** Those that only the compiler sees. */
  readonly types: readonly string[];
  readonly text: string;
}

/** Tests and their harnesses may import what they like. */
function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /(^|\/)(harness|exposition|fixtures)[^/]*\.ts$/.test(path) || path.includes('/fixtures/');
}

function read(path: string): SourceFile {
  const text = readFileSync(join(SOURCES, path), 'utf8');
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const imports: string[] = [];
  const types: string[] = [];
  for (const [, kind = '', names = '', from = ''] of code.matchAll(/^(import|export)\s+([^;'"]*?)\s*from\s+'([^']+)'/gm)) {
    const named = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
    const isTypeOnly =
      /^type\s/.test(names) || (named !== undefined && kind !== '' && named.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')));
    (isTypeOnly ? types : imports).push(from);
  }
  for (const [, from = ''] of code.matchAll(/^import\s+'([^']+)'/gm)) imports.push(from);
  for (const [, from = ''] of code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) imports.push(from);
  return { path, imports, types, text: code };
}

const FILES: ReadonlyMap<string, SourceFile> = new Map(
  readdirSync(SOURCES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(SOURCES, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => path.endsWith('.ts') && !isTest(path))
    .map((path) => [path, read(path)]),
);

function target(file: SourceFile, specifier: string): string | undefined {
  return specifier.startsWith('.') ? relative(SOURCES, join(SOURCES, dirname(file.path), specifier)) : undefined;
}

/** `views`, `collectors/node`, `main`: what the table speaks of. */
function layerOf(path: string): string {
  const [first = '', second = ''] = path.split('/');
  if (first === 'collectors') return `collectors/${second}`;
  return path.includes('/') ? first : path.replace(/\.ts$/, '');
}

/**
 * What may import what; a layer may always import itself. Downward only: data flows from readers through collectors and
 * lanes to pages, and whoever stands further down knows nobody above.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  model: [],
  readers: ['model'],
  collect: ['model', 'readers'],
  collectors: ['model', 'collect', 'readers'],
  lanes: ['model', 'readers', 'collect'],
  self: ['model', 'collect'],
  views: ['model', 'readers', 'collect', 'lanes', 'self'],
  schedule: ['model', 'readers', 'collect', 'lanes', 'self'],
  config: ['model', 'collect'],
  cli: ['collect', 'config'],
  wire: [],
  log: [],
  engine: [],
  daemon: ['model', 'readers', 'collect', 'lanes', 'views', 'self', 'schedule', 'config', 'cli', 'wire', 'log'],
  main: ['model', 'readers', 'collect', 'config', 'wire', 'log', 'engine', 'daemon', 'cli'],
};

/** Layers that may only be touched through these files. */
const ONLY: readonly { readonly from: string; readonly to: string; readonly files: readonly string[] }[] = [
  // The builder sleeps on the bell that lanes ring; it knows nothing else of them.
  { from: 'views', to: 'lanes', files: ['lanes/bell.ts'] },
];

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  const kind = from.startsWith('collectors/') ? 'collectors' : from;
  return ALLOWED[kind]?.includes(to) ?? false;
}

test('there are sources to look at, and the table names every layer', () => {
  assert.ok(FILES.size > 100, `${FILES.size} files in ${SOURCES}`);
  const edges = [...FILES.values()].reduce((sum, file) => sum + file.imports.length + file.types.length, 0);
  assert.ok(edges > 300, `${edges} imports found`);
  for (const path of FILES.keys()) {
    const layer = layerOf(path);
    assert.ok(layer.startsWith('collectors/') || layer in ALLOWED, `${path}: no row for ${layer}`);
  }
});

test('imports go downward only, types included', () => {
  const wrong: string[] = [];
  for (const file of FILES.values()) {
    for (const specifier of [...file.imports, ...file.types]) {
      const to = target(file, specifier);
      if (to === undefined) continue;
      const [from, into] = [layerOf(file.path), layerOf(to)];
      if (!mayImport(from, into)) wrong.push(`${file.path} imports ${to}`);
      for (const rule of ONLY)
        if (rule.from === from && rule.to === into && !rule.files.includes(to))
          wrong.push(`${file.path} imports ${to}, of ${into} only ${rule.files.join(', ')}`);
      if (!existsSync(join(SOURCES, to))) wrong.push(`${file.path} imports ${to}, which is not there`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('layers form no cycle, but for the command line and the configuration, which are one', () => {
  for (const [from, tos] of Object.entries(ALLOWED)) {
    for (const to of tos) if (!(from === 'cli' && to === 'config')) assert.ok(!reaches(to, from), `${from} and ${to} import each other`);
  }
});

function reaches(from: string, to: string): boolean {
  const queue = [from];
  const seen = new Set<string>();
  for (let layer = queue.pop(); layer !== undefined; layer = queue.pop()) {
    if (layer === to) return true;
    if (seen.has(layer)) continue;
    seen.add(layer);
    queue.push(...(ALLOWED[layer] ?? []).filter((next) => !(layer === 'cli' && next === 'config')));
  }
  return false;
}

/** Everything a file loads when it runs, itself included: files of ours, and packages. */
function closure(path: string): { files: Set<string>; packages: Map<string, string> } {
  const files = new Set<string>();
  const packages = new Map<string, string>();
  const queue = [path];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (files.has(next)) continue;
    files.add(next);
    const file = FILES.get(next);
    if (file === undefined) continue;
    for (const specifier of file.imports) {
      const to = target(file, specifier);
      if (to !== undefined) queue.push(to);
      else packages.set(specifier, next);
    }
  }
  return { files, packages };
}

test('a definition loads no driver, no collect side and no Piscina', () => {
  for (const name of collectorNames()) {
    const { files, packages } = closure(`collectors/${name}/collector.ts`);
    assert.ok(files.has('collect/contract.ts'), name);
    for (const [specifier, where] of packages)
      assert.ok(['zod', 're2js'].includes(specifier) || specifier.startsWith('node:'), `${name}: ${where} loads ${specifier}`);
    for (const socket of ['node:net', 'node:tls', 'node:http', 'node:https', 'node:dns'])
      assert.ok(!packages.has(socket), `${name}: ${packages.get(socket)} loads ${socket}`);
    assert.ok(!files.has(`collectors/${name}/collect.ts`), `${name}: the definition loads its collect side`);
  }
});

/** Files (of ours) that load a package when they run. */
function loaders(matches: (specifier: string) => boolean): string[] {
  return [...FILES.values()]
    .filter((file) => file.imports.some(matches))
    .map(({ path }) => path)
    .sort();
}

test('each package and each dangerous module is loaded in its own place only', () => {
  const places: [what: RegExp, where: RegExp][] = [
    [/^pg$/, /^collectors\/postgres\//],
    [/^ioredis$/, /^collectors\/redis\//],
    [/^@grpc\/grpc-js$/, /^collectors\/container\/grpc\.ts$/],
    [/^protobufjs/, /^collectors\/container\/cri-messages\.ts$/],
    [/^piscina$/, /^(schedule|daemon)\//],
    [/^pino$/, /^log\.ts$/],
    [/^yaml$/, /^config\//],
    [/uws|uWebSockets/, /^wire\//],
    [/^node:https?$/, /^(wire|collectors\/container|collectors\/node\/services\/supervisord)\//],
    [/^node:child_process$/, /^never$/],
  ];
  for (const [what, where] of places) for (const path of loaders((specifier) => what.test(specifier))) assert.match(path, where, `${path} loads ${what}`);
  for (const used of [/^pg$/, /^piscina$/, /^pino$/, /^yaml$/, /^@grpc\/grpc-js$/, /^protobufjs/])
    assert.notDeepEqual(
      loaders((specifier) => used.test(specifier)),
      [],
      `${used}: is the pattern still right?`,
    );
  // Packages that are none of these: zod and RE2 syntax, nothing else.
  const others = loaders(
    (specifier) => !/^(\.|node:|pg$|ioredis$|piscina$|pino$|yaml$|zod$|re2js$|fast-glob$|@grpc\/grpc-js$|protobufjs\/light\.js$)/.test(specifier),
  );
  assert.deepEqual(others, []);
});

test('only readers/native.ts loads the addon, and servers are made in wire only', () => {
  for (const { path, text } of FILES.values()) {
    // The other binary is uWebSockets.js's own, which its adapter looks for.
    if (!['readers/native.ts', 'wire/uws.ts'].includes(path)) assert.ok(!/\.node['"`]|process\.dlopen/.test(text), `${path} loads an addon`);
    if (!path.startsWith('wire/')) assert.ok(!text.includes('createServer('), `${path} makes a server`);
    // RE2 is loaded when a pattern wants it, in the middle of a synchronous run.
    if (!path.startsWith('wire/') && !['readers/native.ts', 'collectors/node/filter.ts'].includes(path))
      assert.ok(!text.includes('createRequire('), `${path} loads by require`);
  }
  assert.match(FILES.get('readers/native.ts')?.text ?? '', /\.node['"`]/);
});

test('the clock is asked in model/clock.ts only', () => {
  for (const { path, text } of FILES.values()) {
    if (path !== 'model/clock.ts') assert.ok(!/\bDate\.now\b|\bprocess\.hrtime\b|\bperformance\.now\b|\bnew Date\(\)/.test(text), `${path} asks a clock`);
  }
  assert.match(FILES.get('model/clock.ts')?.text ?? '', /Date\.now\(\)/);
});

test('every folder with a definition is discovered, and every definition is named after its folder', async () => {
  const folders = readdirSync(join(SOURCES, 'collectors'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  for (const folder of folders)
    for (const file of ['collector.ts', 'collect.ts']) assert.ok(existsSync(join(SOURCES, 'collectors', folder, file)), `collectors/${folder} has no ${file}`);
  assert.deepEqual(collectorNames(), folders.sort());
});
