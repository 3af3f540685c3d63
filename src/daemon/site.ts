import { ROLES } from '../collect/contract.ts';
import type { ViewHandle, ViewTable } from '../views/table.ts';
import { parseFilter } from '../wire/filter.ts';
import { acceptsGzip, contentTypeFor } from '../wire/negotiate.ts';
import type { Site, WireAnswer, WireRequest } from '../wire/server.ts';
import { filterView, type IsKnown, QueryError } from './filtering.ts';
import type { PlannedJob, Route, ViewFilter } from './plan.ts';

type Headers = readonly (readonly [string, string])[];

const TEXT: Headers = [['Content-Type', 'text/plain; charset=utf-8']];
const HTML: Headers = [['Content-Type', 'text/html; charset=utf-8']];
const ALLOW: Headers = [...TEXT, ['Allow', 'GET, HEAD']];

export interface SiteInputs {
  readonly routes: readonly Route[];
  readonly jobs: readonly PlannedJob[];
  readonly isKnown: IsKnown;
  readonly views: ViewTable;
  /** The view of a filter, made if need be. */
  readonly ensure: (name: string, filter: ViewFilter, filtered: boolean) => ViewHandle | undefined;
  readonly isReady: () => boolean;
  /** Resolves when every host collector has finished, failed or passed its deadline once. */
  readonly ready: Promise<void>;
  /** More pages than this under way are answered with 503; 0 is no limit. */
  readonly maxRequests: number;
  readonly active: () => number;
  readonly monotonicMs: () => number;
  /** Unix time in milliseconds at a monotonic time that was read just now. */
  readonly wallMs: (nowMs: number) => number;
  /** A view that nobody asked for in this time is not kept fresh: the next request waits for its build. */
  readonly idleMs: number;
  /** The shortest interval of a collector: what a page shows is usually no older. */
  readonly intervalMs: number;
  readonly version: string;
  /** Called for every page that is answered, before it is opened. */
  readonly onScrape: (view: ViewHandle, nowMs: number, wallMs: number) => void;
  readonly onRefused: (view: string, status: number) => void;
}

/**
 * The page about the daemon alone is built anew, off this thread, for who asks when it is older than this. A page that was
 * made for a regular scraper is younger.
 */
const SELF_FRESH_MS = 1000;

interface Page {
  readonly route: Route;
  handle: ViewHandle | undefined;
}

/** What a request comes down to. */
interface Wanted {
  readonly handle: ViewHandle;
  readonly headers: Headers;
  readonly gzip: boolean;
  /** The last answer: a page that comes again takes it along, and a flood of scrapes leaves less garbage. */
  answer?: WireAnswer;
}

