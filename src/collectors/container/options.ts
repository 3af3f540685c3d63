import { z } from 'zod';

/** An option of the container block and the flag of the peer that sets it. */
export interface OptionRow<Type extends z.ZodType = z.ZodType> {
  readonly schema: Type;
  /** The peer's flag, without dashes; none for what the peer has no flag for. */
  readonly flag?: string;
  /** Lower case, no full stop. */
  readonly help: string;
}

/** Every option, once: the schema, documents and the persona's flags are made from this table. */
export const OPTIONS = {
  percpu: {
    schema: z.boolean().default(true),
    help: 'v1: print CPU time per CPU, as standalone cAdvisor does; otherwise one series with cpu="total", as the kubelet does',
  },
  machine_id_file: {
    schema: z.string().default('/etc/machine-id,/var/lib/dbus/machine-id'),
    flag: 'machine_id_file',
    help: 'files that may hold the machine id, separated by commas; the first readable one is taken',
  },
  boot_id_file: {
    schema: z.string().default('/proc/sys/kernel/random/boot_id'),
    flag: 'boot_id_file',
    help: 'files that may hold the boot id, separated by commas; the first readable one is taken',
  },
  pod_mounts: {
    schema: z.boolean().default(false),
    help: 'print overlay and pod file systems (volumes, secrets, shared memory) among those of the machine: several for each pod',
  },
} as const satisfies Record<string, OptionRow>;

export const containerOptions = z.strictObject({
  percpu: described('percpu'),
  machine_id_file: described('machine_id_file'),
  boot_id_file: described('boot_id_file'),
  pod_mounts: described('pod_mounts'),
});

/** The schema of a row with its help, which `--help` and the documents are made from. */
function described<Key extends keyof typeof OPTIONS>(key: Key): (typeof OPTIONS)[Key]['schema'] {
  // A border: describe() returns the schema's own type, which zod's generics lose here.
  return OPTIONS[key].schema.describe(OPTIONS[key].help) as (typeof OPTIONS)[Key]['schema'];
}

export type ContainerOptions = z.infer<typeof containerOptions>;
