import type { Sheet } from '../../collect/sheet.ts';
import type { DeviceFile } from './device-files.ts';
import type { KeptSeries } from './kept-series.ts';

/**
 * A file of a device and the series that it is.
 * must: a part whose file cannot be read, or is not a number, has failed. may: the series is left out where the file is
 * missing, may not be read or is not supported by the device. zero: a missing file counts as 0.
 */
export interface Figure {
  readonly file: DeviceFile;
  readonly series: KeptSeries;
  readonly rule: 'must' | 'may' | 'zero';
  /** `number * times / over`; the peer's arithmetic, one of them is left out. */
  readonly times?: number;
  readonly over?: number;
  /** Reads a text that is not a plain decimal number; undefined when it cannot. */
  readonly parse?: (text: string) => number | undefined;
}

/** EPERM, EACCES, EINVAL, EOPNOTSUPP: how drivers say that a device does not have a figure. */
const NOT_FOR_THIS_DEVICE: ReadonlySet<number> = new Set([1, 13, 22, 95]);

/** The number of a figure; undefined where it is left out. Throws CollectError `read` and `parse`. */
export function valueOf({ file, rule, parse }: Figure): number | undefined {
  if (file.errno !== 0) {
    if (rule === 'zero' && file.isMissing()) return 0;
    if (rule === 'may' && (file.isMissing() || NOT_FOR_THIS_DEVICE.has(file.errno))) return undefined;
    throw file.problem();
  }
  const value = Number.isNaN(file.value) ? parse?.(file.text) : file.value;
  if (value === undefined || Number.isNaN(value)) throw file.problem();
  return value;
}

/** Sets one series. Throws as `valueOf`. */
export function setFigure(figure: Figure, sheet: Sheet): void {
  const value = valueOf(figure);
  if (value !== undefined) figure.series.set(sheet, (value * (figure.times ?? 1)) / (figure.over ?? 1));
}

/** Sets all or, when one of them cannot be read, none. Throws as `valueOf`. */
export function setFigures(figures: readonly Figure[], sheet: Sheet): void {
  for (const figure of figures) valueOf(figure);
  for (const figure of figures) setFigure(figure, sheet);
}
