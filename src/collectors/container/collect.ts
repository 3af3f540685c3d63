import { readFileSync } from 'node:fs';
import type { HostSession, Outcome, Scope } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { ReplaySteps } from '../../readers/readers.ts';
import { Activity, KernelActs } from './activity.ts';
import { baseGroup } from './base.ts';
import { cpusetGroup, hugetlbGroup, numaGroup } from './rare.ts';
import { BlockDevices } from './block-devices.ts';
import { DescriptorBudget, descriptorLimit } from './cgroup-file.ts';
import { cpuGroup, percpuCount } from './cpu.ts';
import { DiskIo } from './disk-io.ts';
import { Group, type GroupSpec, GrowingGroup } from './group.ts';
import { detectLayout } from './layout.ts';
import { PerfEventsPart } from './perf.ts';
import { MountTable } from './mount-table.ts';
import { MachineInfo, memoryInfo } from './machine.ts';
import { memoryGroup } from './memory.ts';
import { LogNames } from './names.ts';
import { RESCAN_REASONS } from './rescans.ts';
import { resourceGroup, resourceSelection } from './resource.ts';
import { RuntimeNames } from './runtime-names.ts';
import { commaList, selectionOf } from './selection.ts';
import { FileSystems } from './file-systems.ts';
import { networkGroup } from './network.ts';
import { containerLabels } from './labels.ts';
import type { ContainerOptions } from './options.ts';
import { loadGroup, noLoadGroup } from './load-reader.ts';
import { processGroup } from './process.ts';
import { processFilesGroup, schedGroup, tcpGroup, udpGroup } from './processes.ts';
import { Resctrl } from './resctrl.ts';
import { referencedGroup } from './referenced.ts';
import { advancedTcpGroup } from './tcp-statistics.ts';
import { Topology } from './topology.ts';
import { specGroup } from './spec.ts';
import { oomGroup, pressureGroup } from './still.ts';
import { Tree } from './tree.ts';

export { report } from './report.ts';

interface PartReader extends Pick<Group, 'collect' | 'close'> {
  /** See `HostSession.replay`. */
  replay?(sheet: Sheet, steps: ReplaySteps): boolean;
}

/** Opens the session: finds the layout, opens no cgroup file yet. */
export function open(scope: Scope): HostSession {
  // Validated on the main thread: the schema and its library stay out of this one.
  const options = scope.options as ContainerOptions;
  const { roots, readers, monotonicMs, warn } = scope;
  const layout = detectLayout(roots);
  const runtimes = scope.board === undefined ? undefined : new RuntimeNames(scope.board, monotonicMs);
  const logs = new LogNames(roots.rootfs, monotonicMs);
  const name = (refreshed: Tree): void => {
    runtimes?.update(refreshed);
    logs.update(refreshed);
  };
  const tree = new Tree(layout, {
    procfs: roots.procfs,
    monotonicMs,
    readers,
    onRefresh: name,
    onReplay: (steps) => {
      runtimes?.replay(steps);
      logs.replay(steps);
    },
    labels: containerLabels(commaList(options.container_labels)),
    watch: () => readers.watch(),
    warn,
    onRescan: (reason) => count(scope.counters, RESCAN_REASONS.indexOf(reason)),
  });
  const selection = selectionOf(options);
  const kernel = new KernelActs(tree, readers, roots.procfs);
  const budget = new DescriptorBudget(descriptorLimit(ownLimits()));
  const shared = { tree, readers, budget, warn, selection, activity: new Activity(kernel), monotonicMs };
  const machine = new MachineInfo({ roots, machineIdFiles: commaList(options.machine_id_file), bootIdFiles: commaList(options.boot_id_file) }, monotonicMs);
  const topology = new Topology(machine, roots.sysfs, monotonicMs);
  const mounts = new MountTable(readers, roots, options.pod_mounts, monotonicMs);
  const specs = groupSpecs(scope, options, tree, machine, kernel);
  const groups = new Map<string, PartReader>();
  for (const part of scope.parts) {
    const systems = scope.parts.includes('disk') ? { mounts, procfs: roots.procfs } : undefined;
    if (part === 'perf_event') groups.set(part, new PerfEventsPart(shared, options.perf_events_config, roots.sysfs, options.percpu));
    if (part === 'resctrl') groups.set(part, new Resctrl(shared, roots.sysfs));
    if (part === 'diskIO') groups.set(part, new DiskIo(shared, new BlockDevices(roots, monotonicMs), systems));
    if (part === 'disk') groups.set(part, new FileSystems(shared, readers.mounts(), mounts, roots, runtimes));
    if (part === 'network') groups.set(part, new GrowingGroup(shared, () => networkGroup(layout, roots.procfs)));
    const spec = specs[part];
    // The kubelet's resource page is not a matter of what the others show.
    if (spec !== undefined) groups.set(part, new Group(part === 'resource' ? { ...shared, selection: resourceSelection(tree) } : shared, spec()));
  }
  return {
    collect(part: string, sheet: Sheet): Outcome {
      if (part === 'machine') return machine.collect(sheet);
      if (part === 'cpu_topology') return topology.collect(sheet);
      const group = groups.get(part);
      if (group === undefined) throw new Error(`no part ${part} is open in the container session`);
      return group.collect(part, sheet);
    },
    replay(part: string, sheet: Sheet, steps: ReplaySteps): boolean {
      if (part === 'machine') return machine.replay(steps);
      return groups.get(part)?.replay?.(sheet, steps) ?? false;
    },
    close(): void {
      for (const group of groups.values()) group.close();
      groups.clear();
      kernel.close();
      mounts.close();
      tree.close();
    },
  };
}

function groupSpecs(scope: Scope, options: ContainerOptions, tree: Tree, machine: MachineInfo, kernel: KernelActs): Record<string, () => GroupSpec> {
  const { roots, readers, wallMs, monotonicMs } = scope;
  const { layout } = tree;
  const unified = layout.kind === 'unified';
  const swapUsed = (): number => {
    const { swapTotal, swapFree } = memoryInfo(roots.procfs);
    return swapTotal - swapFree;
  };
  return {
    base: () => baseGroup(layout, roots.procfs, wallMs),
    cpu: () => cpuGroup(unified, options.percpu && !unified ? percpuCount(layout, readers) : 0),
    advtcp: () => advancedTcpGroup(layout, roots.procfs),
    cpuLoad: () => (options.enable_load_reader ? loadGroup(layout, readers, monotonicMs) : noLoadGroup()),
    referenced_memory: () => referencedGroup(layout, roots.procfs, options.referenced_reset_interval),
    cpuset: () => cpusetGroup(unified),
    hugetlb: () => hugetlbGroup(layout, roots.sysfs),
    memory_numa: numaGroup,
    memory: () => memoryGroup(unified, swapUsed),
    oom_event: () => oomGroup(tree, kernel),
    pressure: () => pressureGroup(unified),
    process: () => processGroup(layout),
    process_files: () => processFilesGroup(layout, roots.procfs),
    sched: () => schedGroup(tree, roots.procfs),
    tcp: () => tcpGroup(layout, roots.procfs),
    udp: () => udpGroup(layout, roots.procfs),
    resource: () => resourceGroup(layout, roots.procfs, wallMs, swapUsed),
    spec: () => specGroup(unified, () => machine.read()),
  };
}

function count(counters: Float64Array | undefined, series: number): void {
  if (counters !== undefined) counters[series] = (counters[series] ?? 0) + 1;
}

/** Limits of this very process: the one file that is not below the configured procfs. */
function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return ''; // Then the customary 1024 is assumed.
  }
}
