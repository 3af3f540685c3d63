import { family } from '../model/family.ts';

/** The daemon's own families: everything it says about itself, but for what a collector counts (`counters` of its definition). */

const JOB = ['role', 'collector', 'target'] as const;

export const buildInfo = family('exporterd_build_info', 'gauge', 'Which exporterd this is, on which Node.js; the value is 1.', ['version', 'node', 'arch']);
export const nativeReaders = family(
  'exporterd_native_readers',
  'gauge',
  '1 while kernel files are read by the native addon, 0 while by the TypeScript readers.',
);
export const serverInfo = family('exporterd_http_server_info', 'gauge', 'Which HTTP server answers scrapes; the value is 1.', ['server']);

export const runs = family('exporterd_collector_runs_total', 'counter', 'Runs that ended, by how they ended.', [...JOB, 'result']);
export const failures = family('exporterd_collector_failures_total', 'counter', 'Runs that failed, by code of the failure.', [...JOB, 'code']);
export const skips = family('exporterd_collector_skips_total', 'counter', 'Runs that were due while the run before was still under way.', JOB);
export const late = family('exporterd_collector_late_total', 'counter', 'Runs that ended after they had been given up; their samples were not used.', JOB);
export const duration = family('exporterd_collector_duration_seconds', 'gauge', 'Wall-clock time of the last run.', JOB);
export const cpu = family('exporterd_collector_cpu_seconds', 'gauge', 'CPU time of the last run; 0 for collectors that share a thread with others.', JOB);
export const age = family('exporterd_collector_age_seconds', 'gauge', 'Time since the start of the run whose samples are shown.', JOB);
export const series = family('exporterd_collector_series', 'gauge', 'Samples of the last run.', JOB);
export const duplicates = family('exporterd_collector_duplicates_total', 'counter', 'Samples refused because their series was already in the same run.', JOB);
export const overBudget = family(
  'exporterd_collector_over_budget_total',
  'counter',
  'Series or families left out because the budget of the target was used up.',
  JOB,
);

export const threads = family('exporterd_pool_threads', 'gauge', 'Threads of a pool.', ['pool']);
export const restarts = family('exporterd_pool_restarts_total', 'counter', 'Threads that were replaced, by reason.', ['pool', 'reason']);
export const timerLateness = family(
  'exporterd_timer_lateness_seconds',
  'histogram',
  'How late the timers of the scheduler fire: the delay of the event loop that serves scrapes.',
);
export const mergeConflicts = family(
  'exporterd_merge_conflicts_total',
  'counter',
  'Families left out of merged pages because another collector gives the same name another type.',
);

const VIEW = ['view'] as const;
export const viewBytes = family('exporterd_view_bytes', 'gauge', 'Size of a page.', [...VIEW, 'encoding']);
export const viewSeries = family('exporterd_view_series', 'gauge', 'Samples on a page.', VIEW);
export const viewBuilds = family('exporterd_view_builds_total', 'counter', 'How often a page was built.', VIEW);
export const viewBuildSeconds = family('exporterd_view_build_seconds', 'gauge', 'Time the last build of a page took.', VIEW);
export const scrapes = family('exporterd_scrapes_total', 'counter', 'Answers to scrapes by status.', [...VIEW, 'status']);
export const scrapePhase = family(
  'exporterd_scrape_phase_total',
  'counter',
  'Scrapes by whether the page was collected for them: hit, miss, or unlocked when the scraper has no known rhythm.',
  [...VIEW, 'result'],
);
export const dataAge = family(
  'exporterd_scrape_data_age_seconds',
  'histogram',
  'Age of the oldest data of a role in an answer: response less start of the run.',
  ['role'],
);
export const trains = family('exporterd_scrape_trains', 'gauge', 'Scrapers with a known rhythm.', VIEW);
export const slowReaders = family('exporterd_slow_readers_cut_total', 'counter', 'Connections ended because they held an old page or took too long.');
export const suppressedLogs = family('exporterd_log_suppressed_total', 'counter', 'Log lines left out because they repeat one of the last minute.');

export const SELF_FAMILIES = [
  buildInfo,
  nativeReaders,
  serverInfo,
  runs,
  failures,
  skips,
  late,
  duration,
  cpu,
  age,
  series,
  duplicates,
  overBudget,
  threads,
  restarts,
  timerLateness,
  mergeConflicts,
  viewBytes,
  viewSeries,
  viewBuilds,
  viewBuildSeconds,
  scrapes,
  scrapePhase,
  dataAge,
  trains,
  slowReaders,
  suppressedLogs,
] as const;

/** Seconds. Fine where the promise lies (100 ms) and wide enough for the plain interval. */
export const AGE_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60] as const;
export const LATENESS_BOUNDS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1] as const;
