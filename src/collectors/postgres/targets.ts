import { z } from 'zod';
import type { Target } from '../../collect/contract.ts';
import { type DsnFields, type PostgresSettings, parseDsn, SSL_MODES, serverLabel, settingsOf } from './dsn.ts';

const targetSchema = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9_.-]+$/, 'a target name has only letters, digits, dot, dash and underscore'),
    dsn: z.string().min(1).optional(),
    dsn_file: z.string().min(1).optional(),
    host: z.string().min(1).optional(),
    port: z.number().int().min(1).max(65535).optional(),
    user: z.string().min(1).optional(),
    password: z.string().optional(),
    password_file: z.string().min(1).optional(),
    database: z.string().min(1).optional(),
    sslmode: z.enum(SSL_MODES).optional(),
    sslrootcert: z.string().min(1).optional(),
    sslcert: z.string().min(1).optional(),
    sslkey: z.string().min(1).optional(),
  })
  .refine((target) => [target.dsn, target.dsn_file, target.host].filter((way) => way !== undefined).length === 1, 'give exactly one of dsn, dsn_file and host')
  .refine((target) => target.password === undefined || target.password_file === undefined, 'give password or password_file, not both');

export const postgresOptions = z.strictObject({
  targets: z.array(targetSchema).default([]).meta({
    description:
      'servers: each has a `name` and one of `dsn`, `dsn_file` and `host`; `port`, `user`, `password` or `password_file`, `database`, `sslmode`, `sslrootcert`, `sslcert` and `sslkey` replace what stands in the data source name',
  }),
  exclude_databases: z.array(z.string()).default([]).meta({ description: 'databases without `pg_database_*` series' }),
});
export type PostgresOptions = z.infer<typeof postgresOptions>;

type Environment = Readonly<Record<string, string | undefined>>;
type ReadSecret = (path: string) => string;

/**
 * Targets of the configuration; without any, those of postgres_exporter's variables. DATA_SOURCE_NAME is cut at every
 * comma as the peer does: the parts are named `default`, `default2`, `default3`.
 */
export function postgresTargets(options: PostgresOptions, environment: Environment, readSecret: ReadSecret): readonly Target[] {
  if (options.targets.length > 0) return options.targets.map((target) => named(target.name, configured(target, readSecret), environment, readSecret));
  return environmentDsns(environment, readSecret).map((dsn, i) => named(i === 0 ? 'default' : `default${i + 1}`, () => parseDsn(dsn), environment, readSecret));
}

function named(name: string, fields: () => DsnFields, environment: Environment, readSecret: ReadSecret): Target {
  try {
    const settings: PostgresSettings = settingsOf(fields(), environment, readSecret);
    return { name, settings, address: serverLabel(settings) };
  } catch (error) {
    throw new Error(`postgres target ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function configured(target: PostgresOptions['targets'][number], readSecret: ReadSecret): () => DsnFields {
  return () => {
    const dsn = target.dsn ?? (target.dsn_file === undefined ? undefined : readSecret(target.dsn_file).trim());
    const fields = new Map<string, string>(dsn === undefined ? [] : parseDsn(dsn));
    const password = target.password_file === undefined ? target.password : readSecret(target.password_file).trim();
    const given = { host: target.host, port: target.port?.toString(), user: target.user, password, dbname: target.database };
    const tls = { sslmode: target.sslmode, sslrootcert: target.sslrootcert, sslcert: target.sslcert, sslkey: target.sslkey };
    for (const [key, value] of Object.entries({ ...given, ...tls })) if (value !== undefined) fields.set(key, value);
    return fields;
  };
}

/** DATA_SOURCE_NAME, else DATA_SOURCE_URI with user and password, each also as `_FILE`. */
function environmentDsns(environment: Environment, readSecret: ReadSecret): string[] {
  const whole = environment['DATA_SOURCE_NAME'];
  if (whole !== undefined && whole !== '') return whole.split(',');
  const read = (name: string): string => {
    const file = environment[`${name}_FILE`];
    return file === undefined || file === '' ? (environment[name] ?? '') : readSecret(file).trim();
  };
  const uri = read('DATA_SOURCE_URI');
  if (uri === '') return [];
  return [`postgresql://${encodeURIComponent(read('DATA_SOURCE_USER'))}:${encodeURIComponent(read('DATA_SOURCE_PASS'))}@${uri}`];
}
