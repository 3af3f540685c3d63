/** The types of text format 0.0.4, spelt as after `# TYPE`. */
export type MetricType = 'counter' | 'gauge' | 'untyped' | 'histogram' | 'summary';

/** A metric family as the exposition shows it; data only, no values. */
export interface Family {
  readonly name: string;
  readonly type: MetricType;
  /** Our own words; escaped when the header is rendered. */
  readonly help: string;
  /** Label names in wire order: alphabetical, as the Go client library prints them. */
  readonly labels: readonly string[];
}

/** Shorthand for tables of families: labels are sorted into wire order here, once. */
export function family(name: string, type: MetricType, help: string, labels: readonly string[] = []): Family {
  return { name, type, help, labels: [...labels].sort() };
}
