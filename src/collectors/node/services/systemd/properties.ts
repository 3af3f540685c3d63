import type { Encoded } from '../dbus/connection.ts';
import { ERROR, FormatError, type Message, encodeCall, propertyCall } from '../dbus/message.ts';

const SYSTEMD = 'org.freedesktop.systemd1';

type Basic = string | number | boolean;

/**
 * A property of systemd or of one of its units, and the call that asks for it. One property per call, since systemd reads
 * control group files for some of the two hundred that GetAll gives.
 */
export class Property<T extends Basic = Basic> implements Encoded {
  readonly bytes: Buffer;
  /** When the run began in which it was last answered, monotonic ms. */
  answeredMs = Number.NEGATIVE_INFINITY;
  /** Undefined where systemd answered with an error: an older release, or the unit is gone. */
  value: T | undefined;
  readonly #name: string;
  readonly #isExpected: (value: Basic) => value is T;

  private constructor(path: string, kind: string, name: string, isExpected: (value: Basic) => value is T) {
    this.bytes = encodeCall(propertyCall(SYSTEMD, path, `${SYSTEMD}.${kind}`, name));
    this.#name = `${kind}.${name}`;
    this.#isExpected = isExpected;
  }

  /** @param kind `Manager`, `Unit`, `Service`, ...: the interface's last word */
  static text(path: string, kind: string, name: string): Property<string> {
    return new Property(path, kind, name, (value) => typeof value === 'string');
  }

  static number(path: string, kind: string, name: string): Property<number> {
    return new Property(path, kind, name, (value) => typeof value === 'number');
  }

  static flag(path: string, kind: string, name: string): Property<boolean> {
    return new Property(path, kind, name, (value) => typeof value === 'boolean');
  }

  /** Throws FormatError. */
  answer(reply: Message, startedMs: number): void {
    this.answeredMs = startedMs;
    this.value = undefined;
    if (reply.kind === ERROR) return;
    reply.expect('v');
    const value = reply.variant();
    if (!this.#isExpected(value)) throw new FormatError(`${this.#name} is of another type: ${value}`);
    this.value = value;
  }
}
