import { absent, OK } from '../../../collect/contract.ts';
import type { CollectError } from '../../../collect/contract.ts';
import { family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { parseProblem } from '../file-error.ts';
import { decimalOf } from '../go-integer.ts';
import { ParsedSource, wordsOf } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';

const DISKS = family('node_md_disks', 'gauge', 'Disks of a RAID array in a state.', ['device', 'state']);
const REQUIRED = family('node_md_disks_required', 'gauge', 'Disks that a RAID array needs to be whole.', ['device']);
const STATE = family('node_md_state', 'gauge', 'Whether a RAID array is in a state (1) or not (0).', ['device', 'state']);
const BLOCKS = family('node_md_blocks', 'gauge', 'Size of a RAID array, in blocks of 1024 bytes.', ['device']);
const SYNCED = family('node_md_blocks_synced', 'gauge', 'How far a RAID array is synchronised, in blocks of 1024 bytes.', ['device']);
const RAID_DISKS = family('node_md_raid_disks', 'gauge', 'Disks that a RAID array was made for.', ['device']);
const DEGRADED = family('node_md_degraded', 'gauge', 'Disks that a RAID array lacks.', ['device']);

/** Labels of STATE and the state they stand for. A reshape is none of them, as in the peer. */
const STATES = [
  ['active', 'active'],
  ['inactive', 'inactive'],
  ['recovering', 'recovering'],
  ['resync', 'resyncing'],
  ['check', 'checking'],
] as const;

interface RaidArray {
  readonly device: string;
  readonly state: string;
  readonly required: number;
  readonly active: number;
  readonly failed: number;
  readonly spare: number;
  readonly blocks: number;
  readonly synced: number;
}

interface Mdstat {
  readonly arrays: readonly RaidArray[];
  /** The first array that could not be understood; the others are printed all the same. */
  readonly problem: CollectError | undefined;
}

function occurrences(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** Words of the line of progress, first one that is there, and the state that they mean. */
const ACTIONS = [
  ['recovery', 'recovering'],
  ['reshape', 'reshaping'],
  ['check', 'checking'],
  ['resync', 'resyncing'],
] as const;

/**
 * /proc/mdstat. An array is a line `md3 : active raid1 sda1[1] sdb1[0]`, one with its size and disks
 * (`5761536 blocks [2/2] [UU]`) and perhaps one with the progress of a resync, in front of which there may be one of a bitmap.
 */
function parseMdstat(text: string, path: string): Mdstat {
  const lines = text.split('\n');
  const arrays: RaidArray[] = [];
  let problem: CollectError | undefined;
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith(' ') || line.startsWith('unused') || line.startsWith('Personalities :')) continue;
    const found = parseArray(lines, i);
    if (typeof found === 'string') problem ??= parseProblem(path, i + 1, found);
    else arrays.push(found);
  }
  return { arrays, problem };
}

/** What was expected where it is not an array. */
function parseArray(lines: readonly string[], at: number): RaidArray | string {
  const line = lines[at] ?? '';
  const [device = '', , word = ''] = wordsOf(line);
  if (word === '') return '"NAME : STATE ..."';
  if (lines.length <= at + 3) return `more lines behind ${device}`;
  const size = parseSize(line, lines[at + 1] ?? '');
  if (typeof size === 'string') return size;
  const progress = lines[at + (lines[at + 2]?.includes('bitmap') === true ? 3 : 2)] ?? '';
  const action = ACTIONS.find(([name]) => progress.includes(name))?.[1];
  const array = { device, ...size, failed: occurrences(line, '(F)'), spare: occurrences(line, '(S)') };
  if (action === undefined) return { ...array, state: word, synced: size.blocks };
  if (/PENDING|DELAYED/.test(progress)) return { ...array, state: action, synced: 0 };
  const synced = /\(([0-9]+)\/[0-9]+\)/.exec(progress)?.[1];
  return synced === undefined ? `"(BLOCKS/BLOCKS)" two lines below ${device}` : { ...array, state: action, synced: Number(synced) };
}

