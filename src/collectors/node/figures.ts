import type { Sheet } from '../../collect/sheet.ts';
import type { DeviceFile, FollowedFile } from './device-files.ts';
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
  /** Reads a text that is not a plain decimal number: NaN when it cannot, undefined for one that leaves the series out. */
  readonly parse?: (text: string) => number | undefined;
  /** From the unit of the file to that of the series: `number * times / over`. */
  readonly times?: number;
  readonly over?: number;
  /** The same where that does not say it; undefined leaves the series out. */
  readonly convert?: (value: number) => number | undefined;
}

/** EPERM, EACCES, EINVAL, EOPNOTSUPP: how drivers say that a device does not have a figure. */
const NOT_FOR_THIS_DEVICE: ReadonlySet<number> = new Set([1, 13, 22, 95]);

/** The number of a figure; undefined where it is left out. Throws CollectError `read` and `parse`. */
export function figureValue({ file, rule, parse, times = 1, over = 1, convert }: Figure): number | undefined {
  if (rule === 'zero' && file.isMissing()) return convert === undefined ? 0 : convert(0);
  if (file.errno !== 0) {
    if (rule === 'may' && (file.isMissing() || NOT_FOR_THIS_DEVICE.has(file.errno))) return undefined;
    throw file.problem();
  }
  const value = Number.isNaN(file.value) ? (parse === undefined ? Number.NaN : parse(file.text)) : file.value;
  if (Number.isNaN(value)) throw file.problem();
  if (value === undefined) return undefined;
  return convert === undefined ? (value * times) / over : convert(value);
}

/** Sets one series. Throws as `figureValue`. */
export function setFigure(figure: Figure, sheet: Sheet): void {
  const value = figureValue(figure);
  if (value !== undefined) figure.series.set(sheet, value);
}

/** For DeviceFiles.replay: the figures that are their file's number as it is. */
export function followed(figures: readonly Figure[]): FollowedFile[] {
  return figures.filter(({ convert }) => convert === undefined).map(({ file, series, over, times }): FollowedFile => [file, series, over, times]);
}

/** Throws as `figureValue` where one of them would: for parts that print everything or nothing. */
export function checkFigures(figures: readonly Figure[]): void {
  for (const figure of figures) figureValue(figure);
}
