/**
 * Command lines in the two dialects that exporters speak. Pure: no environment, no files.
 *
 * kingpin: `--name=value`, `--name value` (the value must not begin with a dash), `--name` and `--no-name` for switches,
 * `-h` and other single letters, flags and words in any order, `--` ends the flags; a flag that is not repeatable may come once.
 * go (package flag): `-name` and `--name` are the same, `-name=value`, `-name value` whatever the value begins with,
 * switches only alone or with `=`; the first word ends the flags; the last of a repeated flag counts.
 */
export type Dialect = 'kingpin' | 'go';

export interface FlagForm {
  readonly name: string;
  readonly isSwitch: boolean;
  readonly isRepeatable: boolean;
  /** A single letter. */
  readonly short?: string;
}

export interface GivenFlag {
  readonly name: string;
  readonly value: string | boolean;
  /** As it stood on the command line, without the value: what messages call it. */
  readonly written: string;
}

export interface ArgumentProblem {
  /** What messages call the flag. */
  readonly written: string;
  readonly text: string;
  /** The name that is not known, for a hint. */
  readonly unknown?: string;
}

export interface Arguments {
  /** In the order of the command line. */
  readonly flags: readonly GivenFlag[];
  readonly words: readonly string[];
  readonly problems: readonly ArgumentProblem[];
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

/** A switch's value as Go's strconv.ParseBool reads it. */
function parseSwitch(text: string): boolean | undefined {
  return TRUE.includes(text) ? true : FALSE.includes(text) ? false : undefined;
}

interface Reading {
  readonly flags: GivenFlag[];
  readonly words: string[];
  readonly problems: ArgumentProblem[];
  readonly dialect: Dialect;
}

/** Splits `--name=value`; the value is undefined without `=`. */
function splitFlag(argument: string): { written: string; name: string; value: string | undefined } {
  const equals = argument.indexOf('=');
  const written = equals < 0 ? argument : argument.slice(0, equals);
  return { written, name: written.replace(/^--?/, ''), value: equals < 0 ? undefined : argument.slice(equals + 1) };
}

function takeSwitch(reading: Reading, form: FlagForm, written: string, value: string | undefined, isNegated: boolean): void {
  const given = value === undefined ? true : parseSwitch(value);
  if (given === undefined || (isNegated && value !== undefined)) {
    reading.problems.push({ written, text: isNegated ? 'takes no value' : 'expected true or false behind =' });
    return;
  }
  reading.flags.push({ name: form.name, value: given !== isNegated, written });
}

/** Handles the flag at `index`; returns the index of the next argument. */
function takeFlag(reading: Reading, argv: readonly string[], index: number, forms: ReadonlyMap<string, FlagForm>): number {
  const { written, name, value } = splitFlag(argv[index] ?? '');
  const isLong = reading.dialect === 'go' || written.startsWith('--');
  const letter = isLong ? undefined : [...forms.values()].find((form) => form.short === name);
  const plain = isLong ? forms.get(name) : letter;
  const negated = plain === undefined && reading.dialect === 'kingpin' && isLong && name.startsWith('no-') ? forms.get(name.slice(3)) : undefined;
  const form = plain ?? (negated?.isSwitch === true ? negated : undefined);
  if (form === undefined) {
    reading.problems.push({ written, text: 'unknown flag', unknown: name });
    return index + 1;
  }
  if (form.isSwitch) {
    takeSwitch(reading, form, written, value, form === negated);
    return index + 1;
  }
  if (value !== undefined) {
    reading.flags.push({ name: form.name, value, written });
    return index + 1;
  }
  const next = argv[index + 1];
  if (next === undefined || (reading.dialect === 'kingpin' && next.length > 1 && next.startsWith('-'))) {
    reading.problems.push({ written, text: 'expected a value' });
    return index + 1;
  }
  reading.flags.push({ name: form.name, value: next, written });
  return index + 2;
}

function refuseRepeats(reading: Reading, forms: ReadonlyMap<string, FlagForm>): void {
  const seen = new Map<string, GivenFlag>();
  for (const flag of reading.flags) {
    const first = seen.get(flag.name);
    if (first === undefined) seen.set(flag.name, flag);
    else if (forms.get(flag.name)?.isRepeatable !== true) {
      const before = first.written === flag.written ? '' : `, and contradicts ${first.written}`;
      reading.problems.push({ written: flag.written, text: `may be given only once${before}` });
    }
  }
}

export function parseArguments(argv: readonly string[], known: readonly FlagForm[], dialect: Dialect): Arguments {
  const forms = new Map(known.map((form) => [form.name, form]));
  const reading: Reading = { flags: [], words: [], problems: [], dialect };
  let index = 0;
  while (index < argv.length) {
    const argument = argv[index] ?? '';
    if (argument === '--') {
      reading.words.push(...argv.slice(index + 1));
      break;
    }
    if (argument.length > 1 && argument.startsWith('-')) {
      index = takeFlag(reading, argv, index, forms);
      continue;
    }
    if (dialect === 'go') {
      reading.words.push(...argv.slice(index));
      break;
    }
    reading.words.push(argument);
    index += 1;
  }
  if (dialect === 'kingpin') refuseRepeats(reading, forms);
  return { flags: reading.flags, words: reading.words, problems: reading.problems };
}
