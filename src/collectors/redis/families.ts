import { family } from '../../model/family.ts';
import { COMMAND_FAMILIES } from './command-stats.ts';
import { CONFIG_FAMILIES } from './config.ts';
import { FIELD_FAMILIES } from './fields.ts';
import { INSTANCE_FAMILIES } from './instance.ts';
import { KEYSPACE_FAMILIES } from './keyspace.ts';
import { REPLICATION_FAMILIES } from './replication.ts';
import { REPORT_FAMILIES } from './report.ts';
import { SLOWLOG_FAMILIES } from './slowlog.ts';

export const CONNECT_TIME = family(
  'redis_exporter_last_scrape_connect_time_seconds',
  'gauge',
  'Seconds the last connecting took; a connection is kept over many runs.',
);

/** Every family the role may print. */
export const FAMILIES = [
  CONNECT_TIME,
  ...REPORT_FAMILIES,
  ...FIELD_FAMILIES,
  ...INSTANCE_FAMILIES,
  ...KEYSPACE_FAMILIES,
  ...REPLICATION_FAMILIES,
  ...COMMAND_FAMILIES,
  ...CONFIG_FAMILIES,
  ...SLOWLOG_FAMILIES,
];
