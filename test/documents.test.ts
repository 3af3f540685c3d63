import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The package's folder, whether this runs from source or compiled. */
const ROOT =
  [new URL('..', import.meta.url), new URL('../..', import.meta.url)]
    .map((url) => fileURLToPath(url))
    .find((folder) => existsSync(join(folder, 'package.json'))) ?? '';

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Words of the only match of a pattern's first group. */
function found(path: string, pattern: RegExp): string {
  const [match, ...others] = read(path).matchAll(new RegExp(pattern, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`));
  assert.ok(match?.[1] !== undefined && others.length === 0, `${path}: expected one ${pattern}`);
  return match[1];
}

function quoted(text: string, mark: string): string[] {
  return text
    .split(mark)
    .filter((_, i) => i % 2 === 1)
    .sort();
}

/** Layer to what it may import, as the test of imports has it. */
function allowedByTest(): Record<string, string[]> {
  const rows = found('test/imports.test.ts', /^const ALLOWED: [^=]*= \{\n([\s\S]*?)^\};/m)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): [string, string[]] => {
      const [, layer, list] = /^ {2}(\w+): \[(.*)\],$/.exec(line) ?? [];
      assert.ok(layer !== undefined && list !== undefined, `imports.test.ts: expected "layer: [...],", not ${line}`);
      return [layer, quoted(list, "'")];
    });
  return Object.fromEntries(rows);
}

function allowedByDocument(): Record<string, string[]> {
  const rows = [...read('ARCHITECTURE.md').matchAll(/^\| `(\w+)` \|.*\|([^|]*)\|$/gm)].map(([, layer = '', list = '']): [string, string[]] => [
    layer,
    quoted(list, '`'),
  ]);
  return Object.fromEntries(rows);
}

test('ARCHITECTURE.md has the table of imports that is tested', () => {
  const tested = allowedByTest();
  assert.ok(Object.keys(tested).length > 10);
  assert.deepEqual(allowedByDocument(), tested);
});

test('every folder of src is in ARCHITECTURE.md', () => {
  const named = allowedByDocument();
  const folders = readdirSync(join(ROOT, 'src')).filter((name) => !name.includes('.') && readdirSync(join(ROOT, 'src', name)).length > 0);
  assert.ok(folders.length > 10);
  for (const name of folders) assert.ok(name in named, `ARCHITECTURE.md says nothing of src/${name}`);
});

const V8_FLAGS = /^--(?!test)[a-z-]+$/;

/** What stands between `node` and the program. */
function v8Flags(command: string): string[] {
  const words = command.split(/\s+/);
  const node = words.findIndex((word) => /(^|\/)node$/.test(word));
  const program = words.findIndex((word) => word.endsWith('main.js'));
  return words.slice(node + 1, program < 0 ? undefined : program);
}

test('the program is started with the same flags of V8 everywhere', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } };
  const wanted = v8Flags(read('src/main.ts').split('\n', 1)[0] ?? '');
  assert.ok(wanted.length > 0);
  for (const flag of wanted) assert.match(flag, V8_FLAGS);
  assert.deepEqual(v8Flags(scripts.start), wanted, 'package.json');
  assert.deepEqual(v8Flags(found('deploy/exporterd.service', /^ExecStart=(.*)$/m)), wanted, 'deploy/exporterd.service');
  const entry = JSON.parse(found('Dockerfile', /^ENTRYPOINT (.*)$/m)) as string[];
  assert.deepEqual(v8Flags(entry.join(' ')), wanted, 'Dockerfile');
});

test('the image copies what is there and nothing of it is ignored, listens where the daemon does, and runs as nobody', () => {
  const ignored = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '');
  const sources = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, list = '']) => list.split(' '));
  assert.ok(sources.length > 3);
  for (const source of sources) {
    assert.ok(existsSync(join(ROOT, source)), `Dockerfile copies ${source}`);
    assert.ok(!ignored.includes(source), `.dockerignore leaves out ${source}`);
  }
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  assert.ok(files.includes('dist/src'));
  assert.match(read('Dockerfile'), new RegExp(`^EXPOSE ${found('src/config/schema.ts', /prefault\(\['(?::)(\d+)'\]\)/)}$`, 'm'));
  assert.match(read('Dockerfile'), /^USER 65534:65534$/m);
  const health = found('Dockerfile', /(\/-\/[a-z]+)/);
  assert.ok(read('src/daemon/site.ts').includes(`case '${health}':`), `${health} is no path of the daemon`);
});

test('the unit neither falsifies data nor keeps V8 from generating code', () => {
  const settings = new Map([...read('deploy/exporterd.service').matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]));
  assert.ok(settings.size > 20);
  assert.equal(settings.get('Type'), 'simple');
  assert.equal(settings.get('ProtectHome'), 'read-only');
  for (const wrong of ['MemoryDenyWriteExecute', 'PrivateTmp', 'PrivateNetwork', 'PrivateUsers', 'ProtectProc', 'ProcSubset', 'ProtectClock'])
    assert.ok(!settings.has(wrong), `${wrong} hides or falsifies what is collected`);
  // systemd's @system-service has no calls of the clock, which collector timex makes.
  assert.match(settings.get('SystemCallFilter') ?? '', /\badjtimex\b.*\bclock_adjtime\b/);
  assert.ok(settings.get('ExecStart')?.endsWith(' $ARGS'));
  assert.equal(settings.get('EnvironmentFile'), '-/etc/default/exporterd');
  assert.match(read('deploy/exporterd.default'), /^ARGS=/m);
});

/** Documents of ours, below no fixture. */
function documents(): string[] {
  // With file types, or links within the fixtures would be followed in circles.
  const nested = ['docs', 'src', 'test', 'bench', 'native-readers', 'deploy'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name))),
  );
  return ['README.md', 'ARCHITECTURE.md', ...nested.filter((path) => path.endsWith('.md') && !/(^|\/)(fixtures|node_modules|build)\//.test(path))];
}

test('every link within the repository leads to something', () => {
  let links = 0;
  for (const document of documents()) {
    for (const [, target = ''] of read(document).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      assert.ok(existsSync(join(ROOT, dirname(document), target)), `${document} links to ${target}`);
    }
  }
  assert.ok(links > 10, `${links} links`);
});

test('every file that ARCHITECTURE.md names is there', () => {
  const names = [...read('ARCHITECTURE.md').matchAll(/`((?:src|test|docs|native-readers)\/[\w./-]+)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => !/NAME/.test(name));
  assert.ok(names.length > 5, `${names.length} names`);
  for (const name of names) assert.ok(existsSync(join(ROOT, name)), name);
});

test('docs/README.md lists every document', () => {
  const text = read('docs/README.md');
  for (const document of documents().filter((path) => path.startsWith('docs/') && path !== 'docs/README.md'))
    assert.ok(text.includes(`](${document.slice('docs/'.length)})`), `docs/README.md does not link to ${document}`);
});

test('the README has two commands: one runs, one tests', () => {
  const blocks = [...read('README.md').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block.trim());
  assert.deepEqual(blocks, ['npm ci && npm start', 'npm ci && npm test']);
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const script of ['start', 'test']) assert.ok(script in scripts, script);
});
