/** A label as it stands on a series: name and unescaped value. */
export type Label = readonly [name: string, value: string];

/**
 * One way to print the same samples. The plain variant (no labels of its own) is the peer's page; others add labels to
 * every series (`target`) or print another label set for an entity (what the kubelet says of a cgroup).
 */
export interface Variant {
  readonly name: string;
  /** Added to every series. */
  readonly labels: readonly Label[];
}

export const PLAIN: Variant = { name: '', labels: [] };

/**
 * What an entity (a cgroup, a pod) is called, per variant name; late names replace early ones by `Sheet.rename`. Undefined:
 * its series are not printed on that variant.
 */
export type EntityLabels = (variant: string) => readonly Label[] | undefined;
