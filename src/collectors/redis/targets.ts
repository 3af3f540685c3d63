import { z } from 'zod';
import type { Target } from '../../collect/contract.ts';
import { addressLabel, parseAddress, passwordFromMap, type RedisAddress } from './address.ts';

const tlsSchema = z.strictObject({
  ca_file: z.string().min(1).optional(),
  cert_file: z.string().min(1).optional(),
  key_file: z.string().min(1).optional(),
  server_name: z.string().min(1).optional(),
  skip_verification: z.boolean().optional(),
});

const targetSchema = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9_.-]+$/, 'a target name has only letters, digits, dot, dash and underscore'),
    address: z.string().min(1),
    user: z.string().min(1).optional(),
    password: z.string().optional(),
    /** The password itself, or the peer's JSON object of addresses and passwords. */
    password_file: z.string().min(1).optional(),
    tls: tlsSchema.optional(),
  })
  .refine((target) => target.password === undefined || target.password_file === undefined, 'give password or password_file, not both')
  .refine((target) => (target.tls?.cert_file === undefined) === (target.tls?.key_file === undefined), 'cert_file and key_file go together');

export const redisOptions = z.strictObject({
  targets: z.array(targetSchema).default([]).meta({
    description:
      'servers: each has a `name` and an `address`, and may have `user`, `password` or `password_file`, and `tls` (`ca_file`, `cert_file`, `key_file`, `server_name`, `skip_verification`)',
  }),
  config_command: z.string().min(1).default('CONFIG').meta({ description: 'name of the command CONFIG where it was renamed; `-` when it must not be used' }),
  include_system_metrics: z.boolean().default(false).meta({ description: 'print `redis_total_system_memory_bytes`' }),
  include_metrics_for_empty_databases: z.boolean().default(true).meta({ description: 'print zeros for databases without keys' }),
});
export type RedisOptions = z.infer<typeof redisOptions>;

/** What a session needs; structured-clonable, holds secrets, is never logged. */
export interface RedisSettings {
  readonly address: RedisAddress;
  /** PEM texts, not paths; undefined without TLS. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly serverName?: string; readonly skipVerification: boolean };
}

type Environment = Readonly<Record<string, string | undefined>>;
type ReadSecret = (path: string) => string;
type Tls = z.infer<typeof tlsSchema>;

/** Targets of the configuration; without any, the one of redis_exporter's variable REDIS_ADDR, named `default`. */
export function redisTargets(options: RedisOptions, environment: Environment, readSecret: ReadSecret): readonly Target[] {
  if (options.targets.length > 0) {
    return options.targets.map(({ name, address, user, password, password_file, tls }) =>
      named(name, () => settingsOf({ address, user, password: password ?? secretOf(password_file, address, user, readSecret), tls }, readSecret)),
    );
  }
  const address = environment['REDIS_ADDR'];
  if (address === undefined || address === '') return [];
  const user = environment['REDIS_USER'];
  const file = environment['REDIS_PASSWORD_FILE'];
  return [
    named('default', () => {
      const plain = environment['REDIS_PASSWORD'] ?? '';
      const password =
        plain === '' && file !== undefined && file !== '' ? passwordFromMap(readSecret(file), address, user ?? parseAddress(address).user) : plain;
      return settingsOf({ address, user, password, tls: environmentTls(environment) }, readSecret);
    }),
  ];
}

function named(name: string, settings: () => RedisSettings): Target {
  try {
    const made = settings();
    return { name, settings: made, address: addressLabel(made.address) };
  } catch (error) {
    throw new Error(`redis target ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function secretOf(file: string | undefined, address: string, user: string | undefined, readSecret: ReadSecret): string | undefined {
  if (file === undefined) return undefined;
  const text = readSecret(file).trim();
  if (!text.startsWith('{')) return text;
  return passwordFromMap(text, address, user ?? parseAddress(address).user);
}

interface Given {
  readonly address: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: Tls | undefined;
}

/** What stands in the address wins over user and password beside it. */
function settingsOf({ address: text, user, password, tls }: Given, readSecret: ReadSecret): RedisSettings {
  const parsed = parseAddress(text);
  const address = {
    ...parsed,
    user: parsed.user === '' && parsed.password === '' ? (user ?? '') : parsed.user,
    password: parsed.password === '' ? (password ?? '') : parsed.password,
  };
  if (!address.tls) return { address };
  const read = (path: string | undefined): string | undefined => (path === undefined ? undefined : readSecret(path));
  const texts = { ca: read(tls?.ca_file), cert: read(tls?.cert_file), key: read(tls?.key_file), serverName: tls?.server_name };
  const given = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined)) as {
    ca?: string;
    cert?: string;
    key?: string;
    serverName?: string;
  };
  return { address, tls: { ...given, skipVerification: tls?.skip_verification ?? false } };
}

function environmentTls(environment: Environment): Tls {
  const text = (name: string): string | undefined => environment[`REDIS_EXPORTER_${name}`] || undefined;
  return {
    ca_file: text('TLS_CA_CERT_FILE'),
    cert_file: text('TLS_CLIENT_CERT_FILE'),
    key_file: text('TLS_CLIENT_KEY_FILE'),
    server_name: text('TLS_SERVER_NAME'),
    skip_verification: /^(1|t|true)$/i.test(text('SKIP_TLS_VERIFICATION') ?? ''),
  };
}
