import { type Family, type MetricType, family } from '../../model/family.ts';

/** A family with a series per cgroup: the cgroup's own labels and `extra`. */
function perCgroup(name: string, type: MetricType, help: string, extra: readonly string[] = []): Family {
  return family(name, type, help, ['id', 'image', 'name', ...extra]);
}

const MACHINE = ['boot_id', 'machine_id', 'system_uuid'];

function ofMachine(name: string, help: string, extra: readonly string[] = []): Family {
  return family(name, 'gauge', help, [...MACHINE, ...extra]);
}

/** Not tied to a metric group of the peer. */
export const BASE = {
  creationTime: perCgroup('container_creation_time_seconds', 'gauge', 'When the cgroup was made, whole unix seconds.'),
  healthState: perCgroup('container_health_state', 'gauge', 'Health check of the container: 1 healthy, 0 starting or unhealthy, -1 without a check.'),
  lastSeen: perCgroup('container_last_seen', 'gauge', 'When the cgroup was last looked at, whole unix seconds.'),
  startTime: perCgroup('container_start_time_seconds', 'gauge', 'When the container was started, unix seconds; of a plain cgroup, when it was made.'),
  scrapeError: family('container_scrape_error', 'gauge', '1 when the cgroups could not be listed in the last run, else 0.'),
} as const;

export const CPU = {
  burstPeriods: perCgroup('container_cpu_cfs_burst_periods_total', 'counter', 'Quota periods in which the cgroup ran on saved-up time.'),
  burstSeconds: perCgroup('container_cpu_cfs_burst_seconds_total', 'counter', 'Saved-up CPU time used above the quota, in seconds.'),
  periods: perCgroup('container_cpu_cfs_periods_total', 'counter', 'Quota periods in which the cgroup was runnable.'),
  throttledPeriods: perCgroup('container_cpu_cfs_throttled_periods_total', 'counter', 'Quota periods in which the cgroup ran out of quota.'),
  throttledSeconds: perCgroup('container_cpu_cfs_throttled_seconds_total', 'counter', 'Time the cgroup was kept from running by its quota, in seconds.'),
  system: perCgroup('container_cpu_system_seconds_total', 'counter', 'CPU time in the kernel, in seconds.'),
  usage: perCgroup('container_cpu_usage_seconds_total', 'counter', 'CPU time used, in seconds, per CPU or in total.', ['cpu']),
  user: perCgroup('container_cpu_user_seconds_total', 'counter', 'CPU time in user space, in seconds.'),
} as const;

export const CPU_LOAD = {
  load: perCgroup('container_cpu_load_average_10s', 'gauge', 'Runnable tasks smoothed over 10 seconds, in thousandths; 0 without the load reader.'),
  loadD: perCgroup(
    'container_cpu_load_d_average_10s',
    'gauge',
    'Tasks in uninterruptible sleep smoothed over 10 seconds, in thousandths; 0 without the load reader.',
  ),
  tasks: perCgroup('container_tasks_state', 'gauge', 'Tasks by state; 0 without the load reader.', ['state']),
} as const;

export const CPUSET = {
  migrate: perCgroup('container_memory_migrate', 'gauge', '1 when pages follow the cgroup to other NUMA nodes (v1).'),
} as const;

export const HUGETLB = {
  failcnt: perCgroup('container_hugetlb_failcnt', 'counter', 'Allocations of huge pages refused by the limit.', ['pagesize']),
  maxUsage: perCgroup('container_hugetlb_max_usage_bytes', 'gauge', 'Highest use of huge pages seen, in bytes (v1).', ['pagesize']),
  usage: perCgroup('container_hugetlb_usage_bytes', 'gauge', 'Huge pages in use, in bytes; reserved ones where the kernel counts them.', ['pagesize']),
} as const;

export const MEMORY_NUMA = {
  pages: perCgroup('container_memory_numa_pages', 'gauge', 'Pages by NUMA node (v1).', ['node', 'scope', 'type']),
} as const;

