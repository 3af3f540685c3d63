import type { ReplaySteps } from '../readers/readers.ts';

/**
 * A text in shared memory that one thread replaces and others read whenever they like, without waiting for each other: how
 * a network session hands what it learned (names of containers) to a host session, which cannot wait for messages.
 *
 * One writer. The sequence is odd while the text is being replaced; a reader that meets a change keeps what it had and looks
 * again at its next turn.
 */

const MAX_BYTES = 1 << 26;
const HEAD_BYTES = 16;
// Int32 words of the head.
const SEQUENCE = 0;
const LENGTH = 1;
const ASKED = 2;

export function makeBoard(maxBytes = MAX_BYTES): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_BYTES, { maxByteLength: HEAD_BYTES + maxBytes });
}

/** The writer's side. */
export class BoardWriter {
  readonly #board: SharedArrayBuffer;
  readonly #words: Int32Array;
  #answered = 0;
  #posted = '';

  constructor(board: SharedArrayBuffer) {
    this.#board = board;
    this.#words = new Int32Array(board, 0, HEAD_BYTES / 4);
  }

  /** Replaces the text; the same text again costs nothing. Throws RangeError when the board cannot hold it. */
  post(text: string): void {
    if (text === this.#posted) return;
    const bytes = Buffer.from(text);
    const wanted = HEAD_BYTES + bytes.length;
    if (wanted > this.#board.maxByteLength) throw new RangeError(`a board holds at most ${this.#board.maxByteLength - HEAD_BYTES} bytes, got ${bytes.length}`);
    if (wanted > this.#board.byteLength) this.#board.grow(Math.min(this.#board.maxByteLength, wanted * 2));
    // A writer that died in the middle left an odd number.
    const odd = Atomics.load(this.#words, SEQUENCE) | 1;
    Atomics.store(this.#words, SEQUENCE, odd);
    new Uint8Array(this.#board, HEAD_BYTES).set(bytes);
    Atomics.store(this.#words, LENGTH, bytes.length);
    Atomics.store(this.#words, SEQUENCE, (odd + 1) | 0);
    this.#posted = text;
  }

  /** Whether a reader has asked for something newer since the last call. */
  takeAsked(): boolean {
    const asked = Atomics.load(this.#words, ASKED);
    const isNew = asked !== this.#answered;
    this.#answered = asked;
    return isNew;
  }
}

/** A reader's side. */
export class BoardReader {
  readonly #board: SharedArrayBuffer;
  readonly #words: Int32Array;
  #seen = 0;

  constructor(board: SharedArrayBuffer) {
    this.#board = board;
    this.#words = new Int32Array(board, 0, HEAD_BYTES / 4);
  }

  /** The text when it is another than at the last call; undefined when it is not, or is just being replaced. */
  take(): string | undefined {
    const sequence = Atomics.load(this.#words, SEQUENCE);
    if (sequence === this.#seen || (sequence & 1) === 1) return undefined;
    // A copy: text is not decoded from memory that may change.
    const bytes = new Uint8Array(this.#board, HEAD_BYTES).slice(0, Atomics.load(this.#words, LENGTH));
    if (Atomics.load(this.#words, SEQUENCE) !== sequence) return undefined;
    this.#seen = sequence;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  }

  /** Adds what replayed runs rely on: the text is the one that was taken last. */
  replay(steps: ReplaySteps): void {
    steps.word(this.#words, SEQUENCE, this.#seen);
  }

  /** Tells the writer that what is on the board does not suffice. */
  ask(): void {
    Atomics.add(this.#words, ASKED, 1);
  }
}
