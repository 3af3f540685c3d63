import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { PostgresPart } from '../part.ts';
import { ViewRows } from '../view-rows.ts';

const CONNECTION_LIMIT = family(
  'pg_database_connection_limit',
  'gauge',
  'Sessions the database accepts at the same time (pg_database.datconnlimit); -1 means no limit.',
  ['datname'],
);
const SIZE = family('pg_database_size_bytes', 'gauge', 'Disk space of the database in bytes, by pg_database_size().', ['datname']);

const LIMITS = 'SELECT datname, coalesce(datconnlimit, 0) FROM pg_catalog.pg_database ORDER BY datname';

/** pg_database_size() throws for a database we may not connect to; such a one is left out instead of spoiling the others. */
const SIZES = `
SELECT datname, pg_catalog.pg_database_size(oid)
FROM pg_catalog.pg_database
WHERE has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'MEMBER')
ORDER BY datname`;

/** View pg_database and one size per database: a walk over the database's files, so slow on clusters with many tables. */
export const database: PostgresPart = {
  name: 'database',
  enabledByDefault: true,
  families: [CONNECTION_LIMIT, SIZE],
  open({ options }) {
    const excluded = new Set(options.exclude_databases);
    const limits = new ViewRows([{ family: CONNECTION_LIMIT, ifNull: 'zero' }]);
    const sizes = new ViewRows([{ family: SIZE, ifNull: 'omit' }]);
    return async ({ ask, sheet }) => {
      const kept = (name: string | null | undefined): boolean => !excluded.has(name ?? '');
      limits.write(
        (await ask(LIMITS, 'limits')).filter(([name]) => kept(name)),
        sheet,
      );
      sizes.write(
        (await ask(SIZES, 'sizes')).filter(([name]) => kept(name)),
        sheet,
      );
      return OK;
    };
  },
};
