/**
 * Fixture trees of the node collector: `src/collectors/node/fixtures/PART.CASE/` with
 *   proc, sys, udev, root   the roots, each of which may be missing
 *   flags                   the peer's flags for the case, one per line: --collector.cpu.info, --no-collector.netdev.netlink
 *   expected.prom           our page without HELP lines and without what differs from run to run
 *   volatile                families whose values depend on the machine and are shown as *, one per line
 *   differences             lines that only one side prints: `+ PREFIX` ours, `- PREFIX` the peer's; # begins a reason
 *   arch                    the only process.arch on which the case makes sense
 *   peer-fails              why the case is not run against the peer: it dies of this input, or its page differs from run to run
 * All but expected.prom may be missing.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { discoverParts, discoverServices } from '../../src/collectors/node/discover.ts';
import { type NodeOptions, optionKey, type OptionValue } from '../../src/collectors/node/options.ts';
import { reportNode } from '../../src/collectors/node/report.ts';
import type { Readers } from '../../src/readers/readers.ts';
import { nodePages, rootsIn } from './node-page.ts';

/** The folder with package.json: the same from sources and from dist, which has no fixtures. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'src', 'collectors', 'node', 'fixtures'))) {
    if (folder === dirname(folder)) throw new Error('no src/collectors/node/fixtures above this file');
    folder = dirname(folder);
  }
  return folder;
}

export interface Fixture {
  readonly name: string;
  readonly part: string;
  readonly folder: string;
  readonly flags: readonly string[];
  readonly volatile: readonly string[];
  readonly onlyOurs: readonly string[];
  readonly onlyPeer: readonly string[];
  /** '' when the peer can be asked. */
  readonly peerFails: string;
  /** Why the case makes no sense on this machine, or ''. */
  readonly notHere: string;
}

function lines(path: string): string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function notHere([arch]: readonly string[]): string {
  return arch === undefined || arch === process.arch ? '' : `the case is one of ${arch}`;
}

export function fixtures(): readonly Fixture[] {
  const all = join(packageFolder(), 'src', 'collectors', 'node', 'fixtures');
  return readdirSync(all)
    .sort()
    .map((name) => {
      const folder = join(all, name);
      const differences = lines(join(folder, 'differences'));
      const only = (sign: string): string[] => differences.filter((line) => line.startsWith(`${sign} `)).map((line) => line.slice(2));
      return {
        name,
        part: name.split('.')[0] ?? name,
        folder,
        flags: lines(join(folder, 'flags')),
        volatile: lines(join(folder, 'volatile')),
        onlyOurs: only('+'),
        onlyPeer: only('-'),
        peerFails: lines(join(folder, 'peer-fails')).join(' '),
        notHere: notHere(lines(join(folder, 'arch'))),
      };
    });
}

/** Options from the peer's flags. Throws Error for a flag that no part has. */
export async function optionsFrom(flags: readonly string[]): Promise<NodeOptions> {
  const parts = [...(await discoverParts()), ...(await discoverServices())];
  const options: Record<string, Record<string, OptionValue>> = {};
  for (const flag of flags) {
    const [, no, name = '', value] = /^--(no-)?collector\.([^=]+)(?:=(.*))?$/s.exec(flag) ?? [];
    const part = parts.find((candidate) => name.startsWith(`${candidate.name}.`));
    const option = part?.options?.find((row) => `${part.name}.${row.flag}` === name);
    if (part === undefined || option === undefined) throw new Error(`${flag}: no part has this option`);
    const block = (options[part.name] ??= {});
    const key = optionKey(option.flag);
    if (option.kind === 'boolean') block[key] = no === undefined;
    else if (option.kind === 'integer') block[key] = Number(value);
    else if (option.kind === 'list') block[key] = [...((block[key] as readonly string[] | undefined) ?? []), value ?? ''];
    else block[key] = value ?? '';
  }
  return options;
}

/** Families that no two runs, or no two machines, print alike. */
export const NEVER_COMPARED = ['node_scrape_collector_duration_seconds', 'node_time_seconds', 'node_time_zone_offset_seconds', 'node_exporter_build_info'];

/** Sample lines and the TYPE lines of families that have any, without HELP and without what may not be compared. */
export function comparable(page: string, volatile: readonly string[] = [], leftOut: readonly string[] = []): string {
  const kept: string[] = [];
  let type = '';
  for (const line of page.split('\n')) {
    if (line.startsWith('# TYPE ')) type = line;
    if (line === '' || line.startsWith('#')) continue;
    const name = /^[a-zA-Z0-9_:]+/.exec(line)?.[0] ?? '';
    if (NEVER_COMPARED.includes(name) || leftOut.some((prefix) => line.startsWith(prefix))) continue;
    if (type !== '') kept.push(type);
    type = '';
    kept.push(volatile.includes(name) ? line.replace(/ [^ ]*$/, ' *') : line);
  }
  return kept.map((line) => `${line}\n`).join('');
}

/** Our page for a fixture after one run of its part; `error` is what the part threw. */
export async function ourPage(fixture: Fixture, readers: Readers): Promise<{ page: string; error: unknown }> {
  const pages = nodePages({ readers, roots: rootsIn(fixture.folder), options: await optionsFrom(fixture.flags), parts: [fixture.part] });
  try {
    const { outcome, error } = pages.run(fixture.part);
    const sheet = pages.sheet(fixture.part);
    reportNode(fixture.part, outcome?.kind ?? 'failed', 0, sheet);
    return { page: sheet.text(), error };
  } finally {
    pages.close();
  }
}
