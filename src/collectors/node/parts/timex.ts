import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { KernelClock } from '../../../readers/readers.ts';
import { errnoOf } from '../file-error.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

const MICROSECONDS = 1e6;
const NANOSECONDS = 1e9;
/** Frequencies are millionths times 2^16 (NOTES of adjtimex(2)). */
const SCALED_PPM = 1_000_000 * 65_536;
/** The clock is not synchronized. */
const TIME_ERROR = 5;
/** Bit of the status: offset and jitter are in nanoseconds instead of microseconds. */
const STA_NANO = 0x2000;

interface Figure {
  readonly family: Family;
  /** @param divisor of offset and jitter */
  readonly value: (clock: KernelClock, divisor: number) => number;
}

function figure(name: string, help: string, value: Figure['value']): Figure {
  return { family: family(`node_timex_${name}`, name.endsWith('_total') ? 'counter' : 'gauge', help), value };
}

const FIGURES: readonly Figure[] = [
  figure('sync_status', 'Whether the clock is synchronized.', ({ state }) => (state === TIME_ERROR ? 0 : 1)),
  figure('offset_seconds', 'How far the clock is off its reference, in seconds.', ({ offset }, divisor) => offset / divisor),
  figure('frequency_adjustment_ratio', 'How fast the clock is made to run; 1 is its own speed.', ({ freq }) => 1 + freq / SCALED_PPM),
  figure('maxerror_seconds', 'Largest error that the clock can have, in seconds.', ({ maxerror }) => maxerror / MICROSECONDS),
  figure('estimated_error_seconds', 'Error that the clock is thought to have, in seconds.', ({ esterror }) => esterror / MICROSECONDS),
  figure('status', 'Bits of the state of the clock (STA_*).', ({ status }) => status),
  figure('loop_time_constant', 'Time constant of the loop that follows the reference.', ({ constant }) => constant),
  figure('tick_seconds', 'Time between ticks of the clock, in seconds.', ({ tick }) => tick / MICROSECONDS),
  figure('pps_frequency_hertz', 'Frequency that the pulse per second gives, in hertz.', ({ ppsfreq }) => ppsfreq / SCALED_PPM),
  figure('pps_jitter_seconds', 'Jitter of the pulse per second, in seconds.', ({ jitter }, divisor) => jitter / divisor),
  figure('pps_shift_seconds', 'Length of an interval of the pulse per second, as a power of two, in seconds.', ({ shift }) => shift),
  figure('pps_stability_hertz', 'How much the frequency of the pulse per second changed lately, in hertz.', ({ stabil }) => stabil / SCALED_PPM),
  figure('pps_jitter_total', 'Pulses whose jitter was too large.', ({ jitcnt }) => jitcnt),
  figure('pps_calibration_total', 'Intervals of the pulse per second that were used.', ({ calcnt }) => calcnt),
  figure('pps_error_total', 'Intervals of the pulse per second that were wrong.', ({ errcnt }) => errcnt),
  figure('pps_stability_exceeded_total', 'Times that the frequency of the pulse per second changed too much.', ({ stbcnt }) => stbcnt),
  figure('tai_offset_seconds', 'How far atomic time is ahead of UTC, in seconds.', ({ tai }) => tai),
];

/** adjtimex(2). */
export const part: NodePart = {
  name: 'timex',
  enabledByDefault: true,
  families: FIGURES.map(({ family }) => family),
  open(scope) {
    const figures = FIGURES.map(({ family, value }) => ({ series: new KeptSeries(family, []), value }));
    const read = (): KernelClock | undefined => {
      try {
        return scope.readers.clock();
      } catch (error) {
        if (errnoOf(error) === 'EPERM' || errnoOf(error) === 'EACCES') return undefined;
        throw error;
      }
    };
    return {
      collect(sheet) {
        const clock = read();
        if (clock === undefined) return absent('adjtimex(2) is forbidden, or the native readers are not built');
        const divisor = (clock.status & STA_NANO) === 0 ? MICROSECONDS : NANOSECONDS;
        for (const { series, value } of figures) series.set(sheet, value(clock, divisor));
        return OK;
      },
    };
  },
};
