import { OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import type { BoundSource, Layout } from '../bound-source.ts';
import { integerOf } from '../go-integer.ts';
import type { NodePart } from '../part.ts';

const INFO = family('node_sysctl_info', 'gauge', 'Words of a kernel parameter, as labels.', ['name', 'value', 'index']);

interface Sysctl {
  /** As it is given: dots stay in the label and become slashes in the path. */
  readonly name: string;
  /** Names of the values, or none: then they are numbered. */
  readonly keys: readonly string[];
}

/** `net.ipv4.tcp_rmem:min,default,max` */
function parseSysctl(text: string): Sysctl {
  const colon = text.indexOf(':');
  return colon < 0 ? { name: text, keys: [] } : { name: text.slice(0, colon), keys: text.slice(colon + 1).split(',') };
}

function legal(text: string): string {
  return text.replace(/[^a-zA-Z0-9_]/g, '_');
}

function problemOf({ name, keys }: Sysctl, count: number): string | undefined {
  if (count === 0) return `a value of ${name}`;
  if (keys.length === 0 || (count > 1 && keys.length === count)) return undefined;
  return count === 1 ? `several values for ${keys.join(', ')}, not one` : `${keys.length} values for ${keys.join(', ')}, not ${count}`;
}

function numbers(sysctl: Sysctl): Layout {
  const { name, keys } = sysctl;
  const base = `node_sysctl_${legal(name)}`;
  return (rows, series) => {
    const words = rows.flat();
    const problem = problemOf(sysctl, words.length);
    if (problem !== undefined) throw series.problem(0, problem);
    for (const [i, word] of words.entries()) {
      const isNumbered = keys.length === 0 && words.length > 1;
      const key = keys[i];
      const help = key === undefined ? `The kernel parameter ${name}.` : `The value ${key} of the kernel parameter ${name}.`;
      const of = family(key === undefined ? base : `${base}_${legal(key)}`, 'untyped', help, isNumbered ? ['index'] : []);
      const labels = isNumbered ? [String(i)] : [];
      const value = integerOf(word.text);
      if (value === undefined) throw series.problem(0, `whole numbers, not ${JSON.stringify(word.text)}`);
      if (word.at >= 0) series.number(0, word, of, labels);
      else series.constant(of, labels, value);
    }
  };
}

function words(sysctl: Sysctl): Layout {
  return (rows, series) => {
    const found = rows.flat();
    const problem = problemOf(sysctl, found.length) ?? (sysctl.keys.length > 0 ? 'no names for the words of an info parameter' : undefined);
    if (problem !== undefined) throw series.problem(0, problem);
    // Labels in wire order: index, name, value.
    for (const [i, { text }] of found.entries()) series.constant(INFO, [String(i), sysctl.name, text], 1);
  };
}

/** Parameters below <procfs>/sys that the configuration names: one read(2) of at most 128 bytes each, as the peer does. */
export const part: NodePart = {
  name: 'sysctl',
  enabledByDefault: false,
  families: [INFO],
  options: [
    { flag: 'include', kind: 'list', default: [], help: 'kernel parameters that are numbers: net.ipv4.tcp_rmem:min,default,max' },
    { flag: 'include-info', kind: 'list', default: [], help: 'kernel parameters that are words' },
  ],
  open(scope) {
    const open = (text: string, isNumeric: boolean): BoundSource => {
      const sysctl = parseSysctl(text);
      const path = scope.proc(`sys/${sysctl.name.replaceAll('.', '/')}`);
      return isNumeric ? scope.bound(path, { attribute: true }, numbers(sysctl)) : scope.bound(path, { attribute: true, text: true }, words(sysctl));
    };
    const sysctls = [...scope.options.list('include').map((text) => open(text, true)), ...scope.options.list('include-info').map((text) => open(text, false))];
    return {
      collect(sheet) {
        let problem: unknown;
        let missing: BoundSource | undefined;
        for (const sysctl of sysctls) {
          try {
            if (!sysctl.collect(sheet)) missing ??= sysctl;
          } catch (error) {
            problem ??= error;
          }
        }
        if (problem !== undefined) throw problem;
        return missing === undefined ? OK : scope.missing(missing);
      },
      replay(_, steps) {
        for (const sysctl of sysctls) sysctl.replay(steps);
      },
      close() {
        for (const sysctl of sysctls) sysctl.close();
      },
    };
  },
};
