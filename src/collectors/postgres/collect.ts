import { CollectError, type NetworkSession, type Scope } from '../../collect/contract.ts';
import { PostgresConnection } from './connection.ts';
import type { PostgresSettings } from './dsn.ts';
import { askOf, type ReadPart } from './part.ts';
import { PARTS } from './parts.ts';
import type { PostgresOptions } from './targets.ts';

/** When the scope does not say how long a run may take. */
const DEFAULT_DEADLINE_MS = 10_000;

/** A session with one server: one connection, kept between rounds, on which the parts ask one after the other. */
export function open(scope: Scope): NetworkSession {
  const settings = scope.target.settings as PostgresSettings; // made by `targets` of the definition
  const options = scope.options as PostgresOptions; // validated by the definition's schema
  const connection = new PostgresConnection(settings, scope.deadlineMs ?? DEFAULT_DEADLINE_MS);
  const read = new Map<string, ReadPart>();
  for (const part of PARTS) if (scope.parts.includes(part.name)) read.set(part.name, part.open({ settings, options, warn: scope.warn }));
  return {
    begin: (signal) => connection.ensure(signal),
    async collect(part, sheet, signal) {
      const reader = read.get(part);
      if (reader === undefined) throw new CollectError('bug', scope.target.address, `part ${part} is not switched on`);
      return reader({ server: connection.facts, ask: askOf(connection, part, signal), sheet });
    },
    async close() {
      connection.close();
    },
  };
}

export { reportPostgres as report } from './report.ts';
