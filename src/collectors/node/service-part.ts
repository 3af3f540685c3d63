import type { Outcome, Roots } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Family } from '../../model/family.ts';
import type { PartOption, PartOptions } from './options.ts';

/**
 * A part that asks another program, which may not answer: `services/NAME/part.ts` exports it as `part` (data only, the main
 * thread loads it), `services/NAME/collect.ts` exports `open`. It runs in the network pool with a deadline of its own.
 */
export interface ServicePart {
  /** The peer's name, which is also the folder's. */
  readonly name: string;
  readonly enabledByDefault: boolean;
  readonly families: readonly Family[];
  readonly options?: readonly PartOption[];
}

/** What a service is opened with. */
export interface ServiceScope {
  readonly options: PartOptions;
  readonly roots: Roots;
  /** Addresses of the system bus. */
  readonly systemBus: string;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  readonly warn: (message: string) => void;
}

export interface Service {
  /** One run; connects where there is no connection. Samples are set when every answer is there, so that a failed run shows nothing old. */
  collect(sheet: Sheet, signal: AbortSignal): Promise<Outcome>;
  /** Safe to call twice. */
  close(): void;
}

/** `services/NAME/collect.ts`. */
export interface ServiceModule {
  open(scope: ServiceScope): Service;
}

/** What the definition hands to its services, as settings of the target. */
export interface ServiceSettings {
  readonly systemBus: string;
}