export const MEMORY = {
  cache: perCgroup('container_memory_cache', 'gauge', 'Page cache, in bytes, tmpfs and shared memory included.'),
  eventsHigh: perCgroup('container_memory_events_high_total', 'counter', 'Times the cgroup was throttled over its high boundary (v2).'),
  eventsMax: perCgroup('container_memory_events_max_total', 'counter', 'Times usage was about to pass the limit (v2).'),
  failcnt: perCgroup('container_memory_failcnt', 'counter', 'Times usage hit the limit (v1).'),
  failures: perCgroup('container_memory_failures_total', 'counter', 'Page faults; both scopes carry the same number.', ['failure_type', 'scope']),
  fileDirty: perCgroup('container_memory_file_dirty_bytes', 'gauge', 'Page cache not yet written back, in bytes (v2).'),
  fileWriteback: perCgroup('container_memory_file_writeback_bytes', 'gauge', 'Page cache being written back, in bytes (v2).'),
  kernelUsage: perCgroup('container_memory_kernel_usage', 'gauge', 'Kernel memory charged to the cgroup, in bytes (v1).'),
  mappedFile: perCgroup('container_memory_mapped_file', 'gauge', 'Mapped page cache, in bytes.'),
  maxUsage: perCgroup('container_memory_max_usage_bytes', 'gauge', 'Highest memory usage seen, in bytes.'),
  pgscan: perCgroup('container_memory_pgscan_total', 'counter', 'Pages scanned by reclaim (v2).'),
  pgsteal: perCgroup('container_memory_pgsteal_total', 'counter', 'Pages reclaimed (v2).'),
  rss: perCgroup('container_memory_rss', 'gauge', 'Anonymous memory, in bytes.'),
  swap: perCgroup('container_memory_swap', 'gauge', 'Swap used, in bytes.'),
  totalActiveFile: perCgroup('container_memory_total_active_file_bytes', 'gauge', 'Page cache on the active list, children included, in bytes.'),
  totalInactiveFile: perCgroup('container_memory_total_inactive_file_bytes', 'gauge', 'Page cache on the inactive list, children included, in bytes.'),
  usage: perCgroup('container_memory_usage_bytes', 'gauge', 'Memory charged to the cgroup, cache included, in bytes.'),
  workingSet: perCgroup('container_memory_working_set_bytes', 'gauge', 'Usage less inactive page cache, in bytes, at least 0.'),
  refaultAnon: perCgroup('container_memory_workingset_refault_anon_total', 'counter', 'Refaults of anonymous pages that had been evicted.'),
  refaultFile: perCgroup('container_memory_workingset_refault_file_total', 'counter', 'Refaults of file pages that had been evicted.'),
} as const;

export const DISK = {
  inodesFree: perCgroup('container_fs_inodes_free', 'gauge', 'Free inodes of the file system.', ['device']),
  inodesTotal: perCgroup('container_fs_inodes_total', 'gauge', 'Inodes of the file system.', ['device']),
  limit: perCgroup('container_fs_limit_bytes', 'gauge', 'Size of the file system, in bytes.', ['device']),
  usage: perCgroup('container_fs_usage_bytes', 'gauge', 'Space used on the file system, in bytes.', ['device']),
} as const;

export const DISK_IO = {
  deviceUsage: perCgroup('container_blkio_device_usage_total', 'counter', 'Bytes moved to and from a block device, by operation.', [
    'device',
    'major',
    'minor',
    'operation',
  ]),
  costIndebt: perCgroup('container_fs_io_cost_indebt_seconds_total', 'counter', 'Time in I/O debt under the iocost controller, in seconds (v2).', ['device']),
  costIndelay: perCgroup('container_fs_io_cost_indelay_seconds_total', 'counter', 'Time delayed under the iocost controller, in seconds (v2).', ['device']),
  costUsage: perCgroup('container_fs_io_cost_usage_seconds_total', 'counter', 'Device time used by the estimate of the iocost controller, in seconds (v2).', [
    'device',
  ]),
  costWait: perCgroup('container_fs_io_cost_wait_seconds_total', 'counter', 'Time waited under the iocost controller, in seconds (v2).', ['device']),
  current: perCgroup('container_fs_io_current', 'gauge', 'Requests queued; of cgroups on v1 with scheduler statistics.', ['device']),
  ioTime: perCgroup(
    'container_fs_io_time_seconds_total',
    'counter',
    'Time from dispatch to completion of all requests, in seconds; of cgroups on v1 with scheduler statistics.',
    ['device'],
  ),
  ioTimeWeighted: perCgroup(
    'container_fs_io_time_weighted_seconds_total',
    'counter',
    "Time of I/O weighted by the requests under way, in seconds; of the machine's file systems only.",
    ['device'],
  ),
  readTime: perCgroup(
    'container_fs_read_seconds_total',
    'counter',
    'Time from dispatch to completion of reads, in seconds; of cgroups on v1 with scheduler statistics.',
    ['device'],
  ),
  readBytes: perCgroup('container_fs_reads_bytes_total', 'counter', 'Bytes read from the device.', ['device']),
  readsMerged: perCgroup('container_fs_reads_merged_total', 'counter', 'Reads merged with others; of cgroups on v1 with scheduler statistics.', ['device']),
  reads: perCgroup('container_fs_reads_total', 'counter', 'Reads sent to the device.', ['device']),
  sectorReads: perCgroup(
    'container_fs_sector_reads_total',
    'counter',
    'Sectors of 512 bytes read; 0 for cgroups, of which the kernel does not tell reads from writes.',
    ['device'],
  ),
  sectorWrites: perCgroup(
    'container_fs_sector_writes_total',
    'counter',
    'Sectors of 512 bytes written; 0 for cgroups, of which the kernel does not tell reads from writes.',
    ['device'],
  ),
  writeTime: perCgroup(
    'container_fs_write_seconds_total',
    'counter',
    'Time from dispatch to completion of writes, in seconds; of cgroups on v1 with scheduler statistics.',
    ['device'],
  ),
  writeBytes: perCgroup('container_fs_writes_bytes_total', 'counter', 'Bytes written to the device.', ['device']),
  writesMerged: perCgroup('container_fs_writes_merged_total', 'counter', 'Writes merged with others; of cgroups on v1 with scheduler statistics.', ['device']),
  writes: perCgroup('container_fs_writes_total', 'counter', 'Writes sent to the device.', ['device']),
} as const;

