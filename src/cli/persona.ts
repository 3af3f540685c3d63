import type { CollectorDefinition, Role } from '../collect/contract.ts';
import type { Field } from '../config/fields.ts';
import type { Dialect, FlagForm, GivenFlag } from './args.ts';

/** What a peer's flag does here. */
export type Meaning =
  /** Sets a key of ours; `convert` where the peer writes the value differently. */
  | { readonly kind: 'key'; readonly key: string; readonly convert?: (value: string) => string }
  /** Accepted; given, it causes one warning that says why it has no effect. `isNoOp` tells values that ask for nothing. */
  | { readonly kind: 'ignored'; readonly why: string; readonly isNoOp?: (value: string | boolean) => boolean }
  /** Accepted only where it asks for nothing: dropping it silently would leave something open that the user wanted closed. */
  | { readonly kind: 'refused'; readonly isNoOp: (value: string | boolean) => boolean; readonly why?: string }
  /** Sets what `Persona.translate` makes of it; here is what is wrong with a value, and what of it has no effect. */
  | {
      readonly kind: 'translated';
      /** For documents: `container.collectors.NAME`. */
      readonly sets: string;
      readonly problem?: (value: string | boolean) => string | undefined;
      readonly warning?: (value: string | boolean) => string | undefined;
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

export interface PersonaFlag extends FlagForm {
  readonly help: string;
  /** '' for switches. */
  readonly metavar: string;
  readonly isHidden: boolean;
  readonly meaning: Meaning;
  /** The peer's own environment variable for it. */
  readonly variable?: string;
  /** The flag that took its place; using the old one causes a warning. */
  readonly replacedBy?: string;
}

/** What the page of a persona is made of, for whoever builds pages. */
export interface PersonaPage {
  readonly roles: readonly Role[];
  /** `node_exporter_build_info` */
  readonly buildInfo: string;
  /** process_* of this process are on the page, unless `web.disable_exporter_metrics` says otherwise. */
  readonly hasProcessMetrics: boolean;
}

/** A peer whose place the daemon takes: its command line, its defaults, its page. Data; a new one is a new table. */
export interface Persona {
  /** The peer's program name, which is also the word that selects the persona. */
  readonly name: string;
  /** The peer's release that the tables were taken from. */
  readonly version: string;
  readonly dialect: Dialect;
  /** Keys that start out differently from the daemon's own defaults. */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly page: PersonaPage;
  /** Flags of the peer, made for the collectors at hand. */
  readonly flags: (definitions: readonly CollectorDefinition[], fields: readonly Field[]) => readonly PersonaFlag[];
  /** Rewrites what was given where flags of the peer are not one key of ours each, into flags of ours. */
  readonly translate?: (given: readonly GivenFlag[]) => readonly GivenFlag[];
}