/** The route table of one listener: pages, health, the plain page with links. */
export function site(inputs: SiteInputs): Site {
  const pages = new Map<string, Page>(inputs.routes.map((route) => [route.path, { route, handle: undefined }]));
  const landing = landingPage(inputs.routes, inputs.version);
  const headers = new Map<string, readonly [identity: Headers, gzip: Headers]>();

  /** Adapters hand over one and the same object for requests that say the same: nothing about it is worked out again. */
  let last: { readonly request: WireRequest; readonly wanted: Wanted } | undefined;

  const headersFor = (accept: string, gzip: boolean): Headers => {
    const type = contentTypeFor(accept);
    let pair = headers.get(type);
    if (pair === undefined) {
      const vary = ['Vary', 'Accept, Accept-Encoding'] as const;
      pair = [
        [['Content-Type', type], vary],
        [['Content-Type', type], ['Content-Encoding', 'gzip'], vary],
      ];
      headers.set(type, pair);
    }
    return gzip ? pair[1] : pair[0];
  };

  const serve = (wanted: Wanted, nowMs: number): WireAnswer => {
    const { handle, headers, gzip, answer } = wanted;
    const wallMs = inputs.wallMs(nowMs);
    inputs.onScrape(handle, nowMs, wallMs);
    const body = handle.reader.open(gzip, wallMs);
    if (answer?.body === body) return answer;
    wanted.answer = { status: 200, headers, body };
    return wanted.answer;
  };

  /** Beside collectors the daemon's numbers are as old as theirs, and it takes all of them to hang that it matters. */
  const isStale = ({ self, roles, reader }: ViewHandle, nowMs: number): boolean =>
    self && nowMs - reader.builtMs > Math.min(roles.length === 1 ? SELF_FRESH_MS : Number.POSITIVE_INFINITY, 1.5 * inputs.intervalMs);

  const serveWhenBuilt = async (wanted: Wanted): Promise<WireAnswer> => {
    const { handle, gzip } = wanted;
    await inputs.ready;
    const now = inputs.monotonicMs();
    const isAsleep = now - handle.reader.usedMs > inputs.idleMs;
    const isThere = !isAsleep && handle.reader.has(gzip);
    if (!isThere || isStale(handle, now)) {
      const built = inputs.views.build(handle, gzip);
      if (built === undefined && !isThere) return refuse(handle.name, 503, 'Too many requests wait for this page to be built.\n');
      await built;
    }
    // Dropped meanwhile, or too large to be built.
    if (!handle.reader.has(gzip)) return refuse(handle.name, 503, 'This page could not be built.\n');
    return serve(wanted, inputs.monotonicMs());
  };

  const refuse = (view: string, status: number, text: string): WireAnswer => {
    inputs.onRefused(view, status);
    return { status, headers: TEXT, body: text };
  };

  const page = (known: Page, request: WireRequest): WireAnswer | Promise<WireAnswer> => {
    let handle = known.handle;
    if (request.query !== '') {
      try {
        const filter = parseFilter(request.query);
        if (filter !== undefined) {
          const filtered = filterView(known.route, filter, inputs.jobs, inputs.isKnown);
          handle = inputs.ensure(filtered.name, filtered.filter, filtered.name !== known.route.path);
          if (handle === undefined) return refuse(known.route.path, 503, 'Too many filtered pages are in use.\n');
        }
      } catch (error) {
        if (error instanceof QueryError) return refuse(known.route.path, 400, `${error.message}\n`);
        throw error;
      }
    }
    if (handle === undefined) {
      handle = inputs.ensure(known.route.path, known.route.filter, false) as ViewHandle;
      known.handle = handle;
    }
    const gzip = acceptsGzip(request.acceptEncoding);
    const wanted: Wanted = { handle, headers: headersFor(request.accept, gzip), gzip };
    if (request.query === '') last = { request, wanted };
    return send(wanted);
  };

  const send = (wanted: Wanted): WireAnswer | Promise<WireAnswer> => {
    const { handle, gzip } = wanted;
    if (inputs.maxRequests > 0 && inputs.active() >= inputs.maxRequests) {
      return refuse(handle.name, 503, `Limit of concurrent requests reached (${inputs.maxRequests}), try again later.\n`);
    }
    const now = inputs.monotonicMs();
    if (handle.reader.has(gzip) && now - handle.reader.usedMs <= inputs.idleMs && !isStale(handle, now)) return serve(wanted, now);
    return serveWhenBuilt(wanted);
  };

  const other = (path: string): WireAnswer => {
    switch (path) {
      case '/':
        return { status: 200, headers: HTML, body: landing };
      case '/-/healthy':
      case '/healthz':
      case '/livez':
      case '/health':
        return { status: 200, headers: TEXT, body: 'ok\n' };
      case '/-/ready':
      case '/readyz':
        return inputs.isReady()
          ? { status: 200, headers: TEXT, body: 'ready\n' }
          : { status: 503, headers: TEXT, body: 'not ready: the first collection is under way\n' };
      default:
        return { status: 404, headers: TEXT, body: 'not found\n' };
    }
  };

  return {
    paths: [...pages.keys()],
    answer(request) {
      if (request === last?.request) return send(last.wanted);
      const known = pages.get(request.path);
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        if (known === undefined && other(request.path).status === 404) return other(request.path);
        return { status: 405, headers: ALLOW, body: 'only GET and HEAD are allowed\n' };
      }
      return known === undefined ? other(request.path) : page(known, request);
    },
  };
}

function landingPage(routes: readonly Route[], version: string): string {
  const links = [...routes.map((route) => route.path), '/-/healthy', '/-/ready'];
  return [
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8"><title>exporterd</title></head><body>',
    `<h1>exporterd</h1><p>Prometheus metrics of this machine, version ${version}. Roles: ${ROLES.filter((role) => routes.some((route) => route.filter.roles.includes(role))).join(', ')}.</p>`,
    `<ul>${links.map((path) => `<li><a href="${path}">${path}</a></li>`).join('')}</ul>`,
    '</body></html>',
    '',
  ].join('\n');
}
