import type { Column } from './group.ts';
import { KUBELET } from './labels.ts';
import type { Cgroup } from './tree.ts';

/** Which cgroups and which of their series are shown. Everything else is not even read. */
export interface Selection {
  /** Asked anew when what a cgroup is called has changed. */
  shows(cgroup: Cgroup): boolean;
  keeps(column: Column): boolean;
}

export interface SelectionOptions {
  readonly profile: 'full' | 'lean';
  /** Plain cgroups, which no runtime made, are left out, but for `/` and those of `raw_cgroup_prefixes`. */
  readonly docker_only: boolean;
  /** Ids of plain cgroups begin with one of these; '' for all. */
  readonly raw_cgroup_prefix_whitelist: string;
  readonly disable_root_cgroup_stats: boolean;
  readonly kubelet_pages: boolean;
}

/**
 * What kube-prometheus-stack's chart drops of cAdvisor's families by default, but for container_memory_swap, which its own
 * rules and dashboards ask for. A family not named here stays.
 * Source: the chart's kubelet.serviceMonitor.cAdvisorMetricRelabelings.
 */
const LEAN_DROPS =
  /^container_(?:cpu_(?:cfs_throttled_seconds_total|load_average_10s|system_seconds_total|user_seconds_total)|fs_(?:io_current|io_time_seconds_total|io_time_weighted_seconds_total|reads_merged_total|sector_reads_total|sector_writes_total|writes_merged_total)|memory_mapped_file|file_descriptors|tasks_state|threads_max|spec_.*)$/;
/** Interfaces of cluster networks, whose traffic the pods' own show already. */
const LEAN_INTERFACES = /^(?:cali|cilium|cni|lxc|nodelocaldns|tunl)/;

export const EVERYTHING: Selection = { shows: () => true, keeps: () => true };

export function selectionOf(options: SelectionOptions): Selection {
  const prefixes = commaList(options.raw_cgroup_prefix_whitelist);
  const isLean = options.profile === 'lean';
  const showsPlain = (id: string): boolean => {
    if (id === '/') return !options.disable_root_cgroup_stats;
    if (prefixes.length > 0) return prefixes.some((prefix) => id.startsWith(prefix));
    return !options.docker_only;
  };
  return {
    shows: ({ id, identity }) => identity !== undefined || (!isLean && showsPlain(id)),
    keeps({ family, names, values, variant }) {
      if (variant === KUBELET && !options.kubelet_pages) return false;
      if (!isLean) return true;
      if (LEAN_DROPS.test(family.name)) return false;
      const label = (name: string): string => values[names.indexOf(name)] ?? '';
      return label('scope') !== 'hierarchy' && !(family.name.startsWith('container_network_') && LEAN_INTERFACES.test(label('interface')));
    },
  };
}

/** Items of a comma-separated text, trimmed, empty ones left out. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
