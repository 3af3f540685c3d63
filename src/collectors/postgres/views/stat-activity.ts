import { family } from '../../../model/family.ts';
import { viewPart } from '../part.ts';

const LABELS = ['application_name', 'backend_type', 'datname', 'state', 'usename', 'wait_event', 'wait_event_type'];
const COUNT = family('pg_stat_activity_count', 'gauge', 'Sessions by database, state, user, application and what they wait for.', LABELS);
const MAX_TX_DURATION = family('pg_stat_activity_max_tx_duration', 'gauge', 'Age in seconds of the longest transaction now open in the group.', LABELS);

const STATES = ['active', 'idle', 'idle in transaction', 'idle in transaction (aborted)', 'fastpath function call', 'disabled'];
const SINCE = 100000;

/**
 * View pg_stat_activity by groups; a database and state without sessions prints one zero with the other labels empty.
 * Our own session is not counted. Sessions whose state we may not see (no pg_monitor) are not counted either.
 */
export const statActivity = viewPart({
  name: 'stat_activity',
  families: [COUNT, MAX_TX_DURATION],
  query: (versionNumber) =>
    versionNumber < SINCE
      ? 'pg_stat_activity has no backend_type before PostgreSQL 10'
      : {
          text: `
SELECT coalesce(a.application_name, ''), coalesce(a.backend_type, ''), d.datname, s.state, coalesce(a.usename, ''),
       coalesce(a.wait_event, ''), coalesce(a.wait_event_type, ''), coalesce(a.sessions, 0), coalesce(a.duration, 0)
FROM pg_catalog.pg_database d
CROSS JOIN (VALUES ${STATES.map((state) => `('${state}')`).join(', ')}) AS s (state)
LEFT JOIN (
  SELECT datname, state, usename::text, application_name, backend_type, wait_event, wait_event_type,
         count(*) AS sessions, max(extract(epoch FROM now() - xact_start))::float8 AS duration
  FROM pg_catalog.pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5, 6, 7
) a ON a.datname = d.datname AND a.state = s.state
ORDER BY 3, 4, 1, 2, 5, 6, 7`,
          columns: [
            { family: COUNT, ifNull: 'zero' },
            { family: MAX_TX_DURATION, ifNull: 'zero' },
          ],
        },
});
