import assert from 'node:assert/strict';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function samplesOf(page: string): Sample[] {
  const samples: Sample[] = [];
  for (const [, name = '', labels = '', value = ''] of page.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/gm)) {
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', text = '']) => [key, text] as const);
    samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return samples;
}

/** Those of a family whose labels hold these values. */
export function matching(samples: readonly Sample[], family: string, labels: Readonly<Record<string, string>>): Sample[] {
  return samples.filter((sample) => sample.name === family && Object.entries(labels).every(([name, value]) => sample.labels[name] === value));
}

/** The one such sample's value; undefined without one. More than one is a failure. */
export function sampleOf(samples: readonly Sample[], family: string, labels: Readonly<Record<string, string>>): number | undefined {
  const found = matching(samples, family, labels);
  assert.ok(found.length <= 1, `${found.length} samples of ${family} with ${JSON.stringify(labels)}`);
  return found[0]?.value;
}
