import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { ExpectedMember, Readers, ReplaySteps, SourceFormat, SourceSet } from '../../readers/readers.ts';
import { Absence } from './absence.ts';
import { RunChain } from './run-chain.ts';

/** A file that holds one number, and the series that it is: `number * times / over`. */
export interface Attribute {
  readonly path: string;
  readonly family: Family;
  readonly labels: readonly string[];
  readonly times?: number;
  readonly over?: number;
}

const ENOENT = 2;

interface Member {
  readonly attribute: Attribute;
  /** Number in the set, or -1 while the file is missing. */
  number: number;
  slot: number;
  readonly absence: Absence;
}

/**
 * Many files of one number each, read by one call: the attributes of a class of devices. A file that cannot be read, or does
 * not hold exactly one number, leaves its series out. A missing one is looked for once a minute.
 */
export class AttributeSet {
  readonly #set: SourceSet;
  readonly #monotonicMs: () => number;
  readonly #members = new Map<string, Member>();
  readonly #chain = new RunChain();

  constructor(readers: Readers, monotonicMs: () => number, format: SourceFormat = { attribute: true }) {
    this.#set = readers.set(format);
    this.#monotonicMs = monotonicMs;
  }

  /** Says anew which attributes there are: call it when the list may have changed. Paths are unique. */
  follow(attributes: readonly Attribute[]): void {
    const wanted = new Set(attributes.map(({ path }) => path));
    for (const [path, member] of this.#members) {
      if (wanted.has(path)) continue;
      if (member.number >= 0) this.#set.remove(member.number);
      this.#members.delete(path);
    }
    for (const attribute of attributes) {
      const known = this.#members.get(attribute.path);
      const number = known?.number ?? this.#set.add(attribute.path);
      this.#members.set(attribute.path, { attribute, number, slot: -1, absence: known?.absence ?? new Absence(this.#monotonicMs) });
    }
  }

  /** Reads them all. Returns how many gave a number. */
  collect(sheet: Sheet): number {
    this.#wake();
    const set = this.#set;
    set.scan();
    if (!this.#chain.continues(sheet)) for (const member of this.#members.values()) member.slot = -1;
    let read = 0;
    for (const member of this.#members.values()) {
      if (member.number < 0) continue;
      const status = set.status[member.number] ?? -ENOENT;
      if (status === -ENOENT) this.#sleep(member);
      if (status < 0 || set.counts[member.number] !== 1) {
        member.slot = -1;
        continue;
      }
      const { family, labels, times = 1, over = 1 } = member.attribute;
      if (member.slot < 0) member.slot = sheet.slot(family, labels);
      sheet.set(member.slot, ((set.numbers[set.start[member.number] ?? 0] ?? 0) * times) / over);
      read += 1;
    }
    return read;
  }

  /** What `collect` of the next runs will do. */
  replay(steps: ReplaySteps): void {
    const set = this.#set;
    const members: ExpectedMember[] = [];
    for (const { attribute, number, slot, absence } of this.#members.values()) {
      if (number < 0) {
        absence.replay(steps, attribute.path);
        continue;
      }
      const expected = { member: number, status: Math.min(0, set.status[number] ?? 0), count: set.counts[number] ?? 0 };
      const { times = 1, over = 1 } = attribute;
      members.push(slot < 0 ? expected : { ...expected, bound: { at: 0, slot, times, over } });
    }
    steps.set(set, members);
  }

  close(): void {
    this.#set.close();
  }

  #sleep(member: Member): void {
    this.#set.remove(member.number);
    member.number = -1;
    member.absence.note();
  }

  #wake(): void {
    for (const member of this.#members.values()) {
      if (member.number < 0 && !member.absence.isRecent()) member.number = this.#set.add(member.attribute.path);
    }
  }
}
