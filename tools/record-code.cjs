'use strict';
/**
 * Preloaded (`node --require`) into the threads of a program that tools/keep-code.mjs runs: writes the code that V8 has made of
 * the packed program's parts beside them. A function is in it once it has run, so that is done again and again: where a thread
 * goes to sleep for good at the latest.
 */
const { renameSync, writeFileSync } = require('node:fs');
const vm = require('node:vm');
const { isMainThread, threadId } = require('node:worker_threads');

const EVERY_MS = 100;
/** The folder of the packed program. */
const { PACK } = process.env;
const PACKED = /^pack(\/[^/]*\.js)\.txt$/;
let write = () => undefined;

// A start does without the flags that the program sets behind it, and V8 compares them.
require('node:v8').setFlagsFromString = () => undefined;

vm.Script = class extends vm.Script {
  constructor(text, options) {
    super(text, options);
    const name = PACKED.exec(options.filename)?.[1];
    if (name === undefined) return;
    const file = PACK + name;
    const { maker } = require(`${PACK}/load.js`);
    write = () => {
      const unfinished = `${file}.${threadId}`;
      writeFileSync(unfinished, Buffer.concat([Buffer.from(maker(), 'latin1'), this.createCachedData()]));
      renameSync(unfinished, `${file}.code`);
    };
  }
};

const wait = Atomics.wait;
Atomics.wait = (...args) => {
  write();
  return wait(...args);
};
process.on('exit', () => write());
if (isMainThread) setInterval(() => write(), EVERY_MS).unref();
