import { readFileSync } from 'node:fs';
import { absent, OK } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { parseProblem, readProblem } from '../file-error.ts';
import type { OptionalSource } from '../optional-source.ts';
import { parseOsRelease } from '../os-release.ts';
import type { NodePart } from '../part.ts';

/** Labels and the keys of the file, in wire order. */
const KEYS = [
  'build_id',
  'id',
  'id_like',
  'image_id',
  'image_version',
  'name',
  'pretty_name',
  'variant',
  'variant_id',
  'version',
  'version_codename',
  'version_id',
];

const INFO = family('node_os_info', 'gauge', 'What os-release says of the distribution, as labels.', KEYS);
const VERSION = family('node_os_version', 'gauge', 'Version of the distribution, its first two numbers.', ['id', 'id_like', 'name']);
const SUPPORT_END = family('node_os_support_end_timestamp_seconds', 'gauge', 'When the distribution is no longer supported, in seconds since 1970.');

/** Seconds since 1970 of a day in UTC; undefined when there is no such day. */
function dayOf(text: string): number | undefined {
  const [, year, month, day] = (/^(\d{4})-(\d{2})-(\d{2})$/.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // The 31st of a month of 30 days is no day, for us as for the peer.
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() / 1000 : undefined;
}

/** etc/os-release below the root file system, or usr/lib/os-release: the first that exists counts alone (os-release(5)). */
export const part: NodePart = {
  name: 'os',
  enabledByDefault: true,
  families: [INFO, VERSION, SUPPORT_END],
  open(scope) {
    const series = scope.constants();
    const sources = ['etc/os-release', 'usr/lib/os-release'].map((path) => scope.source(`${scope.roots.rootfs}/${path}`, { text: true, reopen: true }));
    let shown: OptionalSource | undefined;

    const read = (source: OptionalSource): void => {
      // Not the source's text: that is valid only for the source scanned last.
      let text: string;
      try {
        text = readFileSync(source.path, 'utf8');
      } catch (error) {
        throw readProblem(source.path, error);
      }
      const values = parseOsRelease(source.path, text);
      const of = (key: string): string => values.get(key.toUpperCase()) ?? '';
      const version = Number(/^[0-9]+\.?[0-9]*/.exec(of('version_id'))?.[0] ?? 0);
      const end = dayOf(of('support_end'));
      if (end === undefined && of('support_end') !== '')
        throw parseProblem(source.path, 1, `SUPPORT_END as YYYY-MM-DD, not ${JSON.stringify(of('support_end'))}`);
      series.clear();
      series.add(INFO, KEYS.map(of), 1);
      if (version > 0) series.add(VERSION, [of('id'), of('id_like'), of('name')], version);
      if (end !== undefined) series.add(SUPPORT_END, [], end);
    };

    return {
      collect(sheet) {
        for (const source of sources) {
          const scan = source.scan();
          if (scan === 'absent') continue;
          if (scan === 'changed' || shown !== source) {
            shown = undefined;
            read(source);
            shown = source;
          }
          series.collect(sheet);
          return OK;
        }
        shown = undefined;
        return absent(`${sources.map(({ path }) => path).join(' and ')} are missing`);
      },
      replay(_, steps) {
        for (const source of sources) {
          source.replay(steps, []);
          if (source === shown) break;
        }
      },
      close() {
        for (const source of sources) source.close();
      },
    };
  },
};
