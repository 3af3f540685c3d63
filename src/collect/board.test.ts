import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { BoardReader, BoardWriter, makeBoard } from './board.ts';

test('a reader takes each text once, the last one, and asks the writer', () => {
  const board = makeBoard();
  const writer = new BoardWriter(board);
  const reader = new BoardReader(board);
  assert.equal(reader.take(), undefined, 'nothing posted yet');
  writer.post('one');
  writer.post('two ü');
  assert.equal(reader.take(), 'two ü');
  assert.equal(reader.take(), undefined);
  writer.post('two ü');
  assert.equal(reader.take(), undefined, 'the same text is no news');
  writer.post('');
  assert.equal(reader.take(), '', 'shorter than before');
  assert.equal(writer.takeAsked(), false);
  reader.ask();
  reader.ask();
  assert.deepEqual([writer.takeAsked(), writer.takeAsked()], [true, false]);
});

test('a later reader, and a later writer, go on with the board', () => {
  const board = makeBoard();
  new BoardWriter(board).post('first');
  assert.equal(new BoardReader(board).take(), 'first');
  const reader = new BoardReader(board);
  reader.take();
  new Int32Array(board, 0, 1)[0] = 3; // A writer that died in the middle.
  assert.equal(reader.take(), undefined);
  new BoardWriter(board).post('second');
  assert.equal(reader.take(), 'second');
});

test('a text that does not fit is refused with sizes, and the one before stays', () => {
  const board = makeBoard(10);
  const writer = new BoardWriter(board);
  writer.post('0123456789');
  assert.throws(() => writer.post('0123456789a'), /at most 10 bytes, got 11/);
  assert.equal(new BoardReader(board).take(), '0123456789');
});

test('a reader never sees half of one text and half of another', async () => {
  const board = makeBoard();
  const source = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(({ BoardWriter }) => {
      const writer = new BoardWriter(workerData.board);
      for (let i = 0; i < 3000; i++) writer.post(String.fromCharCode(97 + (i % 26)).repeat(1000 + (i % 7) * 1000));
      writer.post('end');
    });`;
  const worker = new Worker(source, { eval: true, workerData: { board, module: new URL('./board.js', import.meta.url).href } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const reader = new BoardReader(board);
  const until = performance.now() + 20_000;
  for (let last = ''; last !== 'end' && performance.now() < until; ) {
    last = reader.take() ?? last;
    if (last !== '' && last !== 'end') assert.ok(/^(.)\1*$/.test(last) && last.length % 1000 === 0, 'one letter throughout');
    await new Promise((resolve) => setImmediate(resolve));
    if (last === 'end') break;
    assert.ok(performance.now() < until, 'the writer never came to its end');
  }
  await ended;
});
