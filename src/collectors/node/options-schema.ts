import { z } from 'zod';
import { parseDuration } from '../../model/duration.ts';
import { regexpProblem } from './filter.ts';
import { type HasOptions, isSet, type NodeOptions, optionKey, type OptionValue, type PartOption } from './options.ts';

/** Schema of the block `node`, without the keys every block has. */
export function optionsSchema(parts: readonly HasOptions[]): z.ZodType<NodeOptions> {
  const withOptions = parts.filter((part) => (part.options ?? []).length > 0);
  return z.strictObject(Object.fromEntries(withOptions.map((part) => [part.name, partSchema(part.options ?? [])])));
}

function partSchema(options: readonly PartOption[]) {
  const shape = Object.fromEntries(options.map((option) => [optionKey(option.flag), optionSchema(option)]));
  return z
    .strictObject(shape)
    .superRefine((values, context) => {
      for (const { flag, excludes } of options) {
        // Both rows name each other; one complaint is enough.
        if (excludes === undefined || flag < excludes || !isSet(values[optionKey(flag)]) || !isSet(values[optionKey(excludes)])) continue;
        context.addIssue({ code: 'custom', path: [optionKey(flag)], message: `cannot be combined with ${optionKey(excludes)}` });
      }
    })
    .prefault({});
}

function optionSchema(option: PartOption): z.ZodType<OptionValue> {
  const schema = withoutDefault(option);
  // A default in the schema would hide whether the option was given, on which the default of its counterpart depends.
  if (option.excludes !== undefined) return schema.optional().meta({ description: option.help, defaultNote: option.default, ...metavar(option) });
  return schema.prefault(option.default).meta({ description: option.help, ...metavar(option) });
}

function metavar({ kind }: PartOption): { metavar?: string } {
  return kind === 'regexp' ? { metavar: 'REGEXP' } : kind === 'duration' ? { metavar: 'DURATION' } : {};
}

function withoutDefault({ kind, default: ours }: PartOption): z.ZodType<OptionValue> {
  switch (kind) {
    case 'boolean':
      return z.boolean();
    case 'integer':
      return z.int();
    case 'list':
      return z.array(z.string());
    case 'string':
      return z.string();
    case 'duration':
      return z.string().transform((text, context): number => {
        const seconds = parseDuration(text);
        if (seconds !== undefined) return seconds;
        context.addIssue('expected a duration such as 15s, 1m30s or 500ms');
        return z.NEVER;
      });
    case 'regexp':
      return z.string().superRefine((text, context) => {
        // RE2 is larger than all schemas together, and our own patterns are right (options.test.ts).
        const problem = text === ours ? undefined : regexpProblem(text);
        if (problem !== undefined) context.addIssue(`expected an RE2 regular expression: ${problem}`);
      });
  }
}
