import { type Part, defineCollector } from '../../collect/contract.ts';
import { PLAIN } from '../../collect/variant.ts';
import type { Family } from '../../model/family.ts';
import {
  ADVANCED_TCP,
  BASE,
  CPU,
  CPU_LOAD,
  CPUSET,
  CPU_TOPOLOGY,
  DISK,
  DISK_IO,
  HUGETLB,
  MACHINE_FAMILIES,
  MEMORY,
  MEMORY_NUMA,
  NETWORK,
  OOM,
  PERF,
  PRESSURE,
  PROCESS,
  PROCESS_FILES,
  REFERENCED,
  RESCTRL,
  RESOURCES,
  SCHED,
  SPEC,
  TCP,
  UDP,
} from './families.ts';
import { KUBELET, RESOURCE } from './labels.ts';
import { type ContainerOptions, containerOptions } from './options.ts';
import { report } from './report.ts';
import { RESCAN_REASONS, RESCANS } from './rescans.ts';
import { hasRuntime } from './runtime-sockets.ts';

/** Printed on the standalone page, and on the kubelet's where it has the group. */
function part(name: string, families: Readonly<Record<string, Family>>): Part {
  return { name, enabledByDefault: true, families: Object.values(families), variants: [PLAIN.name, KUBELET] };
}

/** What is off by default the kubelet never prints. */
function rare(name: string, families: Readonly<Record<string, Family>>): Part {
  return { name, enabledByDefault: false, families: Object.values(families) };
}

/** The parts are the peer's metric groups; `base`, `spec` and `machine` stand for the families it ties to none. */
export default defineCollector({
  name: 'container',
  role: 'container',
  replaces: 'cAdvisor',
  pool: 'host',
  // The first run of a part among 10,000 cgroups opens as many files, and the thread that takes over from one that is given up opens them anew.
  firstDeadlineSeconds: 10,
  parts: [
    rare('advtcp', ADVANCED_TCP),
    part('base', BASE),
    part('cpu', CPU),
    part('cpuLoad', CPU_LOAD),
    rare('cpu_topology', CPU_TOPOLOGY),
    rare('cpuset', CPUSET),
    part('disk', DISK),
    part('diskIO', DISK_IO),
    rare('hugetlb', HUGETLB),
    part('machine', MACHINE_FAMILIES),
    part('memory', MEMORY),
    rare('memory_numa', MEMORY_NUMA),
    part('network', NETWORK),
    part('oom_event', OOM),
    { ...part('perf_event', PERF), variants: [PLAIN.name], isOfUse: (_, options) => (options as ContainerOptions).perf_events_config !== '' },
    part('pressure', PRESSURE),
    part('process', PROCESS),
    { ...rare('process_files', PROCESS_FILES), variants: [PLAIN.name, KUBELET] },
    rare('referenced_memory', REFERENCED),
    rare('resctrl', RESCTRL),
    rare('sched', SCHED),
    rare('tcp', TCP),
    rare('udp', UDP),
    { name: 'resource', enabledByDefault: true, families: Object.values(RESOURCES), variants: [RESOURCE] },
    {
      name: 'runtimes',
      enabledByDefault: true,
      families: [],
      // Most rounds find that nobody asked, and do nothing.
      intervalSeconds: 2,
      elsewhere: { pool: 'network', worker: new URL('./collect-runtimes.js', import.meta.url) },
      isOfUse: ({ rootfs }, options) => hasRuntime(options as ContainerOptions, rootfs),
    },
    part('spec', SPEC),
  ],
  options: containerOptions,
  enabledByDefault: true,
  targets() {
    return [{ name: 'local', settings: {}, address: 'this machine' }];
  },
  pages({ kubelet_pages }) {
    if (!kubelet_pages) return [];
    return [
      { path: 'cadvisor', variant: KUBELET, fixed: ['cadvisor_version_info'] },
      { path: 'resource', variant: RESOURCE, fixed: [] },
    ];
  },
  hasBoard: true,
  counters: { family: RESCANS, values: RESCAN_REASONS.map((reason) => [reason]) },
  report,
  worker: new URL('./collect.js', import.meta.url),
});
