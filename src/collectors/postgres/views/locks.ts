import { family } from '../../../model/family.ts';
import { viewPart } from '../part.ts';

const COUNT = family('pg_locks_count', 'gauge', 'Locks held or waited for, by database and lock mode.', ['datname', 'mode']);

/** Every mode of https://www.postgresql.org/docs/current/explicit-locking.html, and that of serializable reads. */
const MODES = [
  'accesssharelock',
  'rowsharelock',
  'rowexclusivelock',
  'shareupdateexclusivelock',
  'sharelock',
  'sharerowexclusivelock',
  'exclusivelock',
  'accessexclusivelock',
  'sireadlock',
];

/** View pg_locks per database and mode, zero where there is none; locks on shared objects have no database and are not counted. */
export const locks = viewPart({
  name: 'locks',
  families: [COUNT],
  query: () => ({
    text: `
SELECT d.datname, m.mode, coalesce(l.locks, 0)
FROM pg_catalog.pg_database d
CROSS JOIN (VALUES ${MODES.map((mode) => `('${mode}')`).join(', ')}) AS m (mode)
LEFT JOIN (
  SELECT database, lower(mode) AS mode, count(*) AS locks FROM pg_catalog.pg_locks WHERE database IS NOT NULL GROUP BY 1, 2
) l ON l.database = d.oid AND l.mode = m.mode
ORDER BY 1, 2`,
    columns: [{ family: COUNT, ifNull: 'zero' }],
  }),
});
