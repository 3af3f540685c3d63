import { Channel, fixedPage, makeChannel } from '../../../src/collect/channel.ts';
import type { CollectorDefinition, Target } from '../../../src/collect/contract.ts';
import { Sheet } from '../../../src/collect/sheet.ts';
import { PLAIN } from '../../../src/collect/variant.ts';
import type { JobSpec } from '../../../src/lanes/work.ts';
import { loadReaders } from '../../../src/readers/load.ts';
import { INDEX_WORDS } from '../../../src/readers/readers.ts';

/** A job as the daemon tells a lane of it. */
export function specOf(definition: CollectorDefinition, id: number, part: string, target: Target, options: unknown, deadlineMs: number): JobSpec {
  const sheet = new Sheet(loadReaders(), { maxSeries: 100, maxBytes: 1 << 16 });
  sheet.begin();
  definition.report(part, 'timeout', deadlineMs / 1000, sheet);
  return {
    id,
    collector: definition.name,
    part,
    target,
    worker: definition.worker.href,
    options,
    roots: { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '' },
    parts: definition.parts.map(({ name }) => name),
    deadlineMs,
    maxSeries: 100,
    maxBytes: 1 << 16,
    channel: makeChannel([PLAIN], 1 << 16, [fixedPage(sheet, PLAIN)]),
  };
}

/** The samples that a job's page shows now, without headers. */
export function shown(spec: JobSpec): string[] {
  const view = new Channel(spec.channel).view(0, 0);
  if (view === undefined) return [];
  const lines: string[] = [];
  for (let family = 0; family < view.families; family++) {
    const [start = 0, header = 0, samples = 0] = view.index.subarray(family * INDEX_WORDS);
    lines.push(
      ...Buffer.from(view.page.slice(start + header, start + header + samples))
        .toString()
        .split('\n')
        .filter((line) => line !== ''),
    );
  }
  return lines.sort();
}
