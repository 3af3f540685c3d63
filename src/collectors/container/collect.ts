import { readFileSync } from 'node:fs';
import type { HostSession, Outcome, Scope } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import { baseGroup } from './base.ts';
import { cpusetGroup, hugetlbGroup, numaGroup } from './rare.ts';
import { BlockDevices } from './block-devices.ts';
import { DescriptorBudget, descriptorLimit } from './cgroup-file.ts';
import { cpuGroup, percpuCount } from './cpu.ts';
import { DiskIo } from './disk-io.ts';
import { Group, type GroupSpec, GrowingGroup } from './group.ts';
import { type Layout, detectLayout } from './layout.ts';
import { MachineInfo, memoryInfo } from './machine.ts';
import { memoryGroup } from './memory.ts';
import { LogNames } from './names.ts';
import { FileSystems } from './file-systems.ts';
import { networkGroup } from './network.ts';
import { type ContainerOptions, containerOptions } from './options.ts';
import { processGroup } from './process.ts';
import { specGroup } from './spec.ts';
import { cpuLoadGroup, oomGroup, pressureGroup } from './still.ts';
import { Tree } from './tree.ts';

export { report } from './report.ts';

/** Opens the session: finds the layout, opens no cgroup file yet. */
export function open(scope: Scope): HostSession {
  const options = containerOptions.parse(scope.options);
  const { roots, readers, monotonicMs, warn } = scope;
  const layout = detectLayout(roots);
  const names = new LogNames(roots.rootfs, monotonicMs);
  const tree = new Tree(layout, roots.procfs, monotonicMs, (refreshed) => names.update(refreshed));
  const shared = { tree, readers, budget: new DescriptorBudget(descriptorLimit(ownLimits())), warn };
  const machine = new MachineInfo({ roots, machineIdFiles: list(options.machine_id_file), bootIdFiles: list(options.boot_id_file) }, monotonicMs);
  const specs = groupSpecs(scope, options, layout, machine);
  const groups = new Map<string, Pick<Group, 'collect' | 'close'>>();
  for (const part of scope.parts) {
    if (part === 'diskIO') groups.set(part, new DiskIo(shared, new BlockDevices(roots, monotonicMs)));
    if (part === 'disk') groups.set(part, new FileSystems(tree, readers.mounts(), roots, options.pod_mounts));
    if (part === 'network') groups.set(part, new GrowingGroup(shared, () => networkGroup(layout, roots.procfs)));
    const spec = specs[part];
    if (spec !== undefined) groups.set(part, new Group(shared, spec()));
  }
  return {
    collect(part: string, sheet: Sheet): Outcome {
      if (part === 'machine') return machine.collect(sheet);
      const group = groups.get(part);
      if (group === undefined) throw new Error(`no part ${part} is open in the container session`);
      return group.collect(part, sheet);
    },
    close(): void {
      for (const group of groups.values()) group.close();
      groups.clear();
    },
  };
}

function groupSpecs(scope: Scope, options: ContainerOptions, layout: Layout, machine: MachineInfo): Record<string, () => GroupSpec> {
  const { roots, readers, wallMs } = scope;
  const unified = layout.kind === 'unified';
  return {
    base: () => baseGroup(layout, roots.procfs, wallMs),
    cpu: () => cpuGroup(unified, options.percpu && !unified ? percpuCount(layout, readers) : 0),
    cpuLoad: cpuLoadGroup,
    cpuset: () => cpusetGroup(unified),
    hugetlb: () => hugetlbGroup(layout, roots.sysfs),
    memory_numa: numaGroup,
    memory: () =>
      memoryGroup(unified, () => {
        const { swapTotal, swapFree } = memoryInfo(roots.procfs);
        return swapTotal - swapFree;
      }),
    oom_event: () => oomGroup(unified),
    pressure: () => pressureGroup(unified),
    process: () => processGroup(unified),
    spec: () => specGroup(unified, () => machine.read()),
  };
}

/** Limits of this very process: the one file that is not below the configured procfs. */
function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return ''; // Then the customary 1024 is assumed.
  }
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