export const NETWORK = {
  receiveBytes: perCgroup('container_network_receive_bytes_total', 'counter', 'Bytes received in the network namespace of the container.', ['interface']),
  receiveErrors: perCgroup('container_network_receive_errors_total', 'counter', 'Errors while receiving.', ['interface']),
  receiveDropped: perCgroup('container_network_receive_packets_dropped_total', 'counter', 'Received packets dropped.', ['interface']),
  receivePackets: perCgroup('container_network_receive_packets_total', 'counter', 'Packets received.', ['interface']),
  transmitBytes: perCgroup('container_network_transmit_bytes_total', 'counter', 'Bytes sent in the network namespace of the container.', ['interface']),
  transmitErrors: perCgroup('container_network_transmit_errors_total', 'counter', 'Errors while sending.', ['interface']),
  transmitDropped: perCgroup('container_network_transmit_packets_dropped_total', 'counter', 'Packets dropped while sending.', ['interface']),
  transmitPackets: perCgroup('container_network_transmit_packets_total', 'counter', 'Packets sent.', ['interface']),
} as const;

export const OOM = {
  events: perCgroup('container_oom_events_total', 'counter', 'Processes of the cgroup killed by the kernel for lack of memory.'),
} as const;

export const PRESSURE = {
  cpuStalled: perCgroup('container_pressure_cpu_stalled_seconds_total', 'counter', 'Time in which all runnable tasks waited for a CPU, in seconds (v2).'),
  cpuWaiting: perCgroup('container_pressure_cpu_waiting_seconds_total', 'counter', 'Time in which some task waited for a CPU, in seconds (v2).'),
  ioStalled: perCgroup('container_pressure_io_stalled_seconds_total', 'counter', 'Time in which all tasks waited for I/O, in seconds (v2).'),
  ioWaiting: perCgroup('container_pressure_io_waiting_seconds_total', 'counter', 'Time in which some task waited for I/O, in seconds (v2).'),
  memoryStalled: perCgroup('container_pressure_memory_stalled_seconds_total', 'counter', 'Time in which all tasks waited for memory, in seconds (v2).'),
  memoryWaiting: perCgroup('container_pressure_memory_waiting_seconds_total', 'counter', 'Time in which some task waited for memory, in seconds (v2).'),
} as const;

export const PROCESS = {
  processes: perCgroup('container_processes', 'gauge', 'Processes in the cgroup itself, children not counted.'),
  threads: perCgroup('container_threads', 'gauge', 'Tasks in the cgroup and below it.'),
  threadsMax: perCgroup('container_threads_max', 'gauge', 'Limit of tasks; 0 is no limit.'),
} as const;

