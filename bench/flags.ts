/** Command line of a bench: one flag per figure that may be changed. */

type FlagValue = number | string | boolean;

/** A number, a text or a switch, as its default is. */
type Widened<T> = { readonly [K in keyof T]: T[K] extends number ? number : T[K] extends boolean ? boolean : string };

/**
 * Reads `--rounds 5`, `--rounds=5` and `--smoke` into a copy of `defaults`. With `--smoke` the values of `smoke` take the
 * place of the defaults. Ends the process with code 2 when a flag is unknown or its value is of the wrong kind.
 */
export function readFlags<T extends Readonly<Record<string, FlagValue>>>(defaults: T, smoke: Partial<Widened<T>>): Widened<T> & { readonly smoke: boolean } {
  const argv = process.argv.slice(2);
  const isSmoke = argv.includes('--smoke');
  const values: Record<string, FlagValue> = { ...defaults, ...(isSmoke ? (smoke as Record<string, FlagValue>) : {}), smoke: isSmoke };
  for (let i = 0; i < argv.length; i++) {
    const [, name = '', inline] = /^--([a-z]+)(?:=(.*))?$/.exec(argv[i] ?? '') ?? [];
    const known = values[name];
    if (known === undefined)
      usage(
        `unknown argument ${JSON.stringify(argv[i])}; known are ${Object.keys(values)
          .map((key) => `--${key}`)
          .join(' ')}`,
      );
    if (typeof known === 'boolean') {
      values[name] = inline !== 'false';
      continue;
    }
    const text = inline ?? argv[++i];
    if (text === undefined) usage(`--${name} needs a value`);
    if (typeof known === 'number' && !Number.isFinite(Number(text))) usage(`--${name} needs a number, not ${JSON.stringify(text)}`);
    values[name] = typeof known === 'number' ? Number(text) : text;
  }
  // The keys are those of `defaults`, each checked against its default's kind.
  return values as Widened<T> & { readonly smoke: boolean };
}

function usage(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}
