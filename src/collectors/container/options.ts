import { z } from 'zod';

/** An option of the container block and the flag of the peer that sets it. */
export interface OptionRow<Type extends z.ZodType = z.ZodType> {
  readonly schema: Type;
  /** The peer's flag, without dashes; none for what the peer has no flag for. */
  readonly flag?: string;
  /** Lower case, no full stop. */
  readonly help: string;
}

/** Unix sockets, separated by commas. */
const sockets = z.string().refine((text) => !/(?:^|,)\s*(?!unix:)[a-z+]+:\/\//i.test(text), {
  message: 'expected paths of unix sockets; runtimes are not asked over the network',
});

/** Every option, once: the schema, documents and the persona's flags are made from this table. */
export const OPTIONS = {
  percpu: {
    schema: z.boolean().default(true),
    help: 'v1: print CPU time per CPU, as standalone cAdvisor does; otherwise one series with cpu="total", as the kubelet does',
  },
  profile: {
    schema: z.enum(['full', 'lean']).default('full'),
    help: 'lean: only containers and pods, and of them only the families that kube-prometheus-stack keeps',
  },
  kubelet_pages: {
    schema: z.boolean().default(true),
    help: "serve the kubelet's pages, cadvisor and resource, below the metrics path",
  },
  container_labels: {
    schema: z.string().default(''),
    flag: 'whitelisted_container_labels',
    help: 'labels of containers to print as container_label_NAME, separated by commas; none unless named',
  },
  docker_only: {
    schema: z.boolean().default(false),
    flag: 'docker_only',
    help: 'leave out cgroups that are no containers, but for / and those of raw_cgroup_prefix_whitelist',
  },
  raw_cgroup_prefix_whitelist: {
    schema: z.string().default(''),
    flag: 'raw_cgroup_prefix_whitelist',
    help: 'of cgroups that are no containers show only those whose path begins with one of these, separated by commas',
  },
  disable_root_cgroup_stats: {
    schema: z.boolean().default(false),
    flag: 'disable_root_cgroup_stats',
    help: 'leave out the cgroup /',
  },
  cri: {
    schema: sockets.default('/run/containerd/containerd.sock,/run/crio/crio.sock,/run/cri-dockerd.sock,/run/k3s/containerd/containerd.sock'),
    flag: 'containerd',
    help: 'sockets that may answer the Kubernetes CRI, below rootfs, separated by commas; those that do not exist are passed over',
  },
  docker: {
    schema: sockets.default('/var/run/docker.sock'),
    flag: 'docker',
    help: "Docker's socket, below rootfs; empty for none",
  },
  podman: {
    schema: sockets.default('/run/podman/podman.sock'),
    flag: 'podman',
    help: "Podman's socket, below rootfs; empty for none",
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
  enable_load_reader: {
    schema: z.boolean().default(false),
    flag: 'enable_load_reader',
    help: 'v1: ask the kernel for the tasks of each cgroup by state, and smooth their load; otherwise those families are 0',
  },
  perf_events_config: {
    schema: z.string().default(''),
    flag: 'perf_events_config',
    help: 'JSON file of perf events to count for each cgroup, as cAdvisor has it; empty for none',
  },
  referenced_reset_interval: {
    schema: z.int().min(0).default(0),
    flag: 'referenced_reset_interval',
    help: "referenced_memory: forget in every so many runs which pages were touched, which the kernel's own reclaim takes note of too; 0 never",
  },
} as const satisfies Record<string, OptionRow>;

export const containerOptions = z.strictObject({
  percpu: described('percpu'),
  profile: described('profile'),
  kubelet_pages: described('kubelet_pages'),
  container_labels: described('container_labels'),
  docker_only: described('docker_only'),
  raw_cgroup_prefix_whitelist: described('raw_cgroup_prefix_whitelist'),
  disable_root_cgroup_stats: described('disable_root_cgroup_stats'),
  cri: described('cri'),
  docker: described('docker'),
  podman: described('podman'),
  machine_id_file: described('machine_id_file'),
  boot_id_file: described('boot_id_file'),
  pod_mounts: described('pod_mounts'),
  enable_load_reader: described('enable_load_reader'),
  perf_events_config: described('perf_events_config'),
  referenced_reset_interval: described('referenced_reset_interval'),
});

/** The schema of a row with its help, which `--help` and the documents are made from. */
function described<Key extends keyof typeof OPTIONS>(key: Key): (typeof OPTIONS)[Key]['schema'] {
  // A border: describe() returns the schema's own type, which zod's generics lose here.
  return OPTIONS[key].schema.describe(OPTIONS[key].help) as (typeof OPTIONS)[Key]['schema'];
}

/** As workers get it: validated on the main thread, so that workers need no schema. */
export type ContainerOptions = z.infer<typeof containerOptions>;