/** Off by default: a look at each descriptor. */
export const PROCESS_FILES = {
  descriptors: perCgroup('container_file_descriptors', 'gauge', 'Open descriptors of the processes of the cgroup itself.'),
  sockets: perCgroup('container_sockets', 'gauge', 'Sockets among the open descriptors.'),
  ulimits: perCgroup('container_ulimits_soft', 'gauge', 'Soft limit of the first process; -1 is no limit.', ['ulimit']),
} as const;

/** Off by default: a look at each process. */
export const SCHED = {
  periods: perCgroup('container_cpu_schedstat_run_periods_total', 'counter', 'Times a process in or below the cgroup was given a CPU.'),
  runSeconds: perCgroup('container_cpu_schedstat_run_seconds_total', 'counter', 'Time that processes in or below the cgroup ran, in seconds.'),
  queueSeconds: perCgroup(
    'container_cpu_schedstat_runqueue_seconds_total',
    'counter',
    'Time that processes in or below the cgroup waited for a CPU, in seconds.',
  ),
} as const;

export const TCP = {
  tcp: perCgroup('container_network_tcp_usage_total', 'gauge', 'TCP connections over IPv4 in the network namespace, by state.', ['tcp_state']),
  tcp6: perCgroup('container_network_tcp6_usage_total', 'gauge', 'TCP connections over IPv6 in the network namespace, by state.', ['tcp_state']),
} as const;

export const UDP = {
  udp: perCgroup('container_network_udp_usage_total', 'gauge', 'UDP over IPv4 in the network namespace: sockets, bytes queued, packets dropped.', [
    'udp_state',
  ]),
  udp6: perCgroup('container_network_udp6_usage_total', 'gauge', 'UDP over IPv6 in the network namespace: sockets, bytes queued, packets dropped.', [
    'udp_state',
  ]),
} as const;

/** Nothing without a configuration of events. */
export const PERF = {
  scaling: perCgroup(
    'container_perf_events_scaling_ratio',
    'gauge',
    'Part of the time in which the event was really counted; the least of the CPUs where they are summed.',
    ['cpu', 'event'],
  ),
  events: perCgroup('container_perf_events_total', 'counter', 'How often an event of the processor or of the kernel happened, stretched to the whole time.', [
    'cpu',
    'event',
  ]),
  uncoreScaling: perCgroup('container_perf_uncore_events_scaling_ratio', 'gauge', 'Part of the time in which the event was really counted.', [
    'event',
    'pmu',
    'socket',
  ]),
  uncoreEvents: perCgroup('container_perf_uncore_events_total', 'counter', 'How often an event outside the cores happened, stretched to the whole time.', [
    'event',
    'pmu',
    'socket',
  ]),
} as const;

/** Off by default, as with the peer. */
export const RESCTRL = {
  occupancy: perCgroup('container_llc_occupancy_bytes', 'gauge', 'Last-level cache that the group occupies on a NUMA node, in bytes.', ['node_id']),
  bandwidth: perCgroup('container_memory_bandwidth_bytes', 'gauge', 'Bytes that the group has moved to and from memory, of a NUMA node.', ['node_id']),
  localBandwidth: perCgroup('container_memory_bandwidth_local_bytes', 'gauge', 'Bytes that the group has moved to and from memory of the same NUMA node.', [
    'node_id',
  ]),
} as const;

/** Off by default: ninety-nine series for each network namespace. */
export const ADVANCED_TCP = {
  stats: perCgroup('container_network_advance_tcp_stats_total', 'gauge', "The kernel's TCP counters in the network namespace, by their names.", ['tcp_state']),
} as const;

/** Off by default: the kernel walks the address space of each process. */
export const REFERENCED = {
  referenced: perCgroup('container_referenced_bytes', 'gauge', 'Memory that processes of the cgroup itself have touched since the last reset, in bytes.'),
} as const;

/** Off by default, as with the peer. */
export const CPU_TOPOLOGY = {
  cache: ofMachine('machine_cpu_cache_capacity_bytes', 'Size of a CPU cache, in bytes; without a core where a whole NUMA node shares it.', [
    'core_id',
    'level',
    'node_id',
    'type',
  ]),
  distance: ofMachine('machine_node_distance', 'Distance from one NUMA node to another; 10 is none.', ['node_id', 'target_node_id']),
  hugePages: ofMachine('machine_node_hugepages_count', 'Huge pages of a NUMA node, by their size in KiB.', ['node_id', 'page_size']),
  memory: ofMachine('machine_node_memory_capacity_bytes', 'Memory of a NUMA node, in bytes.', ['node_id']),
  siblings: ofMachine('machine_thread_siblings_count', 'Hardware threads of the core that a thread belongs to.', ['core_id', 'node_id', 'thread_id']),
} as const;

