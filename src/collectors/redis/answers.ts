import type { Sheet } from '../../collect/sheet.ts';
import { writeCommandStats } from './command-stats.ts';
import { databasesOf, writeConfig } from './config.ts';
import type { Reply } from './connection.ts';
import type { FieldWriter } from './fields.ts';
import type { InfoLine } from './info.ts';
import { writeInstance } from './instance.ts';
import { isKeyspaceLine, writeKeyspace } from './keyspace.ts';
import { writeReplication } from './replication.ts';
import { writeSlowlog } from './slowlog.ts';

/** What one round trip brought. */
export interface Answers {
  readonly info: readonly InfoLine[];
  readonly config: ReadonlyMap<string, string> | undefined;
  readonly slowlog: readonly Reply[];
  /** CLUSTER INFO; empty outside cluster mode. */
  readonly cluster: readonly InfoLine[];
}

/** Without CONFIG the peer takes the default of redis.conf. */
const USUAL_DATABASES = 16;
const STATS_SECTIONS = new Set(['Commandstats', 'Errorstats', 'Latencystats']);

/** Values of lines by key; the last one counts where a key stands twice. */
export function byKey(lines: readonly InfoLine[]): ReadonlyMap<string, string> {
  return new Map(lines.map(({ key, value }) => [key, value]));
}

/** @param includeEmpty print zeros for databases without keys */
export function writeAnswers({ info, config, slowlog, cluster }: Answers, includeEmpty: boolean, fields: FieldWriter, sheet: Sheet): void {
  const plain: InfoLine[] = [];
  const stats: InfoLine[] = [];
  const keyspace: InfoLine[] = [];
  const replication: InfoLine[] = [];
  for (const line of info) {
    if (STATS_SECTIONS.has(line.section)) stats.push(line);
    else if (isKeyspaceLine(line)) keyspace.push(line);
    else {
      if (line.section === 'Replication') replication.push(line);
      plain.push(line);
    }
  }
  fields.write([...plain, ...cluster], sheet);
  writeInstance(byKey(plain), sheet);
  writeReplication(replication, sheet);
  writeCommandStats(stats, sheet);
  const databases = cluster.length > 0 ? 1 : (databasesOf(config) ?? USUAL_DATABASES);
  writeKeyspace(keyspace, includeEmpty ? databases : 0, sheet);
  if (config !== undefined) writeConfig(config, sheet);
  writeSlowlog(slowlog, sheet);
}
