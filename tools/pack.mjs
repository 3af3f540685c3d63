// Packs the compiled program into a few files, so that a thread reads and links those instead of some hundred modules: the
// threads of a start spend most of their time on that. The modules at which threads begin (dist/src/main.js, ...) become
// one line each that loads dist/src/pack; a compiler run undoes it. Nothing else changes: names, folders, stack traces.
//
//   node tools/pack.mjs [folder of the compiled program, dist/src]
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const folder = resolve(process.argv[2] ?? fileURLToPath(new URL('../dist/src', import.meta.url)));
const pack = join(folder, 'pack');
/** Where threads begin. */
const BEGINNINGS = ['main.js', 'daemon/planner.js', 'lanes/host.js', 'lanes/network.js', 'views/builder.js'];
/** They look for files beside themselves: a worker, binaries. */
const APART = ['piscina', '@trufflesuite/uws-js-unofficial'];
const REGISTRY = join(folder, 'collect', 'load-module.js');
const PARTS = 'packed-parts';

const esbuild = await import('esbuild').catch(() => undefined);
if (esbuild === undefined) {
  console.log('tools/pack.mjs: esbuild is not installed; the program runs unpacked, which takes longer to start.');
  process.exit(0);
}

rmSync(pack, { recursive: true, force: true });
const modules = readdirSync(join(folder, 'collectors'), { recursive: true })
  .map((path) => join('collectors', path))
  .filter((path) => /^collectors\/[^/]+\/(collector|collect|collect-[a-z-]+)\.js$/.test(path) || /^collectors\/node\/parts\/[^/.]+\.js$/.test(path))
  .sort();
const parts = modules.filter((path) => path.includes('/parts/'));
const isOn = new Map(await Promise.all(parts.map(async (path) => [path, (await import(pathToFileURL(join(folder, path)).href)).part.enabledByDefault])));

/** Finds what is loaded by a computed name. Parts that are on by default come together, in one file. */
function registry() {
  const lines = modules.map((path) => {
    const load = isOn.get(path)
      ? `() => import(${JSON.stringify(PARTS)}).then(({ all }) => all[${JSON.stringify(path)}])`
      : `() => import(${JSON.stringify(join(folder, path))})`;
    return `  ${JSON.stringify(path)}: ${load},`;
  });
  return `const MODULES = {\n${lines.join('\n')}\n};
const FOLDER = new URL('../', import.meta.url).href;
export async function loadModule(url) {
  const load = url.startsWith(FOLDER) ? MODULES[url.slice(FOLDER.length)] : undefined;
  return load === undefined ? import(url) : load();
}
`;
}

function partsTogether() {
  const on = parts.filter((path) => isOn.get(path));
  const imports = on.map((path, i) => `import * as part${i} from ${JSON.stringify(join(folder, path))};`);
  return `${imports.join('\n')}\nexport const all = {\n${on.map((path, i) => `  ${JSON.stringify(path)}: part${i},`).join('\n')}\n};\n`;
}

await esbuild.build({
  entryPoints: Object.fromEntries(BEGINNINGS.map((path) => [path.slice(0, -'.js'.length).replaceAll('/', '-'), join(folder, path)])),
  outdir: pack,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: APART,
  legalComments: 'none',
  logLevel: 'warning',
  // CommonJS among the dependencies asks for node's modules.
  banner: { js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);" },
  plugins: [
    {
      name: 'pack',
      setup(build) {
        build.onResolve({ filter: new RegExp(`^${PARTS}$`) }, () => ({ path: PARTS, namespace: PARTS }));
        build.onLoad({ filter: /.*/, namespace: PARTS }, () => ({ contents: partsTogether(), resolveDir: folder }));
        build.onLoad({ filter: /\.js$/ }, ({ path }) => {
          if (!path.startsWith(`${folder}/`)) return undefined;
          if (path === REGISTRY) return { contents: registry(), resolveDir: dirname(path) };
          const text = readFileSync(path, 'utf8').replace(/^#!.*\n/, '');
          // Every module keeps its address: what it names lies relative to that.
          return {
            contents: text
              // A namespace of which the bundler sees what is used: the rest of zod, languages above all, is three quarters of it.
              .replace("import { z } from 'zod';", "import * as z from 'zod';")
              .replaceAll('import.meta.url', `new URL(${JSON.stringify(`../${relative(folder, path)}`)}, import.meta.url).href`),
          };
        });
      },
    },
  ],
});

for (const path of BEGINNINGS) {
  const file = join(folder, path);
  const text = readFileSync(file, 'utf8');
  const packed = `./${relative(dirname(path), `pack/${path.slice(0, -'.js'.length).replaceAll('/', '-')}.js`)}`.replace('./../', '../');
  const program = /^#!.*\n/.exec(text)?.[0] ?? '';
  const exported = /^export default /m.test(text) ? `export { default } from '${packed}';\n` : `import '${packed}';\n`;
  writeFileSync(file, program + exported);
}