export const SPEC = {
  cpuPeriod: perCgroup('container_spec_cpu_period', 'gauge', 'Length of a quota period, in microseconds.'),
  cpuQuota: perCgroup('container_spec_cpu_quota', 'gauge', 'CPU time per period, in microseconds; absent without a quota.'),
  cpuShares: perCgroup('container_spec_cpu_shares', 'gauge', 'CPU shares; a v2 weight is converted to them.'),
  memoryLimit: perCgroup('container_spec_memory_limit_bytes', 'gauge', 'Memory limit, in bytes; 0 is no limit.'),
  memoryReservation: perCgroup('container_spec_memory_reservation_limit_bytes', 'gauge', 'Memory kept from reclaim, in bytes; 0 is none.'),
  swapLimit: perCgroup('container_spec_memory_swap_limit_bytes', 'gauge', 'v1: limit of memory and swap together; v2: limit of swap, in bytes; 0 is no limit.'),
} as const;

const CONTAINER = ['container', 'namespace', 'pod'];
const POD = ['namespace', 'pod'];

/** The kubelet's /metrics/resource: names that other pages use too, with other labels. */
export const RESOURCES = {
  containerCpu: family('container_cpu_usage_seconds_total', 'counter', 'CPU time used, in seconds, per CPU or in total.', CONTAINER),
  containerMemory: family('container_memory_working_set_bytes', 'gauge', 'Usage less inactive page cache, in bytes, at least 0.', CONTAINER),
  containerStart: family(
    'container_start_time_seconds',
    'gauge',
    'When the container was started, unix seconds; of a plain cgroup, when it was made.',
    CONTAINER,
  ),
  containerSwap: family('container_swap_usage_bytes', 'gauge', 'Swap used by the container, in bytes.', CONTAINER),
  containerSwapLimit: family('container_swap_limit_bytes', 'gauge', 'Swap the container may use, in bytes; absent without a limit.', CONTAINER),
  nodeCpu: family('node_cpu_usage_seconds_total', 'counter', 'CPU time used on the machine, in seconds.'),
  nodeMemory: family('node_memory_working_set_bytes', 'gauge', 'Memory of the machine in use less inactive page cache, in bytes.'),
  nodeSwap: family('node_swap_usage_bytes', 'gauge', 'Swap used on the machine, in bytes.'),
  podCpu: family('pod_cpu_usage_seconds_total', 'counter', 'CPU time used by the pod, its sandbox included, in seconds.', POD),
  podMemory: family('pod_memory_working_set_bytes', 'gauge', 'Memory of the pod less inactive page cache, in bytes.', POD),
  podSwap: family('pod_swap_usage_bytes', 'gauge', 'Swap used by the pod, in bytes.', POD),
  scrapeError: family('resource_scrape_error', 'gauge', '1 when the last run failed, else 0.'),
} as const;

export const MACHINE_FAMILIES = {
  books: ofMachine('machine_cpu_books', 'CPU books (s390x); 0 elsewhere.'),
  cores: ofMachine('machine_cpu_cores', 'Hardware threads.'),
  drawers: ofMachine('machine_cpu_drawers', 'CPU drawers (s390x); 0 elsewhere.'),
  physicalCores: ofMachine('machine_cpu_physical_cores', 'Physical CPU cores.'),
  sockets: ofMachine('machine_cpu_sockets', 'CPU sockets.'),
  dimmCapacity: ofMachine('machine_dimm_capacity_bytes', 'Capacity of the memory modules the EDAC driver knows, in bytes.', ['type']),
  dimmCount: ofMachine('machine_dimm_count', 'Memory modules the EDAC driver knows.', ['type']),
  memory: ofMachine('machine_memory_bytes', 'Memory of the machine, in bytes.'),
  nvmPower: ofMachine('machine_nvm_avg_power_budget_watts', 'Power budget of non-volatile memory; always 0, as the peer has it.'),
  nvmCapacity: ofMachine('machine_nvm_capacity', 'Capacity of non-volatile memory; always 0, as the peer has it.', ['mode']),
  swap: ofMachine('machine_swap_bytes', 'Swap of the machine, in bytes.'),
  scrapeError: family('machine_scrape_error', 'gauge', '1 when the machine could not be described in the last run, else 0.'),
} as const;
