import type { ScrapeFilter } from '../wire/filter.ts';
import type { PlannedJob, Route, ViewFilter } from './plan.ts';

/** A query that asks for what cannot be given: answered with 400 and this text. */
export class QueryError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'QueryError';
  }
}

const COULD_NOT = "Couldn't create filtered metrics handler: couldn't create collector";

/**
 * The view that a query selects from a route. Collectors are named as the peer names them on a role's page and as
 * `role.collector` where a page shows several roles. Texts of errors are node_exporter's.
 */
export function filterView(route: Route, query: ScrapeFilter, jobs: readonly PlannedJob[]): { name: string; filter: ViewFilter } {
  if (query.collect.length > 0 && query.exclude.length > 0) throw new QueryError('Combined collect and exclude queries are not allowed.');
  const shown = jobs.filter((job) => route.filter.roles.includes(job.role));
  const several = new Set(shown.map((job) => job.role)).size > 1;
  const nameOf = (job: PlannedJob): string => (several ? `${job.role}.${job.part}` : job.part);
  const keyOf = (job: PlannedJob): string => `${job.role}.${job.part}`;
  const enabled = new Map(shown.map((job) => [nameOf(job), keyOf(job)]));
  let parts: string[] | undefined;
  if (query.collect.length > 0) {
    for (const name of query.collect) if (!enabled.has(name)) throw new QueryError(`${COULD_NOT}: missing collector: ${name}`);
    parts = query.collect.map((name) => enabled.get(name) as string);
  } else if (query.exclude.length > 0) {
    parts = [...enabled].filter(([name]) => !query.exclude.includes(name)).map(([, key]) => key);
  }
  if (parts === undefined && query.name.length === 0) return { name: route.path, filter: route.filter };
  const families = query.name.length > 0 ? [...query.name].sort() : undefined;
  const terms = [...(parts === undefined ? [] : [`collect=${parts.toSorted().join(',')}`]), ...(families === undefined ? [] : [`name=${families.join(',')}`])];
  return {
    name: `${route.path}?${terms.join('&')}`,
    filter: { ...route.filter, ...(parts === undefined ? {} : { parts }), ...(families === undefined ? {} : { families }) },
  };
}
