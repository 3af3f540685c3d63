import type { Role } from '../collect/contract.ts';
import type { ScrapeFilter } from '../wire/filter.ts';
import { type PlannedJob, type Route, shows, type ViewFilter } from './plan.ts';

/** A query that asks for what cannot be given: answered with 400 and this text. */
export class QueryError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'QueryError';
  }
}

const COULD_NOT = "Couldn't create filtered metrics handler: couldn't create collector";

/** Whether this release has a part, switched on or not. */
export type IsKnown = (role: Role, part: string) => boolean;

/**
 * The view that a query selects from a route. Collectors are named as the peer names them on a role's page and as
 * `role.collector` where a page shows several roles. Texts of errors are node_exporter's.
 */
export function filterView(route: Route, query: ScrapeFilter, jobs: readonly PlannedJob[], isKnown: IsKnown): { name: string; filter: ViewFilter } {
  if (query.collect.length > 0 && query.exclude.length > 0) throw new QueryError('Combined collect and exclude queries are not allowed.');
  const { always = [] } = route.filter;
  const keyOf = (job: PlannedJob): string => `${job.role}.${job.part}`;
  const shown = jobs.filter((job) => shows(route.filter, job) && !always.includes(keyOf(job)));
  const roles = [...new Set(shown.map((job) => job.role))];
  const nameOf = (job: PlannedJob): string => (roles.length > 1 ? keyOf(job) : job.part);
  const enabled = new Map(shown.map((job) => [nameOf(job), keyOf(job)]));
  const problem = (name: string): string => {
    const [role, part] = roles.length > 1 ? [name.slice(0, name.indexOf('.')), name.slice(name.indexOf('.') + 1)] : [roles[0], name];
    return isKnown(role as Role, part) ? 'disabled' : 'missing';
  };
  let parts: string[] | undefined;
  if (query.collect.length > 0) {
    for (const name of query.collect) if (!enabled.has(name)) throw new QueryError(`${COULD_NOT}: ${problem(name)} collector: ${name}`);
    parts = [...query.collect.map((name) => enabled.get(name) as string), ...always];
  } else if (query.exclude.length > 0) {
    const left = [...enabled].filter(([name]) => !query.exclude.includes(name)).map(([, key]) => key);
    // As node_exporter: with every collector excluded none is asked for by name, and that means all of them.
    if (left.length > 0) parts = [...left, ...always];
  }
  if (parts === undefined && query.name.length === 0) return { name: route.path, filter: route.filter };
  const families = query.name.length > 0 ? [...query.name].sort() : undefined;
  // Names of families are whatever a query holds, commas included, and the name of a view says which view it is.
  const terms = [
    ...(parts === undefined ? [] : [`collect=${parts.toSorted().join(',')}`]),
    ...(families === undefined ? [] : [`name=${families.map(encodeURIComponent).join(',')}`]),
  ];
  return {
    name: `${route.path}?${terms.join('&')}`,
    filter: { ...route.filter, ...(parts === undefined ? {} : { parts }), ...(families === undefined ? {} : { families }) },
  };
}
