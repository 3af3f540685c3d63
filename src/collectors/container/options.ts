import { z } from 'zod';

/** An option of the container block and the flag of the peer that sets it. */
export interface OptionRow<Type extends z.ZodType = z.ZodType> {
  readonly schema: Type;
  /** The peer's flag, without dashes; none for what the peer has no flag for. */
  readonly flag?: string;
  readonly help: string;
}

/** Every option, once: the schema, documents and the persona's flags are made from this table. */
export const OPTIONS = {
  percpu: {
    schema: z.boolean().default(true),
    help: 'Show CPU time per CPU on v1, as standalone cAdvisor does; otherwise one series with cpu="total", as the kubelet does.',
  },
  machine_id_file: {
    schema: z.string().default('/etc/machine-id,/var/lib/dbus/machine-id'),
    flag: 'machine_id_file',
    help: 'Files that may hold the machine id, separated by commas; the first readable one is taken.',
  },
  boot_id_file: {
    schema: z.string().default('/proc/sys/kernel/random/boot_id'),
    flag: 'boot_id_file',
    help: 'Files that may hold the boot id, separated by commas; the first readable one is taken.',
  },
  pod_mounts: {
    schema: z.boolean().default(false),
    help: 'Show overlay and pod file systems (volumes, secrets, shared memory) among those of the machine, as cAdvisor does: several for each pod.',
  },
} as const satisfies Record<string, OptionRow>;

export const containerOptions = z.strictObject({
  percpu: OPTIONS.percpu.schema,
  machine_id_file: OPTIONS.machine_id_file.schema,
  boot_id_file: OPTIONS.boot_id_file.schema,
  pod_mounts: OPTIONS.pod_mounts.schema,
});

export type ContainerOptions = z.infer<typeof containerOptions>;
