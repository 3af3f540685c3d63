import { parseProblem } from './file-error.ts';

/** One processor of /proc/cpuinfo; what the architecture does not tell is ''. */
export interface Processor {
  /** Number of the processor. */
  cpu: string;
  package: string;
  core: string;
  vendor: string;
  family: string;
  model: string;
  modelName: string;
  microcode: string;
  stepping: string;
  cacheSize: string;
  flags: string;
  bugs: string;
}

type Field = keyof Processor;

const X86: Readonly<Record<string, Field>> = {
  vendor: 'vendor',
  vendor_id: 'vendor',
  'cpu family': 'family',
  model: 'model',
  'model name': 'modelName',
  stepping: 'stepping',
  microcode: 'microcode',
  'cache size': 'cacheSize',
  'physical id': 'package',
  'core id': 'core',
  flags: 'flags',
  bugs: 'bugs',
};
const ARM: Readonly<Record<string, Field>> = { 'model name': 'modelName', Features: 'flags' };
const MIPS: Readonly<Record<string, Field>> = { 'system type': 'vendor', 'cpu model': 'modelName' };

/** Keys by process.arch, as the peer reads them. s390x has lines of another kind and is not here. */
const KEYS: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  x64: X86,
  ia32: X86,
  arm: ARM,
  arm64: ARM,
  mips: MIPS,
  mipsel: MIPS,
  loong64: { 'system type': 'vendor', 'CPU Family': 'family', 'Model Name': 'modelName' },
  ppc64: { cpu: 'vendor' },
  riscv64: { hart: 'core', isa: 'modelName' },
};

function unknownProcessor(cpu: string): Processor {
  return { cpu, package: '', core: '', vendor: '', family: '', model: '', modelName: '', microcode: '', stepping: '', cacheSize: '', flags: '', bugs: '' };
}

/**
 * Processors of /proc/cpuinfo: blocks of lines `key<tab>: value`, each begun by `processor`. What stands in front of the first
 * (the system type of MIPS) holds for all. Throws CollectError `parse`.
 */
export function parseCpuinfo(path: string, text: string, arch: string = process.arch): readonly Processor[] {
  const keys = KEYS[arch] ?? {};
  const common = unknownProcessor('');
  const processors: Processor[] = [];
  for (const [line, content] of text.split('\n').entries()) {
    const colon = content.indexOf(':');
    if (colon < 0) continue;
    const key = content.slice(0, colon).trim();
    const value = content.slice(colon + 1).replace(/^ /, '');
    if (key === 'processor') {
      if (!/^\d+$/.test(value)) throw parseProblem(path, line + 1, `"processor : NUMBER", not ${JSON.stringify(content)}`);
      processors.push({ ...common, cpu: String(Number(value)) });
      continue;
    }
    const field = keys[key];
    if (field !== undefined) (processors.at(-1) ?? common)[field] = value;
  }
  // On ARM the line is printed per processor but is the same for all.
  if (processors.length === 0) throw parseProblem(path, 1, 'a line such as "processor : 0"');
  return processors;
}
