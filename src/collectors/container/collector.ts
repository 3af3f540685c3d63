import { type Part, defineCollector } from '../../collect/contract.ts';
import type { Family } from '../../model/family.ts';
import {
  BASE,
  CPU,
  CPU_LOAD,
  CPUSET,
  DISK,
  DISK_IO,
  HUGETLB,
  MACHINE_FAMILIES,
  MEMORY,
  MEMORY_NUMA,
  NETWORK,
  OOM,
  PRESSURE,
  PROCESS,
  SPEC,
} from './families.ts';
import { containerOptions } from './options.ts';
import { report } from './report.ts';

function part(name: string, families: Readonly<Record<string, Family>>, enabledByDefault = true): Part {
  return { name, enabledByDefault, families: Object.values(families) };
}

/** The parts are the peer's metric groups; `base`, `spec` and `machine` stand for the families it ties to none. */
export default defineCollector({
  name: 'container',
  role: 'container',
  replaces: 'cAdvisor',
  pool: 'host',
  parts: [
    part('base', BASE),
    part('cpu', CPU),
    part('cpuLoad', CPU_LOAD),
    part('cpuset', CPUSET, false),
    part('disk', DISK),
    part('diskIO', DISK_IO),
    part('hugetlb', HUGETLB, false),
    part('machine', MACHINE_FAMILIES),
    part('memory', MEMORY),
    part('memory_numa', MEMORY_NUMA, false),
    part('network', NETWORK),
    part('oom_event', OOM),
    part('pressure', PRESSURE),
    part('process', PROCESS),
    part('spec', SPEC),
  ],
  options: containerOptions,
  enabledByDefault: true,
  targets() {
    return [{ name: 'local', settings: {}, address: 'this machine' }];
  },
  report,
  worker: new URL('./collect.js', import.meta.url),
});
