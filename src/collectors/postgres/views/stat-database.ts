import { type Family, family } from '../../../model/family.ts';
import { viewPart } from '../part.ts';
import type { ValueColumn } from '../view-rows.ts';

const LABELS = ['datid', 'datname'];
const counter = (column: string, help: string): Family => family(`pg_stat_database_${column}`, 'counter', help, LABELS);

const NUMBACKENDS = family('pg_stat_database_numbackends', 'gauge', 'Sessions connected to the database now.', LABELS);

/** Columns of pg_stat_database that are printed as they are. */
const PLAIN: readonly Family[] = [
  counter('xact_commit', 'Transactions committed in the database.'),
  counter('xact_rollback', 'Transactions rolled back in the database.'),
  counter('blks_read', 'Disk blocks read because they were not in the buffer cache.'),
  counter('blks_hit', 'Disk blocks found in the buffer cache.'),
  counter('tup_returned', 'Live rows fetched by sequential scans and index entries returned by index scans.'),
  counter('tup_fetched', 'Live rows fetched by index scans.'),
  counter('tup_inserted', 'Rows inserted.'),
  counter('tup_updated', 'Rows updated.'),
  counter('tup_deleted', 'Rows deleted.'),
  counter('conflicts', 'Queries cancelled because they conflicted with recovery; happens on standbys only.'),
  counter('temp_files', 'Temporary files written by queries.'),
  counter('temp_bytes', 'Bytes written to temporary files by queries.'),
  counter('deadlocks', 'Deadlocks detected.'),
  counter('blk_read_time', 'Milliseconds backends spent reading data files; zero unless track_io_timing is on.'),
  counter('blk_write_time', 'Milliseconds backends spent writing data files; zero unless track_io_timing is on.'),
];
const ACTIVE_TIME = counter('active_time_seconds_total', 'Seconds sessions of the database spent executing statements (PostgreSQL 14 and later).');
const STATS_RESET = counter('stats_reset', 'Unix time in seconds at which the statistics of the database were last reset; 0 if never.');

const ACTIVE_TIME_SINCE = 140000;

/** View pg_stat_database. The row of shared objects has no database name and is left out. */
export const statDatabase = viewPart({
  name: 'stat_database',
  families: [NUMBACKENDS, ...PLAIN, ACTIVE_TIME, STATS_RESET],
  query(versionNumber) {
    const columns: ValueColumn[] = [NUMBACKENDS, ...PLAIN].map((one) => ({ family: one, ifNull: 'skip' }));
    const names = columns.map((column) => column.family.name.slice('pg_stat_database_'.length));
    if (versionNumber >= ACTIVE_TIME_SINCE) {
      columns.push({ family: ACTIVE_TIME, ifNull: 'skip', over: 1000 });
      names.push('active_time');
    }
    columns.push({ family: STATS_RESET, ifNull: 'zero' });
    names.push('floor(extract(epoch FROM stats_reset))::bigint');
    return {
      text: `SELECT datid, datname, ${names.join(', ')} FROM pg_catalog.pg_stat_database WHERE datname IS NOT NULL ORDER BY datid`,
      columns,
    };
  },
});
