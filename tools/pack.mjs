// Packs the compiled program into a file per kind of thread, with V8's code of what a start runs beside it, so that a thread
// neither reads and links some hundred modules nor compiles them: that is most of a start. dist/src/main.js becomes a line
// that begins in dist/src/pack; a compiler run undoes it. Nothing else changes: names, folders, stack traces.
//
//   node tools/pack.mjs [folder of the compiled program, dist/src]
import { readdirSync, readFileSync, rmSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { keepCode } from './keep-code.mjs';

const folder = resolve(process.argv[2] ?? fileURLToPath(new URL('../dist/src', import.meta.url)));
const pack = join(folder, 'pack');
/** Where threads begin. */
const MAIN = 'main.js';
const PLANNER = 'daemon/planner.js';
const HOST = 'lanes/host.js';
const NETWORK = 'lanes/network.js';
const BUILDER = 'views/builder.js';
/** They look for binaries beside themselves. */
const APART = ['@trufflesuite/uws-js-unofficial', '@napi-rs/nice'];
const LOADER = join(folder, 'collect', 'load-module.js');

const esbuild = await import('esbuild').catch(() => undefined);
if (esbuild === undefined) {
  console.log('tools/pack.mjs: esbuild is not installed; the program runs unpacked, which takes longer to start.');
  process.exit(0);
}

const main = join(folder, MAIN);
if (readFileSync(main, 'utf8').includes(`./pack/${MAIN}`)) {
  console.error(`tools/pack.mjs: ${main} is packed already; compile it first.`);
  process.exit(1);
}

const packedName = (path) => path.replaceAll('/', '-');

const load = (path) => import(pathToFileURL(join(folder, path)).href);

/**
 * What each kind of thread loads by a computed name: what the planner reads of the collectors, and what they say runs where.
 * `ahead`: what it loads where nothing is configured.
 */
async function modulesByThread() {
  const paths = readdirSync(join(folder, 'collectors'), { recursive: true }).map((path) => join('collectors', path));
  const matching = (pattern) => paths.filter((path) => pattern.test(path)).sort();
  const definitions = matching(/^collectors\/[^/]+\/collector\.js$/);
  const parts = matching(/^collectors\/node\/parts\/[^/.]+\.js$/);
  const services = matching(/^collectors\/node\/services\/[^/]+\/part\.js$/);
  const workers = { host: new Set(), network: new Set() };
  for (const path of definitions) {
    const definition = await (await load(path)).default;
    workers[definition.pool].add(definition.worker.href);
    for (const { elsewhere } of definition.parts) if (elsewhere !== undefined) workers[elsewhere.pool].add(elsewhere.worker.href);
  }
  const isOn = new Map(await Promise.all(parts.map(async (path) => [path, (await load(path)).part.enabledByDefault])));
  const pathsOf = (urls) => [...urls].map((url) => relative(folder, fileURLToPath(url))).sort();
  return new Map([
    [MAIN, { modules: [], ahead: [] }],
    [PLANNER, { modules: [...definitions, ...parts, ...services], ahead: [] }],
    [HOST, { modules: [...pathsOf(workers.host), ...parts], ahead: parts.filter((path) => isOn.get(path)) }],
    [NETWORK, { modules: [...pathsOf(workers.network), ...services, ...matching(/^collectors\/node\/services\/[^/]+\/collect\.js$/)], ahead: [] }],
    [BUILDER, { modules: [], ahead: [] }],
  ]);
}

/** Takes the place of collect/load-module.js: finds what is loaded by a computed name, and threads, among what is packed. */
function loader({ modules, ahead }) {
  const lines = modules.map((path) => `  ${JSON.stringify(path)}: () => import(${JSON.stringify(join(folder, path))}),`);
  return `const MODULES = {\n${lines.join('\n')}\n};
const FOLDER = new URL('../', packUrl).href;
export async function loadModule(url) {
  const load = url.startsWith(FOLDER) ? MODULES[url.slice(FOLDER.length)] : undefined;
  return load === undefined ? importModule(url) : load();
}
export function preloadModules(urls) {
  const paths = urls.length === 0 ? [] : ${JSON.stringify(ahead)};
  for (const url of [...urls, ...paths.map((path) => FOLDER + path)]) loadModule(url).catch(() => undefined);
}
export function threadFile(path) {
  return new URL(path.replaceAll('/', '-'), packUrl);
}
`;
}

/** Every module keeps its address: what it names lies relative to that. */
function packedModule(path) {
  return (
    readFileSync(path, 'utf8')
      .replace(/^#!.*\n/, '')
      // A namespace of which the bundler sees what is used: the rest of zod, languages above all, is three quarters of it.
      .replace("import { z } from 'zod';", "import * as z from 'zod';")
      .replaceAll('import.meta.url', `new URL(${JSON.stringify(`../${relative(folder, path)}`)}, packUrl).href`)
  );
}

/** Of this module, which takes 3 ms per thread to load, Piscina uses what is global; the rest only where it measures run times. */
function leavePerfHooks(build) {
  build.onResolve({ filter: /^node:perf_hooks$/ }, () => ({ path: 'perf_hooks', namespace: 'global' }));
  build.onLoad({ filter: /.*/, namespace: 'global' }, () => ({
    contents: "module.exports = { get performance() { return performance; }, get createHistogram() { return require('perf_hooks').createHistogram; } };",
  }));
}

const common = { bundle: true, format: 'cjs', platform: 'node', target: 'node20', external: APART, legalComments: 'none', logLevel: 'warning' };

async function packThread(path, modules) {
  await esbuild.build({
    ...common,
    entryPoints: [join(folder, path)],
    outfile: join(pack, `${packedName(path)}.txt`),
    // The frame that pack/load.js calls.
    banner: { js: '(function (exports, require, module, __filename, __dirname, packUrl, importModule) {' },
    footer: { js: '})' },
    plugins: [
      {
        name: 'pack',
        setup(build) {
          leavePerfHooks(build);
          build.onLoad({ filter: /\.js$/ }, ({ path: file }) => {
            if (!file.startsWith(`${folder}/`)) return undefined;
            return { contents: file === LOADER ? loader(modules) : packedModule(file), resolveDir: dirname(file) };
          });
        },
      },
    ],
  });
  writeFileSync(join(pack, packedName(path)), `module.exports = require('./load.js')(module);\n`);
}

rmSync(pack, { recursive: true, force: true });
mkdirSync(pack);
writeFileSync(join(pack, 'package.json'), '{ "type": "commonjs" }\n');
copyFileSync(new URL('load.cjs', import.meta.url), join(pack, 'load.js'));
// Piscina looks for this beside itself.
await esbuild.build({
  ...common,
  entryPoints: [join(dirname(createRequire(import.meta.url).resolve('piscina')), 'worker.js')],
  outfile: join(pack, 'worker.js'),
  plugins: [{ name: 'pack', setup: leavePerfHooks }],
});
for (const [path, modules] of await modulesByThread()) await packThread(path, modules);

const firstLine = /^#!.*\n/.exec(readFileSync(main, 'utf8'))?.[0] ?? '';
writeFileSync(main, `${firstLine}import { createRequire } from 'node:module';\ncreateRequire(import.meta.url)('./pack/${MAIN}');\n`);
// Without a target there is no thread for sockets.
const recorded = [MAIN, PLANNER, HOST, BUILDER].map((path) => join(pack, `${packedName(path)}.code`));
await keepCode(main, recorded).catch((error) => {
  console.log(`tools/pack.mjs: no code is kept, so that V8 compiles at each start: ${error.message}`);
});
