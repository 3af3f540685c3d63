import type { CollectorDefinition, Ending, NetworkModule, NetworkSession, Target } from '../../../src/collect/contract.ts';
import { Sheet } from '../../../src/collect/sheet.ts';
import { loadReaders } from '../../../src/readers/load.ts';

/** How a part of a round went. */
export interface PartEnd {
  readonly ending: Ending;
  readonly error: unknown;
  readonly ms: number;
}

/** A session with one target as a lane runs it, for tests. */
export interface Rounds {
  readonly session: NetworkSession;
  readonly warnings: readonly string[];
  /** One round of all parts, or of these; begins and collects under one deadline. Endings by part. */
  run(deadlineMs?: number, parts?: readonly string[]): Promise<Record<string, PartEnd>>;
  /** The pages of the parts' last runs, one below the other. */
  page(parts?: readonly string[]): string;
  close(): Promise<void>;
}

/**
 * Opens a session for a target. `deadlineMs` is what the session is told of its deadline.
 * The parts are those that are on by default.
 */
export function openRounds(definition: CollectorDefinition, module: NetworkModule, target: Target, options: unknown, deadlineMs = 5_000): Rounds {
  const readers = loadReaders();
  const names = definition.parts.filter((part) => part.enabledByDefault).map((part) => part.name);
  const warnings: string[] = [];
  const session = module.open({
    options: definition.options.parse(options),
    roots: { procfs: '/proc', sysfs: '/sys', rootfs: '', udevData: '/run/udev/data' },
    target,
    parts: names,
    readers,
    deadlineMs,
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    warn: (message) => warnings.push(message),
  });
  const sheets = new Map(names.map((name) => [name, new Sheet(readers, { maxSeries: 10_000, maxBytes: 1 << 24 })]));
  const sheetOf = (part: string): Sheet => sheets.get(part) as Sheet;
  return {
    session,
    warnings,
    async run(roundMs = deadlineMs, parts = names) {
      const ends: Record<string, PartEnd> = {};
      const signal = AbortSignal.timeout(roundMs);
      const started = performance.now();
      const finish = (part: string, ending: Ending, error: unknown, since: number): void => {
        const ms = performance.now() - since;
        module.report(part, ending, ms / 1000, sheetOf(part));
        ends[part] = { ending, error, ms };
      };
      for (const part of parts) sheetOf(part).begin();
      try {
        await session.begin(signal);
      } catch (error) {
        for (const part of parts) finish(part, 'down', error, started);
        return ends;
      }
      for (const part of parts) {
        const since = performance.now();
        try {
          finish(part, (await session.collect(part, sheetOf(part), signal)).kind, undefined, since);
        } catch (error) {
          finish(part, signal.aborted ? 'timeout' : 'failed', error, since);
        }
      }
      return ends;
    },
    page: (parts = names) => parts.map((part) => sheetOf(part).text()).join(''),
    close: () => session.close(),
  };
}

/** A family of a page as its reader sees it. */
export interface PageFamily {
  readonly type: string;
  readonly help: string;
  /** Label names in the order printed, once per distinct set. */
  readonly labels: readonly string[];
  /** Value text by the label part (`{a="b"}` or empty) behind the sample's name. */
  readonly samples: ReadonlyMap<string, string>;
}

/** Reads text format 0.0.4 back. A family that stands on the page twice (in two parts) is put together. */
export function readPage(text: string): Map<string, PageFamily> {
  const families = new Map<string, { type: string; help: string; labels: string[]; samples: Map<string, string> }>();
  let current = '';
  let help = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const header = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (header !== null) {
      if (header[1] === 'HELP') help = header[3] ?? '';
      else {
        current = header[2] ?? '';
        if (!families.has(current)) families.set(current, { type: header[3] ?? '', help, labels: [], samples: new Map() });
      }
      continue;
    }
    const sample = /^([A-Za-z_:][A-Za-z0-9_:]*)(\{.*\})? (\S+)$/.exec(line);
    const one = families.get(current);
    if (sample === null || one === undefined) throw new Error(`not a sample of a family: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    const key = name.slice(current.length) + labels;
    if (one.samples.has(key)) throw new Error(`twice on the page: ${line}`);
    one.samples.set(key, value);
    const names = [...labels.matchAll(/[{,]([A-Za-z_][A-Za-z0-9_]*)="/g)].map((match) => match[1]).join(',');
    if (!one.labels.includes(names)) one.labels.push(names);
  }
  return families;
}

/**
 * Compares a page with lines of `family type label,label`. Returns one line per difference: a family that is missing, one
 * that is not expected, a wrong type or label set.
 */
export function pageDifferences(page: ReadonlyMap<string, PageFamily>, expected: string): string[] {
  const differences: string[] = [];
  const wanted = new Map(
    expected
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .map(([name = '', type = '', labels = '']) => [name, `${type} ${labels}`]),
  );
  for (const [name, text] of wanted) {
    const family = page.get(name);
    if (family === undefined) differences.push(`missing: ${name}`);
    else if (`${family.type} ${family.labels.join(' | ')}` !== text)
      differences.push(`${name}: ${family.type} ${family.labels.join(' | ')} instead of ${text}`);
  }
  for (const name of page.keys()) if (!wanted.has(name)) differences.push(`not expected: ${name}`);
  return differences;
}

/** What a family looks like to a dashboard: its type and the label names of its series. */
export function shapeOf({ type, labels }: PageFamily): string {
  return `${type} ${labels.join(' | ')}`;
}
