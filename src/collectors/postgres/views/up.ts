import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { serverLabel } from '../dsn.ts';
import type { PostgresPart } from '../part.ts';
import { type ValueColumn, ViewRows } from '../view-rows.ts';

export const UP = family('pg_up', 'gauge', 'Whether the server could be reached and let us in: 1 yes, 0 no.');
export const LAST_SCRAPE_ERROR = family(
  'pg_exporter_last_scrape_error',
  'gauge',
  'Whether the last run could not connect or its basic queries failed: 1 yes, 0 no.',
);
export const LAST_SCRAPE_DURATION = family('pg_exporter_last_scrape_duration_seconds', 'gauge', 'Seconds the last run of the basic queries took.');
export const SCRAPES = family('pg_exporter_scrapes_total', 'counter', 'Runs of the basic queries since the start.');
const STATIC = family('pg_static', 'untyped', 'Constant 1; the labels give the version of the server.', ['server', 'short_version', 'version']);

const LABELS = ['datid', 'datname', 'server'];
const conflict = (column: string, what: string): Family =>
  family(`pg_stat_database_conflicts_${column}`, 'counter', `Queries cancelled on this standby because of ${what}.`, LABELS);
/** Columns known to be counters; a column that a newer server adds is printed as untyped. */
const CONFLICTS: readonly Family[] = [
  conflict('confl_tablespace', 'dropped tablespaces'),
  conflict('confl_lock', 'lock timeouts'),
  conflict('confl_snapshot', 'old snapshots'),
  conflict('confl_bufferpin', 'pinned buffers'),
  conflict('confl_deadlock', 'deadlocks'),
];
/** Since PostgreSQL 16; the peer has no entry for it and prints it untyped. */
const LOGICAL_SLOT = family(
  'pg_stat_database_conflicts_confl_active_logicalslot',
  'untyped',
  'Queries cancelled on this standby because of logical replication slots.',
  LABELS,
);

/** `PostgreSQL 15.18 (Debian ...)` gives 15.18.0, `EnterpriseDB 9.6.24.31` gives 9.6.24, `PostgreSQL 18beta1` gives 18.0.0. */
export function shortVersion(version: string): string | undefined {
  const [, numbers] = /^\S+\s+(\d+(?:\.\d+)*)/.exec(version) ?? [];
  if (numbers === undefined) return undefined;
  const [major = '0', minor = '0', patch = '0'] = numbers.split('.');
  return `${major}.${minor}.${patch}`;
}

/** What the peer prints outside its collectors: liveness, version, recovery conflicts (view pg_stat_database_conflicts). */
export const up: PostgresPart = {
  name: 'up',
  enabledByDefault: true,
  families: [UP, LAST_SCRAPE_ERROR, LAST_SCRAPE_DURATION, SCRAPES, STATIC, ...CONFLICTS, LOGICAL_SLOT],
  open({ settings }) {
    const label = serverLabel(settings);
    let version = -1;
    let columns: ValueColumn[] = [];
    let rows = new ViewRows([]);
    return async ({ server, ask, sheet }) => {
      if (server.versionNumber !== version) {
        version = server.versionNumber;
        const families = version >= 160000 ? [...CONFLICTS, LOGICAL_SLOT] : CONFLICTS;
        columns = families.map((one) => ({ family: one, ifNull: 'omit' }));
        rows = new ViewRows(columns);
      }
      const short = shortVersion(server.version);
      if (short !== undefined) sheet.sample(STATIC, [label, short, server.version], 1);
      const names = columns.map((column) => column.family.name.slice('pg_stat_database_conflicts_'.length));
      const found = await ask(`SELECT datid, datname, ${names.join(', ')} FROM pg_catalog.pg_stat_database_conflicts ORDER BY datid`);
      rows.write(
        found.map(([datid, datname, ...values]) => [datid ?? '', datname ?? '', label, ...values]),
        sheet,
      );
      return OK;
    };
  },
};
