'use strict';
/** Loads a packed program: NAME.txt as one function, with the code that V8 has made of it before, NAME.code, where that fits. */
const { readFileSync, statSync } = require('node:fs');
const { basename, dirname } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');

/** Length of the first line of a code file: keeps what follows aligned, as V8 wants it. */
const HEAD_BYTES = 128;

/**
 * What made the code must be what runs it. V8 compares its version, its flags and the length of the text by itself, and compiles
 * anew when they differ; but it takes code of another processor or of another build of Node.js for its own.
 */
function maker() {
  return `${process.version} ${process.arch} ${statSync(process.execPath).size}`.padEnd(HEAD_BYTES - 1).concat('\n');
}

/** @returns {Buffer | undefined} nothing where there is no code for this machine: it then is made as it is needed */
function keptCode(path) {
  try {
    const file = readFileSync(path);
    return file.toString('latin1', 0, HEAD_BYTES) === maker() ? file.subarray(HEAD_BYTES) : undefined;
  } catch {
    return undefined;
  }
}

/** @param {NodeModule} module the one that stands for the program */
module.exports = function load(module) {
  const { filename } = module;
  const script = new Script(
    // The bundler leaves only ASCII.
    readFileSync(`${filename}.txt`, 'latin1'),
    // V8 keeps the name with the code: it must not be that of a place on the machine that made it.
    { filename: `pack/${basename(filename)}.txt`, cachedData: keptCode(`${filename}.code`) },
  );
  const program = { exports: {} };
  const packUrl = pathToFileURL(filename).href;
  script.runInThisContext()(program.exports, (name) => module.require(name), program, filename, dirname(filename), packUrl, (url) => import(url));
  return program.exports;
};
module.exports.maker = maker;
