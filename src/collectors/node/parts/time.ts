import { OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { family } from '../../../model/family.ts';
import type { ReplaySteps } from '../../../readers/readers.ts';
import { CollectError } from '../../../collect/contract.ts';
import type { ConstantSeries } from '../constant-series.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart, PartScope } from '../part.ts';
import { abbreviation, zoneFile } from '../time-zone.ts';

const SECONDS = family('node_time_seconds', 'gauge', 'The clock of the machine, in seconds since 1970.');
const ZONE_OFFSET = family('node_time_zone_offset_seconds', 'gauge', 'How far the local time zone is ahead of UTC, in seconds.', ['time_zone']);
const AVAILABLE = family('node_time_clocksource_available_info', 'gauge', 'Clock sources that the kernel could use, as labels.', ['device', 'clocksource']);
const CURRENT = family('node_time_clocksource_current_info', 'gauge', 'The clock source that the kernel uses, as a label.', ['device', 'clocksource']);

const QUARTER_MS = 900_000;
/** A clock that goes back by more than this may be in another offset. */
const CLOCK_STEP_MS = 1000;

const FOLDER = 'devices/system/clocksource';

interface ClockSource {
  readonly available: OptionalSource;
  readonly current: OptionalSource;
}

/** <sysfs>/devices/system/clocksource/clocksource0/{available,current}_clocksource: `tsc kvm-clock`. */
class ClockSources {
  readonly #scope: PartScope;
  readonly #series: ConstantSeries;
  #sources: readonly ClockSource[] = [];
  #available: string[][] = [];
  #current: string[] = [];

  constructor(scope: PartScope) {
    this.#scope = scope;
    this.#series = scope.constants();
    const folder = scope.directory(scope.sys(FOLDER));
    // Made at boot and never afterwards, so the folder is listed once.
    folder.scan();
    const text = (name: string, file: string): OptionalSource => scope.source(`${folder.path}/${name}/${file}`, { text: true, attribute: true });
    this.#sources = folder.names
      .filter((name) => /^clocksource[0-9]/.test(name))
      .map((name) => ({ available: text(name, 'available_clocksource'), current: text(name, 'current_clocksource') }));
  }

  collect(sheet: Sheet): void {
    let isChanged = false;
    for (const [i, { available, current }] of this.#sources.entries()) {
      isChanged = this.#read(available, (text) => (this.#available[i] = text.split(/\s+/).filter((word) => word !== ''))) || isChanged;
      isChanged = this.#read(current, (text) => (this.#current[i] = text.trim())) || isChanged;
    }
    if (isChanged) this.#lay();
    this.#series.collect(sheet);
  }

  replay(steps: ReplaySteps): void {
    for (const { available, current } of this.#sources) {
      available.replay(steps, []);
      current.replay(steps, []);
    }
  }

  close(): void {
    for (const { available, current } of this.#sources) {
      available.close();
      current.close();
    }
  }

  #read(source: OptionalSource, take: (text: string) => void): boolean {
    const scan = source.scan();
    if (scan === 'absent') throw new CollectError('read', source.path, `expected a file in each folder below ${this.#scope.sys(FOLDER)}`);
    if (scan === 'changed') take(source.text());
    return scan === 'changed';
  }

  #lay(): void {
    this.#series.clear();
    for (const [i] of this.#sources.entries()) {
      for (const name of this.#available[i] ?? []) this.#series.add(AVAILABLE, [name, String(i)], 1);
      this.#series.add(CURRENT, [this.#current[i] ?? '', String(i)], 1);
    }
  }
}

/** The wall clock, the local time zone (TZ or /etc/localtime of this process) and the kernel's clock sources. */
export const part: NodePart = {
  name: 'time',
  enabledByDefault: true,
  families: [SECONDS, ZONE_OFFSET, AVAILABLE, CURRENT],
  open(scope) {
    const zone = zoneFile(process.env['TZ']);
    const clocks = new ClockSources(scope);
    let offsetSeconds = Number.NaN;
    let zoneName = '';
    return {
      collect(sheet) {
        const nowMs = scope.wallMs();
        sheet.sample(SECONDS, [], nowMs / 1000);
        const offset = -60 * new Date(nowMs).getTimezoneOffset() + 0;
        if (offset !== offsetSeconds) zoneName = abbreviation(zone, offset, nowMs / 1000);
        offsetSeconds = offset;
        sheet.sample(ZONE_OFFSET, [zoneName], offset);
        clocks.collect(sheet);
        return OK;
      },
      replay(sheet, steps) {
        const nowMs = scope.wallMs();
        // A zone's offset changes at whole quarters of an hour.
        steps.within(nowMs - CLOCK_STEP_MS, (Math.floor(nowMs / QUARTER_MS) + 1) * QUARTER_MS);
        steps.wall(sheet.slot(SECONDS));
        clocks.replay(steps);
      },
      close: () => clocks.close(),
    };
  },
};
