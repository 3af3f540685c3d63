import { type Family, family } from '../../../model/family.ts';
import { viewPart } from '../part.ts';

const counter = (name: string, help: string): Family => family(`pg_stat_bgwriter_${name}_total`, 'counter', help);

interface BgwriterColumn {
  readonly family: Family;
  /** Expression on pg_stat_bgwriter before PostgreSQL 17. */
  readonly before17: string;
  /** Expression on pg_stat_bgwriter `b` and pg_stat_checkpointer `c` since 17; left out when the number is gone. */
  readonly since17?: string;
}

/**
 * PostgreSQL 17 moved the checkpoint numbers to pg_stat_checkpointer, where the peer stops printing these names. They mean
 * the same there, so they go on; what backends wrote themselves is gone from both views.
 */
const COLUMNS: readonly BgwriterColumn[] = [
  { family: counter('checkpoints_timed', 'Checkpoints started because checkpoint_timeout had passed.'), before17: 'checkpoints_timed', since17: 'c.num_timed' },
  {
    family: counter('checkpoints_req', 'Checkpoints started on request, such as by the amount of WAL.'),
    before17: 'checkpoints_req',
    since17: 'c.num_requested',
  },
  { family: counter('checkpoint_write_time', 'Milliseconds checkpoints spent writing files.'), before17: 'checkpoint_write_time', since17: 'c.write_time' },
  {
    family: counter('checkpoint_sync_time', 'Milliseconds checkpoints spent synchronizing files to disk.'),
    before17: 'checkpoint_sync_time',
    since17: 'c.sync_time',
  },
  { family: counter('buffers_checkpoint', 'Buffers written by checkpoints.'), before17: 'buffers_checkpoint', since17: 'c.buffers_written' },
  { family: counter('buffers_clean', 'Buffers written by the background writer.'), before17: 'buffers_clean', since17: 'b.buffers_clean' },
  {
    family: counter('maxwritten_clean', 'Times the background writer stopped a cleaning scan because it had written too many buffers.'),
    before17: 'maxwritten_clean',
    since17: 'b.maxwritten_clean',
  },
  { family: counter('buffers_backend', 'Buffers written by backends themselves (before PostgreSQL 17).'), before17: 'buffers_backend' },
  { family: counter('buffers_backend_fsync', 'Times a backend had to call fsync itself (before PostgreSQL 17).'), before17: 'buffers_backend_fsync' },
  { family: counter('buffers_alloc', 'Buffers allocated.'), before17: 'buffers_alloc', since17: 'b.buffers_alloc' },
  {
    family: counter('stats_reset', 'Unix time in seconds at which these statistics were last reset.'),
    before17: 'floor(extract(epoch FROM stats_reset))::bigint',
    since17: 'floor(extract(epoch FROM b.stats_reset))::bigint',
  },
];

/** View pg_stat_bgwriter, since PostgreSQL 17 together with pg_stat_checkpointer. */
export const statBgwriter = viewPart({
  name: 'stat_bgwriter',
  families: COLUMNS.map((column) => column.family),
  query(versionNumber) {
    const split = versionNumber >= 170000;
    const printed = COLUMNS.filter((column) => !split || column.since17 !== undefined);
    const expressions = printed.map((column) => (split ? column.since17 : column.before17));
    const from = split ? 'pg_catalog.pg_stat_bgwriter b, pg_catalog.pg_stat_checkpointer c' : 'pg_catalog.pg_stat_bgwriter';
    return { text: `SELECT ${expressions.join(', ')} FROM ${from}`, columns: printed.map((column) => ({ family: column.family, ifNull: 'zero' })) };
  },
});
