import { BusConnection } from './connection.ts';

/** A socket that may answer. */
export interface Address {
  readonly path: string;
  readonly isBus: boolean;
}

/** A connection that is made when it is needed, kept, and made again when it was lost. */
export class KeptConnection {
  readonly #addresses: readonly Address[];
  #connection: BusConnection | undefined;

  /** @param addresses tried in order */
  constructor(addresses: readonly Address[]) {
    this.#addresses = addresses;
  }

  /** Throws CollectError: that of the first address, which is the one to be mended. */
  async get(signal: AbortSignal): Promise<BusConnection> {
    if (this.#connection?.isOpen === true) return this.#connection;
    let first: unknown;
    for (const { path, isBus } of this.#addresses) {
      try {
        this.#connection = await BusConnection.open(path, isBus, signal);
        return this.#connection;
      } catch (error) {
        first ??= error;
        if (signal.aborted) break;
      }
    }
    throw first;
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