function parseSize(line: string, below: string): Pick<RaidArray, 'blocks' | 'active' | 'required'> | string {
  const blocks = decimalOf(wordsOf(below)[0] ?? '');
  if (blocks === undefined) return 'a number of blocks in front of the line below';
  if (line.includes('raid0') || line.includes('linear')) {
    const disks = occurrences(line, '[');
    return { blocks, active: disks, required: disks };
  }
  if (line.includes('inactive')) return { blocks, active: 0, required: 0 };
  const found = /[0-9]+ blocks .*\[([0-9]+)\/([0-9]+)\] \[[U_]+\]/.exec(below);
  return found === null ? '"NUMBER blocks ... [NUMBER/NUMBER] [U_]" below' : { blocks, required: Number(found[1]), active: Number(found[2]) };
}

/** An array in /sys/block/mdN/md. */
interface Raid {
  readonly device: string;
  readonly level: DeviceFile;
  readonly disks: DeviceFile;
  readonly degraded: DeviceFile;
}

/** Levels that have a file `degraded`. */
const REDUNDANT = ['raid1', 'raid4', 'raid5', 'raid6', 'raid10'];
/** Of metadata that is not an array itself: they have no number of disks. */
const WITHOUT_DISKS = ['', 'container', 'imsm', 'ddf'];

/** `4`, or `5 (4)` while the array is reshaped; undefined when the file says nothing. */
function disksOf(file: DeviceFile): number | undefined {
  if (file.errno !== 0) throw file.problem();
  return Number.isNaN(file.value) ? decimalOf(file.text.split(' ')[0] ?? '', false) : file.value;
}

export const part: NodePart = {
  name: 'mdadm',
  enabledByDefault: true,
  families: [DISKS, REQUIRED, STATE, BLOCKS, SYNCED, RAID_DISKS, DEGRADED],
  open(scope) {
    const mdstat = new ParsedSource(scope.source(scope.proc('mdstat'), { text: true }), parseMdstat);
    const series = scope.constants();
    const folder = scope.directory(scope.sys('block'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let raids: readonly Raid[] = [];

    const take = ({ device, state, required, active, failed, spare, blocks, synced }: RaidArray): void => {
      series.add(REQUIRED, [device], required);
      series.add(DISKS, [device, 'active'], active);
      series.add(DISKS, [device, 'failed'], failed);
      series.add(DISKS, [device, 'spare'], spare);
      for (const [label, meant] of STATES) series.add(STATE, [device, label], state === meant ? 1 : 0);
      series.add(BLOCKS, [device], blocks);
      series.add(SYNCED, [device], synced);
    };
    const raidOf = (device: string): Raid => ({
      device,
      level: files.text(`${folder.path}/${device}/md/level`),
      disks: files.number(`${folder.path}/${device}/md/raid_disks`),
      degraded: files.number(`${folder.path}/${device}/md/degraded`),
    });

    return {
      collect(sheet) {
        const found = mdstat.read();
        if (found === undefined) return scope.missing(mdstat);
        if (mdstat.hasChanged) {
          series.clear();
          for (const array of found.arrays) take(array);
        }
        series.collect(sheet);
        if (folder.scan() === 'changed') raids = files.rebuild(() => folder.names.filter((name) => name.startsWith('md')).map(raidOf));
        files.scan();
        // An array that is being stopped has no folder md any more.
        const there = raids.filter(({ level }) => !level.isMissing());
        const figures = there.map(({ device, level, disks, degraded }) => {
          if (level.errno !== 0) throw level.problem();
          const isRedundant = REDUNDANT.includes(level.text);
          if (isRedundant && degraded.isMissing()) return undefined;
          if (isRedundant && Number.isNaN(degraded.value)) throw degraded.problem();
          return { device, disks: WITHOUT_DISKS.includes(level.text) ? undefined : disksOf(disks), degraded: isRedundant ? degraded.value : 0 };
        });
        if (figures.includes(undefined)) return absent(`${folder.path} lacks a file degraded`);
        for (const figure of figures) {
          if (figure === undefined) continue;
          if (figure.disks !== undefined) sheet.sample(RAID_DISKS, [figure.device], figure.disks);
          sheet.sample(DEGRADED, [figure.device], figure.degraded);
        }
        if (found.problem !== undefined) throw found.problem;
        return OK;
      },
      replay(sheet, steps) {
        if (!mdstat.replay(steps)) return;
        folder.replay(steps);
        files.replay(sheet, steps);
      },
      close() {
        mdstat.close();
        files.close();
      },
    };
  },
};
