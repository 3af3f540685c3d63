import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { ClockBounds, KernelClock } from '../../../readers/readers.ts';
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

/** Fields of which a state of the clock is worked out; the others are `number / over`. */
interface Figure {
  readonly family: Family;
  readonly field: keyof KernelClock;
  /** Left out: the divisor of offset and jitter, which depends on the clock. */
  readonly over?: number;
  readonly convert?: (value: number) => number;
}

function figure(name: string, help: string, field: keyof KernelClock, rest: Pick<Figure, 'over' | 'convert'> = { over: 1 }): Figure {
  return { family: family(`node_timex_${name}`, name.endsWith('_total') ? 'counter' : 'gauge', help), field, ...rest };
}

const FIGURES: readonly Figure[] = [
  figure('sync_status', 'Whether the clock is synchronized.', 'state', { convert: (state) => (state === TIME_ERROR ? 0 : 1) }),
  figure('offset_seconds', 'How far the clock is off its reference, in seconds.', 'offset', {}),
  figure('frequency_adjustment_ratio', 'How fast the clock is made to run; 1 is its own speed.', 'freq', { convert: (freq) => 1 + freq / SCALED_PPM }),
  figure('maxerror_seconds', 'Largest error that the clock can have, in seconds.', 'maxerror', { over: MICROSECONDS }),
  figure('estimated_error_seconds', 'Error that the clock is thought to have, in seconds.', 'esterror', { over: MICROSECONDS }),
  figure('status', 'Bits of the state of the clock (STA_*).', 'status'),
  figure('loop_time_constant', 'Time constant of the loop that follows the reference.', 'constant'),
  figure('tick_seconds', 'Time between ticks of the clock, in seconds.', 'tick', { over: MICROSECONDS }),
  figure('pps_frequency_hertz', 'Frequency that the pulse per second gives, in hertz.', 'ppsfreq', { over: SCALED_PPM }),
  figure('pps_jitter_seconds', 'Jitter of the pulse per second, in seconds.', 'jitter', {}),
  figure('pps_shift_seconds', 'Length of an interval of the pulse per second, as a power of two, in seconds.', 'shift'),
  figure('pps_stability_hertz', 'How much the frequency of the pulse per second changed lately, in hertz.', 'stabil', { over: SCALED_PPM }),
  figure('pps_jitter_total', 'Pulses whose jitter was too large.', 'jitcnt'),
  figure('pps_calibration_total', 'Intervals of the pulse per second that were used.', 'calcnt'),
  figure('pps_error_total', 'Intervals of the pulse per second that were wrong.', 'errcnt'),
  figure('pps_stability_exceeded_total', 'Times that the frequency of the pulse per second changed too much.', 'stbcnt'),
  figure('tai_offset_seconds', 'How far atomic time is ahead of UTC, in seconds.', 'tai'),
];

/** Divisor of offset and jitter. */
function divisorOf({ status }: KernelClock): number {
  return (status & STA_NANO) === 0 ? MICROSECONDS : NANOSECONDS;
}

/** adjtimex(2). */
export const part: NodePart = {
  name: 'timex',
  enabledByDefault: true,
  families: FIGURES.map(({ family }) => family),
  open(scope) {
    const figures = FIGURES.map((figure) => ({ ...figure, series: new KeptSeries(figure.family, []) }));
    let last: KernelClock | undefined;
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
        last = clock;
        if (clock === undefined) return absent('adjtimex(2) is forbidden, or the native readers are not built');
        for (const { series, field, over = divisorOf(clock), convert } of figures) {
          series.set(sheet, convert === undefined ? clock[field] / over : convert(clock[field]));
        }
        return OK;
      },
      replay(sheet, steps) {
        // A call that is forbidden is made by each run.
        const clock = last;
        if (clock === undefined) return steps.until(Number.NEGATIVE_INFINITY);
        const { state, status, freq } = clock;
        const bounds: ClockBounds = Object.fromEntries(
          figures.map(({ series, field, over = divisorOf(clock) }) => [field, { slot: series.slotIn(sheet), over }]),
        );
        const still = (value: number) => ({ slot: 0, mode: 'still', times: value }) as const;
        steps.clock(state, { ...bounds, status: still(status), freq: still(freq) });
      },
    };
  },
};
