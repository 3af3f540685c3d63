import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { Token } from '../../../readers/readers.ts';
import type { NodePart } from '../part.ts';

const LABELS = ['node', 'zone'];

function pages(key: string, help: string, name = `${key}_pages`): [string, Family] {
  return [key, family(`node_zoneinfo_${name}`, 'gauge', help, LABELS)];
}

function counter(key: string, help: string): [string, Family] {
  return [key, family(`node_zoneinfo_${key}_total`, 'counter', help, LABELS)];
}

/** By key; those of a whole node stand in its first zone. */
const BY_KEY: ReadonlyMap<string, Family> = new Map([
  pages('nr_free_pages', 'Free pages.', 'nr_free_pages'),
  pages('min', 'Free pages below which allocations must wait.'),
  pages('low', 'Free pages below which the kernel begins to reclaim.'),
  pages('high', 'Free pages at which the kernel stops to reclaim.'),
  pages('scanned', 'Pages looked at since the last reclaim; kernels since 4.8 do not tell.'),
  pages('spanned', 'Pages that a zone spans, holes included.'),
  pages('present', 'Pages that there are in a zone.'),
  pages('managed', 'Pages that the allocator has in a zone.'),
  pages('nr_active_anon', 'Anonymous pages used lately.'),
  pages('nr_inactive_anon', 'Anonymous pages not used lately.'),
  pages('nr_isolated_anon', 'Anonymous pages taken off their list for a moment.'),
  pages('nr_anon_pages', 'Anonymous pages that are mapped.', 'nr_anon_pages'),
  pages('nr_anon_transparent_hugepages', 'Anonymous huge pages.', 'nr_anon_transparent_hugepages'),
  pages('nr_active_file', 'Pages of files used lately.'),
  pages('nr_inactive_file', 'Pages of files not used lately.'),
  pages('nr_isolated_file', 'Pages of files taken off their list for a moment.'),
  pages('nr_file_pages', 'Pages of files.', 'nr_file_pages'),
  pages('nr_slab_reclaimable', 'Pages of slabs that can be given back.'),
  pages('nr_slab_unreclaimable', 'Pages of slabs that cannot be given back.'),
  pages('nr_mlock_stack', 'Locked pages that were taken off the lists; old kernels.'),
  pages('nr_kernel_stack', 'Stacks of the kernel, in KiB, whatever the name says.', 'nr_kernel_stacks'),
  pages('nr_mapped', 'Pages of files that are mapped.'),
  pages('nr_dirty', 'Pages that wait to be written.'),
  pages('nr_writeback', 'Pages that are being written.'),
  pages('nr_unevictable', 'Pages that cannot be given back.'),
  pages('nr_shmem', 'Pages of shared memory and tmpfs.'),
  counter('nr_dirtied', 'Pages that became dirty since boot.'),
  counter('nr_written', 'Pages written since boot.'),
  counter('numa_hit', 'Pages allocated on the node that was wanted.'),
  counter('numa_miss', 'Pages allocated on this node although another was wanted.'),
  counter('numa_foreign', 'Pages wanted on this node and allocated on another.'),
  counter('numa_interleave', 'Pages that interleaving put on the node that was its turn.'),
  counter('numa_local', 'Pages allocated on the node of the process.'),
  counter('numa_other', 'Pages allocated on this node by processes of another.'),
]);

function protection(i: number): Family {
  return family(`node_zoneinfo_protection_${i}`, 'gauge', `Pages of a zone that are kept from allocations which could use zone number ${i}.`, LABELS);
}

/** Node and zone of a line `Node 0, zone   Normal`. */
function heading(words: readonly Token[]): readonly [node: string, zone: string] | undefined {
  const [, node, zone] = /^(?:.*\D)?(\d+),? zone (\w+)/.exec(words.map(({ text }) => text).join(' ')) ?? [];
  return node === undefined || zone === undefined ? undefined : [node, zone];
}

/** /proc/zoneinfo: blocks that begin with `Node 0, zone   Normal`, and lines `        min      3891` in them. */
export const part: NodePart = {
  name: 'zoneinfo',
  enabledByDefault: false,
  families: [...BY_KEY.values(), ...[0, 1, 2, 3, 4].map(protection)],
  open(scope) {
    const zones = scope.bound(scope.proc('zoneinfo'), { keys: 1, delimiters: ',()' }, (rows, series) => {
      let labels: readonly string[] = ['', ''];
      for (const [line, words] of rows.entries()) {
        const found = heading(words);
        if (found !== undefined) labels = found;
        const [key, value] = words;
        if (found !== undefined || value === undefined) continue;
        if (key?.text === 'protection:') {
          const limits = words.slice(1);
          if (limits.every(({ at }) => at >= 0)) for (const [i, limit] of limits.entries()) series.number(line, limit, protection(i), labels);
          continue;
        }
        const family = BY_KEY.get(key?.text ?? '');
        if (family === undefined) continue;
        if (value.at >= 0) series.number(line, value, family, labels);
        // What is no number counts as 0, as in the peer.
        else series.constant(family, labels, 0);
      }
    });
    return {
      collect: (sheet) => (zones.collect(sheet) ? OK : scope.missing(zones)),
      replay: (_, steps) => zones.replay(steps),
      close: () => zones.close(),
    };
  },
};
